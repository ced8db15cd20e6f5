"""The history of the SQLite ledger: the protocol of `pinstripe.history`, each method a short read or a transaction."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pinstripe.history import HeatMap, RunPage, TenantPage
from pinstripe.ledgers import histories
from pinstripe.ledgers.histories import LOOKED, AskedOfRun, AskedOfTenant
from pinstripe.ledgers.rows import LAST_NUMBER
from pinstripe.ledgers.sqlite import execution_pages, overviews
from pinstripe.ledgers.sqlite.run_pages import list_page, retries_of
from pinstripe.ledgers.sqlite.statements import statement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import apsw

    from pinstripe.history import (
        AuditEntry,
        AuditPage,
        ExecutionPage,
        FailingTenant,
        RunPoint,
        Tally,
    )
    from pinstripe.ledger import RunFilter
    from pinstripe.ledgers.sqlite.store import Store
    from pinstripe.run import Execution, ExecutionStatus, Run


class SQLiteHistory:
    """What a ledger's file tells of what was; see `pinstripe.history.History` for what its methods do."""

    def __init__(self, store: Store) -> None:
        """Take the file, which need not be open yet."""
        self._store = store

    async def runs(self, only: RunFilter, *, before: int | None = None) -> RunPage:
        """Give the next `only.limit` runs `before` a page's `next`, without failures."""
        if self._store.reader is None:
            return RunPage([], None)
        return self._store.read(lambda tx: list_page(tx, only, LAST_NUMBER if before is None else before))

    async def count_running(self, limit: int) -> int:
        """Count the runs that have begun and not ended, up to `limit`."""
        rows = self._store.rows("count_running", {"limit": limit})
        return int(rows[0][0]) if rows else 0

    async def retries(self, run: str, limit: int) -> list[Run]:
        """Give the newest retries of a run, newest first, without failures."""
        if self._store.reader is None:
            return []
        return self._store.read(lambda tx: retries_of(tx, run, limit))

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
        return self._store.read(lambda tx: execution_pages.page_of_run(tx, run, asked, self._store.path))

    async def executions_of(self, run: str, tenants: Sequence[str]) -> list[Execution]:
        """Give the executions of a run that are for these tenants."""
        return self._store.read(lambda tx: execution_pages.executions_of(tx, run, tenants, self._store.path))

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
        if self._store.reader is None:
            return TenantPage([], None)
        asked = AskedOfTenant(tenant, job, status, LAST_NUMBER if before is None else before, limit)
        return self._store.read(lambda tx: execution_pages.page_of_tenant(tx, asked))

    async def points(self, job: str, limit: int) -> list[RunPoint]:
        """Give a job's last `limit` runs, oldest first, with percentiles of how long their executions took."""
        if self._store.reader is None:
            return []
        return self._store.read(lambda tx: overviews.read_points(tx, job, limit))

    async def heat_map(self, job: str, *, runs: int, rows: int) -> HeatMap:
        """Give the tenants of a job's last `runs` runs."""
        if self._store.reader is None:
            return HeatMap([], [], more=False)
        return self._store.read(lambda tx: overviews.read_heat_map(tx, job, runs, rows))

    async def failing(self, since: int, limit: int) -> list[FailingTenant]:
        """Give for which tenants jobs failed since then, newest first, of the last failed runs."""
        if self._store.reader is None:
            return []
        return self._store.read(lambda tx: overviews.read_failing(tx, since, limit))

    async def add_tallies(self, tallies: Sequence[Tally]) -> None:
        """Add to what is kept of each tally's minute, and to the totals, in one transaction."""
        if tallies:
            values = {"tallies": json.dumps(histories.summed(tallies))}
            await self._store.write(lambda tx: tx.execute(statement("add_tallies"), values))

    async def tallies(self, since: int) -> list[Tally]:
        """Give what is kept of the minutes from that one on, in their order."""
        return [histories.read_tally(row) for row in self._store.rows("tallies", {"since": since})]

    async def totals(self) -> list[Tally]:
        """Give the totals since the ledger was made, by job and status."""
        return [histories.read_tally(row) for row in self._store.rows("totals")]

    async def begin_audit(self, entry: AuditEntry) -> int:
        """Write down that somebody is about to do something; give the entry's number."""
        actor = {"door": str(entry.actor.door), "name": entry.actor.name, "action": str(entry.action)}
        values = {name: _writable(value) for name, value in {**entry._asdict(), **actor, "actor": None}.items()}

        def begin(tx: apsw.Connection) -> int:
            rows: list[Any] = tx.execute(statement("begin_audit"), values).fetchall()
            return int(rows[0][0])

        return await self._store.write(begin)

    async def end_audit(self, number: int, outcome: str, *, run: str | None = None) -> None:
        """Write down what came of it, and the run that it was for or that it made."""
        values = {"id": number, "outcome": _writable(outcome), "found": run}
        await self._store.write(lambda tx: tx.execute(statement("end_audit"), values))

    async def audit(
        self, *, before: int | None = None, limit: int = 50, filters: Mapping[str, str] | None = None
    ) -> AuditPage:
        """Give the entries `before` a page's `next`, found by an index of what is asked for."""
        asked = histories.audit_filters(filters)
        index = histories.audit_index(asked)
        values: dict[str, Any] = {**asked, "before": LAST_NUMBER if before is None else before}
        floors: list[Any] = []
        if self._store.reader is not None and sum(value is not None for value in asked.values()) > (index != "number"):
            floors = self._store.rows(f"audit_floor_by_{index}", {**values, "looked": LOOKED - 1})
        floor = floors[0][0] if floors else None
        found = {**values, "floor": floor or 0, "limit": limit + 1}
        return histories.read_audit(self._store.rows(f"audit_by_{index}", found), limit, floor)


def _writable(value: Any) -> Any:
    """Give a text as UTF-8 can have it: of what a caller sends in JSON, halves of surrogate pairs are replaced."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
