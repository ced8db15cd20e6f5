from __future__ import annotations

import pickle
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, StrEnum
from pathlib import Path, PurePath
from uuid import UUID

import pytest

from pinstripe.comparisons import COMPARISONS, Checks, TextValue, parse_condition, parse_key, read_lookups
from pinstripe.errors import ConfigurationError


def holds(found: object, **lookups: object) -> bool:
    answers = [Checks(lookup)[type(found)](found) for lookup in read_lookups(lookups)]
    assert all(type(answer) is bool for answer in answers)
    return all(answers)


class Plan(Enum):
    FREE = "free"
    PRO = "pro"


class Colour(StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("found", "key", "value", "answer"),
    [
        ("pro", "x", "pro", True),
        ("pro", "x", "Pro", False),
        ("pro", "x__ne", "free", True),
        (5, "x__lt", 6, True),
        (5, "x__gt", 5, False),
        (5, "x__le", 5, True),
        (5, "x__ge", 5.5, False),
        ("straße", "x__begins_with", "str", True),
        ("a%b", "x__contains", "%", True),
        ("ab", "x__contains", "_", False),
        ("acme", "x__ends_with", "ME", False),
        (True, "x", 1, True),
        (0, "x", False, True),
        (Decimal("1.50"), "x", 1.5, True),
        (Plan.PRO, "x", Plan.PRO, True),
        (Colour.RED, "x", "red", True),
        (date(2026, 1, 2), "x__gt", date(2026, 1, 1), True),
        (b"ab", "x", b"ab", True),
        ({"a": 1}, "x", {"a": 1}, True),
        ([1], "x", [[1], [2]], True),
        (Path("/a"), "x", PurePath("/a"), True),
    ],
)
def test_values_are_compared(found: object, key: str, value: object, answer: bool) -> None:
    assert holds(found, **{key: value}) is answer


@pytest.mark.parametrize("null", [None, float("nan"), Decimal("nan")])
def test_a_null_passes_only_the_question_for_null(null: object) -> None:
    assert holds(null, x=None)
    assert not holds(null, x__ne=None)
    assert not holds(null, x__ne=5)
    assert not holds(null, x__ne=[])
    assert not holds(null, x=5)
    assert not holds(null, x__lt=5)
    assert holds(null, x=[None, 5])
    assert not holds(5, x=None)
    assert holds(5, x__ne=None)
    assert not holds(5, x__ne=[None, 5])
    assert holds(6, x__ne=[None, 5])


@pytest.mark.parametrize("many", [["a", "b"], ("a", "b"), {"a", "b"}, frozenset("ab")])
def test_a_collection_is_any_of_and_for_ne_none_of(many: object) -> None:
    assert holds("a", x=many)
    assert not holds("c", x=many)
    assert holds("c", x__ne=many)
    assert not holds("b", x__ne=many)
    assert holds("ab", x__begins_with=many)
    assert holds("cb", x__contains=many)
    assert holds("aa", x__lt=many)


@pytest.mark.parametrize("comparison", COMPARISONS)
def test_an_empty_collection_matches_nothing_and_for_ne_all_but_null(comparison: str) -> None:
    key = f"x__{comparison}".removesuffix("__")
    assert holds("a", **{key: []}) is (comparison == "ne")
    assert holds(5, **{key: []}) is (comparison == "ne")
    assert not holds(None, **{key: []})


@pytest.mark.parametrize(
    ("found", "key", "value", "words"),
    [
        ("5", "x", 5, r"where\(x=5\): expected x to be a number \(int\), got text"),
        (5, "x", "5", "expected x to be text, got a number"),
        (5, "x__ne", "5", "expected x to be text"),
        (5, "x__contains", "5", r"where\(x__contains='5'\): expected x to be text, got a number"),
        (Plan.PRO, "x", "pro", "expected x to be text, got Plan"),
        (Plan.PRO, "x__lt", Plan.FREE, "can't be compared so: TypeError"),
        (datetime(2026, 1, 1, tzinfo=UTC), "x", date(2026, 1, 1), "expected x to be date, got datetime"),
        (datetime(2026, 1, 1, tzinfo=UTC), "x", datetime(2026, 1, 1), "without a time zone, got a datetime with"),  # noqa: DTZ001
        (datetime(2026, 1, 1), "x__lt", datetime(2026, 1, 1, tzinfo=UTC), "with a time zone, got a datetime without"),  # noqa: DTZ001
        (3, "x__lt", 2j, "can't be compared so: TypeError"),
        (UUID(int=1), "x", str(UUID(int=1)), "expected x to be text, got UUID"),
    ],
)
def test_unlike_values_are_an_error_that_says_so(found: object, key: str, value: object, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        holds(found, **{key: value})


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("x__like", "a", "one of __ne, __lt, .*got 'like'"),
        ("x__beginswith", "a", "nearest is x__begins_with"),
        ("__ne", "a", "expected an attribute"),
        ("x__", "a", "expected an attribute"),
        ("", "a", "expected an attribute"),
        ("x__lt", None, "ask x=None or x__ne=None"),
        ("x__ge", [1, None], "None has no order"),
        ("x__contains", None, "expected text to compare with, got NoneType"),
        ("x__contains", 5, "expected text"),
        ("x", float("nan"), "NaN"),
        ("x", [1, "a"], r"values of one kind, got a number \(int\) and text"),
        ("x__gt", TextValue("null"), "None has no order"),
    ],
)
def test_a_lookup_that_makes_no_sense_is_refused_at_once(key: str, value: object, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        read_lookups({key: value})


def test_keys_are_taken_apart() -> None:
    assert [parse_key(key) for key in ("plan", "seats__ge", "a__b__ne", "_x")] == [
        ("plan", ""),
        ("seats", "ge"),
        ("a__b", "ne"),
        ("_x", ""),
    ]


def test_conditions_of_the_command_line() -> None:
    assert parse_condition("plan=pro") == ("plan", "pro")
    assert parse_condition("seats__ge=5") == ("seats__ge", "5")
    assert parse_condition("name=a=b") == ("name", "a=b")
    assert parse_condition("name=") == ("name", "")
    assert isinstance(parse_condition("plan=pro")[1], TextValue)
    for wrong in ("plan", "=pro", "", "seats>=5", "plan!=free", "plan==pro"):
        with pytest.raises(ConfigurationError, match="expected KEY=VALUE"):
            parse_condition(wrong)
    with pytest.raises(ConfigurationError, match="nearest is seats__ge"):
        parse_condition("seats__gee=5")


def test_text_is_read_by_the_type_of_what_is_found() -> None:
    text = TextValue("1")
    assert holds(1, x=text)
    assert holds(True, x=text)
    assert holds("1", x=text)
    assert holds(1.0, x=text)
    assert holds(None, x=TextValue("null"))
    assert not holds("null", x=TextValue("null"))
    assert holds("null", x__begins_with=TextValue("null"))
    assert holds("pro", x__ne=TextValue("null"))
    with pytest.raises(ConfigurationError, match=r"where\(x__ge=many\): expected a number, got 'many'"):
        holds(1, x__ge=TextValue("many"))


def test_text_times_follow_the_zone_of_what_is_found() -> None:
    early = TextValue("2026-01-01T00:00:00")
    assert holds(datetime(2026, 1, 2), x__gt=early)  # noqa: DTZ001
    assert holds(datetime(2026, 1, 1, tzinfo=UTC), x=early)
    with pytest.raises(ConfigurationError, match="without an offset"):
        holds(datetime(2026, 1, 2), x__gt=TextValue("2026-01-01T00:00:00Z"))  # noqa: DTZ001


def test_one_lookup_serves_both_kinds_of_datetime() -> None:
    check = Checks(read_lookups({"x__gt": TextValue("2026-01-01")})[0])[datetime]
    assert [check(datetime(2026, 1, 2, tzinfo=zone)) for zone in (None, UTC, None)] == [True, True, True]


def test_lookups_are_values_that_pickle_and_read_as_written() -> None:
    lookups = read_lookups({"plan": "pro", "seats__ge": TextValue("5"), "city__ne": ["a", "b"]})
    assert pickle.loads(pickle.dumps(lookups)) == lookups
    assert [str(lookup) for lookup in lookups] == ["plan='pro'", "seats__ge=5", "city__ne=['a', 'b']"]
