"""Durations as people write them: `"30s"`, `"5m"`, `"2h"`, `"7d"`."""

from __future__ import annotations

import re
from datetime import timedelta

_NUMBER = r"\d+(?:\.\d+)?"
_FORM = re.compile(
    rf"(?:(?P<days>{_NUMBER})d)?(?:(?P<hours>{_NUMBER})h)?(?:(?P<minutes>{_NUMBER})m)?"
    rf"(?:(?P<seconds>{_NUMBER})s)?(?:(?P<milliseconds>{_NUMBER})ms)?",
    re.ASCII,
)


def parse_duration(value: str | timedelta) -> timedelta:
    """Read a duration: `"30s"`, `"5m"`, `"2h"`, `"7d"`, `"250ms"`, `"1.5h"`, `"1h30m"`, or a `timedelta`.

    Bare numbers are refused, since nobody can see their unit. Raises `ValueError`, which tells the form, for anything
    else and for what is negative or longer than a `timedelta` can be.
    """
    if isinstance(value, timedelta):
        if value < timedelta(0):
            raise ValueError(_expected(str(value)))
        return value
    text: object = value  # what comes from a settings file may be anything
    match = _FORM.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None or match.lastgroup is None:
        raise ValueError(_expected(repr(value)))
    try:
        return timedelta(**{unit: float(number) for unit, number in match.groupdict().items() if number})
    except OverflowError as error:
        raise ValueError(_expected(repr(value))) from error


def write_duration(duration: timedelta) -> str:
    """Write a duration that is not negative so that `parse_duration` reads the same one back: `1h30m`, `7d`, `0s`."""
    rest = duration // timedelta(microseconds=1)
    parts = []
    for unit, size in _SIZES:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    if rest:
        whole = parts.pop().removesuffix("ms") if parts and parts[-1].endswith("ms") else "0"
        parts.append(f"{whole}.{rest:03d}".rstrip("0") + "ms")
    return "".join(parts) or "0s"


_SIZES = (("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000))


def _expected(found: str) -> str:
    return f"expected a duration such as '30s', '5m', '2h', '7d' or '1h30m', got {found}"
