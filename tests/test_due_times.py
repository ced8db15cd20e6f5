from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from pinstripe import due_times
from pinstripe.clock import to_datetime, to_microseconds
from pinstripe.cron import fires
from pinstripe.due_times import DueTimes

if TYPE_CHECKING:
    import pytest

CRONS = ["* * * * *", "30 2 * * *", "*/20 1-3 * * *", "0 0 29 2 *"]
ZONES = ["Europe/Paris", "America/New_York", "Australia/Lord_Howe"]
CHANGE = to_microseconds(datetime(2026, 10, 25, tzinfo=UTC))
"""The day on which Paris puts its clock back."""
HOUR = timedelta(hours=1) // timedelta(microseconds=1)


@given(st.lists(st.tuples(st.integers(-5 * HOUR, 5 * HOUR), st.sampled_from(CRONS), st.sampled_from(ZONES))))
def test_what_is_known_is_what_would_be_found(asked: list[tuple[int, str, str]]) -> None:
    times = DueTimes()
    for ahead, cron, zone in asked:
        after = to_datetime(CHANGE + ahead)
        expected = next(fires(cron, after, ZoneInfo(zone)))
        assert times.first_after(CHANGE + ahead, cron, zone) == to_microseconds(expected)


def test_a_time_is_found_once_until_it_has_passed() -> None:
    found: list[int] = []

    class Counting(DueTimes):
        def walk(self, after: int, cron: str, zone: str, steps: int) -> list[int]:
            found.append(after)
            return super().walk(after, cron, zone, steps)

    times = Counting()
    due = times.first_after(CHANGE, "0 * * * *", "UTC")
    assert due == CHANGE + HOUR
    assert times.first_after(CHANGE + HOUR - 1, "0 * * * *", "UTC") == due
    assert len(found) == 1
    assert times.first_after(CHANGE + HOUR, "0 * * * *", "UTC") == CHANGE + 2 * HOUR
    assert times.first_after(CHANGE, "0 * * * *", "UTC") == due
    assert len(found) == 2
    assert times.first_after(CHANGE - 1, "0 * * * *", "UTC") == CHANGE
    assert times.first_after(CHANGE - 2 * HOUR, "0 * * * *", "UTC") == CHANGE - HOUR
    assert len(found) == 4  # of each line a few are known, not all that were ever asked for
    assert times.first_after(CHANGE + HOUR, "0 * * * *", "UTC") == CHANGE + 2 * HOUR
    assert len(found) == 4


def test_what_can_not_be_told_is_not() -> None:
    times = DueTimes()
    assert times.first_after(0, "0 * * * *", "Mars/Olympus") is None
    assert times.first_after(0, "0 * * * * * *", "UTC") is None
    assert times.walk(0, "0 * * * *", "Mars/Olympus", 3) == times.walk(0, "0 * * * * * *", "UTC", 3) == []


def test_a_walk_goes_on_from_a_time() -> None:
    assert DueTimes().walk(CHANGE, "0 * * * *", "UTC", 2) == [CHANGE + HOUR, CHANGE + 2 * HOUR]


def test_not_ever_more_lines_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(due_times, "_MOST", 2)
    times = DueTimes()
    for minute in range(5):
        times.first_after(CHANGE, f"{minute} * * * *", "UTC")
    assert len(times._spans) <= 2  # noqa: SLF001 - what it is about
