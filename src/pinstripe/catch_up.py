"""Which times of a schedule are due, and what becomes of those that were missed. Pure; it is told the time."""

from __future__ import annotations

from itertools import islice, takewhile
from typing import TYPE_CHECKING, NamedTuple

from pinstripe.clock import to_datetime, to_microseconds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

    from pinstripe.schedule import Schedule

LATE = 5_000_000
"""Microseconds that a fire may be late: each such one is made. A bot that is restarted, or waits for a busy ledger, has
missed nothing by then; what is older has been missed."""

LONGEST = 24 * 3_600_000_000
"""Microseconds after which a missed time is not caught up any more."""

_WINDOWS = tuple(minutes * 60_000_000 for minutes in (1, 10, 100, 1_440, *(10**power for power in range(4, 9))))
"""How far is looked back for the last time that was missed, in microseconds: a minute, then more, up to 190 years."""

_MOST = 100
"""How many times are walked in a window; of more, the last is found by halves."""


class Due(NamedTuple):
    """What is to be done: `times` fire now, each; `let_go` is the last of those that don't. In microseconds UTC."""

    times: list[int]
    let_go: int | None
    caught_up: bool
    """Whether what fires was missed, and is made late."""


def find_due(schedule: Schedule, zone: tzinfo, after: int, now: int) -> Due:
    """Tell which times of a schedule after `after` and up to `now` (microseconds UTC) are to fire.

    Those of the last seconds (`LATE`) all fire. Where there are none, the last one that was missed fires once, late, if
    the schedule's `catch_up` is `"latest"`, and it isn't older than `LONGEST`; a time is never older than one period,
    since it is the last.
    """
    missed_until = now - LATE
    recent = [*_between(schedule, zone, max(after, missed_until), now)]
    if recent and schedule.catch_up == "latest":
        return Due(recent, None, caught_up=False)
    missed = _last_between(schedule, zone, after, missed_until)
    if missed is None or recent:
        return Due(recent, missed, caught_up=False)
    if schedule.catch_up == "latest" and now - missed <= LONGEST:
        return Due([missed], None, caught_up=True)
    return Due([], missed, caught_up=False)


def next_time(schedule: Schedule, zone: tzinfo, after: int) -> int | None:
    """Give the first time of a schedule after `after`, in microseconds UTC; None where the calendar ends before it."""
    moment = next(schedule.fires(to_datetime(after), zone), None)
    return None if moment is None else to_microseconds(moment)


def _between(schedule: Schedule, zone: tzinfo, after: int, until: int) -> Iterator[int]:
    if until <= after:
        return iter(())
    last = to_datetime(until)
    return map(to_microseconds, takewhile(lambda moment: moment <= last, schedule.fires(to_datetime(after), zone)))


def _last_between(schedule: Schedule, zone: tzinfo, after: int, until: int) -> int | None:
    """Give the last time after `after` and up to `until`: it is looked for in ever longer windows before `until`."""
    for window in _WINDOWS:
        start = max(after, until - window)
        walked = [*islice(_between(schedule, zone, start, until), _MOST)]
        if walked:
            return walked[-1] if len(walked) < _MOST else _last_by_halves(schedule, zone, walked[-1], until)
        if start == after:
            break
    return None


def _last_by_halves(schedule: Schedule, zone: tzinfo, known: int, until: int) -> int:
    """Give the last time up to `until`, of which one is `known`: a day's seconds are many, their halvings few."""
    while until - known > 1:
        middle = (known + until) // 2
        found = next(_between(schedule, zone, middle, until), None)
        if found is None:
            until = middle
        else:
            known = found
    return known
