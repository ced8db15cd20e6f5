"""What a job answers by raising it, where neither success nor failure is the right word."""

from __future__ import annotations

from copyreg import __newobj__ as new_object  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any

from pinstripe.duration import write_duration
from pinstripe.retry import read_wait

if TYPE_CHECKING:
    from datetime import timedelta


class _Answer(Exception):
    """An exception that a process can send to another one, whatever arguments a subclass's `__init__` takes."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Make it anew from what it has, without `__init__`."""
        return new_object, (type(self), *self.args), self.__dict__


class Cancel(_Answer):
    """Raised by a job that is not to be done (any more): its execution is cancelled with the `reason`, and not retried.

    Raises `TypeError` or `ValueError` where the reason is no text, or an empty one.
    """

    def __init__(self, reason: str) -> None:
        """Take the `reason`, as people are to read it."""
        super().__init__(reason)
        self.reason = _checked_reason(reason)


class RetryLater(_Answer):
    """Raised by a job that can't be done yet: its execution runs again after `delay`, and this attempt doesn't count.

    So it may be raised any number of times, whatever the job's `retries` are. In the foreground, where nothing runs
    again by itself, the execution fails. Raises `ValueError` for what is no duration or longer than 366 days, and
    `TypeError` or `ValueError` where the reason is no text, or an empty one.
    """

    def __init__(self, delay: str | timedelta, reason: str | None = None) -> None:
        """Take the `delay` (`"5m"` or a `timedelta`), and the `reason` if people are to read one."""
        super().__init__(delay, reason)
        self.delay = read_wait(delay)
        self.reason = None if reason is None else _checked_reason(reason)

    def __str__(self) -> str:
        """Tell both."""
        text = f"run again in {write_duration(self.delay)}"
        return f"{text}: {self.reason}" if self.reason else text


def _checked_reason(reason: object) -> str:
    if not isinstance(reason, str):
        message = f"expected the reason as a text, got {reason!r}"
        raise TypeError(message)
    if not reason.strip():
        message = f"expected a reason that people can read, got {reason!r}"
        raise ValueError(message)
    return reason
