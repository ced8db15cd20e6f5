from __future__ import annotations

import itertools
import json
import logging
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from pinstripe.json_values import MAX_BYTES, MAX_DEPTH, article, copy_of, show, size, why_not_json, write_result

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXTS = st.text(st.characters(exclude_characters="\0", codec="utf-8"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=20,
)


def circle() -> list[Any]:
    it: list[Any] = []
    it += [it, it]
    return it


def nested(levels: int) -> list[Any]:
    it: list[Any] = []
    for _ in range(levels - 1):
        it = [it]
    return it


def numbers() -> Iterator[str]:
    """Number test cases, since pytest can't write the values of some, and others' are too long for a name."""
    return (str(number) for number in itertools.count())


class Text(str):
    __slots__ = ()


@dataclass
class Point:
    x: int


class Model(BaseModel):
    day: date


@given(JSON)
def test_json_is_json(value: Any) -> None:
    assert why_not_json(value) is None
    assert size(value) == len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def test_a_copy_shares_nothing_at_any_depth() -> None:
    value: dict[str, Any] = {"lists": [["a"], {"in": ["b"]}]}
    copied = copy_of(value)
    copied["lists"][0].append("c")
    copied["lists"][1]["in"].append("d")
    copied["lists"].append("e")
    assert value == {"lists": [["a"], {"in": ["b"]}]}


@given(JSON)
def test_a_copy_is_equal_and_shares_nothing_that_can_change(value: Any) -> None:
    copied = copy_of(value)
    assert copied == value
    if isinstance(value, list | dict):
        assert copied is not value


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ((1,), "(1,), which is not JSON but a tuple"),
        ({1}, "{1}, which is not JSON but a set"),
        (b"x", "b'x', which is not JSON but a bytes"),
        (Text("x"), "'x', which is not JSON but a Text"),
        (date(2026, 1, 2), "datetime.date(2026, 1, 2), which is not JSON but a date"),
        ([1, {"a": [object]}], "<class 'object'>, which is not JSON but a type (at [1].a[0])"),
        (float("nan"), "nan, which JSON doesn't have"),
        ({"a": float("-inf")}, "-inf, which JSON doesn't have (at a)"),
        ("a\0", "a text with a NUL character, which PostgreSQL can't keep"),
        (
            ["\ud800"],
            "a text that is not valid Unicode (it has a lone surrogate, as from bytes that aren't UTF-8) (at [0])",
        ),
        ({"a": {"\0": 1}}, "a text with a NUL character, which PostgreSQL can't keep (at a)"),
        ({1: 2}, "the key 1, which is not text"),
        ({None: 2}, "the key None, which is not text"),
        (10**4000, "an integer of too many digits"),
        (nested(MAX_DEPTH + 1), "something nested deeper than 100 levels, or in itself"),
        (circle(), "something nested deeper than 100 levels, or in itself"),
    ],
    ids=numbers(),
)
def test_what_is_not(value: object, reason: str) -> None:
    assert why_not_json(value) == reason


def test_the_limits_themselves_are_fine() -> None:
    assert why_not_json(nested(MAX_DEPTH)) is None
    assert why_not_json(-(10**3900)) is None


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("it", "'it'"),
        ("x" * 100, "a str of 100 characters"),
        (b"x" * 100, "a bytes of 100 bytes"),
        ([1] * 10_000, "a list of 10,000 items"),
        ("x\n", r"'x\n'"),
        (10**5000, "an int"),
        (Point(10**79), "Point(x=1" + "0" * 70 + "…"),
    ],
    ids=numbers(),
)
def test_what_is_shown(value: object, shown: str) -> None:
    assert show(value) == shown
    assert len(shown) <= 80


def test_a_value_that_cannot_show_itself() -> None:
    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError

    assert show(Odd()) == "an Odd"
    assert article("tuple") == "a tuple"


# Results


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, None),
        (3, "3"),
        (False, "false"),
        ("ä", '"ä"'),
        ((1, [2]), "[1,[2]]"),
        ({"a": date(2026, 1, 2)}, '{"a":"2026-01-02"}'),
        (Model(day=date(2026, 1, 2)), '{"day":"2026-01-02"}'),
        ([Point(1)], '[{"x":1}]'),
        (Decimal("1.50"), '"1.50"'),
        ({1}, "[1]"),
        ("\\u0000", r'"\\u0000"'),
        ("x" * (MAX_BYTES - 2), '"' + "x" * (MAX_BYTES - 2) + '"'),
    ],
)
def test_results(value: object, written: str | None, caplog: pytest.LogCaptureFixture) -> None:
    assert write_result(value) == written
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("value", "warning"),
    [
        (object(), "the result was dropped: an object can't be written as JSON (Unable to serialize unknown type"),
        (float("nan"), "the result was dropped: a float can't be written as JSON"),
        ([Decimal(1), float("inf")], "the result was dropped: a list can't be written as JSON (Infinity is not JSON)"),
        (circle(), "the result was dropped: a list can't be written as JSON"),
        (nested(100_000), "the result was dropped: a list can't be written as JSON"),
        ("\ud800", "the result was dropped: a str can't be written as JSON"),
        ("a\0", "the result was dropped: a str can't be written as JSON (a text with a NUL character"),
        (b"\xff", "the result was dropped: a bytes can't be written as JSON"),
        (10**5000, "the result was dropped: an int can't be written as JSON"),
        ("x" * (MAX_BYTES - 1), "the result was dropped: it has 65537 bytes of JSON, and at most 65536 are kept"),
        ("ä" * MAX_BYTES, "the result was dropped: it has 131074 bytes of JSON, and at most 65536 are kept"),
    ],
    ids=numbers(),
)
def test_a_result_that_cannot_be_kept_is_dropped_with_a_warning(
    value: object, warning: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert write_result(value, logging.getLogger("send_newsletter")) is None
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("send_newsletter", "WARNING")
    assert record.getMessage().startswith(warning)
