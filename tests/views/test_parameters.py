from __future__ import annotations

from datetime import date, datetime, time, timedelta
from enum import Enum, IntEnum
from typing import Annotated, Any, Literal, Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from pinstripe.arguments import bind, bind_text, restore
from pinstripe.background_job import BackgroundJob
from pinstripe.errors import InvalidArguments
from pinstripe.loading import define
from pinstripe.views.parameters import Option, Parameter, parameters_of, read_form, write_form
from tests.test_arguments import ANYTHING, MIXED, NEWSLETTER, defined
from tests.test_coercion import NOTHING, ROUND_TRIPS
from tests.test_json_values import TEXTS, numbers


class Colour(Enum):
    RED = 1
    BLUE = "b"


class Crossed(Enum):
    """Its names are its values, of each other."""

    ONE = "TWO"
    TWO = "ONE"


class Level(IntEnum):
    LOW = 1


class Address(BaseModel):
    street: str


def one(annotation: Any) -> Any:
    """Give a job whose `run` takes one required `value` of an annotation."""

    def run(self: object, value: Any) -> None: ...

    run.__annotations__["value"] = annotation
    return defined(run)


def field(annotation: Any) -> Parameter:
    (found,) = parameters_of(one(annotation))
    return found


@pytest.mark.parametrize(("annotation", "values"), ROUND_TRIPS, ids=numbers())
@settings(max_examples=30)
@given(data=st.data())
def test_what_is_written_into_a_form_is_read_from_it(
    annotation: Any, values: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    job, value = one(annotation), data.draw(values)
    args, kwargs = bind(job, (), {"value": value})
    fields = write_form(job, args, kwargs)
    if not fields:  # no text means it: `int | str` reads "5" as a number, whatever was meant
        assert annotation in {NOTHING, Any, int | str}
        return
    assert restore(job, *bind_text(job, *read_form(job, fields))) == ((), {"value": value})


@given(TEXTS, st.lists(st.integers()), st.dictionaries(TEXTS.filter(lambda name: name != "first"), st.dates()))
def test_arguments_by_position_and_by_name_come_back_too(first: str, rest: list[int], others: dict[str, date]) -> None:
    written = bind(ANYTHING, (first, *rest), others)
    if others.keys() & {"rest", "others"}:
        return  # which the form has fields for
    fields = write_form(ANYTHING, *written)
    read = bind_text(ANYTHING, *read_form(ANYTHING, fields))
    assert restore(ANYTHING, *read) == ((first, *rest), others) or not rest
    assert read[1] == {**written[1], **({} if rest else {"first": first})}


@pytest.mark.parametrize(
    ("annotation", "kind", "options"),
    [
        (str, "text", []),
        (Any, "text", []),
        (int, "int", []),
        (Annotated[int, Field(ge=0)] | None, "int", []),
        (float, "float", []),
        (bool, "bool", ["true yes", "false no"]),
        (Optional[bool], "bool", ["true yes", "false no", "none none"]),  # noqa: UP045 - authors write it
        (Literal["a", 1], "choice", ["a a", "1 1"]),
        (Literal["a"] | None, "choice", ["a a", "none none"]),
        (Literal["1", 1], "text", []),  # no text means the number alone
        (Colour, "choice", ["1 RED", "b BLUE"]),
        (Crossed, "choice", ["TWO ONE", "ONE TWO"]),
        (Level, "choice", ["1 LOW"]),
        (date, "date", []),
        (datetime | None, "datetime", []),
        (time, "time", []),
        (timedelta, "text", []),
        (int | str, "text", []),
        (list[int], "json", []),
        (list[int] | str, "json", []),
        (Address, "json", []),
        (dict[str, int] | None, "json", []),
        (object, "text", []),
    ],
)  # fmt: skip
def test_what_a_field_takes(annotation: Any, kind: str, options: list[str]) -> None:
    found = field(annotation)
    assert (found.kind, [f"{option.text} {option.name}" for option in found.options]) == (kind, options)
    assert found.required
    for option in found.options:
        bind_text(one(annotation), (), {"value": option.text})


def test_a_choice_of_very_many_is_typed() -> None:
    many = Enum("many", [f"m{number}" for number in range(201)])  # type: ignore[misc]
    assert field(many).options == ()


def test_what_can_not_be_written_as_json_is_still_a_field() -> None:
    class Unwritable: ...

    assert field(Unwritable).kind == "json"


def test_a_form_has_each_parameter_with_what_it_needs() -> None:
    def run(
        self: object,
        segment: str = "all",
        *,
        day: date | None = None,
        colour: Colour = Colour.BLUE,
        empty: Literal["", "x"] = "x",
        odd: Any = Ellipsis,
    ) -> None: ...

    segment, day, colour, empty, odd = parameters_of(defined(run))
    assert segment == Parameter("segment", "text", "str", False, "all", (), False, "")
    assert (day.default, day.annotation, day.help) == (
        "none",
        "datetime.date | None",
        "a day, such as 2026-11-21",
    )
    assert colour.default == "b"
    assert empty.options == (Option('""', ""), Option("x", "x"))
    assert (odd.annotation, odd.default) == ("Any", "Ellipsis")
    first, rest, others = parameters_of(ANYTHING)
    assert (first.required, first.default) == (True, None)
    assert (rest.kind, rest.required, others.kind, others.required) == ("list", False, "object", False)


def test_a_redacted_default_and_redacted_arguments_are_not_shown() -> None:
    class Job(BackgroundJob):
        redact = ("token", "rest")

        def run(self, token: str = "s3cret", other: str = "x", *rest: str) -> None: ...

    job = define("job", Job)
    token, other, rest = parameters_of(job)
    assert (token.is_redacted, token.default, rest.is_redacted) == (True, "***", True)
    assert (other.is_redacted, other.default) == (False, "x")
    assert write_form(job, ("tell nobody",), {"other": "y"}) == {"other": "y"}
    with pytest.raises(InvalidArguments) as caught:
        read_form(job, {"rest": "tell nobody"})
    assert str(caught.value).endswith("rest: expected a JSON list, found ***")


def test_what_a_run_has_redacted_is_not_written_though_its_job_shows_it_by_now() -> None:
    class Takes(BackgroundJob):
        async def run(self, first: str, token: str, *rest: str, other: str = "", **more: str) -> None:
            pass

    job = define("takes", Takes)
    args, kwargs = ("a", "t0ken", "r3st"), {"other": "0ther", "extra": "3xtra", "open": "o"}
    shown = {"first": "a", "more": '{"open": "o"}'}
    assert write_form(job, args, kwargs, (1, 2, "other", "extra")) == shown
    assert set(write_form(job, args, kwargs)) == {"first", "token", "rest", "other", "more"}


def test_optional_fields_that_are_empty_are_left_out_and_required_ones_are_not() -> None:
    assert read_form(NEWSLETTER, {"segment": "", "day": " \r\n", "copies": ""}) == ((), {})
    assert read_form(ANYTHING, {"first": "", "rest": "", "others": ""}) == ((), {"first": ""})
    assert read_form(NEWSLETTER, {"segment": " "}) == ((), {"segment": " "})


@pytest.mark.parametrize("fields", [{"copies": "many"}, {"day": "tomorrow"}, {"segmnt": "x"}, {"copies": " 5 x"}])
def test_what_is_refused_is_refused_in_the_words_of_the_command_line(fields: dict[str, str]) -> None:
    with pytest.raises(InvalidArguments) as by_form:
        bind_text(NEWSLETTER, *read_form(NEWSLETTER, fields))
    with pytest.raises(InvalidArguments) as by_command:
        bind_text(NEWSLETTER, [], fields)
    assert str(by_form.value) == str(by_command.value)


def test_what_has_no_name_is_given_by_position() -> None:
    assert read_form(MIXED, {"second": "2", "first": "1"}) == (("1",), {"second": "2"})
    with pytest.raises(InvalidArguments, match="first: missing; expected int"):
        bind_text(MIXED, *read_form(MIXED, {"second": "2"}))

    def run(self: object, a: int = 1, b: int = 2, /, c: int = 3, *rest: int) -> None: ...

    job = defined(run)
    assert read_form(job, {"a": "1", "c": "5"}) == (("1",), {"c": "5"})
    assert read_form(job, {"a": "1", "b": "2", "c": "3", "rest": '[4, "5"]'}) == (("1", "2", "3", "4", "5"), {})
    with pytest.raises(InvalidArguments, match="a: missing; it must be given where one behind it, which has no name"):
        read_form(job, {"b": "5"})
    with pytest.raises(InvalidArguments, match="c: missing; it must be given where further ones by position are"):
        read_form(job, {"a": "1", "b": "2", "rest": "[4]"})


def test_further_arguments_are_json_and_have_names_of_their_own() -> None:
    args, kwargs = read_form(ANYTHING, {"first": "x", "rest": "[1]", "others": '{"day": "2026-11-21"}'})
    assert (args, kwargs) == (("x", "1"), {"day": "2026-11-21"})
    for name, text, expected in [
        ("rest", "{}", "rest: expected a JSON list, found '{}'"),
        ("rest", "[" * 100_000, "rest: expected a JSON list, found a str of 100,000 characters"),
        ("others", "[1", "others: expected a JSON object"),
        ("others", '{"first": 1}', "others: 'first' has a field of its own"),
    ]:
        with pytest.raises(InvalidArguments) as caught:
            read_form(ANYTHING, {"first": "x", name: text})
        assert expected in str(caught.value)


def test_what_no_text_means_is_left_out_of_a_form() -> None:
    def run(self: object, a: Any = None, b: str | None = "x", *rest: str) -> None: ...

    job = defined(run)
    assert write_form(job, (5, None, "y"), {"gone": 1}) == {"rest": '["y"]'}
    assert write_form(job, ("5", ""), {}) == {"a": "5"}
