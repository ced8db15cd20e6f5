"""The queue of the PostgreSQL ledger: the protocol of `pinstripe.queue`, each method a transaction or a few."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from pinstripe.clock import to_datetime
from pinstripe.errors import LedgerError
from pinstripe.ledgers.postgres import listing, queue_status, selecting
from pinstripe.ledgers.postgres.admission import FIRST, Admission
from pinstripe.ledgers.postgres.callers import within
from pinstripe.ledgers.postgres.enqueueing import PART, Enqueueing, is_plain
from pinstripe.ledgers.postgres.sweeping import Sweeps
from pinstripe.ledgers.postgres.texts import check_tenants, writable
from pinstripe.ledgers.postgres.turning import Turns
from pinstripe.ledgers.works import NOT_STARTED, are_alike, new_queued_run, new_queued_runs, read_queued_run

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pinstripe.ledger import Settlement
    from pinstripe.ledgers.postgres.store import Store
    from pinstripe.ledgers.postgres.transaction import Transaction
    from pinstripe.limits import Limits
    from pinstripe.queue import NewWork, Pause, QueuedRun, QueueStatus, RunWaits, Swept, Taken
    from pinstripe.run import Run

WITH_KEYS = 2
"""How many connections enqueue runs with keys at once: they may have to wait for an application's transaction."""

_UNSET: Any = object()


class PostgresQueue:
    """The queue in a ledger's database; see `pinstripe.queue.Queue` for what its methods do."""

    def __init__(self, store: Store) -> None:
        """Take the database, which need not be open yet."""
        self._store = store
        self._turns = Turns(store)
        self._sweeps = Sweeps(store)
        self._concurrency: int | None = None
        self._selects: set[int] = set()
        self._selecting = asyncio.Lock()
        self._limits: dict[str, Limits | None] = {}
        self._with_keys = asyncio.Semaphore(WITH_KEYS)

    async def enqueue(self, works: Sequence[NewWork], connection: object = None) -> list[Run]:
        """Put runs in, all or none of them; give them in order, or those that have their keys already.

        With a caller's `connection` that is done in its open transaction; see `callers.within`.
        """
        if not works:
            return []
        check_tenants(tenant for work in works for tenant in work.tenants or ())
        await self._keep_limits({work.run.job: work.limits for work in works if work.limits is not None})
        put = partial(self._enqueue, works=works)
        if connection is not None:
            return await within(self._store, connection, put)
        many = len(works)
        if is_plain(works[0], self._store.clock.now()) and (many == 1 or (many <= PART and are_alike(works))):
            return await self._store.write(partial(self._enqueue_plain, works=works), single=True)
        if all(work.key is None for work in works):
            return await self._store.write(put)
        async with self._with_keys:
            return await self._store.write(put)

    async def _enqueue_plain(self, tx: Transaction, works: Sequence[NewWork]) -> list[Run]:
        if tx.again:
            return await self._enqueue(tx, works)
        now = self._store.clock.now()
        enqueueing = Enqueueing(tx, self._store.engine, now)
        await (enqueueing.put_plain(works[0]) if len(works) == 1 else enqueueing.put_alike(works))
        return new_queued_runs(works, to_datetime(now))

    async def _enqueue(self, tx: Transaction, works: Sequence[NewWork]) -> list[Run]:
        now = self._store.clock.now()
        put = await Enqueueing(tx, self._store.engine, now).put(works)
        if any(work.tenants is None or work.due_at is not None for work in works):
            await self._store.engine.announce(tx)
        created = to_datetime(now)
        return [
            new_queued_run(work, created) if is_new and not overlaps else await listing.run_of(tx, n)
            for work, (n, is_new, overlaps) in zip(works, put, strict=True)
        ]

    async def join(self, concurrency: int) -> None:
        """Be a worker, of at most `concurrency` executions at once."""
        self._concurrency = concurrency
        owners = self._store.ours()
        while True:
            owner = await self._store.register()
            if await self._changes("join_owner", owner, concurrency):
                break
            owners.forget(owner)  # taken for dead meanwhile: it goes on under a new number
        await self._store.engine.open()

    async def turn(self, settlements: Sequence[Settlement], slots: int) -> Taken:
        """Settle `settlements`, then start up to `slots` executions, in one transaction."""
        taken = await self._turns.turn(settlements, slots)
        if taken.lost:
            await self.join(self._concurrency or 1)
        return taken

    async def take_selection(self) -> QueuedRun | None:
        """Give a run that is due and that no living process selects."""
        async with self._selecting:  # until it is known what the one before has taken
            return await self._take_selection(self._store.ours().id or 0)

    async def _take_selection(self, owner: int) -> QueuedRun | None:
        values = self._store.clock.now(), owner, [*self._selects]
        if not await self._store.rows("run_to_select", *values):
            return None  # the usual answer, which locks nothing

        async def take(tx: Transaction) -> QueuedRun | None:
            n = await tx.value("lock_run_to_select", *values)
            if n is None:
                return None
            await tx.run("set_selector", n, owner)
            return read_queued_run(await tx.row("runs_to_work", [n]))

        taken = await self._store.write(take)
        if taken is not None:
            self._selects.add(taken.n)
        return taken

    async def add(self, run: QueuedRun, tenants: Sequence[str]) -> int:
        """Add executions to a run that this process selects."""
        check_tenants(tenants)
        owner = self._store.ours().id or 0

        async def add(tx: Transaction) -> int:
            now = self._store.clock.now()
            done = set() if run.retry_of is None else await listing.succeeded(tx, run.retry_of, tenants)
            wanted = [tenant for tenant in tenants if tenant not in done] if done else tenants
            return await selecting.add_page(tx, owner, run, wanted, now)

        return await self._store.write(add)

    async def end_selection(self, run: QueuedRun, *, error: str | None = None) -> Run:
        """End a selection: its executions become ready, or with `error` cancelled."""
        owner = self._store.ours().id or 0

        async def end(tx: Transaction) -> Run:
            ended = await listing.run_of(tx, run.n)
            if ended.finished or (tx.again and not ended.selecting):
                return ended  # it was cancelled meanwhile, or all of this was done before
            try:
                await selecting.check_selector(tx, owner, run)
            except LedgerError:
                if tx.again and not (ended := await listing.run_of(tx, run.n)).selecting:
                    return ended  # the first try's commit was still on its way
                raise
            if error is not None:
                # From here on nobody selects it again, whoever has to cancel the rest of it.
                await tx.run("selection_failed", run.n, writable(error), NOT_STARTED)
                return ended
            now = self._store.clock.now()
            await selecting.show_chunks(tx, self._store.engine, run, now)
            await tx.run("selection_ended", run.n, None, now)
            return await listing.run_of(tx, run.n)

        try:
            ended = await self._store.write(end)
            if error is not None and not ended.finished:
                await self._sweeps.cancel_queued(run.n, NOT_STARTED)
                ended = await self._store.read(lambda tx: listing.run_of(tx, run.n))
        finally:
            self._selects.discard(run.n)
        return ended

    async def note_selection(self, run: QueuedRun, reason: str) -> None:
        """Keep why this process doesn't select a run, as yet."""
        await self._changes("note_selection", run.n, self._store.ours().id, writable(reason))

    async def leave_selection(self, run: QueuedRun) -> None:
        """Give a selection back unfinished."""
        owner = self._store.ours().id

        async def leave(tx: Transaction) -> None:
            await tx.run("leave_selection", run.n, owner)
            await self._store.engine.announce(tx)

        self._selects.discard(run.n)
        await self._store.write(leave)

    async def cancel(self, reference: str, reason: str) -> Run:
        """Ask for a run's end, and cancel what of it waits."""
        run = await self._store.read(lambda tx: listing.find_run(tx, reference, self._store.shown))
        if run.finished:
            return run

        async def stop(tx: Transaction) -> tuple[int, bool]:
            number = (await listing.number_of(tx, run.id, self._store.shown))[0]
            await tx.run("stop_run", number, writable(reason))
            await self._store.engine.announce(tx)
            return number, bool(await tx.value("is_queued", number))

        number, queued = await self._store.write(stop)
        if queued:
            await self._sweeps.cancel_queued(number, reason)
        return await self._store.read(lambda tx: listing.run_of(tx, number))

    async def cancelled(self, runs: Collection[str]) -> Mapping[str, str]:
        """Give those of these runs whose end was asked for, with the reason."""
        return {id_: reason for id_, reason in await self._store.rows("stopped_runs") if id_ in runs}

    async def pause(self, job: str | None, tenant: str | None) -> bool:
        """Let nothing more start of a job, for a tenant, of one for the other, or at all."""
        return await self._changes("add_pause", job or "", tenant or "", self._store.clock.now()) > 0

    async def resume(self, job: str | None, tenant: str | None) -> bool:
        """End that pause; what no other one holds becomes ready."""
        ended = await self._changes("delete_pause", job or "", tenant or "") > 0
        while await self._store.write(lambda tx: self._admission(tx).admit_resumed()):
            pass
        return ended

    async def pauses(self) -> list[Pause]:
        """Give all pauses, the oldest first."""
        return await queue_status.read_pauses(self._store)

    async def set_limits(self, limits: Mapping[str, Limits | None]) -> None:
        """Keep the limits of jobs; what they hold without need from now on is admitted."""
        known = {job: (total, each) for job, total, each in await self._store.rows("limits_of_jobs", sorted(limits))}
        wanted = {job: None if each is None else (each.total, each.per_tenant) for job, each in limits.items()}
        changed = sorted(job for job, each in wanted.items() if known.get(job) != each)
        self._limits.update(limits)
        if not changed:
            return

        async def change(tx: Transaction) -> None:
            for job in changed:  # before what runs is locked: whoever settles that may have one of them
                each = wanted[job]
                await (tx.run("delete_limits", job) if each is None else tx.run("set_limits", job, *each))
            await tx.run("delete_slots", [job for job in changed if wanted[job] is None])
            await tx.run("slots_of_running", [job for job in changed if wanted[job] is not None])

        await self._store.write(change)
        first: tuple[str, str] | None = FIRST
        while first is not None:
            first = await self._store.write(partial(self._admit_limited, first=first))

    async def stopping(self, pid: int | None = None) -> None:
        """Say that this process, or the one of this host with that `pid`, ends by intent."""
        if pid is None:
            await self._changes("owner_stopping", self._store.ours().id)
        else:
            await self._store.ours().stopping(pid)

    async def sweep(self) -> Swept:
        """Give back what dead workers had, cancel what is to be, admit what is held without need."""
        return await self._sweeps.sweep()

    async def status(self) -> QueueStatus:
        """Tell what goes on."""
        return await queue_status.read_status(self._store)

    async def waits(self, run: str) -> RunWaits:
        """Tell what of a run waits for workers, and why."""
        return await queue_status.read_waits(self._store, run)

    @property
    def hears(self) -> bool:
        """Whether `wait` hears of what other processes do, as it doesn't behind a pooler."""
        return self._store.engine.hears

    async def wait(self, timeout: float) -> bool:  # noqa: ASYNC109 - an idle wait, not a limit of what is done
        """Wait until work may be ready, for at most `timeout` seconds; tell whether anything was heard."""
        return await self._store.engine.wait(timeout)

    def wake(self) -> None:
        """Let `wait` end, here."""
        self._store.engine.rouse()

    async def _keep_limits(self, limits: Mapping[str, Limits]) -> None:
        """Keep limits that this process has not said yet, in a transaction of their own: they may lock."""
        new = {job: each for job, each in limits.items() if self._limits.get(job, _UNSET) != each}
        if new:
            await self.set_limits(new)

    def _admission(self, tx: Transaction) -> Admission:
        return Admission(tx, self._store.engine, self._store.clock.now())

    async def _admit_limited(self, tx: Transaction, *, first: tuple[str, str]) -> tuple[str, str] | None:
        return await self._admission(tx).admit_all_limited(first)

    async def _changes(self, name: str, *values: Any) -> int:
        return await self._store.write(lambda tx: tx.run(name, *values))
