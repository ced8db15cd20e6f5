"""The SQLite ledger: the protocol of `pinstripe.ledger` over one writer, one reader and the owners' lock files."""

from __future__ import annotations

import heapq
import json
from contextlib import ExitStack
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from pinstripe.errors import LedgerError, UnknownRun
from pinstripe.ledger import NO_TENANT, NewRun, RunFilter, Selected, Settlement, Turn
from pinstripe.ledgers.sqlite import listing, retention, schema, settling
from pinstripe.ledgers.sqlite.connection import LOCK_WAIT, connect, log_ahead, refuse_network, translated
from pinstripe.ledgers.sqlite.locks import Lock
from pinstripe.ledgers.sqlite.owners import Owner, Owners
from pinstripe.ledgers.sqlite.rows import read_counts, read_execution, read_run
from pinstripe.ledgers.sqlite.statements import statement
from pinstripe.ledgers.sqlite.writer import Writer
from pinstripe.run import ExecutionStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import apsw

    from pinstripe.clock import Clock
    from pinstripe.config import RetentionSettings
    from pinstripe.run import Execution, Run

T = TypeVar("T")

_INLINE = 400
"""How many executions a turn may move on the event loop's own thread: about 2 ms; more goes to the writer's."""

_TAKEN_FOR_DEAD = (
    "this process was taken for dead (its lock file or its row in the ledger is gone) and may start nothing more of "
    "run {}: what that had not finished is marked as interrupted; `pinstripe retry-run` carries on"
)

_INTERRUPTED = {
    ExecutionStatus.RUNNING: (ExecutionStatus.CANCELLED, "interrupted"),
    ExecutionStatus.QUEUED: (ExecutionStatus.CANCELLED, "not started"),
}


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
    ) -> None:
        """Take the file's absolute `path`; `sync` is `"normal"`, or `"full"` to survive power loss at each commit.

        Other processes' writes are waited for during `lock_wait` seconds.
        """
        self.path = path
        self._clock = clock
        self._retention = retention
        self._sync = sync
        self._code_version = code_version
        self._lock_wait = lock_wait
        self._writer: Writer | None = None
        self._reader: apsw.Connection | None = None
        self._owners: Owners | None = None
        self._numbers: dict[str, tuple[int, str]] = {}

    async def open(self, *, write: bool = True) -> None:
        """Connect; with `write` create or migrate the schema, else only look at what is there."""
        if self._reader is not None and (self._writer is not None or not write):
            return
        with translated(self.path):
            if not write and not self.path.exists():
                return
            refuse_network(self.path)
            connection = connect(self.path, write=write, lock_wait=self._lock_wait)
            try:
                if not schema.is_made(connection, self.path) and not write:
                    connection.close()
                elif write:
                    log_ahead(connection, self.path, sync=self._sync, lock_wait=self._lock_wait)
                    schema.migrate(connection, self.path)
                    self._reader = self._reader or connect(self.path, write=False, lock_wait=self._lock_wait)
                    self._writer = Writer(connection, self.path, lock_wait=self._lock_wait)
                    self._owners = Owners(self.path, self._writer, self._clock)
                else:
                    schema.check(connection, self.path)
                    self._reader = connection
            except BaseException:
                connection.close()
                raise

    async def close(self) -> None:
        """Disconnect; this process's lock and row go, unless something of its is still open: that is up for rescue."""
        owners, self._owners = self._owners, None
        writer, self._writer = self._writer, None
        reader, self._reader = self._reader, None
        self._numbers.clear()
        with ExitStack() as closing:
            if writer is not None:
                closing.callback(writer.close)
            if reader is not None:
                closing.callback(reader.close)
            if owners is not None:
                closing.callback(owners.leave)

    def beat(self) -> None:
        """Say that this process lives; from any thread."""
        if self._owners is not None:
            self._owners.beat()

    async def rescue(self) -> int:
        """Find the processes that are gone, and close what they left open; give how many runs that were."""
        if self._reader is None:
            return 0
        if self._owners is not None:
            with translated(self.path):
                return await self._rescue(self._owners)
        with translated(self.path):
            if not self._reader.execute("select 1 from owners limit 1").fetchone():
                return 0
            if not schema.is_current(self._reader, self.path):
                return 0  # a command that only looks doesn't migrate: the next one that writes does both
        try:
            await self.open(write=True)
            return await self.rescue()
        except LedgerError:
            return 0  # who can't write can still look

    async def create(self, run: NewRun) -> Run:
        """Create the run, `queued` and `selecting`, owned by this process."""
        owners = self._ours()
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
            "now": self._clock.now(),
        }

        def create(tx: apsw.Connection) -> Run | None:
            if tx.execute(statement("owner_row"), {"owner": values["owner"]}).fetchone() is None:
                return None
            number = _value(tx, "create_run", values)
            self._numbers[run.id] = (number, run.job)
            return _run(tx, number)

        while True:
            with translated(self.path):  # its lock file may be what can't be made
                values["owner"] = owners.register(self._code_version)
            created = await self._write(create)
            if created is not None:
                return created
            owners.forget()  # taken for dead meanwhile: it goes on under a new number

    async def add(self, run: str, tenants: Sequence[str], *, retry_of: str | None = None) -> int:
        """Add queued executions, one per tenant not yet in the run nor, in a retry, done elsewhere; give how many."""
        number, job = self._known(run)

        def add(tx: apsw.Connection) -> int:
            done = set() if retry_of is None else _succeeded(tx, retry_of, tenants)
            written = json.dumps([tenant for tenant in tenants if tenant not in done] if done else tenants)
            tx.execute(statement("add_executions"), {"run": number, "job": job, "tenants": written})
            added = tx.changes()
            tx.execute(statement("counted_in"), {"run": number, "added": added})
            if not tx.changes():
                raise LedgerError(_TAKEN_FOR_DEAD.format(run))
            return added

        return await self._write(add, long=len(tenants) > 1)

    async def end_selection(self, run: str, *, error: str | None = None) -> Run:
        """End the selection; with `error`, or without executions, close the run."""
        number, _ = self._known(run)
        if error is not None:
            await self._end(number, {ExecutionStatus.QUEUED: (ExecutionStatus.CANCELLED, "not started")})
        values = {"run": number, "error": error, "now": self._clock.now()}

        def end(tx: apsw.Connection) -> Run:
            tx.execute(statement("selection_ended"), values)
            return _run(tx, number)

        return self._seen(await self._write(end))

    async def turn(self, run: str, settlements: Sequence[Settlement], tenants: Sequence[str]) -> Turn:
        """Settle `settlements`, then start those of `tenants` that are queued, in one transaction."""
        number, _ = self._known(run)
        owner = self._ours().id
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
                claimed = settling.start(tx, number, owner or 0, tenants, now)
            rows: list[Any] = tx.execute(statement("counts"), {"run": number}).fetchall()
            return Turn(claimed, read_counts(rows[0]))

        taken = await self._write(turn, long=len(settlements) + len(tenants) > _INLINE)
        if taken.counts.done == taken.counts.total:
            self._numbers.pop(run, None)
        return taken

    async def end(self, run: str, status: ExecutionStatus, reason: str, *, error: str | None = None) -> Run:
        """End each still queued execution with `status` and `reason`; with `error` the run fails."""
        number, _ = self._known(run)
        if error is not None:
            values = {"run": number, "error": error}
            await self._write(lambda tx: tx.execute(statement("run_failed"), values))
        await self._end(number, {ExecutionStatus.QUEUED: (status, reason)})
        return self._seen(await self.find_run(run))

    async def abandon(self, run: str) -> Run:
        """Close a run of this process, whose selection was interrupted, as cancelled."""
        number, _ = self._known(run)
        await self._abandon(number)
        return self._seen(await self.find_run(run))

    async def prune(self) -> int:
        """Remove whole closed runs past their retention, and old logs; give how many runs."""
        return await retention.prune(self._write, self._retention, self._clock)

    async def find_run(self, reference: str, *, failures: bool = True) -> Run:
        """Give the run that `reference` names."""
        return self._read(lambda tx: listing.find_run(tx, reference, self.path, with_failures=failures))

    async def list_runs(self, only: RunFilter) -> list[Run]:
        """Give runs, newest first."""
        return self._read(lambda tx: listing.list_runs(tx, only)) if self._reader else []

    async def last_runs(self, jobs: Sequence[str]) -> Mapping[str, Run]:
        """Give the newest run of each job that has one."""
        return self._read(lambda tx: listing.last_runs(tx, jobs)) if self._reader else {}

    async def find_execution(self, run: str, tenant: str | None) -> Execution | None:
        """Give one execution with its log."""

        def find(tx: apsw.Connection) -> Execution | None:
            values = {"run": self._number(tx, run), "tenant": tenant or NO_TENANT}
            row = tx.execute(statement("find_execution"), values).fetchone()
            return None if row is None else read_execution(run, row)

        return self._read(find)

    async def queued_tenants(self, run: str, *, after: str | None, limit: int) -> list[str]:
        """Give the next tenants whose executions are queued."""

        def read(tx: apsw.Connection) -> list[str]:
            values = {"run": self._number(tx, run), "first": settling.following(after), "limit": limit}
            return [tenant for (tenant,) in tx.execute(statement("queued_tenants"), values)]

        return self._read(read)

    async def retryable(self, run: str, *, skipped: bool, after: str | None, limit: int) -> list[str]:
        """Give the next tenants that a retry of `run` is for."""

        def read(tx: apsw.Connection) -> list[str]:
            number = self._number(tx, run)
            others = json.dumps([n for (n,) in tx.execute(statement("other_retries"), {"id": run})])
            states = ["failed", "cancelled", *(["skipped"] if skipped else [])]
            values = {"run": number, "others": others, "first": settling.following(after), "limit": limit}
            pages = [[tenant for (tenant,) in tx.execute(statement(f"retryable_{state}"), values)] for state in states]
            return list(islice(heapq.merge(*pages), limit))

        return self._read(read)

    async def succeeded(self, run: str, tenants: Sequence[str]) -> set[str]:
        """Give those of `tenants` that need no retry: succeeded in `run` or its chain of retries, or open in it."""
        return self._read(lambda tx: _succeeded(tx, run, tenants))

    async def selected_by(self, run: str) -> Selected:
        """Give what a run was selected by, whether that was ever complete, and where its chain of retries began."""

        def read(tx: apsw.Connection) -> Selected:
            row = tx.execute(statement("selection_of"), {"id": run}).fetchone()
            if row is None:
                raise UnknownRun(listing.unknown(run, self.path))
            return Selected(json.loads(row[0]), complete=bool(row[1]), origin=row[2])

        return self._read(read)

    async def _rescue(self, owners: Owners) -> int:
        rescued = 0
        for owner in self._read(owners.others):
            seized = owners.seize(owner)
            if seized is False:
                continue
            try:
                rescued += await self._bury(owner)
            finally:
                if isinstance(seized, Lock):
                    seized.remove()
        return rescued

    async def _bury(self, owner: Owner) -> int:
        """Close what a dead owner left open, then remove its row: idempotent, in transactions of one page each."""
        values = {"owner": owner.id}
        left: list[Any] = self._read(lambda tx: tx.execute(statement("open_runs_of_owner"), values).fetchall())
        for number, _ in left:
            await self._abandon(number)
        await self._write(lambda tx: tx.execute(statement("delete_owner"), values))
        return len(left)

    async def _abandon(self, number: int) -> None:
        await self._end(number, _INTERRUPTED)
        values = {"run": number, "now": self._clock.now()}
        await self._write(lambda tx: tx.execute(statement("run_abandoned"), values))

    async def _end(self, number: int, ends: dict[ExecutionStatus, tuple[ExecutionStatus, str]]) -> None:
        counted: list[Any] = self._read(lambda tx: tx.execute(statement("counts"), {"run": number}).fetchall())
        left = counted[0][1]
        if not left:
            return  # the usual end of a run: nothing is open any more
        now = self._clock.now()
        after: str | None = None
        while True:
            page = after
            after = await self._write(lambda tx: settling.end_page(tx, number, page, ends, now), long=left > _INLINE)  # noqa: B023
            if after is None:
                return

    async def _write(self, request: Callable[[apsw.Connection], T], *, long: bool = False) -> T:
        if self._writer is None:
            raise LedgerError(f"the ledger {self.path} is not open for writing")
        return await self._writer.write(request, long=long)

    def _read(self, request: Callable[[apsw.Connection], T]) -> T:
        if self._reader is None:
            raise UnknownRun(f"the ledger {self.path} is empty: nothing has run yet")
        with translated(self.path):
            return request(self._reader)

    def _ours(self) -> Owners:
        if self._owners is None:
            raise LedgerError(f"the ledger {self.path} is not open for writing")
        return self._owners

    def _known(self, run: str) -> tuple[int, str]:
        """Give the number and the job of a run: remembered while it is open, and read after that."""
        return self._numbers.get(run) or self._read(lambda tx: listing.number_of(tx, run, self.path))

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


def _succeeded(connection: apsw.Connection, run: str, tenants: Sequence[str]) -> set[str]:
    others = json.dumps([n for (n,) in connection.execute(statement("other_retries"), {"id": run})])
    values = {"id": run, "others": others, "tenants": json.dumps(tenants)}
    return {tenant for (tenant,) in connection.execute(statement("succeeded"), values)}


def _run(connection: apsw.Connection, number: int) -> Run:
    return read_run(connection, connection.execute(statement("run_by_number"), {"run": number}).fetchall()[0])
