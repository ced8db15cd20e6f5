"""The bot: turns due schedules into runs. Each pass is told the time, and takes from a heap only what is due.

Any number of bots may serve one ledger, without a leader: a fire and its run are one transaction, which changes nothing
where another bot has been first. A bot never waits for a job, nor for tenants: workers select and execute.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from pinstripe.duration import write_duration
from pinstripe.errors import LedgerError, PinstripeError
from pinstripe.log import Log
from pinstripe.run import new_run_ids
from pinstripe.shutdown import END_LIMIT
from pinstripe.tracing import Tracing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pinstripe.clock import Clock
    from pinstripe.fires import Fire
    from pinstripe.ledger import Ledger
    from pinstripe.timers import Timer
    from pinstripe.timetable import Timetable

BATCH = 250
"""How many timers one transaction serves at most: some ten milliseconds."""

LOOK_EVERY = 1.0
"""Seconds between two looks at the clock, which may have been set."""

KEEP_UP_EVERY = 60.0
"""Seconds between two looks in which zones the tenants are, and which processes live."""

WIND_AFTER = 0.2
"""Seconds after a fire before timers are wound: what has just fired has the processor first."""

JUMP = 5.0
"""Seconds by which the clock must differ from what has passed to have been set."""

TICKING = 10.0
"""Seconds after its last pass in which a bot is at work."""

FIRST_BACKOFF, LONGEST_BACKOFF = 0.1, 10.0
"""Seconds after which a ledger that failed is tried again: the first ones, doubled each time, and the last ones."""

NAMED = 3
"""How many of the jobs whose times were missed are named."""

_SHORTEST_WAIT = 0.0005

_log = Log()


class _Plan(NamedTuple):
    """What a timer is to fire, and the time up to which it has then gone."""

    timer: Timer
    fires: list[Fire]
    last: int
    caught_up: bool


@dataclass(slots=True)
class _Missed:
    """How many missed times were caught up, and how many schedules let theirs go, in a pass."""

    caught_up: int = 0
    let_go: int = 0
    jobs: dict[str, None] = field(default_factory=dict)


class Bot:
    """Lets the schedules of a project's jobs fire, until it is stopped. Made by `Project.bot`."""

    def __init__(
        self,
        ledger: Ledger,
        timetable: Timetable,
        clock: Clock,
        *,
        catch_up: bool,
        begin: Callable[[], Awaitable[object]],
        tracing: Tracing | None = None,
    ) -> None:
        """Take what it works with; `begin` opens it all, and `tracing` makes spans, where any are made.

        Without `catch_up` nothing fires that was missed before it was opened, whatever the schedules say.
        """
        self._ledger = ledger
        self._timetable = timetable
        self._clock = clock
        self._catch_up = catch_up
        self._begin = begin
        self._tracing = tracing or Tracing()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._woken = asyncio.Event()
        self._clock_ahead: float | None = None
        self._missed = _Missed()
        self._backoff = 0.0
        self._try_at = float("-inf")
        self._ticked = float("-inf")
        self._wind_from = float("-inf")

    @property
    def next_due(self) -> int | None:
        """When the next schedule fires, in microseconds UTC; None where none does."""
        return self._timetable.next_due

    @property
    def is_ticking(self) -> bool:
        """Whether it is at work: it has made a pass in the last seconds, and the ledger took what that was to write."""
        return not self._backoff and self._clock.monotonic() - self._ticked < TICKING

    @property
    def has_ended(self) -> bool:
        """Whether its work is over."""
        return self._task is not None and self._task.done()

    def stop(self) -> None:
        """Let nothing fire any more; called on the event loop's thread."""
        self._stopping = True
        self._woken.set()

    async def close(self) -> None:
        """Stop, and wait for the end."""
        self.stop()
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    async def work(self) -> None:
        """Let schedules fire until `stop`. Cancelling this stops it too.

        Raises `LedgerError` where the ledger can't be opened; one that fails later is tried again until it works.
        """
        if self._task is not None:
            message = "this bot has worked; expected a new one, by project.bot()"
            raise PinstripeError(message)
        task = self._task = asyncio.get_running_loop().create_task(self._work(), name="pinstripe bot")
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            await self.close()
            raise

    async def open(self) -> None:
        """Load all jobs, and tell the ledger which schedules they have. Raises `LedgerError`."""
        await self._begin()
        await self._ledger.fires.join()
        await self._timetable.open(self._ledger.fires, catch_up=self._catch_up)

    async def look_at_zones(self) -> dict[str, Exception]:
        """One look in which zones tenants are; raises `LedgerError`.

        Where a source of tenants fails, all stays as it is; gives why, by the names of the jobs that it concerns.
        """
        failures = await self._timetable.look_at_zones(self._ledger.fires)
        self._woken.set()
        return failures

    async def affirm(self) -> None:
        """Say that this process is a bot, and what schedules it has; what a dead one had is this one's, or gone.

        Raises `LedgerError`.
        """
        await self._ledger.rescue()
        await self._ledger.fires.join()
        await self._timetable.affirm(self._ledger.fires)

    async def tick(self, now: int) -> bool:
        """One pass: let fire what is due at `now` (microseconds UTC); tell whether there is more to do at once.

        What the ledger can't take now stays due. A schedule that fails is logged, and goes on with its next time.
        """
        self._ticked = self._clock.monotonic()
        self._notice_jump(now)
        if self._ticked < self._try_at:
            return False
        batch = self._timetable.take_due(now, BATCH)
        if batch:
            self._wind_from = self._ticked + WIND_AFTER
            try:
                await self._fire(self._plan(batch, now))
            except LedgerError as error:
                self._back_off(error)
                return False
        self._backoff = 0.0
        more = self.next_due is not None and self.next_due <= now
        if not more:
            self._tell_of_missed()
        return more

    def _plan(self, batch: Sequence[Timer], now: int) -> list[_Plan]:
        plans: list[_Plan] = []
        for timer in batch:
            try:
                due = timer.find_due(now)
                fires = [] if due.let_go is None else [timer.let_go(due.let_go)]
                ids = new_run_ids(now, len(due.times))
                fires += [timer.fire(at, id_) for at, id_ in zip(due.times, ids, strict=True)]
                plans.append(_Plan(timer, fires, fires[-1].at, due.caught_up))
            except Exception:  # noqa: BLE001 - one that fails must not be the end of the others
                self._leave(timer, now)
        return plans

    async def _fire(self, plans: Sequence[_Plan]) -> None:
        """Let the ledger make runs of what is planned, in one transaction, and go on to the next times."""
        fires, end_spans = self._tracing.firing([fire for plan in plans for fire in plan.fires])
        try:
            were_new = await self._ledger.fires.fire(fires)
        except (LedgerError, asyncio.CancelledError):  # who cancels a pass of `tick` may make another one
            for plan in plans:
                self._timetable.push(plan.timer)
            raise
        except Exception:  # noqa: BLE001 - what one of them asks for can't be written, and the others must not wait
            await self._fire_each(plans)
            return
        end_spans(were_new)
        new = iter(were_new)
        for plan in plans:
            for fire in plan.fires:
                if next(new):
                    self._missed.caught_up += plan.caught_up
                    self._missed.let_go += fire.work is None
                    if plan.caught_up or fire.work is None:
                        self._missed.jobs[plan.timer.definition.name] = None
            self._go_on(plan.timer, plan.last)

    async def _fire_each(self, plans: Sequence[_Plan]) -> None:
        if len(plans) == 1:
            self._leave(plans[0].timer, plans[0].last)
            return
        for number, plan in enumerate(plans, 1):
            try:
                await self._fire([plan])
            except (LedgerError, asyncio.CancelledError):
                for left in plans[number:]:
                    self._timetable.push(left.timer)
                raise

    def _leave(self, timer: Timer, last: int) -> None:
        """Leave out what a timer was to do up to `last`, since that fails; called where that is handled."""
        _log.exception("%s: its schedule %s failed, and goes on with its next time", timer.definition.name, timer.key)
        self._go_on(timer, last)

    def _go_on(self, timer: Timer, last: int) -> None:
        """Put a timer back that has done what there was to do up to `last`."""
        try:
            timer.passed(last)
        except Exception:  # noqa: BLE001 - the others of its pass have yet to be put back
            name, key = timer.definition.name, timer.key
            _log.exception("%s: its schedule %s can't tell its next time, and fires no more from here", name, key)
        else:
            self._timetable.push(timer)

    def _notice_jump(self, now: int) -> None:
        """Tell when the clock was set: that nothing fires twice, and what was missed, follows from the marks alone."""
        ahead = now / 1_000_000 - self._ticked
        jump = 0.0 if self._clock_ahead is None else ahead - self._clock_ahead
        self._clock_ahead = ahead
        if abs(jump) < JUMP:
            return
        far = write_duration(timedelta(seconds=round(abs(jump))))
        if jump < 0:
            text = "the clock went back by %s: what has fired for a time that comes again doesn't fire a second time"
        else:
            text = "the clock went forward by %s, or this machine slept: what was missed is caught up as each job says"
        _log.warning(text, far)

    def _tell_of_missed(self) -> None:
        """Say what became of missed times, once a pass is complete."""
        missed, self._missed = self._missed, _Missed()
        if missed.caught_up or missed.let_go:
            text = (
                "schedules whose times were missed: %d fire once, late; %d are let go (catch_up, or older than a day): "
                "%s"
            )
            named = ", ".join(list(missed.jobs)[:NAMED]) + (", and others" if len(missed.jobs) > NAMED else "")
            _log.warning(text, missed.caught_up, missed.let_go, named)

    def _back_off(self, error: LedgerError) -> None:
        if not self._backoff:
            _log.warning("the ledger can't be used, so that no schedule fires until it can: %s", error)
        self._backoff = min(self._backoff * 2, LONGEST_BACKOFF) or FIRST_BACKOFF
        self._try_at = self._clock.monotonic() + self._backoff

    async def _work(self) -> None:
        await self.open()
        loop = asyncio.get_running_loop()  # a source of tenants may take its time: it has a task of its own
        keeping_up = [loop.create_task(self._keep_on(do)) for do in (self.affirm, self.look_at_zones)]
        try:
            while not self._stopping:
                try:
                    more = await self.tick(self._clock.now())
                except Exception:  # noqa: BLE001 - a pass that fails must not be the last
                    _log.exception("a pass of the bot failed; the next one is made in a second")
                    more, self._try_at = False, self._clock.monotonic() + LOOK_EVERY
                if more or (self._ticked >= self._wind_from and self._timetable.wind()):
                    await asyncio.sleep(0)
                else:
                    await self._wait()
        finally:
            for task in keeping_up:
                task.cancel()
            await asyncio.wait(keeping_up, timeout=END_LIMIT)  # a source of tenants may take no notice

    async def _wait(self) -> None:
        """Wait until something is due, or until it is time to look at the clock."""
        timeout = LOOK_EVERY
        if self.next_due is not None:
            timeout = min(timeout, (self.next_due - self._clock.now()) / 1_000_000)
        if self._timetable.unwound:
            timeout = min(timeout, self._wind_from - self._clock.monotonic())
        timeout = max(timeout, self._try_at - self._clock.monotonic(), _SHORTEST_WAIT)
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._woken.wait()
        self._woken.clear()

    async def _keep_on(self, do: Callable[[], Awaitable[object]]) -> None:
        """Do something now and then, whatever becomes of it."""
        while True:
            try:
                await do()
            except LedgerError as error:
                _log.info("the ledger can't be asked now: %s", error)  # the next pass that fires warns of it
            except Exception:  # noqa: BLE001 - what has failed is done the next time
                _log.exception("what a bot does each minute failed; it is tried again")
            if self._stopping:  # it has taken no notice of being cancelled
                return
            await asyncio.sleep(KEEP_UP_EVERY)
