from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.duration import parse_duration, write_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("5m", 300),
        ("2h", 7200),
        ("7d", 604800),
        ("250ms", 0.25),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("1d2h3m4s5ms", 93784.005),
        (" 0s ", 0),
    ],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


def test_a_timedelta_is_taken_as_it_is() -> None:
    assert parse_duration(timedelta(minutes=3)) == timedelta(minutes=3)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "30",
        "s",
        "-5s",
        "5 m",
        "30m1h",
        "5m5m",
        "1w",
        "5M",
        "1e3s",
        "٣s",
        "999999999999d",
        31,
        1.5,
        None,
        True,
        timedelta(seconds=-1),
    ],
)
def test_anything_else_is_refused_with_the_form(value: Any) -> None:
    with pytest.raises(ValueError, match="expected a duration such as '30s', '5m', '2h', '7d'"):
        parse_duration(value)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(0), "0s"),
        (timedelta(seconds=25), "25s"),
        (timedelta(days=7), "7d"),
        (timedelta(minutes=90), "1h30m"),
        (timedelta(milliseconds=250), "250ms"),
        (timedelta(microseconds=1), "0.001ms"),
        (timedelta(seconds=1, microseconds=1500), "1s1.5ms"),
    ],
)
def test_durations_are_written_as_people_do(duration: timedelta, text: str) -> None:
    assert write_duration(duration) == text


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=100_000)))
def test_what_is_written_is_read_back(duration: timedelta) -> None:
    assert parse_duration(write_duration(duration)) == duration
