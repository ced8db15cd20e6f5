from __future__ import annotations

import copy
import pickle
from datetime import timedelta
from typing import Any

import pytest

from pinstripe import Cancel, RetryLater


class Busy(RetryLater):
    """An answer of an author's own, whose `__init__` takes something else."""

    def __init__(self, *, minutes: int) -> None:
        super().__init__(timedelta(minutes=minutes), "busy")
        self.minutes = minutes


ANSWERS = [Cancel("paid meanwhile"), RetryLater("90s"), RetryLater(timedelta(hours=2), "busy"), Busy(minutes=5)]


def test_a_cancellation_has_its_reason() -> None:
    assert Cancel("paid meanwhile").reason == "paid meanwhile"
    assert str(Cancel("paid meanwhile")) == "paid meanwhile"


@pytest.mark.parametrize("delay", ["90s", "1m30s", timedelta(seconds=90)])
def test_the_delay_may_be_written_or_a_timedelta(delay: Any) -> None:
    assert RetryLater(delay).delay == timedelta(seconds=90)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (RetryLater("90s"), "run again in 1m30s"),
        (RetryLater("0s", "the API is busy"), "run again in 0s: the API is busy"),
    ],
)
def test_it_tells_when_and_why(answer: RetryLater, text: str) -> None:
    assert str(answer) == text


@pytest.mark.parametrize("answer", ANSWERS, ids=str)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_processes_send_them_to_one_another(answer: Exception, protocol: int) -> None:
    received = pickle.loads(pickle.dumps(answer, protocol))
    assert type(received) is type(answer)
    assert vars(received) == vars(answer)
    assert received.args == answer.args
    assert str(received) == str(answer)


@pytest.mark.parametrize("answer", ANSWERS, ids=str)
def test_they_can_be_copied(answer: Exception) -> None:
    assert vars(copy.copy(answer)) == vars(answer)


@pytest.mark.parametrize("answer", ANSWERS, ids=str)
def test_they_are_plain_exceptions(answer: Exception) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - that is the point
        raise answer
    assert caught.value is answer


@pytest.mark.parametrize(
    ("delay", "reason"),
    [
        (30, "expected a duration such as '30s', '5m', '2h', '7d' or '1h30m', got 30"),
        ("soon", "expected a duration such as '30s', '5m', '2h', '7d' or '1h30m', got 'soon'"),
        (timedelta(seconds=-1), "expected a duration such as"),
        ("367d", "expected a duration of at most 366d, got '367d'"),
    ],
)
def test_a_delay_that_is_none(delay: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        RetryLater(delay)


@pytest.mark.parametrize("answer", [Cancel, lambda reason: RetryLater("5s", reason)])
def test_a_reason_that_is_none(answer: Any) -> None:
    with pytest.raises(TypeError, match="expected the reason as a text, got 3"):
        answer(3)
    with pytest.raises(ValueError, match="expected a reason that people can read, got ' '"):
        answer(" ")
