"""Long work on the event loop in slices, so that others have it in between."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from pinstripe.due_times import DueTimes
from pinstripe.overdue import mark_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pinstripe.fires import ScheduleState
    from pinstripe.project import Project

_SLICE = 0.005
"""Seconds for which it is worked before others have the event loop."""

_EVERY = 16
"""How many steps are made before it is looked whether a slice is over."""

_TIMES: WeakKeyDictionary[Project, DueTimes] = WeakKeyDictionary()


class Slices:
    """What ends a slice of work when it is long enough: `pause` is awaited after each step."""

    def __init__(self) -> None:
        """Begin the first slice."""
        self._steps = 0
        self._until = time.monotonic() + _SLICE

    async def pause(self) -> None:
        """Let others have the event loop, if it was worked for long enough."""
        self._steps += 1
        if self._steps % _EVERY or time.monotonic() < self._until:
            return
        await asyncio.sleep(0)
        self._until = time.monotonic() + _SLICE


def due_times_of(project: Project) -> DueTimes:
    """Give the times at which schedules of a project are due, as far as they are known: the same for all who look."""
    found = _TIMES.get(project)
    if found is None:
        found = _TIMES[project] = DueTimes()
    return found


async def find_due_times(times: DueTimes, states: Sequence[ScheduleState], now: int) -> None:
    """Find when schedules are due that are in these states, in slices; then it is known, and told at once.

    That is: first after their last fire, and first after `now` (microseconds UTC).
    """
    slices = Slices()
    for state in states:
        if state.gone:
            continue
        first = times.first_after(mark_of(state), state.cron, state.zone)
        if first is not None and first <= now:
            times.first_after(now, state.cron, state.zone)
        await slices.pause()
