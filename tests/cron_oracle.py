"""Another reading of cron lines, to hold Pinstripe's against: it looks at the clock in each real minute, as crond does.

It is written from crontab(5) and Debian's cron(8) alone, and knows nothing of how the walk through wall times is done.
"""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import tzinfo

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)

MONTHS = {"JAN": 1, "FEB": 2, "MAR": 3, "APR": 4, "MAY": 5, "JUN": 6}
MONTHS |= {"JUL": 7, "AUG": 8, "SEP": 9, "OCT": 10, "NOV": 11, "DEC": 12}
WEEKDAYS = {"SUN": 0, "MON": 1, "TUE": 2, "WED": 3, "THU": 4, "FRI": 5, "SAT": 6}


class Line:
    """A cron line with what it says of times and of days."""

    def __init__(self, text: str) -> None:
        """Read a line of five fields, or of six with the seconds in front."""
        self.text = text
        *seconds, minute, hour, self._day, month, self._weekday = text.split()
        self.seconds = numbers(seconds[0], 0, 59) if seconds else {0}
        self.minutes, self.hours = numbers(minute, 0, 59), numbers(hour, 0, 23)
        self.months = numbers(month, 1, 12, MONTHS)
        self.is_fixed = minute[0] != "*" and hour[0] != "*"
        self._either = self._day[0] != "*" and self._weekday[0] != "*"
        self._known: dict[date, bool] = {}

    def has_day(self, day: date) -> bool:
        """Tell whether it fires on that day of the wall's calendar."""
        if day not in self._known:
            by_date = any(self._has_date(item, day) for item in self._day.split(","))
            by_weekday = any(self._has_weekday(item, day) for item in self._weekday.split(","))
            fits = by_date or by_weekday if self._either else by_date and by_weekday
            self._known[day] = fits and day.month in self.months
        return self._known[day]

    @staticmethod
    def _has_date(item: str, day: date) -> bool:
        last = calendar.monthrange(day.year, day.month)[1]
        if item == "L":
            return day.day == last
        if item == "LW":
            return day.day == last_weekday(day)
        return day.day in numbers(item, 1, 31)

    @staticmethod
    def _has_weekday(item: str, day: date) -> bool:
        name, hash_, nth = item.partition("#")
        if hash_:
            return Line._has_weekday(name, day) and (day.day - 1) // 7 + 1 == int(nth)
        if item.endswith("L"):
            return Line._has_weekday(item[:-1], day) and (day + 7 * DAY).month != day.month
        return bool({day.isoweekday(), day.isoweekday() % 7} & numbers(item, 0, 7, WEEKDAYS))


def last_weekday(day: date) -> int:
    """Give the last day of the month that is neither a Saturday nor a Sunday."""
    days = range(1, calendar.monthrange(day.year, day.month)[1] + 1)
    return max(number for number in days if day.replace(day=number).isoweekday() <= 5)


def numbers(field: str, least: int, most: int, names: dict[str, int] | None = None) -> set[int]:
    """Give the numbers that a field stands for."""
    found: set[int] = set()
    for item in field.split(","):
        span, slash, step = item.partition("/")
        if span == "*":
            first, last = least, most
        elif "-" in span:
            first, last = (number(end, names) for end in span.split("-"))
        else:
            first = number(span, names)
            last = most if slash else first
        found.update(range(first, last + 1, int(step or 1)))
    return found


def number(text: str, names: dict[str, int] | None) -> int:
    """Read a number or a name."""
    return names[text] if names and text in names else int(text)


def look_each_minute(lines: Iterable[Line], zone: tzinfo, begin: datetime, end: datetime) -> dict[str, list[datetime]]:
    """Give when each line fires from `begin` until just before `end`, both in UTC and whole minutes.

    Nothing is remembered of the time before `begin`: begin a day earlier than what is looked at.
    """
    lines = list(lines)
    at_time: dict[tuple[int, int], list[Line]] = {}
    for line in lines:
        for hour in line.hours:
            for minute in line.minutes:
                at_time.setdefault((hour, minute), []).append(line)
    found: dict[str, set[datetime]] = {line.text: set() for line in lines}
    for moment, wall, skipped in _walls(zone, begin, end):
        for time in skipped:
            for line in at_time.get((time.hour, time.minute), ()):
                if line.is_fixed and line.has_day(time.date()):
                    found[line.text].update(within(moment, line))
        for line in at_time.get((wall.hour, wall.minute), ()):
            if (skipped is not REPEATED or not line.is_fixed) and line.has_day(wall.date()):
                found[line.text].update(within(moment, line))
    return {text: sorted(moments) for text, moments in found.items()}


REPEATED: list[datetime] = []
"""Stands for the skipped times where the clock shows what it has shown before."""


def _walls(zone: tzinfo, moment: datetime, end: datetime) -> Iterator[tuple[datetime, datetime, Sequence[datetime]]]:
    """Give each minute, what the clock shows in it, and what it has skipped since the last one."""
    latest = moment.astimezone(zone) - MINUTE
    while moment < end:
        wall = moment.astimezone(zone)
        ahead = (wall - latest) // MINUTE  # datetimes of one zone are compared by what the wall shows
        yield moment, wall, [latest + MINUTE * number for number in range(1, ahead)] if ahead > 0 else REPEATED
        latest = max(latest, wall)
        moment += MINUTE


def within(moment: datetime, line: Line) -> Iterator[datetime]:
    """Give the fires of a line in a minute that it names."""
    return (moment.replace(second=second) for second in line.seconds)


def look_at_days(line: Line, zone: tzinfo, begin: datetime, end: datetime) -> list[datetime]:
    """Do the same for one line, but pass over whole days without and around which there is none that it names."""
    found: list[datetime] = []
    start = None
    while begin < end:
        around = (begin.astimezone(zone).date() + DAY * number for number in range(-2, 4))
        if any(map(line.has_day, around)):
            start = begin if start is None else start
        elif start is not None:
            found += look_each_minute([line], zone, start, begin)[line.text]
            start = None
        begin += DAY
    if start is not None:
        found += look_each_minute([line], zone, start, begin)[line.text]
    return [moment for moment in found if moment < end]


def find_changes(zone: tzinfo, begin: datetime, end: datetime) -> list[datetime]:
    """Give the first minutes after each change of a zone's clock."""
    found = []
    moment = begin
    while moment < end:
        if moment.astimezone(zone).utcoffset() != (moment + DAY).astimezone(zone).utcoffset():
            minutes = (moment + MINUTE * number for number in range(1, 1441))
            offset = moment.astimezone(zone).utcoffset()
            found.append(next(each for each in minutes if each.astimezone(zone).utcoffset() != offset))
        moment += DAY
    return found


def utc(year: int, month: int = 1, day: int = 1) -> datetime:
    """Give the beginning of a day in UTC."""
    return datetime(year, month, day, tzinfo=UTC)
