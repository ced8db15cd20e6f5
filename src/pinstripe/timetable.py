"""The timetable: the timers of all schedules of this process's code, in a heap by when they are due."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from pinstripe.clock import to_datetime, to_iso
from pinstripe.definition import BrokenJob
from pinstripe.fires import KnownSchedule
from pinstripe.log import Log
from pinstripe.schedule import TENANT_ZONE
from pinstripe.selection import ZoneChoice
from pinstripe.timers import Timer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pinstripe.clock import Clock
    from pinstripe.definition import Definition
    from pinstripe.fires import Fires, ScheduleState
    from pinstripe.registry import Registry
    from pinstripe.schedule import Schedule
    from pinstripe.zone_groups import ZoneGroups

_SLICE = 0.005
"""Seconds for which timers are wound before others have the event loop."""

JUMP = 5_000_000
"""Microseconds by which clocks may differ without anybody being told."""

_log = Log()


@dataclass(eq=False, slots=True)
class _Line:
    """A schedule of this process's code, with its timers by zone."""

    definition: Definition
    schedule: Schedule
    known: KnownSchedule
    number: int = 0
    looked: int = 0
    """When it was last found out in which zones its tenants are, in microseconds UTC."""
    timers: dict[str, Timer] = field(default_factory=dict)


class Timetable:
    """The timers of a project's schedules, and when the next of them is due."""

    def __init__(
        self, registry: Registry, groups: ZoneGroups, clock: Clock, *, time_zone: str, zone_attribute: str
    ) -> None:
        """Take what finds jobs, and what tells in which zones tenants are.

        `time_zone` is the project's, and `zone_attribute` what holds a tenant's.
        """
        self._registry = registry
        self._groups = groups
        self._clock = clock
        self._time_zone = time_zone
        self._zone_attribute = zone_attribute
        self._lines: list[_Line] = []
        self._broken: set[str] = set()
        self._heap: list[tuple[int, int, Timer]] = []
        self._numbers = count()
        self._to_wind: deque[Timer] = deque()

    @property
    def next_due(self) -> int | None:
        """When the next schedule fires, in microseconds UTC; None where none does."""
        return self._heap[0][0] if self._heap else None

    async def open(self, fires: Fires, *, catch_up: bool) -> None:
        """Load all jobs, and tell the ledger which schedules they have; raises `LedgerError`.

        Without `catch_up` what was missed until now is past, whatever the schedules say.
        """
        self._lines, self._broken = self._load()
        now = self._clock.now()
        registered = await fires.register([line.known for line in self._lines], keep=self._broken, now=now)
        states: dict[int, list[ScheduleState]] = {}
        for state in registered.states:
            states.setdefault(state.schedule, []).append(state)
        for line, number, looked in zip(self._lines, registered.numbers, registered.looked, strict=True):
            line.number, line.looked = number, looked if catch_up else now
            self._set(line, states.get(number, ()), None if catch_up else now)
            await asyncio.sleep(0)
        _tell_of_marks_ahead(registered.states, now)

    async def affirm(self, fires: Fires) -> None:
        """Tell the ledger again which schedules this process has; raises `LedgerError`."""
        ours = {line.number: line.known for line in self._lines}
        await fires.affirm(ours, keep=self._broken, now=self._clock.now())

    async def look_at_zones(self, fires: Fires) -> dict[str, Exception]:
        """One look in which zones tenants are: those that are new get timers, those where nobody is lose theirs.

        Where a source of tenants fails, all stays as it is; gives why, by the names of the jobs that it concerns.
        Raises `LedgerError`.
        """
        failures: dict[str, Exception] = {}
        lines = [line for line in self._lines if line.known.zone is None]
        if not lines:
            return failures
        began, looked = self._clock.now(), list[int]()
        found = await self._groups.read_all([*{line.definition.name: line.definition for line in lines}.values()])
        for line in lines:
            zones = found[line.definition.name]
            if isinstance(zones, Exception):
                _log.warning("%s: the zones of its tenants can't be read now (%s)", line.definition.name, zones)
                failures[line.definition.name] = zones
                continue
            now = self._clock.now()
            self._set(line, await fires.set_zones(line.number, zones, since=min(line.looked, now), now=now), None)
            line.looked = began
            looked.append(line.number)
        if looked:
            await fires.looked(looked, began)
        return failures

    def take_due(self, now: int, most: int) -> list[Timer]:
        """Take up to `most` timers that are due at `now` (microseconds UTC); `push` puts each back in."""
        batch: list[Timer] = []
        while self._heap and self._heap[0][0] <= now and len(batch) < most:
            at, _, timer = heapq.heappop(self._heap)
            if timer.alive and timer.next == at:
                batch.append(timer)
        return batch

    def push(self, timer: Timer) -> None:
        """Put a timer in, unless it never fires again."""
        if timer.next is not None and timer.alive:
            heapq.heappush(self._heap, (timer.next, next(self._numbers), timer))
            if not timer.to_wind:  # in a bot that has no time to wind they would become ever more
                timer.to_wind = True
                self._to_wind.append(timer)

    @property
    def unwound(self) -> bool:
        """Whether there are timers to wind."""
        return bool(self._to_wind)

    def wind(self) -> bool:
        """Wind timers for a moment; tell whether there are more."""
        until = time.monotonic() + _SLICE
        while self._to_wind and time.monotonic() < until:
            timer = self._to_wind.popleft()
            timer.to_wind = False
            with suppress(Exception):  # it is told of when it is due
                timer.wind()
        return bool(self._to_wind)

    def _load(self) -> tuple[list[_Line], set[str]]:
        """Load all jobs; give their schedules, and the names of the jobs that can't be loaded."""
        lines: list[_Line] = []
        broken: set[str] = set()
        for job in self._registry.load_all():
            if isinstance(job, BrokenJob):  # of which the command has told
                broken.add(job.name)
                continue
            for schedule in job.schedules:
                key, identity = schedule.key(self._time_zone), schedule.identity(self._time_zone)
                zone = None if schedule.time_zone == TENANT_ZONE else schedule.time_zone or self._time_zone
                lines.append(_Line(job, schedule, KnownSchedule(job.name, key, identity, schedule.cron, zone)))
        return lines, broken

    def _set(self, line: _Line, states: Iterable[ScheduleState], past: int | None) -> None:
        """Give a schedule timers in these zones and in no others; what is not after `past` is not caught up."""
        by_zone = {state.zone: state for state in states}
        for zone in line.timers.keys() - by_zone.keys():
            line.timers.pop(zone).alive = False
        for zone in sorted(by_zone.keys() - line.timers.keys()):  # what is due at once fires in the same order always
            choice = ZoneChoice(zone, self._zone_attribute, self._time_zone) if line.known.zone is None else None
            try:
                timer = Timer(line.definition, line.schedule, by_zone[zone], choice)
                if past is not None:
                    timer.passed(past)
            except Exception:  # noqa: BLE001 - as a zone that this host doesn't know: the others go on
                _log.exception("%s: its schedule %s can't fire in %s", line.definition.name, line.known.key, zone)
                continue
            line.timers[zone] = timer
            self.push(timer)


def _tell_of_marks_ahead(states: Sequence[ScheduleState], now: int) -> None:
    """Warn of what has fired for times that are still to come, as a clock that was wrong for a while makes it."""
    ahead = [state.fired for state in states if state.fired is not None and state.fired > now + JUMP]
    if ahead:
        text = "schedules that fire no more until %s, as they have fired for it already: %d; was the clock wrong?"
        _log.warning(text, to_iso(to_datetime(max(ahead))), len(ahead))
