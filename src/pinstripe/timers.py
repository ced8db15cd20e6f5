"""Timers: one for each schedule in each zone. Each knows its next time, and makes the run that becomes of it."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pinstripe.catch_up import LATE, Due, find_due, next_time
from pinstripe.clock import to_datetime
from pinstripe.fires import Fire
from pinstripe.ledger import NO_TENANT, NewRun
from pinstripe.priority import Priority
from pinstripe.queue import NewWork
from pinstripe.run import Trigger
from pinstripe.schedule import offset
from pinstripe.selection import Selection
from pinstripe.time_zones import find_zone

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pinstripe.definition import Definition
    from pinstripe.fires import ScheduleState
    from pinstripe.schedule import Schedule
    from pinstripe.selection import ZoneChoice


class Timer:
    """A schedule of a job in one zone, and its next time."""

    __slots__ = (
        *("definition", "schedule", "key", "number", "zone", "place", "by_tenant"),
        *("after", "next", "alive", "to_wind", "_following", "_selection"),
    )

    def __init__(
        self, definition: Definition, schedule: Schedule, state: ScheduleState, choice: ZoneChoice | None
    ) -> None:
        """Take what is kept of the schedule in one zone; `choice` says whose tenants it is for, where it says so."""
        self.definition = definition
        self.schedule = schedule
        self.key = state.key
        self.number = state.schedule
        self.place = state.zone
        self.zone = find_zone(state.zone)
        self.by_tenant = choice is not None
        self.after = max(state.since, state.fired or 0)
        """Microseconds UTC: nothing fires at or before."""
        self.next: int | None = next_time(schedule, self.zone, self.after)
        """When it fires next, in microseconds UTC; None for never."""
        self.alive = True
        """Whether it is still to fire."""
        self.to_wind = False
        """Whether it waits to be wound."""
        self._following: int | None = None
        self._selection = _selection(choice)

    def __repr__(self) -> str:
        """Show the job, the schedule and its zone."""
        return f"<Timer {self.definition.name} {self.key} in {self.place}>"

    def wind(self) -> None:
        """Find out beforehand which time comes after the next one, so that the next fire need not wait for that."""
        if self._following is None and self.next is not None:
            self._following = next_time(self.schedule, self.zone, self.next)

    def find_due(self, now: int) -> Due:
        """Tell which times are to fire at `now` (microseconds UTC)."""
        self.wind()
        if (
            self.next is not None
            and self._following is not None
            and self.next <= now < min(self._following, self.next + LATE)
        ):
            return Due([self.next], None, caught_up=False)  # nearly always
        return find_due(self.schedule, self.zone, self.after, now)

    def passed(self, last: int) -> None:
        """Go on after the time `last`, which has fired or was let go."""
        self.after = max(self.after, last)
        if last == self.next and self._following is not None:
            self.next = self._following
        else:
            self.next = next_time(self.schedule, self.zone, self.after)
        self._following = None

    def let_go(self, at: int) -> Fire:
        """Make the fire of a time that is let go."""
        return Fire(self.number, self.place, at, None)

    def fire(self, at: int, run: str) -> Fire:
        """Make the fire of a time (microseconds UTC), whose run gets the id `run`."""
        definition, schedule = self.definition, self.schedule
        several = definition.multi_tenant
        spread = None if schedule.spread is None else schedule.spread // timedelta(microseconds=1)
        work = NewWork(
            NewRun(
                *(run, definition.name, Trigger.SCHEDULE, schedule.args, schedule.kwargs, self._selection),
                redacted=schedule.redacted,
            ),
            None if several else (NO_TENANT,),
            definition.priority or (Priority.BULK if several else Priority.DEFAULT),
            due_at=None if several or spread is None else at + offset(definition.name, NO_TENANT, spread),
            crashes=definition.retry.crashes,
            limits=definition.limits,
            schedule=self.key,
            scheduled_for=at,
            overlap=None if definition.overlap == "allow" else definition.overlap,
            retry_until=self._time_after(at),
            spread=spread if several else None,
            local_time=self._local_time(at) if self.by_tenant else None,
        )
        return Fire(self.number, self.place, at, work)

    def _time_after(self, at: int) -> int | None:
        if at == self.next:
            self.wind()
            return self._following
        return next_time(self.schedule, self.zone, at)

    def _local_time(self, at: int) -> str:
        """Write the time that the clocks of the zone show, which each tenant has once."""
        local = to_datetime(at).astimezone(self.zone)
        return local.strftime("%Y-%m-%dT%H:%M:%S") + ("+1" if local.fold else "")


@lru_cache(maxsize=1_000)
def _selection(choice: ZoneChoice | None) -> Mapping[str, Any]:
    """Write for whom a fire is; the same object for the same tenants, so that the ledger writes it once."""
    return Selection(zone=choice).to_json()
