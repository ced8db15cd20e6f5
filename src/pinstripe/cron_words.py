"""Cron lines in English: those that people write in words of our own, the others in cronsim's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pinstripe.cron import explain, read_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cronsim import CronSim

_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_ORDINALS = ("", "first", "second", "third", "fourth", "fifth")

_SIXTY = frozenset(range(60))
_HOURS = frozenset(range(24))
_MOST = 4
"""How many times of a day, or days of a month, are named one by one; more can't be read."""

_FEW = 2
"""So many are told one by one though they follow one another."""


def in_words(cron: str) -> str:
    """Say a checked line in English: `every Monday at 09:00`, `every hour, at minute 0`."""
    line = read_fields(cron)
    often, days = _often(line) or _times(line), _days(line)
    if often is None or days is None:
        words = explain(cron)
        return words[0].lower() + words[1:]
    if often.is_times:
        return f"{days.for_times} {often.words}"
    return often.words + (f", {days.for_often}" if days.for_often else "")


class _Often(NamedTuple):
    """When on a day: at `is_times` (`at 09:00`), or again and again (`every hour, at minute 0`)."""

    words: str
    is_times: bool


class _Days(NamedTuple):
    """On which days: before times (`every Monday`), and behind what is again and again (`on Mondays`)."""

    for_times: str
    for_often: str


def _often(line: CronSim) -> _Often | None:
    seconds, minutes, hours = line.seconds, line.minutes, line.hours
    words: str | None = None
    if hours == _HOURS and minutes == _SIXTY and seconds != {0}:
        words = _each(seconds, 60, "second") or _at_each("every minute, at second", seconds)
    elif seconds == {0} and hours == _HOURS:
        words = _each(minutes, 60, "minute") or _at_each("every hour, at minute", minutes)
    elif seconds == {0} and _is_range(sorted(hours)) and (each_minute := _each(minutes, 60, "minute")):
        words = f"{each_minute} from {min(hours):02}:00 to {max(hours):02}:59"
    elif seconds == {0} and len(minutes) == 1 and len(hours) > _FEW:
        minute = min(minutes)
        if each_hour := _each(hours, 24, "hour"):
            words = f"{each_hour}, at minute {minute}"
        elif _is_range(sorted(hours)):
            words = f"every hour from {min(hours):02}:{minute:02} to {max(hours):02}:{minute:02}"
    return None if words is None else _Often(words, is_times=False)


def _each(values: set[int], whole: int, unit: str) -> str | None:
    """Say `every 5 minutes` where that is what the values are, evenly from 0 on; an hour or a day has a `whole`."""
    step = whole // len(values)
    if len(values) == 1 or values != set(range(0, whole, step)) or whole % step:
        return None
    return f"every {unit}" if step == 1 else f"every {step} {unit}s"


def _at_each(words: str, values: set[int]) -> str | None:
    if len(values) > _MOST:
        return None
    return f"{words}{'' if len(values) == 1 else 's'} {_and(map(str, sorted(values)))}"


def _times(line: CronSim) -> _Often | None:
    if len(line.hours) * len(line.minutes) * len(line.seconds) > _MOST:
        return None
    times = [
        f"{hour:02}:{minute:02}" + ("" if line.seconds == {0} else f":{second:02}")
        for hour in sorted(line.hours)
        for minute in sorted(line.minutes)
        for second in sorted(line.seconds)
    ]
    return _Often(f"at {_and(times)}", is_times=True)


def _days(line: CronSim) -> _Days | None:
    weekdays: set[Any] = {day % 7 if isinstance(day, int) else (day[0] % 7, day[1]) for day in line.weekdays}
    every_date, every_weekday = set(line.days) >= set(range(1, 32)), weekdays >= set(range(7))
    months = _months(line.months)
    if months is None or not (every_date or every_weekday):
        return None
    # Both fields must hold where one of them begins with a star; else one of them is enough, and that may be any day.
    if (every_date and every_weekday) or not line.day_and:
        return _Days(f"every day{months.of_days}", months.of_days.strip())
    if every_date:
        return _on_weekdays(weekdays, months)
    return _on_dates(line, months)


class _Months(NamedTuple):
    """In which months: of weekdays and days (` in January`; empty for all), and of dates (`every month`)."""

    of_days: str
    of_dates: str


def _months(months: set[int]) -> _Months | None:
    numbers = sorted(months)
    names = [_MONTHS[number - 1] for number in numbers]
    if len(names) == len(_MONTHS):
        return _Months("", "every month")
    if len(names) > _FEW and _is_range(numbers):
        return _Months(f" from {names[0]} to {names[-1]}", f"every month from {names[0]} to {names[-1]}")
    return _Months(f" in {_and(names)}", _and(names)) if len(names) <= 6 else None  # noqa: PLR2004 - each second one


def _on_weekdays(weekdays: set[Any], months: _Months) -> _Days | None:
    plain = sorted((day - 1) % 7 for day in weekdays if isinstance(day, int))
    counted = sorted(
        (day for day in weekdays if not isinstance(day, int)), key=lambda day: (day[1] < 0, day[1], day[0])
    )
    if counted:
        if plain or len(counted) > _MOST:
            return None
        names = [f"{_ORDINALS[nth] if nth > 0 else 'last'} {_WEEKDAYS[(day - 1) % 7]}" for day, nth in counted]
        words = f"on the {_and(names)} of {months.of_dates}"
        return _Days(words, words)
    names = [_WEEKDAYS[day] for day in plain]
    if len(names) > _FEW and _is_range(plain):
        words = f"from {names[0]} to {names[-1]}{',' if 'from' in months.of_days else ''}{months.of_days}"
        return _Days(words, words)
    return _Days(f"every {_and(names)}{months.of_days}", f"on {_and(f'{name}s' for name in names)}{months.of_days}")


def _on_dates(line: CronSim, months: _Months) -> _Days | None:
    from cronsim import CronSim

    days = sorted(line.days, key=lambda day: (day < 0, -day if day < 0 else day))
    if len(days) > _MOST or (CronSim.LAST_WEEKDAY in days and len(days) > 1):
        return None
    if len(days) == 1 and days[0] > 0 and len(line.months) == 1:
        words = f"on {days[0]} {months.of_dates}"
        return _Days(f"every year {words}", words)
    if days == [CronSim.LAST_WEEKDAY]:
        words = f"on the last weekday of {months.of_dates}"
    else:
        words = f"on the {_and('last' if day == CronSim.LAST else _nth(day) for day in days)} day of {months.of_dates}"
    return _Days(words, words)


def _nth(number: int) -> str:
    if number < len(_ORDINALS):
        return _ORDINALS[number]
    ending = "th" if number // 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _is_range(numbers: Sequence[int]) -> bool:
    return numbers[-1] - numbers[0] == len(numbers) - 1


def _and(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
