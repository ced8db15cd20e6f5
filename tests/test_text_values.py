from __future__ import annotations

import json
import pickle
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum, StrEnum
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.text_values import TextValue


class Plan(Enum):
    FREE = 1
    PRO = "pro"


class Colour(StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("pro", "pro"),
        ("Yes", True),
        ("false", False),
        ("0", False),
        ("12", 12),
        ("-3", -3),
        ("2.5", 2.5),
        ("1e3", Decimal(1000)),
        ("pro", Plan.PRO),
        ("FREE", Plan.FREE),
        ("1", Plan.FREE),
        ("red", Colour.RED),
        ("2026-01-02", date(2026, 1, 2)),
        ("20:15", time(20, 15)),
        ("00000000-0000-0000-0000-000000000001", UUID(int=1)),
    ],
)
def test_it_is_read_by_type(text: str, value: object) -> None:
    read = TextValue(text).read_as(type(value))
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("maybe", bool, "expected true, false, yes, no, 1 or 0, got 'maybe'"),
        ("2", bool, "expected true"),
        ("five", int, "expected a number, got 'five'"),
        ("nan", float, "expected a number"),
        ("nan", int, "expected a number"),
        ("x", Decimal, "expected a number"),
        ("gold", Plan, "expected one of 1, pro, got 'gold'"),
        ("tomorrow", date, "expected a date"),
        ("noon", time, "expected a time of day"),
        ("soon", datetime, "expected a time as"),
        ("1", UUID, "expected a UUID"),
        ("a", list, "not a list"),
    ],
)
def test_what_cannot_be_read_says_what_was_expected(text: str, kind: type, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TextValue(text).read_as(kind)


def test_whole_numbers_may_be_asked_for_fractions_and_truths() -> None:
    assert TextValue("2.5").read_as(int) == Decimal("2.5")
    assert TextValue("true").read_as(int) == 1


def test_a_datetime_without_offset_is_utc_where_zones_are_known() -> None:
    assert TextValue("2026-01-01").read_as(datetime, aware=True) == datetime(2026, 1, 1, tzinfo=UTC)
    assert TextValue("2026-01-01T00:00:00Z").read_as(datetime, aware=True) == datetime(2026, 1, 1, tzinfo=UTC)
    assert TextValue("2026-01-01").read_as(datetime).tzinfo is None
    with pytest.raises(ValueError, match="without an offset"):
        TextValue("2026-01-01T00:00:00Z").read_as(datetime)


def test_only_null_is_null() -> None:
    assert TextValue("null").is_null
    assert not any(TextValue(text).is_null for text in ("none", "NULL", "", "None"))


@given(st.integers())
def test_integers_come_back(value: int) -> None:
    assert TextValue(str(value)).read_as(int) == value


@given(st.datetimes())
def test_datetimes_come_back(value: datetime) -> None:
    assert TextValue(value.isoformat()).read_as(datetime) == value


def test_it_travels_as_text() -> None:
    copy = pickle.loads(pickle.dumps(TextValue("5")))
    assert type(copy) is TextValue
    assert json.loads(json.dumps(["seats__ge", TextValue("5")])) == ["seats__ge", "5"]
