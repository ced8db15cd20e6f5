from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinstripe.clock import to_datetime, to_microseconds
from pinstripe.cron import fires
from pinstripe.fires import LateWork, ScheduleState
from pinstripe.overdue import GRACE, MOST, Overdue, SchedulesStatus, look
from pinstripe.queue import Pause
from pinstripe.time_zones import find_zone

if TYPE_CHECKING:
    from collections.abc import Sequence

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


def at(hour: int, minute: int = 0, second: int = 0, *, day: int = 22) -> int:
    """Give a time of November 2026."""
    return to_microseconds(datetime(2026, 11, day, hour, minute, second, tzinfo=UTC))


def state(
    cron: str = "0 * * * *",
    zone: str = "UTC",
    *,
    number: int = 1,
    job: str = "greet",
    by_tenant: bool = False,
    since: int = at(0, 0, 1, day=1),
    fired: int | None = None,
    missed: int | None = None,
    gone: bool = False,
) -> ScheduleState:
    return ScheduleState(number, job, f"{cron} {zone}", cron, zone, by_tenant, since, fired, missed, gone)


def seen(
    *states: ScheduleState,
    now: int = at(9, 30),
    late: Sequence[LateWork] = (),
    pauses: Sequence[Pause] = (),
    bots: int = 1,
) -> SchedulesStatus:
    return look(states, late, pauses, bots, now)


def test_without_schedules_there_is_nothing() -> None:
    assert seen() == SchedulesStatus(0, None, 1, [])


def test_a_schedule_that_has_fired_is_in_order() -> None:
    assert seen(state(fired=at(9))) == SchedulesStatus(1, at(10), 1, [])


def test_a_schedule_that_is_new_is_in_order() -> None:
    assert seen(state(since=at(9, 10))) == SchedulesStatus(1, at(10), 1, [])


@pytest.mark.parametrize(
    ("bots", "why"),
    [(0, "as no bot runs"), (1, "though 1 bot runs, see `check`"), (2, "though 2 bots run, see `check`")],
)
def test_a_schedule_that_has_not_fired_is_overdue_since_its_first_time(bots: int, why: str) -> None:
    status = seen(state(fired=at(6)), bots=bots)
    assert status.overdue == [Overdue("greet", "0 * * * * UTC", None, at(7), None, f"not fired since, {why}")]
    assert (status.next_fire, status.bots) == (at(10), bots)


def test_it_may_be_late_by_a_minute() -> None:
    late = state(fired=at(8))
    assert seen(late, now=at(9) + GRACE).overdue == []
    assert len(seen(late, now=at(9) + GRACE + 1).overdue) == 1
    assert seen(late, now=at(9)).next_fire == at(10)


def test_what_was_missed_before_it_was_known_is_nothing() -> None:
    assert seen(state(fired=at(5), since=at(9, 5))).overdue == []


def test_each_zone_counts() -> None:
    paris = state("0 9 * * *", "Europe/Paris", by_tenant=True, fired=at(8, day=21))
    tokyo = state("0 9 * * *", "Asia/Tokyo", by_tenant=True, fired=at(0))
    status = seen(paris, tokyo, bots=0)
    assert (status.total, status.next_fire) == (1, at(0, day=23))
    assert [(one.due_at, one.reason) for one in status.overdue] == [
        (at(8), "not fired since, as no bot runs, for tenants in Europe/Paris")
    ]


def test_a_time_that_was_let_go_is_told_until_the_next_fire() -> None:
    (one,) = seen(state(fired=at(9), missed=at(9))).overdue
    assert one == Overdue("greet", "0 * * * * UTC", None, at(9), None, "missed, and let go (catch_up)")
    assert seen(state(fired=at(9), missed=at(8))).overdue == []
    (zone,) = seen(state(fired=at(9), missed=at(9), by_tenant=True)).overdue
    assert zone.reason.endswith(", for tenants in UTC")


def test_of_a_time_let_go_and_one_that_did_not_fire_the_later_counts() -> None:
    (one,) = seen(state(fired=at(7), missed=at(7)), bots=0).overdue
    assert (one.due_at, one.reason) == (at(8), "not fired since, as no bot runs")


def test_a_schedule_that_was_changed_has_missed_nothing() -> None:
    assert seen(state(fired=at(9), missed=at(9), since=at(9, 5))).overdue == []


def test_what_is_gone_is_nothing() -> None:
    assert seen(state(fired=at(5), gone=True)) == SchedulesStatus(0, None, 1, [])


@pytest.mark.parametrize(
    ("pause", "counts"),
    [
        (Pause(None, None, 0), False),
        (Pause("greet", None, 0), False),
        (Pause("bill", None, 0), True),
        (Pause("greet", "acme", 0), True),
        (Pause(None, "acme", 0), True),
    ],
)
def test_a_job_that_is_paused_is_not_overdue(pause: Pause, *, counts: bool) -> None:
    states = state(fired=at(5)), state(fired=at(9), missed=at(9), number=2)
    status = seen(*states, pauses=[pause])
    assert len(status.overdue) == (2 if counts else 0)
    assert (status.total, status.next_fire) == (2, at(10))


def test_a_clock_that_was_put_back_makes_nothing_overdue() -> None:
    assert seen(state(fired=at(9)), now=at(3)) == SchedulesStatus(1, at(10), 1, [])


def test_late_work_comes_in_the_order_of_its_due_time() -> None:
    late = [LateWork("bill", "daily", tenant, at(8), "r1", "waits for a worker") for tenant in ("b", "a")]
    found = seen(state(fired=at(6)), state(fired=at(7), job="apply"), late=late).overdue
    assert [(one.job, one.tenant) for one in found] == [("greet", None), ("apply", None), ("bill", "a"), ("bill", "b")]
    assert found[2] == Overdue("bill", "daily", "a", at(8), "r1", "waits for a worker")


def test_no_more_are_told_than_anybody_reads() -> None:
    late = [LateWork("bill", "daily", f"{n}", at(8), "r1", "waits for a worker") for n in range(MOST)]
    found = seen(state(fired=at(6)), late=late).overdue
    assert (len(found), found[0].job) == (MOST, "greet")


@pytest.mark.parametrize("bad", [state(zone="Mars/Olympus"), state("0 0 * * 1W"), state("not cron")])
def test_what_this_machine_cannot_read_stops_nobody(bad: ScheduleState) -> None:
    assert seen(bad, state(fired=at(6), number=2)).overdue != []
    assert seen(bad) == SchedulesStatus(1, None, 1, [])


def test_a_line_without_another_time_is_in_order() -> None:
    assert seen(state("0 0 1 1 *", since=to_microseconds(datetime(9999, 6, 1, tzinfo=UTC)))).next_fire is None


LINES = st.sampled_from(["0 * * * *", "*/5 * * * *", "30 2 * * *", "0 0 1 * *", "0 9 * * MON", "*/10 * * * * *"])
ZONES = st.sampled_from(["UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe"])


@settings(max_examples=100, deadline=None)
@given(LINES, ZONES, st.integers(-90 * 24 * HOUR, 0), st.integers(0, 40 * 24 * HOUR))
def test_overdue_is_what_has_a_time_between_the_mark_and_a_minute_ago(
    cron: str, zone: str, since: int, passed: int
) -> None:
    mark = at(9) + since
    now = mark + passed
    times = fires(cron, to_datetime(mark), find_zone(zone))
    first = to_microseconds(next(times))
    status = seen(state(cron, zone, since=mark), now=now)
    assert [one.due_at for one in status.overdue] == ([first] if first < now - GRACE else [])
    assert status.next_fire == (
        first if first > now else to_microseconds(next(fires(cron, to_datetime(now), find_zone(zone))))
    )


def test_ten_thousand_schedules_are_looked_at_in_a_second() -> None:
    zones = [
        "Europe/Paris",
        "Asia/Tokyo",
        "America/New_York",
        "Australia/Lord_Howe",
        *(f"Etc/GMT+{n}" for n in range(9)),
    ]
    states = [
        state(f"{n % 60} {n % 24} * * *", zones[n % len(zones)], number=n, fired=at(0, day=20 + n % 3))
        for n in range(10_000)
    ]
    began = time.process_time()
    status = look(states, [], [], 0, at(9, 30))
    assert time.process_time() - began < 2.0  # a quarter of that where the machine has nothing else to do
    assert (status.total, len(status.overdue)) == (10_000, MOST)
