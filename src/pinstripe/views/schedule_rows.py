"""A schedule in a list: when it fires, what became of its last fires, and what it does where the clock is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pinstripe.clock import to_datetime, to_microseconds

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from pinstripe.clock_changes import ClockChange
    from pinstripe.due_times import DueTimes
    from pinstripe.schedule import Schedule
    from pinstripe.views.known_schedules import KnownSchedule

_DAY = 86_400_000_000
"""Microseconds after which it is looked again whether a clock is changed in the next 13 months."""

_MOST = 50_000
"""How many effects are kept; then all are found anew."""


class ScheduleRow(NamedTuple):
    """A schedule of a `job`, as a list shows it. Times are aware, in UTC.

    `zone` is where it fires; of one that fires `by_tenant`, in each tenant's zone, it is the project's, for which
    `change` stands as an example, and `zones` is in how many there are tenants. `next` is its next fire in any of them,
    `last_fire` the last, `last_missed` the last that was let go. It is known to the ledger `since` then; None where no
    bot has seen it yet. `schedule` is None where this process's code doesn't have it.

    `change` is the next change of the zone's clock, and `effect` says what the schedule does then; None where the clock
    isn't changed in the next 13 months.
    """

    job: str
    key: str
    name: str | None
    cron: str
    words: str
    zone: str
    by_tenant: bool
    zones: int
    next: datetime | None
    last_fire: datetime | None
    last_missed: datetime | None
    since: datetime | None
    change: ClockChange | None
    effect: str | None
    is_paused: bool
    schedule: Schedule | None


class ClockChanges:
    """The next changes of zones' clocks, and what schedules do then, found once for each."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._changes: dict[str, tuple[int, ClockChange | None]] = {}
        self._effects: dict[tuple[str, str, datetime], str] = {}

    def next_change(self, zone: str, now: int) -> ClockChange | None:
        """Give the next change of the clock in the zone of that name after `now` (microseconds UTC).

        None where it isn't changed in the next 13 months, or where this machine doesn't know the zone.
        """
        from pinstripe.clock_changes import next_change

        found_at, change = self._changes.get(zone, (None, None))
        is_known = found_at is not None and found_at <= now < found_at + _DAY
        if is_known and (change is None or now < to_microseconds(change.at)):
            return change
        clock = _find_zone(zone)
        change = None if clock is None else next_change(clock, to_datetime(now))
        self._changes[zone] = now, change
        return change

    def effect(self, cron: str, zone: str, change: ClockChange) -> str | None:
        """Say what a line does where the clock is changed; None where it can't be read here."""
        from cronsim import CronSimError

        from pinstripe.clock_changes import effect_in_words

        known = self._effects.get((cron, zone, change.at))
        if known is not None:
            return known
        clock = _find_zone(zone)
        try:
            effect = None if clock is None else effect_in_words(cron, clock, change)
        except CronSimError:
            return None
        if effect is not None:
            if len(self._effects) >= _MOST:
                self._effects.clear()
            self._effects[cron, zone, change.at] = effect
        return effect


def schedule_row(
    schedule: KnownSchedule, now: int, times: DueTimes, changes: ClockChanges, *, paused: bool
) -> ScheduleRow:
    """Make the row of a schedule, as it is at `now` (microseconds UTC)."""
    states = schedule.states
    coming = [times.first_after(max(now, mark), schedule.cron, zone) for zone, mark in schedule.marks()]
    change = changes.next_change(schedule.zone, now)
    return ScheduleRow(
        job=schedule.job,
        key=schedule.key,
        name=schedule.name,
        cron=schedule.cron,
        words=schedule.in_words,
        zone=schedule.zone,
        by_tenant=schedule.by_tenant,
        zones=len(states),
        next=_moment(min((at for at in coming if at is not None), default=None)),
        last_fire=_moment(max((state.fired for state in states if state.fired is not None), default=None)),
        last_missed=_moment(max((state.missed for state in states if state.missed is not None), default=None)),
        since=_moment(min((state.since for state in states), default=None)),
        change=change,
        effect=None if change is None else changes.effect(schedule.cron, schedule.zone, change),
        is_paused=paused,
        schedule=schedule.schedule,
    )


def _moment(time: int | None) -> datetime | None:
    return None if time is None else to_datetime(time)


def _find_zone(name: str) -> tzinfo | None:
    from pinstripe.time_zones import find_zone

    try:
        return find_zone(name)
    except ValueError:
        return None
