"""The worker: claim, execute, settle. Each pass is one transaction that settles what has ended and starts what may.

So `running` in the ledger always means started, and what is only waiting is nobody's.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from pinstripe.definition import BrokenJob
from pinstripe.errors import LedgerError, LedgerLost, PinstripeError
from pinstripe.redirection import redirected, shown
from pinstripe.shutdown import END_LIMIT, Shutdown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pinstripe.attempts import Attempts
    from pinstripe.clock import Clock
    from pinstripe.ledger import Ledger
    from pinstripe.limits import Limits
    from pinstripe.queue import Taken
    from pinstripe.registry import Registry
    from pinstripe.selector import Selector
    from pinstripe.sweeper import Sweeper
    from pinstripe.watcher import Watcher

LOOK_EVERY = 0.5
"""Seconds between two looks for runs that were cancelled, and for runs whose tenants are to be selected."""

LOOK_LESS = 2.0
"""Seconds between two such looks where nothing runs, and all that others do is heard."""

LOOK_AGAIN = 0.01
"""Seconds between two such looks when something was heard: also a flood of news leaves time for work."""

SHORTEST_WAIT = 0.005
"""Seconds that are waited at least for what is due, whatever the clock does."""

FIRST_BACKOFF, LONGEST_BACKOFF = 0.1, 10.0
"""Seconds after which a ledger that failed is tried again: the first ones, doubled each time, and the last ones."""

LOST_LIMIT = 5.0
"""Seconds for which a ledger's file that is not in its place is waited for, before the worker ends for it."""

_log = logging.getLogger("pinstripe")


class Worker:
    """Executes what is queued, until it is stopped. Made by `Project.worker`."""

    def __init__(  # noqa: PLR0913 - what it is composed of
        self,
        ledger: Ledger,
        registry: Registry,
        attempts: Attempts,
        selector: Selector,
        sweeper: Sweeper,
        *,
        clock: Clock,
        watcher: Watcher,
        concurrency: int,
        shutdown_grace: float,
        begin: Callable[[], Awaitable[object]],
    ) -> None:
        """Take what it works with; `begin` opens it all. At most `concurrency` executions go on at once.

        `shutdown_grace` is how many seconds those have to end by themselves after the first `stop`.
        """
        self._ledger = ledger
        self._registry = registry
        self._attempts = attempts
        self._selector = selector
        self._sweeper = sweeper
        self._clock = clock
        self._watcher = watcher
        self._concurrency = concurrency
        self._shutdown = Shutdown(shutdown_grace, attempts.release)
        self._begin = begin
        attempts.heard = self._hear
        self._waiting = False
        self._task: asyncio.Task[None] | None = None
        self._selection: asyncio.Task[bool] | None = None
        self._next_due: int | None = None
        self._found = True
        self._heard = True
        self._looked = float("-inf")
        self._backoff = 0.0
        self._try_at = 0.0
        self._lost_at: float | None = None

    @property
    def left(self) -> list[str]:
        """What still runs, as `job for tenant`; after `work` what could not be stopped, and needs the process's end."""
        return self._attempts.left

    def stop(self, reason: str = "the worker was stopped") -> None:
        """Stop: claim no more, and let what runs go on for the grace; a second call stops that at once too.

        What is stopped is queued again, as if its attempt had not been; `reason` is what its code is told. It is called
        on the event loop's thread.
        """
        self._shutdown.tell(reason)
        if self._selection is not None:
            self._selection.cancel()
        if self._shutdown.begun:
            self._shutdown.begin()
        self._hear()

    async def work(self, *, drain: bool = False) -> None:
        """Work until `stop`; with `drain` until nothing is ready any more, and nothing runs here.

        Cancelling this stops what runs at once. Raises `LedgerError` where the ledger can't be opened; one that fails
        later is tried again until it works, but for one whose file is gone: what ends then would never be recorded, so
        this stops what runs, and raises `LedgerLost`. Where a job cancels the worker's own tasks, this raises
        `CancelledError` and leaves what runs as a crash would, so that each of it runs alone the next time.
        """
        if self._task is not None:
            message = "this worker has worked; expected a new one, by project.worker()"
            raise PinstripeError(message)
        task = self._task = asyncio.get_running_loop().create_task(self._work(drain=drain), name="pinstripe worker")
        cancelled = False
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:
                cancelled = True
                self.stop()
                self.stop()
        task.result()
        if cancelled:
            raise asyncio.CancelledError

    async def close(self) -> None:
        """Stop at once, and wait for the end."""
        self.stop()
        self.stop()
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    async def turn(self) -> bool:
        """One pass: settle what has ended, and start as many executions as there are free slots.

        Tell whether there is more to do at once.
        """
        now = asyncio.get_running_loop().time()
        if now < self._try_at:
            return False
        attempts, queue = self._attempts, self._ledger.queue
        ended = attempts.take()
        try:
            selects = await self._look(now)
            slots = 0 if self._shutdown.reason else max(0, self._concurrency - len(attempts.running))
            if not (ended or slots or self._backoff):  # in which case it is to be seen whether the ledger works again
                if selects:
                    self._select()
                return False
            self._found = False  # before the turn: what is selected while it is on its way was not there for it
            taken = await queue.turn(ended, slots)
        except LedgerError as error:
            attempts.put_back(ended)
            self._back_off(now, error)
            return False
        except BaseException:
            attempts.put_back(ended)
            raise
        self._backoff, self._lost_at = 0.0, None
        await self._take(taken)
        if selects and self._shutdown.reason is None:
            self._select()  # what may start at once goes first
        return taken.more or bool(attempts.ended)

    async def _take(self, taken: Taken) -> None:
        self._next_due = taken.next_due
        self._found = self._found or bool(taken.started) or taken.more
        if taken.lost:
            _log.warning("this worker was taken for dead, so that others do what it did; it goes on with other work")
            self._attempts.release("this worker was taken for dead")
            self._found = True
        if taken.started:
            self._attempts.start(taken.started)
            if self._shutdown.hurried:  # while the transaction was on its way
                self._attempts.release(self._shutdown.reason or "")

    async def _look(self, now: float) -> bool:
        """Look for runs that were cancelled, now and then, or when something was heard; tell whether to select, too."""
        if now - self._looked < (LOOK_AGAIN if self._heard else LOOK_EVERY):
            return False
        self._looked, self._heard = now, False
        attempts = self._attempts
        if attempts.running:
            for run, reason in (await self._ledger.queue.cancelled(attempts.runs())).items():
                attempts.cancel(run, reason)
        return self._shutdown.reason is None

    def _select(self) -> asyncio.Task[bool]:
        """Select tenants of runs, in a task beside the executions; give it. It tells whether there were any."""
        if self._selection is None:
            self._selection = asyncio.get_running_loop().create_task(self._selector.go_through())
            self._selection.add_done_callback(self._selected)
        return self._selection

    def _selected(self, selection: asyncio.Task[bool]) -> None:
        self._selection = None
        if not selection.cancelled() and selection.result():
            self._found = True
            self._hear()

    def _hear(self) -> None:
        """End a wait: there is something to settle, to claim or to stop. Who doesn't wait needs no telling."""
        if self._waiting:
            self._ledger.queue.wake()

    def _back_off(self, now: float, error: LedgerError) -> None:
        if isinstance(error, LedgerLost):
            self._lost_at = now if self._lost_at is None else self._lost_at
            if now - self._lost_at >= LOST_LIMIT:
                raise error
        if not self._backoff:
            _log.warning("the ledger can't be used, so that nothing is started until it can: %s", error)
        self._backoff = min(self._backoff * 2, LONGEST_BACKOFF) or FIRST_BACKOFF
        self._try_at = now + self._backoff

    async def _work(self, *, drain: bool) -> None:
        limits = self._load()
        await self._begin()
        await self._ledger.queue.join(self._concurrency)
        await self._ledger.queue.set_limits(limits)
        if drain:  # what a dead worker has left is to be done, too
            await self._sweeper.sweep(self._clock.monotonic())
        sweeping = asyncio.get_running_loop().create_task(self._sweeper.go_on(self._clock))
        try:
            with redirected() if self._watcher.captures else shown():
                await self._go_through(drain=drain)
        finally:
            self._shutdown.end()
            tasks = [task for task in (sweeping, self._selection) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=END_LIMIT)
            await self._selector.close()
            await self._attempts.close(END_LIMIT)
            self._warn_of_the_end()

    async def _go_through(self, *, drain: bool) -> None:
        try:
            await self._go_on(drain=drain)
        except asyncio.CancelledError:
            raise  # a job has done that: were it given back as if it hadn't run, it would end each worker in turn
        except BaseException:
            self._shutdown.tell("the worker failed")
            self._shutdown.hurry()
            with suppress(Exception):  # what is stopped is settled if that can be done
                await self._go_on(drain=False)
            raise

    def _load(self) -> dict[str, Limits | None]:
        """Load all jobs, and give the limits that they have."""
        limits: dict[str, Limits | None] = {}
        for job in self._registry.load_all():
            if not isinstance(job, BrokenJob):  # of which the command has told; what is queued of it says so too
                limits[job.name] = job.limits
        return limits

    async def _go_on(self, *, drain: bool) -> None:
        while True:
            more = await self.turn()
            await asyncio.sleep(0)  # what was just started and takes no time ends here, and is settled by the next turn
            if await self._is_over(drain=drain):
                return
            if self._backoff or not (more or self._attempts.ended):
                await self._wait()

    async def _is_over(self, *, drain: bool) -> bool:
        idle = not (self._attempts.running or self._attempts.ended)
        if self._shutdown.reason is not None:
            if not self._shutdown.begun:
                self._shutdown.begin()  # first: the ledger may be locked for a while
                with suppress(LedgerError):
                    await self._ledger.queue.stopping()
            return idle or self._shutdown.time_left <= 0
        if not drain or not idle or self._backoff or self._found:
            return False
        selection = self._select()
        await asyncio.wait([selection])
        return not selection.cancelled() and not selection.result()

    async def _wait(self) -> None:
        """Wait until something has ended, is heard or due, or until it is time to look."""
        idle = not self._attempts.running and self._ledger.queue.hears
        timeout = LOOK_AGAIN if self._heard else LOOK_LESS if idle else LOOK_EVERY
        claims = self._shutdown.reason is None and len(self._attempts.running) < self._concurrency
        if self._backoff:
            timeout = self._try_at - asyncio.get_running_loop().time()
        elif self._next_due is not None and claims:
            timeout = min(timeout, (self._next_due - self._clock.now()) / 1_000_000)
        timeout = max(min(timeout, self._shutdown.time_left), SHORTEST_WAIT)
        self._waiting = True
        try:
            heard = await self._ledger.queue.wait(timeout)
        except LedgerError:
            heard = await asyncio.sleep(timeout, result=False)
        finally:
            self._waiting = False
        self._heard = self._heard or (heard and not self._attempts.ended)

    def _warn_of_the_end(self) -> None:
        attempts = self._attempts
        if attempts.running:
            _log.warning("left behind and still running: %s; it is queued again", ", ".join(self.left[:5]))
        if attempts.ended:
            _log.warning(
                "the ledger took no results any more: %d executions that have ended here run again", len(attempts.ended)
            )
