from __future__ import annotations

import pytest

from pinstripe.errors import PinstripeError, WorkspaceClosed
from pinstripe.outcome import MAX_ERROR, MAX_TRACEBACK, error_text, failed, traceback_text
from pinstripe.service_stack import ServiceStack
from tests.attempts import service


class Shy(Exception):
    def __str__(self) -> str:
        message = "no"
        raise RuntimeError(message)


class Leaving(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


@pytest.mark.parametrize(
    ("exception", "text"),
    [
        (ValueError("bad address"), "ValueError: bad address"),
        (ValueError(), "ValueError"),
        (KeyError("acme"), "KeyError: 'acme'"),
        (PinstripeError("said by Pinstripe itself"), "said by Pinstripe itself"),
        (WorkspaceClosed("closed"), "WorkspaceClosed: closed"),
        (SystemExit(3), "the job called sys.exit(3)"),
        (SystemExit("bye"), "the job called sys.exit('bye')"),
        (Shy(), "Shy: (its message can't be written)"),
        (Leaving(), "Leaving: (its message can't be written)"),
        (ValueError("a\0b\ud800"), "ValueError: a\N{REPLACEMENT CHARACTER}b?"),
    ],
)
def test_an_error_in_words(exception: BaseException, text: str) -> None:
    assert error_text(exception) == text


def test_a_message_of_ten_megabytes_is_cut() -> None:
    error = ValueError("x" * 10_000_000)
    assert len(error_text(error)) == MAX_ERROR
    text = traceback_text(error)
    assert len(text) <= MAX_TRACEBACK
    assert "characters cut" in text


def test_a_circle_of_causes_ends() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    text = traceback_text(one)
    assert "one" in text
    assert "two" in text


def test_a_group_shows_what_is_in_it() -> None:
    text = traceback_text(ExceptionGroup("many", [ValueError("one"), TypeError("two")]))
    assert "ValueError: one" in text
    assert "TypeError: two" in text


def test_an_exception_that_can_not_be_shown_is_told_all_the_same() -> None:
    assert "Shy" in traceback_text(Shy())

    class Hostile(Exception):
        @property
        def __cause__(self) -> BaseException:  # type: ignore[override]
            message = "no cause"
            raise LookupError(message)

    assert "its traceback can't be written: LookupError" in traceback_text(Hostile("hello"))


@pytest.mark.anyio
async def test_own_frames_are_left_out_also_of_the_cause() -> None:
    stack = ServiceStack()
    with pytest.raises(PinstripeError) as raised:
        await stack.open(service(raise_here), {})
    cause, _, own = traceback_text(raised.value).partition("The above exception was the direct cause")
    assert "in raise_here" in cause
    assert "service_stack.py" not in cause
    assert "in test_own_frames" in own


@pytest.mark.anyio
async def test_where_all_frames_are_own_only_a_bug_shows_them() -> None:
    stack = ServiceStack()
    with pytest.raises(PinstripeError) as raised:
        await stack.open(service(raise_here), {})
    frames = raised.value.__traceback__
    assert frames is not None
    error = raised.value.with_traceback(frames.tb_next)
    error.__cause__ = None
    assert traceback_text(error) == f"pinstripe.errors.PinstripeError: {error}\n"
    assert "in open" in traceback_text(KeyError("a bug").with_traceback(frames.tb_next))


def raise_here() -> None:
    message = "here"
    raise ValueError(message)


def test_what_a_caller_may_not_raise_is_wrapped() -> None:
    error = SystemExit(1)
    outcome = failed(error)
    assert type(outcome.exception) is PinstripeError
    assert outcome.exception.__cause__ is error
    assert not outcome.succeeded


def test_the_password_of_a_url_is_shown_nowhere() -> None:
    outcome = failed(OSError("no answer from postgresql://app:p@ss:w0rd@db.example/shop, for ada@example.org"))
    assert outcome.error == "OSError: no answer from postgresql://app:***@db.example/shop, for ada@example.org"
    assert outcome.traceback is not None
    assert "w0rd" not in outcome.traceback
    assert "app:***@db.example/shop" in outcome.traceback
