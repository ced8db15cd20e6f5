"""Cron lines: checked, put in words, and walked through time. The parsing and the walking of dates are cronsim's."""

from __future__ import annotations

import heapq
import re
from contextlib import suppress
from copy import copy
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

    from cronsim import CronSim

ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
"""The nicknames of crontab(5), but for `@reboot`."""


def check_cron(line: str) -> str:
    """Give the line as it is kept: alias expanded, one space between fields, names in capitals.

    Raises `ValueError`, which names the field and the reason, for what is no cron line or never fires.
    """
    if not isinstance(line, str):
        message = f"expected a cron line such as '0 * * * *', got {line!r}"
        raise ValueError(message)  # noqa: TRY004 - one kind of error for whatever is wrong with a schedule
    text = line.strip()
    if text.startswith("@"):
        text = _expand(text)
    fields = [",".join(map(_settled, field.split(","))) for field in text.upper().split()]
    if len(fields) not in _FIELD_COUNTS:
        message = (
            f"cron line {_short(line)}: expected five fields (minute, hour, day of month, month, day of week), or six "
            f"with the seconds in front, got {len(fields)}"
        )
        raise ValueError(message)
    # The months are left out first, so that "February 30" isn't taken for a day that is written wrongly.
    reason = _fault([*fields[:-2], "*", fields[-1]]) or _fault([*["*"] * (len(fields) - 2), fields[-2], "*"])
    if reason is not None:
        message = f"cron line {_short(line)}: {_complaint(fields, reason)}"
        raise ValueError(message)
    kept = " ".join(fields)
    if _fault(fields) or next(copy(_parsed(kept)), None) is None:
        message = f"cron line {_short(line)} never fires: no month that it names has such a day"
        raise ValueError(message)
    return kept


def read_fields(cron: str) -> CronSim:
    """Give a checked line as cronsim reads it, its fields as sets: `minutes`, `hours`…; not to be walked or changed."""
    return _parsed(cron)


def explain(cron: str) -> str:
    """Say a checked line in English, as cronsim does it: `At 09:00 on Monday`."""
    return _parsed(cron).explain()


def is_fixed(cron: str) -> bool:
    """Tell whether a checked line names fixed times of the wall clock: neither minute nor hour begins with `*`."""
    return not any(part.startswith("*") for part in cron.split()[-5:-3])


def fires(cron: str, after: datetime, zone: tzinfo) -> Iterator[datetime]:
    """Iterate the instants after the aware `after` at which a checked line fires in `zone`, in UTC, ever later.

    Daylight saving is that of Debian's cron(8). A line whose minute and hour are both fixed (neither begins with `*`)
    fires exactly once for each time of the wall clock: where the clock skips that time, as soon as the clock is past
    the gap (02:30 becomes 03:00 where the hour from two to three is missing); where it shows it twice, the first time.
    Any other line fires at every real moment whose wall time fits, so an hourly one every hour.

    cronsim walks the wall clock, without a zone; each wall time is then placed in real time here. Its own walk through
    a zone misses fires where the clock is put back by less than an hour (Lord Howe Island).
    """
    after = after.astimezone(UTC)
    place = _fixed_moment if is_fixed(cron) else _moments
    last = after
    repeated: list[datetime] = []  # second showings, which come after other times' first ones
    with suppress(OverflowError):  # the calendar ends with the year 9999
        walk = copy(_parsed(cron))
        walk.dt = (_wall(after, zone) - _shift_around(after, zone)).replace(microsecond=0)
        for wall in walk:
            first, *second = place(wall, zone) or (last,)
            # What the clock shows for the first time from here on comes after `first`: earlier repeated ones are due.
            while repeated and repeated[0] < first:
                if repeated[0] > last:
                    last = repeated[0]
                    yield last
                heapq.heappop(repeated)
            if first > last:
                last = first
                yield last
            for moment in second:
                heapq.heappush(repeated, moment)


@lru_cache(maxsize=1024)
def _parsed(cron: str) -> CronSim:
    """Give a checked line as cronsim reads it; to walk, take a copy, for a walk keeps its place in itself."""
    from cronsim import CronSim

    return CronSim(cron, _ANY_TIME)


def _wall(moment: datetime, zone: tzinfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def _shift_around(moment: datetime, zone: tzinfo) -> timedelta:
    """Give how far the clock is put in the hours around a moment, so that a walk begins before any time it concerns.

    A shift matters as long after it, or before it, as it is large: an hour as a rule, two at Troll in Antarctica, a day
    where an island changes the side of the date line.
    """
    here, shift = moment.astimezone(zone).utcoffset() or _NOTHING, _NOTHING
    for reach, smaller in _REACHES:
        before = (moment - reach).astimezone(zone).utcoffset() or _NOTHING
        behind = (moment + reach).astimezone(zone).utcoffset() or _NOTHING
        shift = max(before, here, behind) - min(before, here, behind)
        if not shift or shift > smaller:
            break
    return shift


_NOTHING = timedelta(0)
_REACHES = (
    (timedelta(hours=24), timedelta(hours=3)),
    (timedelta(hours=3), timedelta(hours=1)),
    (timedelta(hours=1), _NOTHING),
)
"""How far to look for a shift, and how large it must be at least to matter from there; no zone has two in two days."""


def _moments(wall: datetime, zone: tzinfo) -> tuple[datetime, ...]:
    """Give the instants at which the clock shows a wall time: one, two where it is put back, none where put forward."""
    there = wall.replace(tzinfo=zone)
    before, behind = there.utcoffset() or _NOTHING, there.replace(fold=1).utcoffset() or _NOTHING
    if before < behind:  # PEP 495: the two differ only in a gap, and where a time is shown twice
        return ()
    first = (wall - before).replace(tzinfo=UTC)
    return (first,) if before == behind else (first, (wall - behind).replace(tzinfo=UTC))


def _fixed_moment(wall: datetime, zone: tzinfo) -> tuple[datetime, ...]:
    """Give the one instant of a fixed wall time: its first showing, or what is shown soonest after the gap it is in."""
    while not (moments := _moments(wall, zone)):
        wall += timedelta(minutes=1)
    return moments[:1]


_ANY_TIME = datetime(2000, 1, 1)  # noqa: DTZ001 - a wall time, which has no zone
_FIELD_COUNTS = (5, 6)


def _expand(text: str) -> str:
    alias = text.lower()
    if alias in ALIASES:
        return ALIASES[alias]
    if alias == "@reboot":
        message = (
            "cron line '@reboot': a start is no time, and each of several processes has its own; call "
            "`pinstripe run-background-job` where your application is started"
        )
        raise ValueError(message)
    message = f"cron line {text!r}: expected one of {', '.join(ALIASES)}"
    raise ValueError(message)


def _settled(part: str) -> str:
    """Give one part of a field: `5-5/2` as `5`, since cronsim reads it as `5/2`, and so as all from 5 on."""
    match = re.fullmatch(r"(\w+)-(\w+)/0*[1-9]\d*", part, re.ASCII)
    return match[1] if match and _value(match[1]) == _value(match[2]) else part


def _value(text: str) -> str:
    from cronsim.cronsim import SYMBOLIC_DAYS, SYMBOLIC_MONTHS

    numbers = {name: str(day) for day, name in enumerate(SYMBOLIC_DAYS)}
    numbers |= {name: str(month) for month, name in enumerate(SYMBOLIC_MONTHS, start=1)}
    return numbers.get(text, text).lstrip("0")


_NUMBERS = "alone, as a list 1,2, as a range 1-5, or with a step as in */5"
_FIELDS = {
    "second": ("second", f"* or 0 to 59 {_NUMBERS}"),
    "minute": ("minute", f"* or 0 to 59 {_NUMBERS}"),
    "hour": ("hour", f"* or 0 to 23 {_NUMBERS}"),
    "day-of-month": ("day of month", f"* or 1 to 31 {_NUMBERS}, or L for the last day, LW for the last weekday"),
    "month": ("month", f"* or 1 to 12 or JAN to DEC {_NUMBERS}"),
    "day-of-week": (
        "day of week",
        f"* or 0 to 7 or SUN to SAT {_NUMBERS}, or 5L for the last Friday, 5#2 for the second",
    ),
}


def _fault(fields: list[str]) -> str | None:
    from cronsim import CronSim, CronSimError

    try:
        CronSim(" ".join(fields), _ANY_TIME)
    except (CronSimError, ValueError) as error:  # a ValueError is a number of thousands of digits
        return str(error)
    return None


def _complaint(fields: list[str], fault: str) -> str:
    names = list(_FIELDS)[-len(fields) :]
    bad = fault.removeprefix("Bad ")
    if bad not in names:
        return fault
    value = fields[names.index(bad)]
    name, expected = _FIELDS[bad]
    return f"{name} is {_short(value)}{_reason(bad, value)}; expected {expected}"


def _reason(bad: str, value: str) -> str:
    if "?" in value:
        return ", but '?' is not cron's; write *"
    if re.search(r"/0+(?!\d)", value):
        return ", whose step is nothing"
    if bad == "day-of-month" and re.search(r"\dW|W\d", value):
        return ", but the weekday nearest to a day is not supported"
    for start, end in re.findall(r"(\w+)-(\w+)", value):
        if "L" not in {start, end} and _reads(bad, start) and _reads(bad, end) and not _reads(bad, f"{start}-{end}"):
            return f", but {start}-{end} runs backwards; write it as two ranges"
    return ""


def _reads(name: str, value: str) -> bool:
    return _fault([value if field == name else "*" for field in _FIELDS]) is None


def _short(text: str) -> str:
    return repr(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")


_LONGEST = 100
