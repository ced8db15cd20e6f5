"""The SQLite ledger: the protocol of `pinstripe.ledger` over one writer, one reader and the owners' lock files."""

from __future__ import annotations

import heapq
import json
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from pinstripe.errors import LedgerError, UnknownRun
from pinstripe.ledger import NO_TENANT, NewRun, RunFilter, Selected, Settlement, Turn
from pinstripe.ledgers.references import unknown
from pinstripe.ledgers.rows import read_counts, read_execution
from pinstripe.ledgers.sqlite import listing, schema, settling
from pinstripe.ledgers.sqlite.connection import LOCK_WAIT, translated
from pinstripe.ledgers.sqlite.ending import INLINE, abandon, end_open
from pinstripe.ledgers.sqlite.owners import LEASE
from pinstripe.ledgers.sqlite.pausing import skip_paused
from pinstripe.ledgers.sqlite.statements import statement
from pinstripe.ledgers.sqlite.store import Store
from pinstripe.run import ExecutionStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import apsw

    from pinstripe.clock import Clock
    from pinstripe.config import RetentionSettings
    from pinstripe.ledger import Look
    from pinstripe.ledgers.sqlite.fires import SQLiteFires
    from pinstripe.ledgers.sqlite.history import SQLiteHistory
    from pinstripe.ledgers.sqlite.queue import SQLiteQueue
    from pinstripe.run import Execution, Run

T = TypeVar("T")

_TAKEN_FOR_DEAD = (
    "this process was taken for dead (its lock file or its row in the ledger is gone) and may start nothing more of "
    "run {}: what that had not finished is marked as interrupted; `pinstripe retry-run` carries on"
)


class SQLiteLedger:
    """A ledger in the file `path`; see `pinstripe.ledger.Ledger` for what its methods do."""

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock,
        retention: RetentionSettings,
        sync: str = "normal",
        code_version: str = "",
        lock_wait: float = LOCK_WAIT,
        lease: float = LEASE,
    ) -> None:
        """Take the file's absolute `path`; `sync` is `"normal"`, or `"full"` to survive power loss at each commit.

        Other processes' writes are waited for during `lock_wait` seconds; after a `lease`, in seconds, without a
        heartbeat a worker is taken for dead.
        """
        self.path = path
        self._retention = retention
        self._clock = clock
        self._store = Store(path, clock, sync=sync, code_version=code_version, lock_wait=lock_wait, lease=lease)
        self._numbers: dict[str, tuple[int, str]] = {}

    @cached_property
    def queue(self) -> SQLiteQueue:
        """What it keeps for workers."""
        from pinstripe.ledgers.sqlite.queue import SQLiteQueue  # commands that only look ask for few of these

        return SQLiteQueue(self._store)

    @cached_property
    def fires(self) -> SQLiteFires:
        """What it keeps of schedules."""
        from pinstripe.ledgers.sqlite.fires import SQLiteFires

        return SQLiteFires(self._store)

    @cached_property
    def history(self) -> SQLiteHistory:
        """What it tells of what was."""
        from pinstripe.ledgers.sqlite.history import SQLiteHistory

        return SQLiteHistory(self._store)

    @property
    def is_made(self) -> bool:
        """Whether there is one to read."""
        return self._store.reader is not None

    async def open(self, *, write: bool = True) -> None:
        """Connect; with `write` create or migrate the schema, else only look at what is there."""
        self._store.open(write=write)

    async def close(self) -> None:
        """Disconnect; this process's lock and row go, unless something of its is still open: that is up for rescue."""
        self._numbers.clear()
        self._store.close()

    def look(self, lock_wait: float) -> Look:
        """Look whether it can be used, as one who comes new would find it; from any thread."""
        return self._store.look(lock_wait)

    def beat(self) -> None:
        """Say that this process lives; from any thread."""
        if self._store.owners is not None:
            self._store.owners.beat()

    async def rescue(self) -> int:
        """Find the processes that are gone, and close what they left open; give how many runs that were."""
        if self._store.reader is None:
            return 0
        if self._store.owners is not None:
            from pinstripe.ledgers.sqlite.rescuing import rescue

            with translated(self.path):
                return (await rescue(self._store)).runs
        with translated(self.path):
            if not self._store.reader.execute("select 1 from owners limit 1").fetchone():
                return 0
            if not schema.is_current(self._store.reader, self.path):
                return 0  # a command that only looks doesn't migrate: the next one that writes does both
        try:
            await self.open(write=True)
            return await self.rescue()
        except LedgerError:
            return 0  # who can't write can still look

    async def create(self, run: NewRun) -> Run:
        """Create the run, `queued` and `selecting`, owned by this process."""
        from pinstripe.ledgers.works import write_redacted

        owners = self._store.ours()
        values: dict[str, Any] = {
            "id": run.id,
            "reversed_id": run.id[::-1],
            "job": run.job,
            "trigger": str(run.trigger),
            "args": json.dumps(list(run.args)),
            "kwargs": json.dumps(dict(run.kwargs)),
            "selection": json.dumps(dict(run.selection)),
            "origin": run.origin or run.id,
            "retry_of": run.retry_of,
            "parent": run.parent,
            "trace": run.trace,
            "redacted": write_redacted(run),
            "now": self._clock.now(),
        }

        def create(tx: apsw.Connection) -> Run | None:
            if tx.execute(statement("owner_row"), {"owner": values["owner"]}).fetchone() is None:
                return None
            number = _value(tx, "create_run", values)
            self._numbers[run.id] = (number, run.job)
            return listing.run_of(tx, number)

        while True:
            values["owner"] = await self._store.register()
            created = await self._store.write(create)
            if created is not None:
                return created
            owners.forget(values["owner"])  # taken for dead meanwhile: it goes on under a new number

    async def add(self, run: str, tenants: Sequence[str], *, retry_of: str | None = None) -> int:
        """Add queued executions, one per tenant not yet in the run nor, in a retry, done elsewhere; give how many."""
        number, job = self._known(run)

        def add(tx: apsw.Connection) -> int:
            done = set() if retry_of is None else listing.succeeded(tx, retry_of, tenants)
            written = json.dumps([tenant for tenant in tenants if tenant not in done] if done else tenants)
            tx.execute(statement("add_executions"), {"run": number, "job": job, "tenants": written})
            added = tx.changes()
            tx.execute(statement("counted_in"), {"run": number, "added": added})
            if not tx.changes():
                raise LedgerError(_TAKEN_FOR_DEAD.format(run))
            return added

        return await self._store.write(add, long=len(tenants) > 1)

    async def end_selection(self, run: str, *, error: str | None = None) -> Run:
        """End the selection; with `error`, or without executions, close the run."""
        number, _ = self._known(run)
        if error is not None:
            await end_open(self._store, number, {ExecutionStatus.QUEUED: (ExecutionStatus.CANCELLED, "not started")})
        values = {"run": number, "error": error, "now": self._clock.now()}

        def end(tx: apsw.Connection) -> Run:
            tx.execute(statement("selection_ended"), values)
            return listing.run_of(tx, number)

        return self._seen(await self._store.write(end))

    async def turn(
        self, run: str, settlements: Sequence[Settlement], tenants: Sequence[str], *, force: bool = False
    ) -> Turn:
        """Settle `settlements`, then start those of `tenants` that are queued and not paused, in one transaction."""
        number, job = self._known(run)
        owner = self._store.ours().id
        now = self._clock.now()

        def turn(tx: apsw.Connection) -> Turn:
            if settlements:
                settling.settle(tx, number, settlements, now)
            claimed = []
            if tenants:
                selected = tx.execute(statement("may_start"), {"owner": owner, "run": number}).fetchone()
                if selected is None:
                    raise LedgerError(_TAKEN_FOR_DEAD.format(run))
                if not selected[0]:
                    raise LedgerError(f"nothing of run {run} may start before its selection is complete")
                wanted = tenants if force else skip_paused(tx, number, job, tenants, now)
                claimed = settling.start(tx, number, owner or 0, wanted, now)
            rows: list[Any] = tx.execute(statement("counts"), {"run": number}).fetchall()
            return Turn(claimed, read_counts(rows[0]))

        taken = await self._store.write(turn, long=len(settlements) + len(tenants) > INLINE)
        if taken.counts.done == taken.counts.total:
            self._numbers.pop(run, None)
        return taken

    async def end(self, run: str, status: ExecutionStatus, reason: str, *, error: str | None = None) -> Run:
        """End each still queued execution with `status` and `reason`; with `error` the run fails."""
        number, _ = self._known(run)
        if error is not None:
            values = {"run": number, "error": error}
            await self._store.write(lambda tx: tx.execute(statement("run_failed"), values))
        await end_open(self._store, number, {ExecutionStatus.QUEUED: (status, reason)})
        return self._seen(await self.find_run(run))

    async def abandon(self, run: str) -> Run:
        """Close a run of this process, whose selection was interrupted, as cancelled."""
        number, _ = self._known(run)
        await abandon(self._store, number)
        return self._seen(await self.find_run(run))

    async def prune(self) -> int:
        """Remove whole closed runs past their retention, and old logs; give how many runs."""
        from pinstripe.ledgers.sqlite import retention

        return await retention.prune(self._store.write, self._retention, self._clock)

    async def find_run(self, reference: str, *, failures: bool = True) -> Run:
        """Give the run that `reference` names."""
        return self._store.read(lambda tx: listing.find_run(tx, reference, self.path, with_failures=failures))

    async def list_runs(self, only: RunFilter) -> list[Run]:
        """Give runs, newest first."""
        return self._store.read(lambda tx: listing.list_runs(tx, only)) if self._store.reader else []

    async def last_runs(self, jobs: Sequence[str]) -> Mapping[str, Run]:
        """Give the newest run of each job that has one."""
        return self._store.read(lambda tx: listing.last_runs(tx, jobs)) if self._store.reader else {}

    async def find_execution(self, run: str, tenant: str | None) -> Execution | None:
        """Give one execution with its log."""

        def find(tx: apsw.Connection) -> Execution | None:
            values = {"run": self._number(tx, run), "tenant": tenant or NO_TENANT}
            row = tx.execute(statement("find_execution"), values).fetchone()
            return None if row is None else read_execution(run, row)

        return self._store.read(find)

    async def queued_tenants(self, run: str, *, after: str | None, limit: int) -> list[str]:
        """Give the next tenants whose executions are queued."""

        def read(tx: apsw.Connection) -> list[str]:
            values = {"run": self._number(tx, run), "first": settling.following(after), "limit": limit}
            return [tenant for (tenant,) in tx.execute(statement("queued_tenants"), values)]

        return self._store.read(read)

    async def retryable(self, run: str, *, skipped: bool, after: str | None, limit: int) -> list[str]:
        """Give the next tenants that a retry of `run` is for."""

        def read(tx: apsw.Connection) -> list[str]:
            number = self._number(tx, run)
            others = json.dumps([n for (n,) in tx.execute(statement("other_retries"), {"id": run})])
            states = ["failed", "cancelled", *(["skipped"] if skipped else [])]
            values = {"run": number, "others": others, "first": settling.following(after), "limit": limit}
            pages = [[tenant for (tenant,) in tx.execute(statement(f"retryable_{state}"), values)] for state in states]
            return list(islice(heapq.merge(*pages), limit))

        return self._store.read(read)

    async def succeeded(self, run: str, tenants: Sequence[str]) -> set[str]:
        """Give those of `tenants` that need no retry: succeeded in `run` or its chain of retries, or open in it."""
        return self._store.read(lambda tx: listing.succeeded(tx, run, tenants))

    async def selected_by(self, run: str) -> Selected:
        """Give what a run was selected by, whether that was ever complete, and where its chain of retries began."""

        def read(tx: apsw.Connection) -> Selected:
            row = tx.execute(statement("selection_of"), {"id": run}).fetchone()
            if row is None:
                raise UnknownRun(unknown(run, self.path))
            return Selected(json.loads(row[0]), complete=bool(row[1]), origin=row[2], trace=row[3])

        return self._store.read(read)

    def _known(self, run: str) -> tuple[int, str]:
        """Give the number and the job of a run: remembered while it is open, and read after that."""
        return self._numbers.get(run) or self._store.read(lambda tx: listing.number_of(tx, run, self.path))

    def _number(self, connection: apsw.Connection, run: str) -> int:
        known = self._numbers.get(run) or listing.number_of(connection, run, self.path)
        return known[0]

    def _seen(self, run: Run) -> Run:
        """Forget the number of a run that has ended: a process that lives long has many of them."""
        if run.finished:
            self._numbers.pop(run.id, None)
        return run


def _value(connection: apsw.Connection, name: str, values: dict[str, Any]) -> Any:
    rows: list[Any] = connection.execute(statement(name), values).fetchall()
    return rows[0][0]
