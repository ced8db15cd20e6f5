"""Cron lines in zones whose clocks are put forward and back in every way, against a look at each real minute."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinstripe.cron import check_cron, fires
from tests.cron_oracle import DAY, MINUTE, Line, find_changes, look_at_days, look_each_minute, utc
from tests.thoroughness import examples

ZONES = (
    "America/New_York",
    "America/St_Johns",  # half an hour beside all others
    "America/Santiago",  # at midnight, on the southern half
    "America/Asuncion",  # stopped in 2024
    "Europe/London",
    "Europe/Paris",
    "Africa/Cairo",  # at midnight, on a Friday
    "Africa/Casablanca",  # an hour back for Ramadan
    "Antarctica/Troll",  # by two hours
    "Asia/Almaty",  # for good, in 2024
    "Australia/Sydney",
    "Australia/Lord_Howe",  # by half an hour
    "Pacific/Chatham",  # three quarters of an hour beside all others
    "Pacific/Kiritimati",  # never, fourteen hours ahead
)

FIXED = (
    "30 2 * * *",
    "0 0 * * *",
    "45 1 * * *",
    "15 0,23 * * *",
    "0,10,50 1-3 * * *",
    "30 2 * * SUN",
    "59 23 L * *",
    "*/30 30 2 * * *",
)
WILD = (
    "0 * * * *",
    "*/20 * * * *",
    "*/30 2 * * *",
    "30 */2 * * *",
    "* 1,23 * * SUN",
    "45 * * * 0#1",
    "*/15 0-3 */2 * *",
)
LINES = [Line(text) for text in FIXED + WILD]

BEGIN, END = utc(2024), utc(2031)


@pytest.mark.parametrize("name", ZONES)
def test_around_every_change_it_fires_in_the_minutes_in_which_crond_would(name: str) -> None:
    zone = ZoneInfo(name)
    for change in find_changes(zone, BEGIN, END) or [utc(2026, 3, 29)]:
        begin, end = change - 3 * DAY / 2, change + 3 * DAY / 2
        expected = look_each_minute(LINES, zone, begin - DAY / 4, end)
        for line in LINES:
            found = takewhile(lambda moment: moment < end, fires(line.text, begin - MINUTE, zone))  # noqa: B023
            assert list(found) == [moment for moment in expected[line.text] if moment >= begin], (line.text, change)


@pytest.mark.parametrize("name", ZONES)
def test_wherever_near_a_change_a_walk_begins_it_goes_the_same_way(name: str) -> None:
    zone = ZoneInfo(name)
    for change in find_changes(zone, utc(2030), END):
        expected = look_each_minute(LINES, zone, change - 2 * DAY, change + 2 * DAY)
        for line in LINES:
            for after in (change + 20 * MINUTE * number for number in range(-9, 10)):
                following = [moment for moment in expected[line.text] if moment > after][:8]
                assert list(islice(fires(line.text, after, zone), len(following))) == following, (line.text, after)


@pytest.mark.parametrize(("name", "months"), [("Australia/Lord_Howe", 12), ("Africa/Casablanca", 4)])
def test_in_every_minute_of_a_long_time_it_fires_as_crond_would(name: str, months: int) -> None:
    zone = ZoneInfo(name)
    lines = [line for line in LINES if line.text in FIXED]
    begin, end = utc(2030), utc(2030) + months * 30 * DAY
    expected = look_each_minute(lines, zone, begin, end)
    for line in lines:
        found = takewhile(lambda moment: moment < end, fires(line.text, begin - MINUTE, zone))
        assert list(found) == expected[line.text]


@pytest.mark.parametrize("name", ZONES)
def test_a_fixed_time_fires_on_each_day_of_seven_years_once(name: str) -> None:
    zone = ZoneInfo(name)
    begin = BEGIN.astimezone(zone).replace(hour=0) + 2 * DAY
    days = [
        moment.astimezone(zone).date() for moment in takewhile(lambda one: one < END, fires("30 2 * * *", begin, zone))
    ]
    assert days == [begin.date() + DAY * number for number in range(len(days))]
    assert len(days) > 7 * 365 - 3


def item(least: int, most: int, names: tuple[str, ...] = ()) -> st.SearchStrategy[str]:
    """Write a number, a name, a range or a step of a field."""
    one = st.integers(least, most)
    plain = st.one_of(one.map(str), st.sampled_from(names)) if names else one.map(str)
    span = st.tuples(one, one).map(lambda ends: f"{min(ends)}-{max(ends)}")
    step = st.integers(1, most)
    return st.one_of(plain, span, *(st.builds("{}/{}".format, what, step) for what in (one, span, st.just("*"))))


def field(items: st.SearchStrategy[str], *common: str) -> st.SearchStrategy[str]:
    return st.one_of(st.sampled_from(common), items, st.lists(items, min_size=2, max_size=3).map(",".join))


WEEKDAY = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
SECONDS = st.one_of(st.just(""), st.just(""), field(item(0, 59), "0", "*/20").map(lambda text: text + " "))
MINUTES = field(item(0, 59), "*", "0", "30", "*/15")
HOURS = field(item(0, 23), "*", "*", "0", "1", "2", "23", "1-3", "*/2")
DATES = field(st.one_of(item(1, 31), st.sampled_from(("L", "LW"))), *["*"] * 6)
MONTHS = field(item(1, 12, ("JAN", "MAR", "APR", "OCT", "NOV", "MAR-NOV")), *["*"] * 12)
COUNTED = st.builds("{}{}".format, st.integers(0, 7), st.sampled_from(("L", "#1", "#2", "#4", "#5")))
WEEKDAYS = field(st.one_of(item(0, 7, WEEKDAY), COUNTED, st.just("MON-FRI")), *["*"] * 6)
CRON = st.builds("{}{} {} {} {} {}".format, SECONDS, MINUTES, HOURS, DATES, MONTHS, WEEKDAYS)

CHANGES = [(name, change) for name in ZONES for change in find_changes(ZoneInfo(name), BEGIN, END)]
MOMENTS = st.one_of(
    st.tuples(st.sampled_from(CHANGES), st.integers(-4 * 3600, 3 * 3600)).map(
        lambda drawn: (drawn[0][0], drawn[0][1] + timedelta(seconds=drawn[1]))
    ),
    st.tuples(st.sampled_from(CHANGES), st.integers(-20 * 86400, 86400)).map(
        lambda drawn: (drawn[0][0], drawn[0][1] + timedelta(seconds=drawn[1]))
    ),
    st.tuples(st.sampled_from(ZONES), st.datetimes(BEGIN.replace(tzinfo=None), END.replace(tzinfo=None))).map(
        lambda drawn: (drawn[0], drawn[1].replace(tzinfo=BEGIN.tzinfo))
    ),
)


MOST = 100
"""How many fires of a line are looked at."""


@settings(max_examples=examples(120))
@given(CRON, MOMENTS)
def test_any_line_fires_when_crond_would_and_at_no_other_moment(text: str, start: tuple[str, datetime]) -> None:
    try:
        cron = check_cron(text)
    except ValueError:
        return  # February 30
    name, after = start
    zone, line = ZoneInfo(name), Line(cron)
    every_day = all(line.has_day(after.date() + DAY * number) for number in range(-1, 5))
    end = after + (3 * DAY if every_day else 35 * DAY)
    found = list(islice(takewhile(lambda moment: moment <= end, fires(cron, after, zone)), MOST))
    until = found[-1] if len(found) == MOST else end
    begin = after.replace(second=0, microsecond=0) - DAY
    expected = look_at_days(line, zone, begin, until.replace(second=0, microsecond=0) + MINUTE)
    assert found == [moment for moment in expected if after < moment <= until]
