"""What hides secrets in text: whole ones, as they are written, and parts of them beside a cut."""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.outcome import cut, cut_middle
from pinstripe.redaction import Mask, redacted_of, shown

if TYPE_CHECKING:
    from collections.abc import Callable

WORDS = st.text(st.sampled_from("abc.*\n'\"\\é "), min_size=4, max_size=12)


def run(a: str, b: str = "", /, c: str = "", *rest: str, d: str = "", **others: str) -> None: ...


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((), ()),
        (("a",), (0,)),
        (("c", "d"), (2, "d")),
        (("rest",), (3, 4)),
        (("others",), ("x", "y")),
        (("x",), ("x",)),
        (("nothing",), ()),
    ],
)
def test_arguments_are_found_by_the_names_of_their_parameters(
    names: tuple[str, ...], expected: tuple[Any, ...]
) -> None:
    signature = inspect.signature(run)
    args, kwargs = ("1", "2", "3", "4", "5"), {"d": "6", "x": "7", "y": "8"}
    assert redacted_of(signature, names, args, kwargs) == expected
    left, named = shown(args, kwargs, expected)
    assert [place for place, value in enumerate(left) if value == "***"] == [
        each for each in expected if each in range(9)
    ]
    assert [name for name, value in named.items() if value == "***"] == [each for each in expected if each in kwargs]


def test_texts_in_lists_and_objects_are_secret_too_and_short_ones_are_not() -> None:
    mask = Mask.of(([{"token": "hunter2", "n": 12345}, "abc", ["deep secret"]], "open"), {"x": "other"}, (0, "x"))
    assert mask is not None
    assert mask.hide("hunter2 12345 abc deep secret open another token") == "*** 12345 abc *** open an*** token"
    assert Mask.of(("abc", 12345, None), {}, (0, 1, 2)) is None
    assert Mask.of(("hunter2",), {}, ()) is None


@pytest.mark.parametrize("write", [str, repr, json.dumps, lambda text: json.dumps(text, ensure_ascii=False)])
def test_the_forms_in_which_a_text_is_written_are_found(write: Callable[[str], str]) -> None:
    secret = "päss\n'\"word\\"
    mask = Mask([secret])
    assert secret not in mask.hide(f"got {write(secret)}!")
    assert "word" not in mask.hide(f"got {write(secret)}!")


@given(WORDS, st.text(max_size=40), st.text(max_size=40), st.integers(4, 60))
def test_nothing_of_a_secret_is_left_however_a_text_is_cut(secret: str, before: str, after: str, limit: int) -> None:
    mask = Mask([secret])
    text = before + secret + after
    hidden = mask.hide(cut(text, limit))
    assert secret not in hidden.replace("***", "\0")
    for length in range(4, len(secret)):
        assert not hidden.endswith(f"{secret[:length]}…")


@given(WORDS, st.integers(0, 200))
def test_nothing_of_a_secret_is_left_on_either_side_of_what_was_cut_out(secret: str, place: int) -> None:
    mask = Mask([secret])
    hidden = mask.hide(cut_middle("x" * place + secret + "x" * (200 - place), 120))
    first, _, last = hidden.partition("\n… ")
    last = last.partition(" cut …\n")[2]
    for length in range(4, len(secret) + 1):
        assert not first.endswith(secret[:length])
        assert not last.startswith(secret[-length:])


def test_a_long_secret_takes_no_long_time() -> None:
    secret = "ab" * 30_000
    mask = Mask([secret])
    assert mask.hide_end("ab" * 20_000) == "***"
    assert mask.hide_beginning("ab" * 20_000 + "c") == "***c"
