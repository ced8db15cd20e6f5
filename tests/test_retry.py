from __future__ import annotations

import logging
import pickle
import subprocess
import sys
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe import Retry
from pinstripe.retry import JITTER, LONGEST_WAIT, read_wait

if TYPE_CHECKING:
    from collections.abc import Callable

jitters = st.floats(-1, 1)
attempts = st.integers(1, 10**30)
durations = st.timedeltas(min_value=timedelta(0), max_value=LONGEST_WAIT)


def seconds(*numbers: float) -> list[timedelta]:
    return [timedelta(seconds=number) for number in numbers]


def delays(retry: Retry, count: int, jitter: float = 0) -> list[timedelta]:
    return [retry.delay(attempt, jitter) for attempt in range(1, count + 1)]


# How often


@pytest.mark.parametrize(("value", "times"), [(None, 0), (0, 0), (3, 3), (Retry(), 3), (Retry(times=7), 7)])
def test_what_a_jobs_attribute_stands_for(value: Any, times: int) -> None:
    assert Retry.of(value) == Retry(times=times)


@given(st.integers(0, 50))
def test_so_many_times_are_one_attempt_more(times: int) -> None:
    retry, attempt = Retry(times=times), 1
    while retry.retries(ValueError(), attempt):
        attempt += 1
    assert attempt == times + 1


def test_a_job_that_says_nothing_is_tried_once_and_survives_two_crashes() -> None:
    assert not Retry.of(None).retries(ValueError(), 1)
    assert Retry.of(None).crashes == 2


# After what


class Odd(Exception):
    """An exception of an author's own."""


@pytest.mark.parametrize(
    ("exception", "expected"),
    [
        (ConnectionResetError(), True),  # a subclass
        (Odd(), True),
        (ValueError(), False),
        (ExceptionGroup("", [ConnectionError(), ExceptionGroup("", [Odd(), Odd()])]), True),
        (ExceptionGroup("", [ConnectionError(), ValueError()]), False),
        (ExceptionGroup("", [ExceptionGroup("", [ConnectionError(), ValueError()])]), False),
        (BaseExceptionGroup("", [ConnectionError(), KeyboardInterrupt()]), False),
        (SystemExit(), False),
    ],
)
def test_only_after_the_exceptions_it_names(exception: BaseException, expected: bool) -> None:
    assert Retry(on=(ConnectionError, Odd)).retries(exception, 1) is expected


def test_a_group_may_be_named_itself() -> None:
    assert Retry(on=ExceptionGroup).retries(ExceptionGroup("", [ValueError()]), 1)


def test_one_class_is_as_good_as_a_tuple() -> None:
    assert Retry(on=Odd) == Retry(on=(Odd,))


def test_whatever_is_an_exception_by_default() -> None:
    assert Retry().retries(Odd(), 1)
    assert not Retry().retries(KeyboardInterrupt(), 1)


# After how long


def test_the_default_wait_grows_with_the_fourth_power() -> None:
    assert delays(Retry(), 5) == seconds(16, 31, 96, 271, 640)


@pytest.mark.parametrize("wait", ["30s", timedelta(seconds=30), ["30s"], (timedelta(seconds=30),)])
def test_one_wait_is_the_same_each_time(wait: Any) -> None:
    assert delays(Retry(wait=wait), 3) == seconds(30, 30, 30)
    assert Retry(wait=wait) == Retry(wait="30s")


def test_the_last_of_several_waits_repeats() -> None:
    assert delays(Retry(wait=["10s", timedelta(minutes=1)]), 4) == seconds(10, 60, 60, 60)


def test_no_wait_at_all() -> None:
    assert delays(Retry(wait="0s"), 2, jitter=1) == seconds(0, 0)


@pytest.mark.parametrize(("jitter", "factor"), [(-1, 0.9), (-0.5, 0.95), (0, 1), (1, 1.1)])
@pytest.mark.parametrize(("wait", "base"), [(None, 16), ("100s", 100), (["10s", "1m"], 10)])
def test_chance_takes_or_adds_up_to_a_tenth(wait: Any, base: int, jitter: float, factor: float) -> None:
    assert Retry(wait=wait).delay(1, jitter) == timedelta(seconds=base) * factor


@pytest.mark.parametrize("jitter", [-1, 0, 1])
def test_what_a_function_returns_is_taken_as_it_is(jitter: float) -> None:
    retry = Retry(wait=lambda failed: f"{10 * failed}s")
    assert delays(retry, 3, jitter) == seconds(10, 20, 30)


def test_a_function_of_a_kind_that_tells_no_signature_is_taken() -> None:
    assert delays(Retry(wait=partial(timedelta, 0)), 2) == seconds(1, 2)


def fails(error: BaseException) -> Callable[[int], str]:
    def wait(failed: int) -> str:
        raise error

    return wait


class Mute(Exception):
    def __str__(self) -> str:
        raise self


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (fails(KeyError("a")), "KeyError: 'a'"),
        (fails(SystemExit(3)), "SystemExit: 3"),
        (fails(Mute()), "(Mute)"),
        (fails(ValueError("see https://me:secret@api.test/")), "ValueError: see https://me:***@api.test/"),
        (lambda failed: failed, "expected a duration such as '30s', '5m', '2h', '7d' or '1h30m', got 2"),
        (lambda failed: None, "got None"),
        (lambda failed: timedelta(-1), "got -1 day"),
        (lambda failed: timedelta.max, "expected a duration of at most 366d"),
    ],
)
def test_a_function_that_gives_no_wait_loses_nothing(
    function: Any, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert Retry(wait=function).delay(2, 1) == timedelta(seconds=31) * 1.1
    ((_, level, message),) = caplog.record_tuples
    assert level == logging.WARNING
    assert message.startswith("a Retry's wait function gave no duration after attempt 2 (")
    assert told in message
    assert "secret" not in message


def test_ctrl_c_in_a_function_is_heard() -> None:
    with pytest.raises(KeyboardInterrupt):
        Retry(wait=fails(KeyboardInterrupt())).delay(1, 0)


@given(attempts, attempts, jitters)
def test_the_default_wait_never_shrinks(one: int, other: int, jitter: float) -> None:
    first, last = sorted((one, other))
    assert Retry().delay(first, jitter) <= Retry().delay(last, jitter)


waits = st.none() | durations | st.lists(durations, min_size=1, max_size=5)


@given(waits, attempts, jitters)
def test_chance_stays_within_a_tenth_and_nothing_is_negative(wait: Any, attempt: int, jitter: float) -> None:
    retry = Retry(wait=wait)
    base, given = retry.delay(attempt, 0), retry.delay(attempt, jitter)
    assert timedelta(0) <= given <= LONGEST_WAIT * (1 + JITTER)
    assert abs(given - base) <= base * JITTER + timedelta(microseconds=1)


@given(waits, attempts, jitters, jitters)
def test_more_jitter_is_no_shorter_wait(wait: Any, attempt: int, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert Retry(wait=wait).delay(attempt, low) <= Retry(wait=wait).delay(attempt, high)


# What is refused


@pytest.mark.parametrize(
    ("arguments", "kind", "reason"),
    [
        ({"times": -1}, ValueError, "retries: expected times to be at least 0, got -1"),
        ({"times": "3"}, TypeError, "retries: expected times to be a whole number, got '3'"),
        ({"times": 2.0}, TypeError, "retries: expected times to be a whole number, got 2.0"),
        ({"times": True}, TypeError, "retries: expected times to be a whole number, got True"),
        ({"crashes": -1}, ValueError, "retries: expected crashes to be at least 0, got -1"),
        ({"crashes": 2**31}, ValueError, "retries: expected crashes to be at most 1,000,000,000, got 2147483648"),
        ({"crashes": None}, TypeError, "retries: expected crashes to be a whole number, got None"),
        ({"on": "OSError"}, TypeError, "retries: expected on to be a class of exceptions, or a tuple of them, got 'OS"),
        ({"on": [OSError]}, TypeError, "retries: expected on to be a class of exceptions, or a tuple of them, got [<"),
        (
            {"on": (OSError, int)},
            TypeError,
            "retries: expected on to be a class of exceptions, or a tuple of them, got",
        ),
        (
            {"on": SystemExit},
            TypeError,
            "retries: expected on to be a class of exceptions, or a tuple of them, got",
        ),
        ({"on": ()}, ValueError, "retries: expected on to have a class of exceptions, got ()"),
        ({"wait": 30}, ValueError, "retries: wait: expected a duration such as '30s', '5m', '2h', '7d' or '1h30m', g"),
        ({"wait": "soon"}, ValueError, "retries: wait: expected a duration such as '30s'"),
        ({"wait": ["5s", 3]}, ValueError, "retries: wait: expected a duration such as '30s'"),
        ({"wait": timedelta(-1)}, ValueError, "retries: wait: expected a duration such as '30s'"),
        ({"wait": "400d"}, ValueError, "retries: wait: expected a duration of at most 366d, got '400d'"),
        ({"wait": []}, ValueError, "retries: wait: expected at least one duration, got []"),
        ({"wait": {"5s"}}, ValueError, "retries: wait: expected a duration such as '30s'"),
        ({"wait": lambda: "5s"}, TypeError, "retries: wait: expected a plain function of the number of failed attemp"),
    ],
)
def test_what_is_wrong_is_told(arguments: dict[str, Any], kind: type[Exception], reason: str) -> None:
    with pytest.raises(kind) as caught:
        Retry(**arguments)
    assert str(caught.value).startswith(reason)


async def later(failed: int) -> str:
    return "5s"


def several(failed: int) -> Any:
    yield "5s"


async def several_later(failed: int) -> Any:
    yield "5s"


@pytest.mark.parametrize("function", [later, several, several_later])
def test_a_function_that_would_have_to_be_awaited_or_iterated(function: Any) -> None:
    with pytest.raises(TypeError, match="expected a plain function of the number of failed attempts"):
        Retry(wait=function)


@pytest.mark.parametrize("value", ["3", 1.5, True, [3], Retry])
def test_an_attribute_that_is_no_policy(value: Any) -> None:
    with pytest.raises(TypeError, match=r"retries: expected a whole number such as 3, a Retry\(…\) or None, got "):
        Retry.of(value)


def test_a_negative_attribute() -> None:
    with pytest.raises(ValueError, match="retries: expected at least 0, got -2"):
        Retry.of(-2)


@pytest.mark.parametrize(("attempt", "jitter"), [(0, 0), (1, 1.01), (1, -2), (1, float("nan"))])
def test_a_delay_of_nothing_that_there_is(attempt: int, jitter: float) -> None:
    with pytest.raises(ValueError, match="expected an attempt from 1 and a jitter from -1 to 1"):
        Retry().delay(attempt, jitter)


@pytest.mark.parametrize(("text", "fits"), [("366d", True), ("366d1s", False)])
def test_the_longest_wait(text: str, fits: bool) -> None:
    if fits:
        assert read_wait(text) == LONGEST_WAIT
    else:
        with pytest.raises(ValueError, match="expected a duration of at most 366d, got '366d1s'"):
            read_wait(text)


# What kind of value it is


def test_it_is_a_value() -> None:
    retry = Retry(times=2, on=OSError, wait=["5s", "1m"])
    assert pickle.loads(pickle.dumps(retry)) == retry
    assert hash(retry) == hash(Retry(times=2, on=(OSError,), wait=(timedelta(seconds=5), "1m")))
    with pytest.raises(AttributeError):
        retry.times = 4  # type: ignore[misc]


def test_it_brings_no_chance_with_it() -> None:
    new = "{'random', 'logging'} & ({*sys.modules} - old)"
    program = f"import sys; old = {{*sys.modules}}; import pinstripe.answers; print({new})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
