"""The PostgreSQL ledger: the protocol of `pinstripe.ledger`, each method a transaction or a few."""

from __future__ import annotations

import heapq
import json
from itertools import islice
from typing import TYPE_CHECKING

from pinstripe.errors import LedgerError, UnknownRun
from pinstripe.ledger import NO_TENANT, Claimed, NewRun, RunFilter, Selected, Settlement, Turn
from pinstripe.ledgers.pauses import PAUSED
from pinstripe.ledgers.postgres import listing, retention, settling
from pinstripe.ledgers.postgres.ending import abandon, end_open
from pinstripe.ledgers.postgres.fires import PostgresFires
from pinstripe.ledgers.postgres.owners import LEASE
from pinstripe.ledgers.postgres.pausing import part_paused
from pinstripe.ledgers.postgres.queue import PostgresQueue
from pinstripe.ledgers.postgres.statements import SCHEMA
from pinstripe.ledgers.postgres.store import Store
from pinstripe.ledgers.postgres.texts import check_tenants, writable
from pinstripe.ledgers.references import unknown
from pinstripe.ledgers.rows import NUMBER, read_counts, read_execution
from pinstripe.ledgers.works import write_redacted
from pinstripe.postgres_address import read_postgres_url
from pinstripe.run import ExecutionStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pinstripe.clock import Clock
    from pinstripe.config import RetentionSettings
    from pinstripe.ledger import Look
    from pinstripe.ledgers.postgres.heart import Heart
    from pinstripe.ledgers.postgres.history import PostgresHistory
    from pinstripe.ledgers.postgres.transaction import Transaction
    from pinstripe.run import Execution, Run

_TAKEN_FOR_DEAD = (
    "this process was taken for dead (its row in the ledger is gone, or the run is closed) and may start nothing more "
    "of run {}: what that had not finished is marked as interrupted; `pinstripe retry-run` carries on"
)


class PostgresLedger:
    """A ledger in a database of a PostgreSQL server; see `pinstripe.ledger.Ledger` for what its methods do."""

    def __init__(
        self,
        url: str,
        *,
        clock: Clock,
        retention: RetentionSettings,
        code_version: str = "",
        lease: float = LEASE,
        schema: str = SCHEMA,
    ) -> None:
        """Take the database's `url`, as the setting `ledger` has it, and the `schema` there.

        After a `lease`, in seconds, without a heartbeat a process is taken for dead. Raises `ConfigurationError` for
        what can't be a URL.
        """
        self._retention = retention
        self._clock = clock
        address = read_postgres_url(url, "ledger")
        self._store = Store(address, clock, schema=schema, code_version=code_version, lease=lease)
        self._queue = PostgresQueue(self._store)
        self._fires = PostgresFires(self._store)
        self._history: PostgresHistory | None = None
        self._heart: Heart | None = None
        self._numbers: dict[str, tuple[int, str]] = {}

    @property
    def queue(self) -> PostgresQueue:
        """What it keeps for workers."""
        return self._queue

    @property
    def fires(self) -> PostgresFires:
        """What it keeps of schedules."""
        return self._fires

    @property
    def history(self) -> PostgresHistory:
        """What it tells of what was."""
        if self._history is None:
            from pinstripe.ledgers.postgres.history import PostgresHistory  # most commands don't ask for it

            self._history = PostgresHistory(self._store)
        return self._history

    @property
    def is_made(self) -> bool:
        """Whether there is one to read."""
        return self._store.is_open

    async def open(self, *, write: bool = True) -> None:
        """Connect; with `write` create or migrate the schema, else only look at what is there."""
        await self._store.open(write=write)

    async def close(self) -> None:
        """Disconnect; this process's row goes, unless something of its is still open: that is up for rescue."""
        self._numbers.clear()
        try:
            await self._store.close()  # from here on no beat makes a heart anew
        finally:
            heart, self._heart = self._heart, None
            if heart is not None:
                heart.close()

    def look(self, lock_wait: float) -> Look:
        """Look whether it can be used, as one who comes new would find it; from any thread."""
        from pinstripe.ledgers.postgres.looking import look  # only a server is asked for it

        return look(self._store, lock_wait)

    def beat(self) -> None:
        """Say that this process lives; from any thread."""
        if self._store.owners is None:
            return
        if self._heart is None:
            from pinstripe.ledgers.postgres.heart import Heart  # for what lives longer than a beat

            self._heart = Heart(self._store)
        self._heart.beat()

    async def rescue(self) -> int:
        """Find the processes that are gone, and close what they left open; give how many runs that were."""
        from pinstripe.ledgers.postgres.rescuing import rescue

        if self._store.owners is not None:
            return (await rescue(self._store)).runs
        if not await self._store.rows("some_owner"):
            return 0
        try:
            if await self._store.read(lambda tx: self._store.schema.pending(tx.connection)):
                return 0  # a command that only looks doesn't migrate: the next one that writes does both
            await self.open(write=True)
            return (await rescue(self._store)).runs
        except LedgerError:
            return 0  # who can't write can still look

    async def create(self, run: NewRun) -> Run:
        """Create the run, `queued` and `selecting`, owned by this process."""
        owners = self._store.ours()
        now = self._clock.now()
        values = (
            *(run.id, run.job, str(run.trigger), json.dumps(list(run.args)), json.dumps(dict(run.kwargs))),
            *(json.dumps(dict(run.selection)), run.origin or run.id, run.retry_of, run.parent, now),
            *(run.trace, writable(write_redacted(run))),
        )

        async def create(tx: Transaction) -> tuple[int, Run] | None:
            row = await tx.row("run_by_id", run.id) if tx.again else None
            row = row or await tx.row("create_run", owner, *values)
            return None if row is None else (row[NUMBER], await listing.read_row(tx, row))

        while True:
            owner = await self._store.register()
            created = await self._store.write(create)
            if created is not None:
                number, made = created
                self._numbers[run.id] = number, run.job
                return made
            owners.forget(owner)  # taken for dead meanwhile: it goes on under a new number

    async def add(self, run: str, tenants: Sequence[str], *, retry_of: str | None = None) -> int:
        """Add queued executions, one per tenant not yet in the run nor, in a retry, done elsewhere; give how many."""
        check_tenants(tenants)
        number, job = await self._known(run)
        before = 0

        async def add(tx: Transaction) -> int:
            nonlocal before
            done = set() if retry_of is None else await listing.succeeded(tx, retry_of, tenants)
            wanted = [tenant for tenant in tenants if tenant not in done]
            added = await tx.run("add_executions", number, job, wanted)
            total = await tx.value("counted_in", number, added)
            if total is None:
                raise LedgerError(_TAKEN_FOR_DEAD.format(run))
            if not tx.again:
                before = total - added
            return int(total) - before  # nobody else adds to it: what was committed before is counted too

        return await self._store.write(add)

    async def end_selection(self, run: str, *, error: str | None = None) -> Run:
        """End the selection; with `error`, or without executions, close the run."""
        number, _ = await self._known(run)
        if error is not None:
            await end_open(self._store, number, {ExecutionStatus.QUEUED: (ExecutionStatus.CANCELLED, "not started")})
        now = self._clock.now()

        async def end(tx: Transaction) -> Run:
            await tx.run("selection_ended", number, writable(error), now)
            return await listing.run_of(tx, number)

        return self._seen(await self._store.write(end))

    async def turn(
        self, run: str, settlements: Sequence[Settlement], tenants: Sequence[str], *, force: bool = False
    ) -> Turn:
        """Settle `settlements`, then start those of `tenants` that are queued and not paused, in one transaction."""
        number, job = await self._known(run)
        owner = self._store.ours().id or 0
        now = self._clock.now()

        async def turn(tx: Transaction) -> Turn:
            paused = await self._check_turn(tx, owner, run, number) if tenants else False
            ended = await settling.settle(tx, number, settlements, now) if settlements else {}
            claimed: list[Claimed] = []
            wanted: Sequence[str] = tenants
            if paused and not force:
                held, wanted = await part_paused(tx, job, tenants)
                skipped = await settling.skip(tx, number, held, PAUSED, now) if held else 0
                ended[ExecutionStatus.SKIPPED] = ended.get(ExecutionStatus.SKIPPED, 0) + skipped
            if wanted:
                claimed = await settling.start(tx, number, owner, wanted, now)
            await settling.count(tx, {number: ended}, now)
            return Turn(claimed, read_counts(await tx.row("counts", number)))

        taken = await self._store.write(turn, patient=True)  # or else what has ended meanwhile would be for nothing
        if taken.counts.done == taken.counts.total:
            self._numbers.pop(run, None)
        return taken

    async def _check_turn(self, tx: Transaction, owner: int, run: str, number: int) -> bool:
        """Raise `LedgerError` where this process may start nothing of a run; tell whether anything is paused."""
        row = await tx.row("turning_run", owner, number)
        if row is None:
            raise LedgerError(_TAKEN_FOR_DEAD.format(run))
        selected, paused = row
        if not selected:
            raise LedgerError(f"nothing of run {run} may start before its selection is complete")
        return bool(paused)

    async def end(self, run: str, status: ExecutionStatus, reason: str, *, error: str | None = None) -> Run:
        """End each still queued execution with `status` and `reason`; with `error` the run fails."""
        number, _ = await self._known(run)
        if error is not None:
            await self._store.write(lambda tx: tx.run("run_failed", number, writable(error)), patient=True)
        await end_open(self._store, number, {ExecutionStatus.QUEUED: (status, reason)}, patient=True)
        shown = self._store.shown
        return self._seen(await self._store.read(lambda tx: listing.find_run(tx, run, shown), patient=True))

    async def abandon(self, run: str) -> Run:
        """Close a run of this process, whose selection was interrupted, as cancelled."""
        number, _ = await self._known(run)
        await abandon(self._store, number)
        return self._seen(await self.find_run(run))

    async def prune(self) -> int:
        """Remove whole closed runs past their retention, and old logs; give how many runs."""
        return await retention.prune(self._store.write, self._retention, self._clock)

    async def find_run(self, reference: str, *, failures: bool = True) -> Run:
        """Give the run that `reference` names."""
        shown = self._store.shown
        return await self._store.read(lambda tx: listing.find_run(tx, reference, shown, with_failures=failures))

    async def list_runs(self, only: RunFilter) -> list[Run]:
        """Give runs, newest first."""
        return await self._store.read(lambda tx: listing.list_runs(tx, only)) if self._store.is_open else []

    async def last_runs(self, jobs: Sequence[str]) -> Mapping[str, Run]:
        """Give the newest run of each job that has one."""
        return await self._store.read(lambda tx: listing.last_runs(tx, jobs)) if self._store.is_open else {}

    async def find_execution(self, run: str, tenant: str | None) -> Execution | None:
        """Give one execution with its log."""

        async def find(tx: Transaction) -> Execution | None:
            row = await tx.row("find_execution", await self._number(tx, run), writable(tenant) or NO_TENANT)
            return None if row is None else read_execution(run, row)

        return await self._store.read(find)

    async def queued_tenants(self, run: str, *, after: str | None, limit: int) -> list[str]:
        """Give the next tenants whose executions are queued."""

        async def read(tx: Transaction) -> list[str]:
            number = await self._number(tx, run)
            rows = await tx.rows("queued_tenants", number, after or "", after is None, limit)
            return [tenant for (tenant,) in rows]

        return await self._store.read(read)

    async def retryable(self, run: str, *, skipped: bool, after: str | None, limit: int) -> list[str]:
        """Give the next tenants that a retry of `run` is for."""
        states = ["failed", "cancelled", *(["skipped"] if skipped else [])]

        async def read(tx: Transaction) -> list[str]:
            number = await self._number(tx, run)
            values = number, after or "", after is None, limit, await listing.other_retries(tx, run)
            pages = [[tenant for (tenant,) in await tx.rows(f"retryable_{state}", *values)] for state in states]
            return list(islice(heapq.merge(*pages), limit))

        return await self._store.read(read)

    async def succeeded(self, run: str, tenants: Sequence[str]) -> set[str]:
        """Give those of `tenants` that need no retry: succeeded in `run` or its chain of retries, or open in it."""
        return await self._store.read(lambda tx: listing.succeeded(tx, run, tenants, lock=False))

    async def selected_by(self, run: str) -> Selected:
        """Give what a run was selected by, whether that was ever complete, and where its chain of retries began."""

        async def read(tx: Transaction) -> Selected:
            row = await tx.row("selection_of", run)
            if row is None:
                raise UnknownRun(unknown(run, self._store.shown))
            return Selected(json.loads(row[0]), complete=row[1], origin=row[2], trace=row[3])

        return await self._store.read(read)

    async def _known(self, run: str) -> tuple[int, str]:
        """Give the number and the job of a run: remembered while it is open, and read after that."""
        if run in self._numbers:
            return self._numbers[run]
        return await self._store.read(lambda tx: listing.number_of(tx, run, self._store.shown))

    async def _number(self, tx: Transaction, run: str) -> int:
        known = self._numbers.get(run) or await listing.number_of(tx, run, self._store.shown)
        return known[0]

    def _seen(self, run: Run) -> Run:
        """Forget the number of a run that has ended: a process that lives long has many of them."""
        if run.finished:
            self._numbers.pop(run.id, None)
        return run
