from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any, Literal, Optional
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, Field, SecretStr
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from pinstripe.coercion import from_code, from_json, from_text
from tests.test_json_values import JSON, TEXTS, numbers

NOTHING = Parameter.empty


class Colour(Enum):
    RED = 1
    BLUE = "b"


class Size(StrEnum):
    SMALL = "s"


class Level(IntEnum):
    LOW = 1


class Address(BaseModel):
    street: str
    since: date | None = None


class Customer(BaseModel):
    name: str
    address: Address = Field(alias="homeAddress")


@dataclasses.dataclass
class Point:
    x: int
    y: float = 0.5


@dataclasses.dataclass(eq=False)
class Incomparable:
    x: int


class Options(TypedDict, total=False):
    size: int


class Plain:
    pass


ROUND_TRIPS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (NOTHING, JSON),
    (Any, JSON),
    (str, TEXTS),
    (int, st.integers()),
    (float, st.floats(allow_nan=False, allow_infinity=False)),
    (bool, st.booleans()),
    (date, st.dates()),
    (datetime, st.datetimes(timezones=st.just(UTC))),
    (datetime, st.datetimes()),
    (timedelta, st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=10_000))),
    (UUID, st.uuids()),
    (Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
    (Colour, st.sampled_from(Colour)),
    (Level, st.sampled_from(Level)),
    (Path, st.just(Path("a/b"))),
    (list[int], st.lists(st.integers())),
    (set[int], st.sets(st.integers())),
    (tuple[int, str], st.tuples(st.integers(), TEXTS)),
    (dict[str, date], st.dictionaries(TEXTS, st.dates())),
    (dict[int, bool], st.dictionaries(st.integers(), st.booleans())),
    (date | None, st.none() | st.dates()),
    (int | str, st.integers() | TEXTS),
    (Literal["a", 1], st.sampled_from(["a", 1])),
    (Annotated[int, Field(ge=0)], st.integers(min_value=0)),
    (Point, st.builds(Point, st.integers(), st.floats(allow_nan=False, allow_infinity=False))),
    (Options, st.just({"size": 1})),
    (Address, st.builds(Address, street=TEXTS, since=st.none() | st.dates())),
    (list[Customer], st.lists(st.builds(Customer, name=TEXTS, homeAddress=st.builds(Address, street=TEXTS)))),
]


@pytest.mark.parametrize(("annotation", "values"), ROUND_TRIPS, ids=numbers())
@settings(max_examples=30)
@given(data=st.data())
def test_what_comes_back_is_what_was_given(
    annotation: Any, values: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    value = data.draw(values)
    try:
        written = from_code(annotation, value)
    except ValueError as error:
        assert "an integer of too many digits" in str(error)  # noqa: PT017 - only huge numbers may be refused
        return
    restored = from_json(annotation, written)
    assert restored == value
    assert type(restored) is type(value)


@pytest.mark.parametrize("annotation", [NOTHING, list[int], dict[str, list[int]]])
def test_what_is_restored_is_new_each_time(annotation: Any) -> None:
    value = {"a": [1]} if annotation == dict[str, list[int]] else [1]
    written = from_code(annotation, value)
    assert from_json(annotation, written) is not from_json(annotation, written)


def test_objects_without_equality_are_compared_by_what_is_in_them() -> None:
    assert from_code(Incomparable, Incomparable(3)) == {"x": 3}


@pytest.mark.parametrize(
    ("annotation", "value", "written"),
    [
        (float, 1, 1.0),
        (date, "2026-01-02", "2026-01-02"),
        (dict[str, date], {"a": "2026-01-02"}, {"a": "2026-01-02"}),
        (Address, {"street": "x"}, {"street": "x", "since": None}),
        (
            Customer,
            {"name": "a", "homeAddress": {"street": "x"}},
            {"name": "a", "address": {"street": "x", "since": None}},
        ),
        (Customer, {"name": "a", "address": {"street": "x"}}, {"name": "a", "address": {"street": "x", "since": None}}),
        (Colour, 1, 1),
        (tuple[int, ...], [1, 2], [1, 2]),
    ],
    ids=numbers(),
)
def test_code_may_give_the_json_of_a_value(annotation: Any, value: object, written: object) -> None:
    assert from_code(annotation, value) == written


@pytest.mark.parametrize(
    ("annotation", "value", "reason"),
    [
        (
            NOTHING,
            (1,),
            "expected JSON, found (1,), which is not JSON but a tuple; annotate the parameter with its type",
        ),
        (NOTHING, Size.SMALL, "expected JSON, found <Size.SMALL: 's'>, which is not JSON but a Size; annotate"),
        (str, 1, "expected str, found 1 (int)"),
        (str, None, "expected str, found None"),
        (str, "\0", "expected str, found a text with a NUL character, which PostgreSQL can't keep"),
        (int, "1", "expected int, found '1'"),
        (int, True, "expected int, found True (bool)"),
        (int, 1.0, "expected int, found 1.0 (float)"),
        (int, 10**5000, "expected int, found an integer of too many digits"),
        (float, float("nan"), "expected float, found nan, which JSON doesn't have"),
        (float, 2**53 + 1, "expected float, found 9007199254740993 (int)"),
        (bool, 1, "expected bool, found 1 (int)"),
        (date, 5, "expected datetime.date, found 5 (int) (Input should be a valid date)"),
        (
            date,
            datetime(2026, 1, 2, tzinfo=UTC),
            "expected datetime.date, found datetime.datetime(2026, 1, 2, 0, 0, tz",
        ),
        (list[int], ["1"], "expected list[int], found ['1'] (list) ([0]: Input should be a valid integer)"),
        (
            Address,
            {"street": 1},
            "expected tests.test_coercion.Address, found {'street': 1} (dict) (street: Input should",
        ),
        (bytes, b"\xff", r"expected bytes that survives as JSON, found b'\xff', which can't be written as JSON"),
        (list[float], [float("inf")], "expected list[float] that survives as JSON, found [inf]"),
        (list[str], ["\0"], "expected list[str] that survives as JSON, found a text with a NUL character"),
        (
            Sequence[int],
            (1,),
            "expected collections.abc.Sequence[int] that survives as JSON, found a value that reading",
        ),
        (
            SecretStr,
            SecretStr("hunter2"),
            "expected pydantic.types.SecretStr that survives as JSON, found a value that",
        ),
        (
            str | date,
            date(2026, 1, 2),
            "expected str | datetime.date that survives as JSON, found a value that reading",
        ),
        (
            Annotated[str, AfterValidator(lambda text: text + "!")],
            "a",
            "expected str that survives as JSON, found a value that reading its JSON doesn't give back",
        ),
        (Plain, Plain(), "its annotation tests.test_coercion.Plain is nothing that pydantic can write as JSON"),
    ],
    ids=numbers(),
)
def test_what_code_may_not_give(annotation: Any, value: object, reason: str) -> None:
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z") as caught:
        from_code(annotation, value)
    assert str(caught.value).startswith(reason)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (NOTHING, "3", "3"),
        (Any, "[1]", "[1]"),
        (str, " x ", " x "),
        (int, "-5", -5),
        (float, "1e3", 1000.0),
        (float, ".5", 0.5),
        (bool, "Yes", True),
        (bool, "off", False),
        (date, "2026-01-02", date(2026, 1, 2)),
        (datetime, "2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (UUID, "0199f8f2-0000-7000-8000-000000000000", UUID("0199f8f2-0000-7000-8000-000000000000")),
        (Decimal, "1.50", Decimal("1.50")),
        (timedelta, "PT90S", timedelta(seconds=90)),
        (Path, "a/b", Path("a/b")),
        (Colour, "b", Colour.BLUE),
        (Colour, "1", Colour.RED),
        (Colour, "RED", Colour.RED),
        (Level, "LOW", Level.LOW),
        (Optional[int], "5", 5),  # noqa: UP045 - authors write both
        (int | None, "null", None),
        (int | None, "None", None),
        (str | None, "none", "none"),
        (int | None, "none", None),
        (Literal["a", 1], "a", "a"),
        (Literal["a", 1], "1", 1),
        (int | str, "x", "x"),
        (list[int], "[1, 2]", [1, 2]),
        (list[str], '["a"]', ["a"]),
        (dict[str, date], '{"a": "2026-01-02"}', {"a": date(2026, 1, 2)}),
        (Address, '{"street": "x"}', Address(street="x")),
        (Point, '{"x": 1}', Point(1)),
    ],
    ids=numbers(),
)
def test_text_is_read_by_the_annotation(annotation: Any, text: str, value: object) -> None:
    read = from_json(annotation, from_text(annotation, text))
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("annotation", "text", "reason"),
    [
        (NOTHING, "a\0", "expected JSON, found a text with a NUL character"),
        (str, "\udcff", "expected str, found a text that is not valid Unicode"),
        (date, "\udcff", "expected datetime.date, found a text that is not valid Unicode"),
        (int, "1_000", "expected int, found '1_000'"),
        (int, "", "expected int, found ''"),
        (int, "1" * 5000, "expected int, found a str of 5,000 characters"),
        (int, "1" * 3950, "expected int, found an integer of too many digits"),
        (int, "٣", "expected int, found '٣'"),
        (float, "nan", "expected float, found 'nan'"),
        (float, "1e999", "expected float, found '1e999'"),
        (bool, "maybe", "expected bool (true or false, yes or no, on or off, 1 or 0), found 'maybe'"),
        (date, "0", "expected datetime.date such as '2026-11-21', found '0'"),
        (datetime, "2026", "expected datetime.datetime such as '2026-11-21', found '2026'"),
        (date, "soon", "expected datetime.date, found 'soon' (Input should be a valid date"),
        (Colour, "GREEN", "expected tests.test_coercion.Colour, found 'GREEN' (Input should be 1 or 'b')"),
        (int | None, "x", "expected int | None, found 'x' (Input should be a valid integer"),
        (list[int], "1,2", "expected list[int], found '1,2' (Invalid JSON: trailing characters"),
        (list[int], '["x"]', "expected list[int], found '[\"x\"]' ([0]: Input should be a valid integer"),
        (Address, "x", "expected tests.test_coercion.Address, found 'x' (Invalid JSON: expected value"),
        (SecretStr, "hunter2", "expected pydantic.types.SecretStr that survives as JSON"),
        (Plain, "x", "its annotation tests.test_coercion.Plain is nothing that pydantic can write as JSON"),
    ],
    ids=numbers(),
)
def test_text_that_does_not_fit(annotation: Any, text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z") as caught:
        from_text(annotation, text)
    assert str(caught.value).startswith(reason)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(("annotation", "value"), [(int, "x"), (date, 5), (list[int], {})])
def test_json_of_another_annotation_is_refused(annotation: Any, value: object) -> None:
    with pytest.raises(ValueError, match=r"^expected "):
        from_json(annotation, value)
