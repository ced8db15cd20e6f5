"""The moves that tests of schedules make on a ledger, in short."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pinstripe.fires import Fire, KnownSchedule, ScheduleState
from pinstripe.ledger import RunFilter
from pinstripe.run import Trigger
from tests.ledgers.conftest import START
from tests.ledgers.queue.moves import SECOND, new_work

if TYPE_CHECKING:
    from collections.abc import Collection

    from pinstripe.ledger import Ledger

PARIS, TOKYO, UTC = "Europe/Paris", "Asia/Tokyo", "UTC"


def known(
    key: str = "a", *, job: str = "greet", edition: str = "1", cron: str = "* * * * *", zone: str | None = UTC
) -> KnownSchedule:
    return KnownSchedule(job, key, edition, cron, zone)


async def register(
    ledger: Ledger, *schedules: KnownSchedule, keep: Collection[str] = (), now: int = START
) -> list[int]:
    """Register schedules; give their numbers."""
    return (await ledger.fires.register(schedules, keep=keep, now=now)).numbers


def due(schedule: int, at: int, zone: str = UTC, **given: Any) -> Fire:
    """Make the fire of a time, with its run."""
    work = new_work(trigger=Trigger.SCHEDULE, schedule="a", scheduled_for=at, **given)
    return Fire(schedule, zone, at, work)


def let_go(schedule: int, at: int, zone: str = UTC) -> Fire:
    return Fire(schedule, zone, at, None)


async def state(ledger: Ledger, schedule: int, zone: str = UTC) -> ScheduleState:
    """Give what is kept of a schedule in a zone, which must be there."""
    (found,) = [one for one in await ledger.fires.states() if (one.schedule, one.zone) == (schedule, zone)]
    return found


async def fired(ledger: Ledger) -> list[int]:
    """Give the times of all runs, in their order, in seconds after the start."""
    runs = await ledger.list_runs(RunFilter(limit=1_000))
    times = [run.scheduled_for for run in runs if run.scheduled_for is not None]
    return sorted(int(time.timestamp()) - START // SECOND for time in times)
