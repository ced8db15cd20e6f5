"""The queue of the SQLite ledger: the protocol of `pinstripe.queue`, each method a transaction or a few."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from pinstripe.clock import to_datetime
from pinstripe.errors import InvalidArguments
from pinstripe.ledgers.hosts import host
from pinstripe.ledgers.sqlite import enqueueing, listing, queue_status, rescuing, selecting
from pinstripe.ledgers.sqlite.admission import FIRST, Admission
from pinstripe.ledgers.sqlite.claiming import Claim, begin_runs
from pinstripe.ledgers.sqlite.enqueueing_alike import enqueue_alike
from pinstripe.ledgers.sqlite.settling import settle_works
from pinstripe.ledgers.sqlite.statements import statement
from pinstripe.ledgers.works import NOT_STARTED, are_alike, new_queued_run, new_queued_runs, read_queued_run
from pinstripe.queue import Swept, Taken

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import apsw

    from pinstripe.ledger import Settlement
    from pinstripe.ledgers.sqlite.store import Store
    from pinstripe.limits import Limits
    from pinstripe.queue import NewWork, Pause, QueuedRun, QueueStatus, RunWaits
    from pinstripe.run import Run

_NO_CONNECTION = (
    "options(connection=…) is for a ledger in PostgreSQL, in the database of that connection; expected the setting "
    "ledger = 'postgresql://…', got a SQLite file"
)

_FLOWS = 1_000
"""How many flows a sweep forgets at most: about a millisecond."""

_MEND_EVERY = 60.0
"""Seconds between two looks at whether each slot and guard is still somebody's, which they are but for accidents."""

_INLINE = 200
"""How many executions a turn may move on the event loop's own thread: some 4 ms; more goes to the writer's."""


class SQLiteQueue:
    """The queue in a ledger's file; see `pinstripe.queue.Queue` for what its methods do."""

    stands_in = False
    """Whether a test has it instead of one in PostgreSQL: what is enqueued on a connection is then there at once."""

    def __init__(self, store: Store) -> None:
        """Take the file, which need not be open yet."""
        self._store = store
        self._concurrency: int | None = None
        self._mended_at = float("-inf")
        self._capped_from = FIRST

    async def enqueue(self, works: Sequence[NewWork], connection: object = None) -> list[Run]:
        """Put runs in, all or none of them; give them in order, or those that have their keys already.

        Raises `InvalidArguments` for a `connection`: no transaction of a caller's is in the ledger's file.
        """
        if connection is not None and not self.stands_in:
            raise InvalidArguments(_NO_CONNECTION)
        if not works:
            return []
        now = self._store.clock.now()
        alike = are_alike(works)

        def enqueue(tx: apsw.Connection) -> list[Run]:
            if alike:
                enqueue_alike(tx, self._store.engine, now, works)
                return new_queued_runs(works, to_datetime(now))
            gathered = enqueueing.Enqueueing(tx, self._store.engine, now, works[0])
            numbers = [gathered.add(work) for work in works]
            gathered.write()
            created = to_datetime(now)
            return [
                new_queued_run(work, created) if is_new and n not in gathered.overlapping else listing.run_of(tx, n)
                for work, (n, is_new) in zip(works, numbers, strict=True)
            ]

        runs = await self._store.write(enqueue, long=len(works) > _INLINE)
        self._store.engine.wake()
        return runs

    async def join(self, concurrency: int) -> None:
        """Be a worker, of at most `concurrency` executions at once."""
        self._concurrency = concurrency
        owners = self._store.ours()
        while True:
            values = {"owner": await self._store.register(), "concurrency": concurrency}
            if await self._store.write(lambda tx: _changes(tx, "join_owner", values)):  # noqa: B023 - awaited here
                break
            owners.forget(values["owner"])  # taken for dead meanwhile: it goes on under a new number
        self._store.engine.open(owners.name)

    async def turn(self, settlements: Sequence[Settlement], slots: int) -> Taken:
        """Settle `settlements`, then start up to `slots` executions, in one transaction."""
        owner = self._store.ours().id or 0
        now = self._store.clock.now()

        def turn(tx: apsw.Connection) -> tuple[Taken, bool]:
            admission = Admission(tx, self._store.engine, now)
            if settlements:
                settle_works(tx, admission, settlements, now)
            more = admission.admit_due()
            lost = tx.execute(statement("worker_row"), {"owner": owner}).fetchone() is None
            claim = Claim(tx, self._store.engine, admission, owner, now)
            if slots > 0 and not lost:
                claim.take(slots)
            started = begin_runs(tx, claim.started, now)
            due: list[Any] = tx.execute(statement("next_due"), {"now": now}).fetchall()
            return Taken(started, due[0][0], more or claim.more, lost), admission.minted

        taken, minted = await self._store.write(turn, long=len(settlements) + slots > _INLINE)
        if taken.lost:
            await self.join(self._concurrency or 1)
        if minted:
            self._store.engine.wake()  # it may be more than this process has slots for
        return taken

    async def take_selection(self) -> QueuedRun | None:
        """Give a run that is due and that no living process selects."""
        if not self._store.rows("run_to_select", {"now": self._store.clock.now()}):
            return None  # the usual answer, which takes no lock

        def take(tx: apsw.Connection) -> QueuedRun | None:
            row = tx.execute(statement("run_to_select"), {"now": self._store.clock.now()}).fetchone()
            if row is None:
                return None
            tx.execute(statement("set_selector"), {"owner": self._store.ours().id, "run": row[0]})
            return read_queued_run(tx.execute(statement("runs_to_work"), {"runs": f"[{row[0]}]"}).fetchall()[0])

        return await self._store.write(take)

    async def add(self, run: QueuedRun, tenants: Sequence[str]) -> int:
        """Add executions to a run that this process selects."""
        owner = self._store.ours().id or 0
        now = self._store.clock.now()

        def add(tx: apsw.Connection) -> int:
            done = set() if run.retry_of is None else listing.succeeded(tx, run.retry_of, tenants)
            wanted = [tenant for tenant in tenants if tenant not in done] if done else tenants
            return selecting.add_page(tx, owner, run, wanted, now)

        return await self._store.write(add, long=True)

    async def end_selection(self, run: QueuedRun, *, error: str | None = None) -> Run:
        """End a selection: its executions become ready, or with `error` cancelled."""
        owner, now = self._store.ours().id or 0, self._store.clock.now()

        def end(tx: apsw.Connection) -> Run:
            ended = listing.run_of(tx, run.n)
            if ended.finished:
                return ended  # it was cancelled meanwhile
            selecting.check_selector(tx, owner, run)
            if error is not None:
                # From here on nobody selects it again, whoever has to cancel the rest of it.
                tx.execute(statement("selection_failed"), {"run": run.n, "error": error, "reason": NOT_STARTED})
                return ended
            selecting.show_chunks(tx, self._store.engine, run, now)
            tx.execute(statement("selection_ended"), {"run": run.n, "error": None, "now": now})
            return listing.run_of(tx, run.n)

        ended = await self._store.write(end)
        if error is not None and not ended.finished:
            await self._cancel_queued(run.n, NOT_STARTED)
            ended = self._store.read(lambda tx: listing.run_of(tx, run.n))
        self._store.engine.wake()
        return ended

    async def note_selection(self, run: QueuedRun, reason: str) -> None:
        """Keep why this process doesn't select a run, as yet."""
        values = {"run": run.n, "owner": self._store.ours().id, "reason": reason}
        await self._store.write(lambda tx: _changes(tx, "note_selection", values))

    async def leave_selection(self, run: QueuedRun) -> None:
        """Give a selection back unfinished."""
        values = {"run": run.n, "owner": self._store.ours().id}
        await self._store.write(lambda tx: _changes(tx, "leave_selection", values))
        self._store.engine.wake()

    async def cancel(self, reference: str, reason: str) -> Run:
        """Ask for a run's end, and cancel what of it waits."""
        run = self._store.read(lambda tx: listing.find_run(tx, reference, self._store.path))
        if run.finished:
            return run
        number = self._store.read(lambda tx: listing.number_of(tx, run.id, self._store.path))[0]
        values = {"run": number, "reason": reason}
        await self._store.write(lambda tx: _changes(tx, "stop_run", values))
        queued = self._store.read(lambda tx: tx.execute("select queued from runs where n = ?", (number,)).fetchall())
        if queued[0][0]:
            await self._cancel_queued(number, reason)
        self._store.engine.wake()
        return self._store.read(lambda tx: listing.run_of(tx, number))

    async def cancelled(self, runs: Collection[str]) -> Mapping[str, str]:
        """Give those of these runs whose end was asked for, with the reason."""
        if self._store.writer is not None:  # what runs for long must not be the last to hear that nobody will record it
            self._store.writer.refuse_moved()
        return {id_: reason for id_, reason in self._store.rows("stopped_runs") if id_ in runs}

    async def pause(self, job: str | None, tenant: str | None) -> bool:
        """Let nothing more start of a job, for a tenant, of one for the other, or at all."""
        values = {"job": job or "", "tenant": tenant or "", "now": self._store.clock.now()}
        return await self._store.write(lambda tx: _changes(tx, "add_pause", values)) > 0

    async def resume(self, job: str | None, tenant: str | None) -> bool:
        """End that pause; what no other one holds becomes ready."""
        values = {"job": job or "", "tenant": tenant or ""}
        ended = await self._store.write(lambda tx: _changes(tx, "delete_pause", values)) > 0
        while await self._store.write(self._admit_resumed):
            pass
        self._store.engine.wake()
        return ended

    async def pauses(self) -> list[Pause]:
        """Give all pauses, the oldest first."""
        return queue_status.read_pauses(self._store)

    async def set_limits(self, limits: Mapping[str, Limits | None]) -> None:
        """Keep the limits of jobs; what they hold without need from now on is admitted."""

        def change(tx: apsw.Connection) -> bool:
            return sum(enqueueing.set_limits(tx, job, each) for job, each in limits.items()) > 0

        if await self._store.write(change):
            first: tuple[str, str] | None = FIRST
            while first is not None:
                first = await self._store.write(partial(self._admit_limited, first=first), long=True)
            self._store.engine.wake()

    async def stopping(self, pid: int | None = None) -> None:
        """Say that this process, or the one of this host with that `pid`, ends by intent."""
        if pid is None:
            values: dict[str, Any] = {"owner": self._store.ours().id}
            await self._store.write(lambda tx: _changes(tx, "owner_stopping", values))
        else:
            values = {"host": host(), "pid": pid}
            await self._store.write(lambda tx: _changes(tx, "process_stopping", values))

    async def sweep(self) -> Swept:
        """Give back what dead workers had, cancel what is to be, admit what is held without need."""
        found = await rescuing.rescue(self._store)
        cancelled = 0
        for number, reason in self._store.rows("stopped_queued_runs"):
            cancelled += await self._cancel_queued(number, reason)
        # A turn admits a page of what is due, and claims; among more than that the urgent ones might be the last.
        while self._store.rows("due_executions", {"now": self._store.clock.now(), "limit": 1}):
            if not await self._store.write(self._admit_due, long=True):
                break
        if self._store.rows("needs_mending")[0][0] or self._is_time_to_mend():
            await self._store.write(self._mend)
        return Swept(found.owners, found.given_back, found.failed, cancelled)

    async def status(self) -> QueueStatus:
        """Tell what goes on."""
        return queue_status.read_status(self._store)

    async def waits(self, run: str) -> RunWaits:
        """Tell what of a run waits for workers, and why."""
        return queue_status.read_waits(self._store, run)

    @property
    def hears(self) -> bool:
        """Say no: to look is cheap, and a datagram may be lost."""
        return False

    async def wait(self, timeout: float) -> bool:  # noqa: ASYNC109 - an idle wait, not a limit of what is done
        """Wait until work may be ready, for at most `timeout` seconds; tell whether anything was heard."""
        return await self._store.engine.wait(timeout)

    def wake(self) -> None:
        """Let `wait` end, here."""
        self._store.engine.rouse()

    async def _cancel_queued(self, run: int, reason: str) -> int:
        """Cancel what of a run waits, page by page; give how many."""
        cancelled = 0
        first: str | None = ""

        def cancel(tx: apsw.Connection) -> tuple[int, str | None]:
            now = self._store.clock.now()
            return rescuing.cancel_queued(tx, Admission(tx, self._store.engine, now), run, first or "", reason, now)

        while first is not None:
            page, first = await self._store.write(cancel)
            cancelled += page
        return cancelled

    def _admit_due(self, connection: apsw.Connection) -> bool:
        return Admission(connection, self._store.engine, self._store.clock.now()).admit_due()

    def _admit_limited(self, connection: apsw.Connection, *, first: tuple[str, str]) -> tuple[str, str] | None:
        return Admission(connection, self._store.engine, self._store.clock.now()).admit_all_limited(first)

    def _admit_resumed(self, connection: apsw.Connection) -> bool:
        return Admission(connection, self._store.engine, self._store.clock.now()).admit_resumed()

    def _is_time_to_mend(self) -> bool:
        return self._store.clock.monotonic() - self._mended_at >= _MEND_EVERY

    def _mend(self, connection: apsw.Connection) -> None:
        """Look after what is held without need, and forget of the flows what says nothing any more."""
        admission = Admission(connection, self._store.engine, self._store.clock.now())
        self._capped_from = admission.admit_all_limited(self._capped_from) or FIRST
        admission.admit_resumed()
        if self._is_time_to_mend():
            self._mended_at = self._store.clock.monotonic()
            admission.mend()
        connection.execute(statement("forget_flows"), {"limit": _FLOWS})


def _changes(connection: apsw.Connection, name: str, values: dict[str, Any]) -> int:
    connection.execute(statement(name), values)
    return connection.changes()
