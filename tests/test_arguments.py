from __future__ import annotations

import subprocess
import sys
from datetime import date
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.arguments import MAX_BYTES, bind, bind_text, restore
from pinstripe.background_job import BackgroundJob
from pinstripe.errors import InvalidArguments
from pinstripe.loading import define
from tests.test_json_values import JSON, TEXTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from pinstripe.definition import Definition


def defined(run: Callable[..., object]) -> Definition:
    job_class = type("Job", (BackgroundJob,), {"run": run, "__module__": __name__})
    return define("send_newsletter", job_class)


def newsletter(self: object, segment: str = "all", *, day: date | None = None, copies: int = 1) -> None: ...
def anything(self: object, first: Any, *rest: int, **others: date) -> None: ...
def mixed(self: object, first: int, /, second: int) -> None: ...
def nothing(self: object) -> None: ...


NEWSLETTER, ANYTHING, MIXED, NOTHING = defined(newsletter), defined(anything), defined(mixed), defined(nothing)
FITS_NOT = "an argument doesn't fit"
USAGE = "send_newsletter(segment: str = 'all', *, day: datetime.date | None = None, copies: int = 1)"


@given(JSON, st.lists(st.integers()), st.dictionaries(TEXTS.filter(lambda name: name != "first"), st.dates()))
def test_what_is_bound_is_restored(first: Any, rest: list[int], others: dict[str, date]) -> None:
    args, kwargs = bind(ANYTHING, (first, *rest), others)
    assert restore(ANYTHING, args, kwargs) == ((first, *rest), others)
    assert kwargs == {name: day.isoformat() for name, day in others.items()}


def test_nothing() -> None:
    assert bind(NOTHING, (), {}) == bind_text(NOTHING, [], {}) == restore(NOTHING, [], {}) == ((), {})


def test_defaults_are_not_stored() -> None:
    assert bind(NEWSLETTER, (), {}) == ((), {})
    assert bind(NEWSLETTER, ["weekly"], {"day": date(2026, 1, 2)}) == (("weekly",), {"day": "2026-01-02"})


def test_by_position_or_by_name_stays_as_it_was_given() -> None:
    assert bind(NEWSLETTER, (), {"segment": "weekly"}) == ((), {"segment": "weekly"})


def test_text() -> None:
    args, kwargs = bind_text(NEWSLETTER, ["5"], {"copies": "5", "day": "2026-01-02"})
    assert (args, kwargs) == (("5",), {"copies": 5, "day": "2026-01-02"})
    assert restore(NEWSLETTER, args, kwargs) == (("5",), {"copies": 5, "day": date(2026, 1, 2)})
    assert bind_text(ANYTHING, ["x", "1", "-2"], {"since": "2026-01-02"}) == (("x", 1, -2), {"since": "2026-01-02"})


def test_a_name_that_only_looks_like_a_position() -> None:
    def run(self: object, first: int, /, **others: int) -> None: ...

    assert bind(defined(run), (1,), {"first": 2}) == ((1,), {"first": 2})


def test_what_is_restored_is_new_each_time() -> None:
    args, kwargs = bind(ANYTHING, ([1],), {})
    (one,), _ = restore(ANYTHING, args, kwargs)
    one.append(2)
    assert restore(ANYTHING, args, kwargs) == (([1],), {})


@pytest.mark.parametrize(
    ("definition", "args", "kwargs", "message"),
    [
        (NEWSLETTER, (1,), {}, f"an argument doesn't fit {USAGE}: segment: expected str, found 1 (int)"),
        (
            NEWSLETTER,
            ("a", "b"),
            {},
            f"an argument doesn't fit {USAGE}: argument 2 is surplus: expected at most 1 by position, found 'b'",
        ),
        (
            NOTHING,
            (1,),
            {},
            "an argument doesn't fit send_newsletter(): argument 1 is surplus: expected none by position, found 1",
        ),
        (
            NEWSLETTER,
            (),
            {"segmnt": "a"},
            f"an argument doesn't fit {USAGE}: segmnt: there is no such argument (found 'a'); did you mean segment?",
        ),
        (
            NEWSLETTER,
            (),
            {"xyz": "a"},
            f"{FITS_NOT} {USAGE}: xyz: there is no such argument (found 'a'); run takes segment, day, copies",
        ),
        (
            NOTHING,
            (),
            {"xyz": "a"},
            f"{FITS_NOT} send_newsletter(): xyz: there is no such argument (found 'a'); run takes none by name",
        ),
        (
            NEWSLETTER,
            ("a",),
            {"segment": "b"},
            f"an argument doesn't fit {USAGE}: segment: given twice, by position and by name (the latter: 'b')",
        ),
        (
            MIXED,
            (1,),
            {},
            "an argument doesn't fit send_newsletter(first: int, /, second: int): second: missing; expected int",
        ),
        (
            MIXED,
            (),
            {"first": 1, "second": "x"},
            (
                "3 arguments don't fit send_newsletter(first: int, /, second: int):\n"
                "  first: can only be given by position, not by name\n"
                "  first: missing; expected int\n"
                "  second: expected int, found 'x'"
            ),
        ),
        (
            ANYTHING,
            (1, 2, "x"),
            {"since": 3},
            (
                "2 arguments don't fit send_newsletter(first: Any, *rest: int, **others: datetime.date):\n"
                "  argument 3 (*rest): expected int, found 'x'\n"
                "  since: expected datetime.date, found 3 (int) (Input should be a valid date)"
            ),
        ),
    ],
)
def test_everything_that_does_not_fit_is_told(
    definition: Definition, args: tuple[object, ...], kwargs: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidArguments) as caught:
        bind(definition, args, kwargs)
    assert str(caught.value) == message
    assert isinstance(caught.value, TypeError)


def test_what_is_missing_without_an_annotation() -> None:
    def run(self, first): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202

    with pytest.raises(InvalidArguments, match=r"^an argument doesn't fit send_newsletter\(first\): first: missing$"):
        bind(defined(run), (), {})


def test_text_that_does_not_fit() -> None:
    with pytest.raises(
        InvalidArguments, match=r"^an argument doesn't fit send_newsletter\(.*\): copies: expected int, found 'many'$"
    ):
        bind_text(NEWSLETTER, [], {"copies": "many"})


def test_names_are_text_that_can_be_kept_too() -> None:
    with pytest.raises(InvalidArguments, match="a name is a text with a NUL character"):
        bind(ANYTHING, (1,), {"a\0": date(2026, 1, 2)})


def test_the_longest_arguments() -> None:
    overhead = len('[[""],{}]')
    assert bind(ANYTHING, ("x" * (MAX_BYTES - overhead),), {})[1] == {}
    with pytest.raises(
        InvalidArguments, match="65,537 bytes of JSON are too long: at most 65,536 are kept; store what"
    ):
        bind(ANYTHING, ("x" * (MAX_BYTES - overhead + 1),), {})
    with pytest.raises(InvalidArguments, match="bytes of JSON are too long"):
        bind(ANYTHING, ("ä" * (MAX_BYTES // 2),), {})


def test_arguments_of_a_job_that_has_changed_since() -> None:
    args, kwargs = bind(NEWSLETTER, (), {"copies": 3})
    with pytest.raises(InvalidArguments, match="copies: there is no such argument"):
        restore(MIXED, args, kwargs)


def test_an_identifier_comes_back_as_one() -> None:
    def run(self: object, user: UUID) -> None: ...

    definition = defined(run)
    user = UUID(int=7)
    assert restore(definition, *bind(definition, (user,), {})) == ((user,), {})


def test_plain_arguments_need_no_pydantic() -> None:
    source = """if True:
        import sys
        from pinstripe.arguments import bind, bind_text, restore, write_result
        from pinstripe.background_job import BackgroundJob
        from pinstripe.loading import define
        class Job(BackgroundJob):
            def run(self, a, b: int, *c: str, d: "float" = 1.0): ...
        job = define("job", Job)
        assert restore(job, *bind(job, ([1], 2, "x"), {"d": 0.5})) == (([1], 2, "x"), {"d": 0.5})
        assert bind_text(job, ["1", "2", "x"], {"d": ".5"}) == (("1", 2, "x"), {"d": 0.5})
        assert write_result({"a": [1]}) == '{"a":[1]}'
        print(sorted({"pydantic", "pydantic_core"} & {*sys.modules}))
        """
    result = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
