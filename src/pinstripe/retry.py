"""When an execution that failed is tried again by itself, and after how long. Pure: it reads no clock and no chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from pinstripe.duration import parse_duration, write_duration

Wait = str | timedelta | Sequence[str | timedelta] | Callable[[int], str | timedelta] | None
"""What a `Retry` takes as its `wait`."""

MOST = 1_000_000_000
"""The most retries and crashes: what every ledger can count to."""

JITTER = 0.1
"""The share of a wait by which chance may shorten or lengthen it, so that what failed together isn't tried together."""

LONGEST_WAIT = timedelta(days=366)
"""The longest wait, before its jitter. A longer one is a mistake, or a job's own schedule."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Try an execution again that failed by an exception: at most `times` times, so `times + 1` attempts in all.

    It is tried again after exceptions of the classes `on` alone (one, or a tuple of them); an `ExceptionGroup` is one
    of them where everything in it is. `wait` says how long it waits before the next attempt:

    - None: n⁴ + 15 s after the n-th failed attempt, so 16 s, 31 s, 96 s, 4.5 min and so on. The formula's shape is that
      of Sidekiq's retries (https://github.com/sidekiq/sidekiq/wiki/Error-Handling), which counts from 0.
    - a duration, `"30s"` or a `timedelta`: as long each time.
    - a list of durations: one for each failed attempt; the last one repeats.
    - a plain function, given the number of failed attempts (from 1), that returns a duration.

    Chance then adds or takes up to a tenth, except from what a function returns. Nothing waits longer than
    `LONGEST_WAIT` and that tenth.

    `crashes` is how many crashes of its own an execution survives; one more fails it. When a worker crashes, what it
    was executing runs again, each in a process of its own, and a crash of that process is the execution's own. None of
    this counts as an attempt. With 0 it fails as soon as its worker crashes: work that must not repeat isn't repeated.

    Only what workers execute is tried again, not a run in the foreground. Raises `TypeError` and `ValueError`, which
    tell what was expected, for anything else.
    """

    times: int = 3
    on: type[Exception] | tuple[type[Exception], ...] = (Exception,)
    wait: Wait = None
    crashes: int = 2

    def __post_init__(self) -> None:
        """Check all four; `on` becomes a tuple of classes, and what durations `wait` has a tuple of `timedelta`s."""
        _check_count("times", self.times)
        _check_count("crashes", self.crashes)
        object.__setattr__(self, "on", _checked_classes(self.on))
        object.__setattr__(self, "wait", _checked_wait(self.wait))

    @classmethod
    def of(cls, value: int | Retry | None) -> Retry:
        """Give the policy that a job's `retries` attribute stands for; None stands for no retries.

        Raises `TypeError` and `ValueError` for anything else.
        """
        if isinstance(value, Retry):
            return value
        if value is None:
            return cls(times=0)
        given: object = value
        if not isinstance(given, int) or isinstance(given, bool):
            message = f"retries: expected a whole number such as 3, a Retry(…) or None, got {value!r}"
            raise TypeError(message)
        if not 0 <= value <= MOST:
            bound = "at least 0" if value < 0 else f"at most {MOST:,}"
            message = f"retries: expected {bound}, got {value}"
            raise ValueError(message)
        return cls(times=value)

    def retries(self, exception: BaseException, attempt: int) -> bool:
        """Tell whether the execution is tried again after its `attempt` (counted from 1) failed by `exception`."""
        return attempt <= self.times and _is_of(exception, self.on)

    def delay(self, attempt: int, jitter: float) -> timedelta:
        """Give how long to wait after `attempt` failed attempts (at least 1), never less than nothing.

        `jitter` is a number from -1, which takes the whole tenth, to 1, which adds it; whoever calls draws it. A `wait`
        function that raises, or returns what is no duration, is logged, and the default wait is taken: what an author
        wrote wrongly there loses no execution. Raises `ValueError` for a wrong `attempt` or `jitter`.
        """
        if attempt < 1 or not -1 <= jitter <= 1:
            message = f"expected an attempt from 1 and a jitter from -1 to 1, got {attempt} and {jitter}"
            raise ValueError(message)
        if callable(self.wait):
            try:
                return read_wait(self.wait(attempt))
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a function of the author's may raise anything
                _warn(attempt, error)
        base = self.wait[min(attempt, len(self.wait)) - 1] if isinstance(self.wait, tuple) else _default(attempt)
        return base * (1 + JITTER * jitter)


def read_wait(value: str | timedelta) -> timedelta:
    """Read a duration that may be waited. Raises `ValueError` for what is none, negative or over `LONGEST_WAIT`."""
    wait = parse_duration(value)
    if wait > LONGEST_WAIT:
        message = f"expected a duration of at most {write_duration(LONGEST_WAIT)}, got {value!r}"
        raise ValueError(message)
    return wait


def _default(attempt: int) -> timedelta:
    return timedelta(seconds=min(attempt**4 + 15, LONGEST_WAIT.total_seconds()))


def _is_of(exception: BaseException, classes: type[Exception] | tuple[type[Exception], ...]) -> bool:
    """Tell whether an exception is of these classes, or a group of nothing else."""
    left = [exception]
    while left:
        one = left.pop()
        if isinstance(one, classes):
            continue
        if not isinstance(one, BaseExceptionGroup):
            return False
        left += one.exceptions
    return True


def _check_count(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        message = f"retries: expected {name} to be a whole number, got {value!r}"
        raise TypeError(message)
    if value < 0:
        message = f"retries: expected {name} to be at least 0, got {value}"
        raise ValueError(message)
    if value > MOST:
        message = f"retries: expected {name} to be at most {MOST:,}, got {value}"
        raise ValueError(message)


def _checked_classes(on: object) -> tuple[type[Exception], ...]:
    classes = on if isinstance(on, tuple) else (on,)
    for one in classes:
        if not isinstance(one, type) or not issubclass(one, Exception):
            message = f"retries: expected on to be a class of exceptions, or a tuple of them, got {one!r}"
            raise TypeError(message)
    if not classes:
        message = "retries: expected on to have a class of exceptions, got (); retries = None is for no retries"
        raise ValueError(message)
    return classes


def _checked_wait(wait: object) -> tuple[timedelta, ...] | Callable[[int], str | timedelta] | None:
    if wait is None:
        return None
    if callable(wait):
        return _checked_function(wait)
    durations = wait if isinstance(wait, list | tuple) else (wait,)
    if not durations:
        message = f"retries: wait: expected at least one duration, got {wait!r}; wait=None is for the default"
        raise ValueError(message)
    try:
        return tuple(read_wait(duration) for duration in durations)
    except ValueError as error:
        message = f"retries: wait: {error}"
        raise ValueError(message) from None


def _checked_function(wait: Callable[..., object]) -> Callable[[int], str | timedelta]:
    import inspect

    remedy = "expected a plain function of the number of failed attempts that returns a duration"
    if inspect.iscoroutinefunction(wait) or inspect.isgeneratorfunction(wait) or inspect.isasyncgenfunction(wait):
        message = f"retries: wait: {remedy}, got {wait!r}"
        raise TypeError(message)
    try:
        inspect.signature(wait).bind(1)
    except TypeError as error:
        message = f"retries: wait: {remedy}, got {wait!r}: {error}"
        raise TypeError(message) from None
    except ValueError:
        pass  # written in C, and it doesn't tell what it takes
    return wait  # type: ignore[return-value]


def _warn(attempt: int, error: BaseException) -> None:
    """Log that a `wait` function gave no duration, with what it raised."""
    import logging

    from pinstripe.setting_keys import hide_passwords

    try:
        told = hide_passwords(f"{type(error).__name__}: {error}")
    except Exception:  # noqa: BLE001 - its __str__ is the author's too
        told = type(error).__name__
    logging.getLogger("pinstripe").warning(
        "a Retry's wait function gave no duration after attempt %d (%s); the default wait is taken", attempt, told
    )
