"""Time, as it is given to everything that reads it: wall time for "due", monotonic time for durations."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """What tells the time; a test tells it its own."""

    def now(self) -> int:
        """Give the wall time in microseconds since 1970-01-01 UTC."""
        ...

    def monotonic(self) -> float:
        """Give seconds of a clock that never goes back."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> int:
        """Give the wall time in microseconds since 1970-01-01 UTC."""
        return time.time_ns() // 1_000

    def monotonic(self) -> float:
        """Give seconds of a clock that never goes back."""
        return time.monotonic()


def to_datetime(microseconds: int) -> datetime:
    """Turn microseconds since 1970 UTC into an aware datetime, exactly."""
    return _EPOCH + timedelta(microseconds=microseconds)


def to_microseconds(moment: datetime) -> int:
    """Turn an aware datetime into microseconds since 1970 UTC, exactly."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def to_iso(moment: datetime) -> str:
    """Write a datetime as `2026-11-21T20:00:00.000000Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
