"""Firing: a real bot, in the test's own process, goes from one time at which schedules fire to the next."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from pinstripe.clock import SystemClock, to_datetime, to_microseconds
from pinstripe.duration import parse_duration
from pinstripe.errors import PinstripeError
from pinstripe.project import Project

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from pinstripe.background_job import BackgroundJob
    from pinstripe.bot import Bot
    from pinstripe.fires import Fire, Fires
    from pinstripe.run import Run
    from pinstripe.testing.stage import Stage

MAX_FIRES = 100_000
"""How many times one call lets fire: a schedule for each second must not keep a test for a year's worth of them."""


async def fire_schedules(
    stage: Stage, duration: str | timedelta, job: str | type[BackgroundJob] | None = None
) -> list[Run]:
    """Let time go on by a `duration`, and let fire what is due on the way; give the runs of it, in their order.

    With `job` the project has that one alone: the schedules of others are gone meanwhile, and known anew afterwards.
    """
    until = to_microseconds(stage.now + parse_duration(duration))
    project = Project(stage.settings, clock=_Told())
    await project.open()
    try:
        registry = project.registry
        jobs = [registry.find(each) for each in (registry.names() if job is None else [job])]
        registry.load_all = lambda: [*jobs]  # type: ignore[method-assign]
        recorder = _Recorder(project.ledger.fires)
        project.ledger.fires.fire = recorder.fire  # type: ignore[method-assign]
        bot = project.bot()
        await bot.open()
        await _look_at_zones(bot)
        await _go(bot, stage, until, recorder)
        await _look_at_zones(bot)  # it does each minute: who comes after this has missed nothing
        return [await project.ledger.find_run(id_) for id_ in recorder.runs]
    finally:
        await project.close()


async def _look_at_zones(bot: Bot) -> None:
    """Have the bot look in which zones tenants are; raise what it only logs."""
    for failure in (await bot.look_at_zones()).values():
        raise failure


async def _go(bot: Bot, stage: Stage, until: int, recorder: _Recorder) -> None:
    """Set the clock to each time that is due, and at last to `until` (microseconds UTC)."""
    now = to_microseconds(stage.now)
    while bot.next_due is not None and bot.next_due <= until:
        now = max(now, bot.next_due)  # what was missed before is due now
        stage.set_time(to_datetime(now))
        more = True
        while more:
            more = await bot.tick(now)
            recorder.check()
    stage.set_time(to_datetime(until))


class _Told(SystemClock):
    """The test's clock, as a machine has it that goes fast: nobody sets it when it is told."""

    def monotonic(self) -> float:
        """Give the told time in seconds."""
        return self.now() / 1_000_000


class _Line(NamedTuple):
    """A schedule, as it is named where it fires too often."""

    job: str
    key: str | None


class _Recorder:
    """Notes what a bot lets fire, and what the ledger raises then, which a bot gets over."""

    def __init__(self, fires: Fires) -> None:
        self._fire = fires.fire
        self._error: Exception | None = None
        self._lines: Counter[_Line] = Counter()
        self.runs: list[str] = []
        """The ids of the runs that were made, in the order in which they were."""

    async def fire(self, fires: Sequence[Fire]) -> list[bool]:
        """Have the ledger do it."""
        try:
            new = await self._fire(fires)
        except Exception as error:
            self._error = self._error or error
            raise
        for fire, is_new in zip(fires, new, strict=True):
            if is_new and fire.work is not None:
                self.runs.append(fire.work.run.id)
                self._lines[_Line(fire.work.run.job, fire.work.schedule)] += 1
        return new

    def check(self) -> None:
        """Raise what was raised, and `PinstripeError` where this seems to have no end."""
        if self._error is not None:
            raise self._error
        if len(self.runs) <= MAX_FIRES:
            return
        ((job, key), times), *_ = self._lines.most_common(1)
        message = (
            f"schedules have fired {len(self.runs):,} times in one fire_schedules(), most often {key!r} of {job} "
            f"({times:,} times); let less time go on at once, or name the job that is meant: fire_schedules(…, job=…)"
        )
        raise PinstripeError(message)
