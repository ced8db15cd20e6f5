"""Which schedules should have fired by now, and what of their work should have started. Pure; it is told the time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pinstripe.due_times import DueTimes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pinstripe.fires import LateWork, ScheduleState
    from pinstripe.queue import Pause

GRACE = 60_000_000
"""Microseconds that a schedule or its work may be late before it is overdue. A bot or a worker that is restarted, and a
queue with much in it, take seconds; a minute is the least period that most schedules have."""

MOST = 1_000
"""How many are kept: who looks at that many has one reason to mend, not a thousand."""


class Overdue(NamedTuple):
    """What should have run by now and didn't: a job, for a `tenant`; None for all of them, or for a job without.

    `schedule` is the key of its schedule, `due_at` when it should have run (microseconds UTC), `run` the id of its run,
    None where the schedule has not even fired. `reason` says why, as far as it is known.
    """

    job: str
    schedule: str
    tenant: str | None
    due_at: int
    run: str | None
    reason: str


class SchedulesStatus(NamedTuple):
    """How many schedules there are, when the next of them fires (microseconds UTC), and what is overdue, by due time.

    `bots` is how many processes let them fire.
    """

    total: int
    next_fire: int | None
    bots: int
    overdue: list[Overdue]


def look(
    states: Sequence[ScheduleState],
    late: Sequence[LateWork],
    pauses: Sequence[Pause],
    bots: int,
    now: int,
    *,
    times: DueTimes | None = None,
) -> SchedulesStatus:
    """Tell how schedules are at `now` (microseconds UTC), from what the ledger keeps of them and of their work.

    `late` is their work that is late by `GRACE`. What is paused doesn't count: that it doesn't run is meant. At most
    `MOST` of what is overdue is told, the earliest. Who looks again and again keeps the `times`.
    """
    there = [state for state in states if not state.gone]
    times = DueTimes() if times is None else times
    coming: list[int] = []
    overdue = [Overdue(*work) for work in late]
    for state in there:
        mark = mark_of(state)
        first = times.first_after(mark, state.cron, state.zone)
        is_past = first is not None and first <= now
        following = times.first_after(now, state.cron, state.zone) if is_past else first
        if following is not None:
            coming.append(following)
        if not is_paused(state.job, pauses):
            overdue += _overdue(state, mark, first if is_past else None, bots, now)
    overdue.sort(key=lambda one: (one.due_at, one.job, one.schedule, one.tenant or ""))
    return SchedulesStatus(len({state.schedule for state in there}), min(coming, default=None), bots, overdue[:MOST])


def _overdue(state: ScheduleState, mark: int, first: int | None, bots: int, now: int) -> Iterator[Overdue]:
    """Give what is overdue of a schedule in a zone: `first` is its first time after its `mark`, None if it comes."""
    whose = f", for tenants in {state.zone}" if state.by_tenant else ""
    if first is not None and first < now - GRACE:
        running = f"though {bots:,} bot{' runs' if bots == 1 else 's run'}, see `check`" if bots else "as no bot runs"
        yield Overdue(state.job, state.key, None, first, None, f"not fired since, {running}{whose}")
    elif state.missed == mark:  # nothing has fired after it
        yield Overdue(state.job, state.key, None, mark, None, f"missed, and let go (catch_up){whose}")


def mark_of(state: ScheduleState) -> int:
    """Give the time (microseconds UTC) at or before which a schedule doesn't fire: its last fire, or since it is known.

    It is ahead of the clock where that was set back.
    """
    return max(state.since, state.fired or 0)


def is_paused(job: str, pauses: Sequence[Pause]) -> bool:
    """Tell whether nothing of a job starts at all."""
    return any(pause.tenant is None and pause.job in {None, job} for pause in pauses)
