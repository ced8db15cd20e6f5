"""The history of the PostgreSQL ledger: the protocol of `pinstripe.history`, each method a statement or a few."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pinstripe.history import HeatMap, RunPage, TenantPage
from pinstripe.ledgers import histories
from pinstripe.ledgers.histories import LOOKED, AskedOfRun, AskedOfTenant
from pinstripe.ledgers.postgres import execution_pages, overviews
from pinstripe.ledgers.postgres.run_pages import list_page, retries_of
from pinstripe.ledgers.postgres.texts import writable
from pinstripe.ledgers.postgres.transaction import columns
from pinstripe.ledgers.rows import LAST_NUMBER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pinstripe.history import (
        AuditEntry,
        AuditPage,
        ExecutionPage,
        FailingTenant,
        RunPoint,
        Tally,
    )
    from pinstripe.ledger import RunFilter
    from pinstripe.ledgers.postgres.store import Store
    from pinstripe.ledgers.postgres.transaction import Transaction
    from pinstripe.run import Execution, ExecutionStatus, Run


class PostgresHistory:
    """What a ledger's database tells of what was; see `pinstripe.history.History` for what its methods do."""

    def __init__(self, store: Store) -> None:
        """Take the database, which need not be open yet."""
        self._store = store
        self._is_current = False

    async def runs(self, only: RunFilter, *, before: int | None = None) -> RunPage:
        """Give the next `only.limit` runs `before` a page's `next`, without failures."""
        if not self._store.is_open:
            return RunPage([], None)
        only = only._replace(job=writable(only.job), tenant=writable(only.tenant))
        return await self._store.read(lambda tx: list_page(tx, only, LAST_NUMBER if before is None else before))

    async def count_running(self, limit: int) -> int:
        """Count the runs that have begun and not ended, up to `limit`."""
        rows = await self._rows("count_running", limit)
        return int(rows[0][0]) if rows else 0

    async def retries(self, run: str, limit: int) -> list[Run]:
        """Give the newest retries of a run, newest first, without failures."""
        if not self._store.is_open:
            return []
        return await self._store.read(lambda tx: retries_of(tx, run, limit))

    async def executions(
        self,
        run: str,
        *,
        status: ExecutionStatus | None = None,
        search: str | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> ExecutionPage:
        """Give executions of a run by tenant."""
        asked = AskedOfRun(status, search, after, limit)
        return await self._store.read(lambda tx: execution_pages.page_of_run(tx, run, asked, self._store.shown))

    async def executions_of(self, run: str, tenants: Sequence[str]) -> list[Execution]:
        """Give the executions of a run that are for these tenants."""
        return await self._store.read(lambda tx: execution_pages.executions_of(tx, run, tenants, self._store.shown))

    async def executions_of_tenant(
        self,
        tenant: str,
        *,
        job: str | None = None,
        status: ExecutionStatus | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> TenantPage:
        """Give what was done for a tenant, newest run first."""
        if not self._store.is_open:
            return TenantPage([], None)
        asked = AskedOfTenant(tenant, job, status, LAST_NUMBER if before is None else before, limit)
        return await self._store.read(lambda tx: execution_pages.page_of_tenant(tx, asked))

    async def points(self, job: str, limit: int) -> list[RunPoint]:
        """Give a job's last `limit` runs, oldest first, with percentiles of how long their executions took."""
        if not self._store.is_open:
            return []
        return await self._store.read(lambda tx: overviews.read_points(tx, job, limit))

    async def heat_map(self, job: str, *, runs: int, rows: int) -> HeatMap:
        """Give the tenants of a job's last `runs` runs."""
        if not self._store.is_open:
            return HeatMap([], [], more=False)
        return await self._store.read(lambda tx: overviews.read_heat_map(tx, job, runs, rows))

    async def failing(self, since: int, limit: int) -> list[FailingTenant]:
        """Give for which tenants jobs failed since then, newest first, of the last failed runs."""
        if not self._store.is_open:
            return []
        return await self._store.read(lambda tx: overviews.read_failing(tx, since, limit))

    async def add_tallies(self, tallies: Sequence[Tally]) -> None:
        """Add to what is kept of each tally's minute, and to the totals, in one statement.

        Where nobody knows whether it was committed, as when a connection breaks, it is added again.
        """
        if tallies:
            values = columns(histories.summed(tallies))
            await self._store.write(lambda tx: tx.run("add_tallies", *values), single=True)

    async def tallies(self, since: int) -> list[Tally]:
        """Give what is kept of the minutes from that one on, in their order."""
        return [histories.read_tally(row) for row in await self._rows("tallies", since)]

    async def totals(self) -> list[Tally]:
        """Give the totals since the ledger was made, by job and status."""
        return [histories.read_tally(row) for row in await self._rows("totals")]

    async def begin_audit(self, entry: AuditEntry) -> int:
        """Write down that somebody is about to do something; give the entry's number."""
        values = (
            *(entry.at, str(entry.actor.door), writable(entry.actor.name), str(entry.action)),
            *map(writable, (entry.job, entry.tenant, entry.run, entry.detail, entry.outcome)),
        )

        async def begin(tx: Transaction) -> int:
            number = await tx.value("begun_audit", *values[:4]) if tx.again else None
            return int(number or await tx.value("begin_audit", *values))

        return await self._store.write(begin, single=True)

    async def end_audit(self, number: int, outcome: str, *, run: str | None = None) -> None:
        """Write down what came of it, and the run that it was for or that it made."""
        values = number, writable(outcome), run
        await self._store.write(lambda tx: tx.run("end_audit", *values), single=True)

    async def audit(
        self, *, before: int | None = None, limit: int = 50, filters: Mapping[str, str] | None = None
    ) -> AuditPage:
        """Give the entries `before` a page's `next`, found by an index of what is asked for."""
        asked = {name: writable(value) for name, value in histories.audit_filters(filters).items()}
        index = histories.audit_index(asked)
        last = LAST_NUMBER if before is None else before
        floors: Sequence[Any] = ()
        if sum(value is not None for value in asked.values()) > (index != "number"):
            key = () if index == "number" else (asked[index],)
            floors = await self._rows(f"audit_floor_by_{index}", last, LOOKED - 1, *key)
        floor = floors[0][0] if floors else None
        rows = await self._rows(f"audit_by_{index}", floor or 0, last, limit + 1, *asked.values())
        return histories.read_audit(rows, limit, floor)

    async def _rows(self, name: str, *values: Any) -> Sequence[Any]:
        """Give the rows of a statement; none where there is no ledger yet, or none of this version."""
        if not self._store.is_open:
            return []
        if not self._is_current:
            self._is_current = not await self._store.read(lambda tx: self._store.schema.pending(tx.connection))
        return await self._store.rows(name, *values) if self._is_current else []
