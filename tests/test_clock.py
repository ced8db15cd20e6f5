from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from pinstripe.clock import SystemClock, to_datetime, to_iso, to_microseconds

ANY_ZONE = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
ANY_MOMENT = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=ANY_ZONE)  # noqa: DTZ001 - hypothesis adds the zone


@given(ANY_MOMENT)
def test_a_moment_survives_as_microseconds(moment: datetime) -> None:
    assert to_datetime(to_microseconds(moment)) == moment
    assert to_datetime(to_microseconds(moment)).tzinfo is UTC


@given(st.integers(-(10**15), 7 * 10**15))
def test_microseconds_survive_as_a_moment(microseconds: int) -> None:
    assert to_microseconds(to_datetime(microseconds)) == microseconds


@given(ANY_MOMENT)
def test_iso_is_read_back_as_the_same_moment(moment: datetime) -> None:
    text = to_iso(moment)
    assert text.endswith("Z")
    assert len(text) == len("2026-11-21T20:00:00.000000Z")
    assert datetime.fromisoformat(text) == moment


@given(ANY_MOMENT, ANY_MOMENT)
def test_iso_sorts_as_time_does(one: datetime, other: datetime) -> None:
    assert (to_iso(one) < to_iso(other)) == (one < other)


def test_iso_has_microseconds_also_where_there_are_none() -> None:
    assert to_iso(datetime(2026, 11, 21, 20, tzinfo=UTC)) == "2026-11-21T20:00:00.000000Z"


def test_the_clock_of_the_machine() -> None:
    clock = SystemClock()
    before = time.time_ns() // 1_000
    assert before <= clock.now() <= time.time_ns() // 1_000
    assert clock.monotonic() <= clock.monotonic()
