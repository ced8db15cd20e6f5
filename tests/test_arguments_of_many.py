"""Many calls of one job: each is bound as if it were the only one, whatever is remembered of others."""

from __future__ import annotations

import itertools
from datetime import date
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.arguments import MAX_BYTES, _convert, bind, bind_call
from pinstripe.coercion import from_code
from pinstripe.errors import InvalidArguments
from tests.test_arguments import ANYTHING, MIXED, NEWSLETTER, NOTHING, defined
from tests.test_json_values import JSON


def plain(self: object, count: int, name: str = "", share: float = 0.0, sure: bool = False, *rest: Any) -> None: ...


PLAIN = defined(plain)
JOBS = st.sampled_from([NEWSLETTER, ANYTHING, MIXED, NOTHING, PLAIN])
VALUES = JSON | st.dates() | st.tuples(st.integers()) | st.text(max_size=600) | st.integers() | st.floats()
NAMES = st.sampled_from(["segment", "day", "copies", "first", "rest", "others", "count", "second", "a\0"])


class Pair(NamedTuple):
    number: int
    name: str


def bound(bind_it: Any) -> object:
    try:
        return repr(bind_it())
    except InvalidArguments as error:
        return str(error).removeprefix("call 7: ")


@given(JOBS, st.lists(st.lists(VALUES, max_size=12).map(tuple) | st.dictionaries(NAMES, VALUES), max_size=3))
def test_a_call_is_bound_as_the_only_one_is(job: Any, calls: list[Any]) -> None:
    for call in calls:
        args, kwargs = (call, {}) if isinstance(call, tuple) else ((), call)
        expected = bound(lambda: _convert(job, args, kwargs, from_code))  # noqa: B023 - now
        assert bound(lambda: bind(job, args, kwargs)) == expected  # noqa: B023
        assert bound(lambda: bind_call(job, 7, call)) == expected  # noqa: B023


def five(self: object, a: int = 0, b: int = 0, c: int = 0, d: int = 0, e: int = 0) -> None: ...


def test_only_so_many_shapes_of_calls_are_remembered() -> None:
    job = defined(five)
    for names in itertools.permutations("abcde"):
        given = {name: number for number, name in enumerate(names)}
        _, kwargs = bind(job, [], given)
        assert [*kwargs.items()] == [*given.items()]
    assert 1 < len(job.shapes) <= 100


def test_what_is_wrong_with_a_call_is_told_with_its_number() -> None:
    assert bind_call(PLAIN, 1, (1,)) == ((1,), {})
    with pytest.raises(InvalidArguments, match=r"^call 2: an argument doesn't fit send_newsletter\(count: int, .*'1'"):
        bind_call(PLAIN, 2, ("1",))
    with pytest.raises(InvalidArguments, match=r"^call 3: .* count: expected int, found True"):
        bind_call(PLAIN, 3, (True,))
    with pytest.raises(InvalidArguments, match=r"^call 4: .* count: missing"):
        bind_call(PLAIN, 4, {})


@pytest.mark.parametrize("call", [5, "ab", [1], {1: 2}, None, {1}])
def test_a_call_is_a_tuple_or_a_mapping(call: object) -> None:
    with pytest.raises(InvalidArguments, match=r"^call 1: expected a tuple of arguments by position, .* got "):
        bind_call(ANYTHING, 1, call)


def test_any_tuple_and_any_mapping_will_do() -> None:
    args, kwargs = bind_call(PLAIN, 1, Pair(1, "a"))
    assert (type(args), args, kwargs) == (tuple, (1, "a"), {})
    given = MappingProxyType({"segment": "a", "day": date(2026, 1, 2)})
    assert bind_call(NEWSLETTER, 1, given) == ((), {"segment": "a", "day": "2026-01-02"})


def test_what_is_kept_is_not_what_was_given() -> None:
    given = {"count": 1}
    _, kwargs = bind_call(PLAIN, 1, given)
    given["count"] = 2
    assert kwargs == {"count": 1}


@pytest.mark.parametrize("text", ["a" * MAX_BYTES, "ä" * (MAX_BYTES // 2)])
def test_what_is_too_long_is_refused(text: str) -> None:
    with pytest.raises(InvalidArguments, match=r"^call 1: .* bytes of JSON are too long"):
        bind_call(PLAIN, 1, (1, text))


def test_the_longest_that_is_not_measured_is_not_too_long() -> None:
    """JSON writes each of these characters as six: this is the most that is taken on trust."""
    args, _ = bind_call(PLAIN, 1, (1, "\x1f" * 500, 1.0, True, *("\x1f" * 500,) * 6))
    assert bind(PLAIN, args, {}) == (args, {})
