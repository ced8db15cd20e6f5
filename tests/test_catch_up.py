"""Which missed times fire: held to a plain oracle, which lists all times and then chooses."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.catch_up import LATE, LONGEST, Due, find_due, next_time
from pinstripe.clock import to_datetime, to_microseconds
from pinstripe.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

SECOND = 1_000_000
NOON = to_microseconds(datetime(2026, 11, 20, 12, tzinfo=UTC))

LINES = ["* * * * * *", "*/7 * * * * *", "* * * * *", "*/15 * * * *", "0 * * * *", "30 2 * * *", "0 9 * * MON"]
LINES += ["15 0 1 * *", "0 0 L * *", "0 12 29 2 *", "*/5 * 3 1 * *", "* * 11 * *"]
ZONES = ["UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
CATCH_UP = st.sampled_from(["latest", "none"])

# How long ago the last fire was: around each limit, and far beyond.
GAPS = st.one_of(
    st.integers(1, 30 * SECOND),
    st.integers(0, 20).map(lambda steps: LATE - 10 + steps),
    st.integers(0, 20).map(lambda steps: LONGEST - 10 + steps),
    st.integers(0, 90 * 60 * SECOND),
    st.integers(0, 40 * 3600 * SECOND),
    st.integers(0, 400 * 24 * 3600 * SECOND),
)


def listed(schedule: Schedule, zone: tzinfo, after: int, now: int) -> Iterator[int]:
    moments = schedule.fires(to_datetime(after), zone)
    return map(to_microseconds, takewhile(lambda moment: moment <= to_datetime(now), moments))


def oracle(schedule: Schedule, zone: tzinfo, after: int, now: int) -> Due:
    """Say what product.md says, of a list of all times."""
    times = list(listed(schedule, zone, after, now))
    recent = [at for at in times if now - at < LATE]
    missed = [at for at in times if now - at >= LATE]
    if not missed:
        return Due(recent, None, caught_up=False)
    if schedule.catch_up == "none":
        return Due(recent, missed[-1], caught_up=False)
    if recent:
        return Due(recent, None, caught_up=False)
    if now - missed[-1] <= LONGEST:
        return Due(missed[-1:], None, caught_up=True)
    return Due([], missed[-1], caught_up=False)


@given(
    line=st.sampled_from(LINES),
    zone=st.sampled_from(ZONES),
    catch_up=CATCH_UP,
    now=st.integers(NOON - 400 * 24 * 3600 * SECOND, NOON),
    gap=GAPS,
)
def test_it_is_what_a_list_of_all_times_says(
    line: str, zone: str, catch_up: Literal["latest", "none"], now: int, gap: int
) -> None:
    if line.startswith("*") and line.endswith("* * *"):
        gap %= 2 * 3600 * SECOND  # a list of all seconds of a year is long
    schedule = Schedule(line, catch_up=catch_up)
    assert find_due(schedule, ZoneInfo(zone), now - gap, now) == oracle(schedule, ZoneInfo(zone), now - gap, now)


@pytest.mark.parametrize("catch_up", ["latest", "none"])
@pytest.mark.parametrize(("late", "is_missed"), [(0, False), (LATE - 1, False), (LATE, True), (LATE + 1, True)])
def test_a_time_is_late_and_not_missed_for_five_seconds(
    catch_up: Literal["latest", "none"], late: int, is_missed: bool
) -> None:
    due = find_due(Schedule("0 12 * * *", catch_up=catch_up), UTC, NOON - SECOND, NOON + late)
    if not is_missed:
        assert due == Due([NOON], None, caught_up=False)
    elif catch_up == "latest":
        assert due == Due([NOON], None, caught_up=True)
    else:
        assert due == Due([], NOON, caught_up=False)


@pytest.mark.parametrize(("old", "fires"), [(LONGEST, True), (LONGEST + 1, False)])
def test_a_missed_time_is_caught_up_for_a_day(old: int, fires: bool) -> None:
    due = find_due(Schedule("0 12 20 11 *"), UTC, NOON - SECOND, NOON + old)
    assert due == (Due([NOON], None, caught_up=True) if fires else Due([], NOON, caught_up=False))


@pytest.mark.parametrize("catch_up", ["latest", "none"])
def test_each_time_of_the_last_seconds_fires_and_nothing_older(catch_up: Literal["latest", "none"]) -> None:
    now = NOON + 500_000
    due = find_due(Schedule("* * * * * *", catch_up=catch_up), UTC, NOON - 60 * SECOND, now)
    last = [NOON - n * SECOND for n in (4, 3, 2, 1, 0)]
    assert due == Due(last, None if catch_up == "latest" else NOON - 5 * SECOND, caught_up=False)


def test_the_mark_itself_does_not_fire_again() -> None:
    schedule = Schedule("0 12 * * *")
    assert find_due(schedule, UTC, NOON, NOON + SECOND) == Due([], None, caught_up=False)
    assert find_due(schedule, UTC, NOON, NOON - SECOND) == Due([], None, caught_up=False)  # the clock went back
    assert next_time(schedule, UTC, NOON) == NOON + 24 * 3600 * SECOND
    assert next_time(schedule, UTC, NOON - 1) == NOON


@pytest.mark.parametrize("catch_up", ["latest", "none"])
@pytest.mark.parametrize("days", [2, 400, 9_000])
@pytest.mark.parametrize("line", ["* * * * * *", "* * * * *"])
def test_a_long_gap_is_not_walked(catch_up: Literal["latest", "none"], days: int, line: str) -> None:
    # All seconds of 25 years are 800 million; what is looked at doesn't grow with the gap.
    schedule = Schedule(line, catch_up=catch_up)
    began = time.process_time()
    due = find_due(schedule, UTC, NOON - days * 24 * 3600 * SECOND, NOON + 30 * SECOND)
    assert time.process_time() - began < 1
    last = NOON + 25 * SECOND if line.startswith("* * * * * *") else NOON
    recent = [at for at in range(NOON + 26 * SECOND, NOON + 31 * SECOND, SECOND) if line.startswith("* * * * * *")]
    if catch_up == "none":
        assert due == Due(recent, last, caught_up=False)
    else:
        assert due == Due(recent or [last], None, caught_up=not recent)


@pytest.mark.parametrize("catch_up", ["latest", "none"])
def test_the_last_of_many_in_a_row_is_found(catch_up: Literal["latest", "none"]) -> None:
    schedule = Schedule("* * * 1 * *", catch_up=catch_up)
    last = to_microseconds(datetime(2026, 11, 1, 23, 59, 59, tzinfo=UTC))
    assert find_due(schedule, UTC, NOON - 300 * 24 * 3600 * SECOND, NOON) == Due([], last, caught_up=False)


@pytest.mark.parametrize("now", [NOON + offset * SECOND + 1 for offset in range(0, 3600, 367)])
def test_the_last_of_many_long_ago_is_found_to_the_second(now: int) -> None:
    last = NOON - 3 * 3600 * SECOND - SECOND
    due = find_due(Schedule("* * 0-8 * * *"), UTC, NOON - 100 * 3600 * SECOND, now)
    assert due == Due([last], None, caught_up=True)


@pytest.mark.parametrize("years", [1, 9, 40])
def test_the_last_of_rare_times_is_found(years: int) -> None:
    now = to_microseconds(datetime(2023, 7, 1, tzinfo=UTC))
    after = now - timedelta(days=years * 366 + 1100) // timedelta(microseconds=1)
    leap_day = to_microseconds(datetime(2020, 2, 29, 12, tzinfo=UTC))
    assert find_due(Schedule("0 12 29 2 *"), UTC, after, now) == Due([], leap_day, caught_up=False)


def test_a_calendar_ends() -> None:
    schedule = Schedule("0 12 1 1 *")
    last = to_microseconds(datetime(9998, 12, 31, 12, tzinfo=UTC))
    assert next_time(schedule, UTC, last) == to_microseconds(datetime(9999, 1, 1, 12, tzinfo=UTC))
    assert next_time(Schedule("0 12 29 2 *"), UTC, last) is None  # the next leap year would be 10000
