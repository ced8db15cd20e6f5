"""All schedules there are: those of this process's code, and those that the ledger has from other code."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pinstripe.definition import BrokenJob
from pinstripe.overdue import mark_of
from pinstripe.schedule import TENANT_ZONE
from pinstripe.views.slices import Slices

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pinstripe.definition import Definition
    from pinstripe.fires import ScheduleState
    from pinstripe.schedule import Schedule


class KnownSchedule(NamedTuple):
    """A schedule of a `job`, with what the ledger keeps of it in each zone, by the zones' names.

    `schedule` is None where this process's code doesn't have it, as of a job that can't be loaded. Without `states` no
    bot has seen it yet; then it fires nowhere, and `zone` is where it would: its own or the project's.
    """

    job: str
    key: str
    cron: str
    zone: str
    by_tenant: bool
    schedule: Schedule | None
    states: tuple[ScheduleState, ...]

    @property
    def place(self) -> tuple[str, str, str]:
        """Where it stands among the others."""
        return self.job, self.key, self.cron

    @property
    def name(self) -> str | None:
        """The name its author gave it."""
        if self.schedule is not None:
            return self.schedule.name
        return self.key.removeprefix("name:") if self.key.startswith("name:") else None

    @property
    def in_words(self) -> str:
        """What it says, in English; where its line can't be read here, the line."""
        if self.schedule is not None:
            return self.schedule.in_words()
        from cronsim import CronSimError

        from pinstripe.cron_words import in_words

        try:
            words = in_words(self.cron)
        except CronSimError:
            return self.cron
        return f"{words}, in each tenant's zone" if self.by_tenant else f"{words}, {self.zone} time"

    def marks(self) -> list[tuple[str, int]]:
        """Give each zone it fires in, and the time at or before which it doesn't (microseconds UTC)."""
        return [(state.zone, mark_of(state)) for state in self.states] or [(self.zone, 0)]


async def known_schedules(
    found: Iterable[Definition | BrokenJob], states: Sequence[ScheduleState], own_zone: str
) -> list[KnownSchedule]:
    """Put together the schedules of jobs and what the ledger keeps of them, in order of job and key, in slices.

    `own_zone` is the project's. What is gone is left out.
    """
    slices = Slices()
    kept: dict[tuple[str, str, str, bool], list[ScheduleState]] = {}
    for state in states:
        if not state.gone:
            kept.setdefault((state.job, state.key, state.cron, state.by_tenant), []).append(state)
        await slices.pause()
    schedules = []
    for job in found:
        if isinstance(job, BrokenJob):
            continue
        for schedule in job.schedules:
            by_tenant, key = schedule.time_zone == TENANT_ZONE, schedule.key(own_zone)
            zone = own_zone if by_tenant else schedule.time_zone or own_zone
            mine = kept.pop((job.name, key, schedule.cron, by_tenant), [])
            there = tuple(state for state in mine if by_tenant or state.zone == zone)
            schedules.append(KnownSchedule(job.name, key, schedule.cron, zone, by_tenant, schedule, there))
            await slices.pause()
    for (job_name, key, cron, by_tenant), others in kept.items():
        zone = own_zone if by_tenant else others[0].zone
        schedules.append(KnownSchedule(job_name, key, cron, zone, by_tenant, None, tuple(others)))
    return sorted(schedules, key=_place)


def _place(schedule: KnownSchedule) -> tuple[str, str, str]:
    return schedule.place
