"""What fires next, and all schedules in pages: cheap to look at again and again, however many schedules there are."""

from __future__ import annotations

import asyncio
import heapq
import json
from bisect import bisect_right
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from pinstripe.clock import to_datetime
from pinstripe.definition import BrokenJob
from pinstripe.overdue import is_paused
from pinstripe.views.known_schedules import KnownSchedule, known_schedules
from pinstripe.views.schedule_rows import ClockChanges, ScheduleRow, schedule_row
from pinstripe.views.slices import Slices, due_times_of

if TYPE_CHECKING:
    from collections.abc import Generator
    from datetime import datetime

    from pinstripe.clock_changes import ClockChange
    from pinstripe.definition import Definition
    from pinstripe.fires import ScheduleState
    from pinstripe.project import Project

FRESH = 2_000_000
"""Microseconds for which what the ledger keeps of schedules is not read again."""

LOADED = 60_000_000
"""Microseconds after which it is tried again to load jobs that couldn't be."""

_MICROSECOND = timedelta(microseconds=1)


class ComingFire(NamedTuple):
    """A time `at` which a job's schedule is due, in one zone, or in several at once where it fires in tenants' zones.

    Where its job is `is_paused`, what it makes waits. Of a schedule that isn't `known` to the ledger, no bot has seen
    the code yet.
    """

    job: str
    at: datetime
    key: str
    name: str | None
    words: str
    zones: tuple[str, ...]
    by_tenant: bool
    is_paused: bool
    known: bool

    @property
    def zone(self) -> str:
        """The zone, or how many they are."""
        return self.zones[0] if len(self.zones) == 1 else f"{len(self.zones):,} zones"


class SchedulePage(NamedTuple):
    """Some of `total` schedules, by job; `next` is what comes after them begins with, None at the end."""

    rows: list[ScheduleRow]
    next: str | None
    total: int


class _Line(NamedTuple):
    """A schedule in one zone: it doesn't fire at or before its `mark` (microseconds UTC)."""

    schedule: KnownSchedule
    zone: str
    mark: int


class Timeline:
    """The schedules of a project as they come: one for a process, which lives as long as the project is open."""

    def __init__(self, project: Project) -> None:
        """Take the open project; nothing is looked at yet."""
        self._project = project
        self._times = due_times_of(project)
        self._lock = asyncio.Lock()
        self._read_at: int | None = None
        self._loaded_at: int | None = None
        self._found: list[Definition | BrokenJob] = []
        self._states: list[ScheduleState] = []
        self._schedules: list[KnownSchedule] = []
        self._places: list[tuple[str, str, str]] = []
        self._lines: list[_Line] = []
        self._coming: list[tuple[int, int]] = []
        """A heap: when each line is due next (microseconds UTC), and its number; of all that are due ever again."""
        self._ahead: dict[int, list[int]] = {}
        """What of the times behind its next one is known of a line, by its number."""
        self._changes = ClockChanges()

    async def next_fires(
        self, limit: int = 20, within: timedelta | None = None, *, each: int | None = None
    ) -> list[ComingFire]:
        """Give the next `limit` fires, in their order: those `within` a time from now, and of one schedule so many.

        `each` is the most of one schedule in one zone; with 1 each schedule is there once. Raises `LedgerError`.
        """
        async with self._lock:
            now = await self._refresh()
            await self._pass(now)
            pauses = await self._project.ledger.queue.pauses()
            until = None if within is None else now + within // _MICROSECOND
            found: list[tuple[int, list[_Line]]] = []
            with closing(self._walk(each)) as walk:
                for at, line in walk:
                    if until is not None and at > until:
                        break
                    before = found[-1] if found else None
                    if before is not None and before[0] == at and before[1][0].schedule is line.schedule:
                        before[1].append(line)
                    elif len(found) == limit:
                        break
                    else:
                        found.append((at, [line]))
            return [_fire(at, lines, paused=is_paused(lines[0].schedule.job, pauses)) for at, lines in found]

    async def schedule_rows(self, limit: int = 50, after: str | None = None, *, job: str | None = None) -> SchedulePage:
        """Give `limit` schedules, by job and key, `after` a page's `next`; only those of a `job` where one is named.

        Raises `LedgerError`, and `ValueError` for what is no page's `next`.
        """
        async with self._lock:
            now = await self._refresh()
            pauses = await self._project.ledger.queue.pauses()
            begin = 0 if after is None else bisect_right(self._places, _read_place(after))
            chosen, end = self._schedules, len(self._schedules)
            total = end
            if job is not None:
                first, end = bisect_right(self._places, (job,)), bisect_right(self._places, (job, "\U0010ffff"))
                begin, total = max(begin, first), end - first
            page = chosen[begin : min(begin + limit, end)]
            rows = []
            slices = Slices()
            for schedule in page:
                paused = is_paused(schedule.job, pauses)
                rows.append(schedule_row(schedule, now, self._times, self._changes, paused=paused))
                await slices.pause()
            more = begin + limit < end
            return SchedulePage(rows, json.dumps(page[-1].place) if more and page else None, total)

    async def states(self) -> list[ScheduleState]:
        """Give what the ledger keeps of all schedules, not older than `FRESH`. Raises `LedgerError`."""
        async with self._lock:
            await self._refresh()
            return self._states

    def next_change(self, zone: str) -> ClockChange | None:
        """Give the next change of a zone's clock; None where it isn't changed in the next 13 months."""
        return self._changes.next_change(zone, self._project.clock.now())

    async def _refresh(self) -> int:
        """See to it that what is known is not older than `FRESH`; give the time (microseconds UTC)."""
        now = self._project.clock.now()
        if self._read_at is not None and self._read_at <= now < self._read_at + FRESH:
            return now
        is_loaded = self._load(now)
        states = await self._project.ledger.fires.states()
        if is_loaded or self._read_at is None or now < self._read_at or states != self._states:
            await self._set(states, now)
        self._read_at = now
        return now

    def _load(self, now: int) -> bool:
        """Load all jobs, once; tell whether anything is new. What can't be loaded is tried again now and then."""
        if self._loaded_at is not None:
            is_old = not self._loaded_at <= now < self._loaded_at + LOADED
            if not is_old or not any(isinstance(job, BrokenJob) for job in self._found):
                return False
        self._loaded_at, before = now, self._found
        self._found = self._project.registry.load_all()
        return self._found != before

    async def _set(self, states: list[ScheduleState], now: int) -> None:
        """Make the lines anew, and find when each is due next, in slices."""
        schedules = await known_schedules(self._found, states, self._project.settings.time_zone)
        lines: list[_Line] = []
        coming: list[tuple[int, int]] = []
        slices = Slices()
        for schedule in schedules:
            for zone, mark in schedule.marks():
                due = self._times.first_after(max(now, mark), schedule.cron, zone)
                if due is not None:
                    coming.append((due, len(lines)))
                lines.append(_Line(schedule, zone, mark))
                await slices.pause()
        heapq.heapify(coming)
        self._states, self._schedules, self._lines, self._coming = states, schedules, lines, coming
        self._places = [schedule.place for schedule in schedules]
        self._ahead.clear()

    async def _pass(self, now: int) -> None:
        """Let the lines that were due until now be due next, in slices."""
        slices = Slices()
        while self._coming and self._coming[0][0] <= now:
            number = self._coming[0][1]
            line = self._lines[number]
            self._ahead.pop(number, None)
            due = self._times.first_after(max(now, line.mark), line.schedule.cron, line.zone)
            if due is None:
                heapq.heappop(self._coming)
            else:
                heapq.heapreplace(self._coming, (due, number))
            await slices.pause()

    def _walk(self, each: int | None) -> Generator[tuple[int, _Line], None, None]:
        """Iterate what is due, in order; the heap is whole again at the end. Of each line come at most so many."""
        taken: list[tuple[int, int]] = []
        later: list[tuple[int, int, int]] = []
        """A heap of the second and further times of lines that were taken: when, the line, the how manieth it is."""
        try:
            while self._coming or later:
                if self._coming and (not later or self._coming[0] < later[0][:2]):
                    taken.append(heapq.heappop(self._coming))
                    (at, number), place = taken[-1], 0
                else:
                    at, number, place = heapq.heappop(later)
                yield at, self._lines[number]
                following = None if each is not None and place + 1 >= each else self._following(number, at, place)
                if following is not None:
                    heapq.heappush(later, (following, number, place + 1))
        finally:
            for entry in taken:
                heapq.heappush(self._coming, entry)

    def _following(self, number: int, at: int, place: int) -> int | None:
        """Give when a line is due first after its time `at`, the one at that `place` from its next one on."""
        ahead = self._ahead.setdefault(number, [])
        if place < len(ahead):
            return ahead[place]
        line = self._lines[number]
        found = self._times.walk(at, line.schedule.cron, line.zone, _STEPS)
        ahead += found
        return found[0] if found else None


_STEPS = 8
"""How many further times of a line are found at once: the first costs most."""


def _fire(at: int, lines: list[_Line], *, paused: bool) -> ComingFire:
    schedule = lines[0].schedule
    return ComingFire(
        job=schedule.job,
        at=to_datetime(at),
        key=schedule.key,
        name=schedule.name,
        words=schedule.in_words,
        zones=tuple(line.zone for line in lines),
        by_tenant=schedule.by_tenant,
        is_paused=paused,
        known=bool(schedule.states),
    )


def _read_place(text: str) -> tuple[str, str, str]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not (isinstance(found, list) and len(found) == 3 and all(isinstance(part, str) for part in found)):  # noqa: PLR2004 - a place has three
        message = f"expected what a page of schedules gave as its next, got {text[:200]!r}"
        raise ValueError(message)
    job, key, cron = found
    return job, key, cron
