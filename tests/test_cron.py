# ruff: noqa: DTZ001 - wall clocks show times without a zone
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from pinstripe.cron import ALIASES, check_cron, explain, fires

if TYPE_CHECKING:
    from collections.abc import Iterator

NEW_YORK = ZoneInfo("America/New_York")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")

ZONES = ("UTC", "America/New_York", "Europe/London", "Australia/Lord_Howe", "Antarctica/Troll", "Asia/Kolkata")

# The days around which the clocks of these zones change in 2026.
MOMENTS = st.one_of(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),
    *(
        st.datetimes(day - timedelta(days=1), day + timedelta(days=1, hours=12))
        for day in (datetime(2026, m, d) for m, d in ((3, 8), (3, 29), (4, 5), (10, 4), (10, 25), (11, 1)))
    ),
).map(lambda moment: moment.replace(tzinfo=UTC))

MINUTES = st.one_of(
    st.just("*"),
    st.sampled_from(["*/5", "*/15", "*/30", "0,30", "1-4", "7/20"]),
    st.integers(0, 59).map(str),
)
HOURS = st.one_of(st.just("*"), st.sampled_from(["*/2", "1-3", "0,1,2,3", "2/6"]), st.integers(0, 4).map(str))
DAYS = st.sampled_from(["*", "*", "*", "1", "L", "LW", "*/2", "25,29"])
WEEKDAYS = st.sampled_from(["*", "*", "*", "SUN", "0", "7", "MON-FRI", "5L", "0#1"])
LINES = st.builds("{} {} {} {} {}".format, MINUTES, HOURS, DAYS, st.just("*"), WEEKDAYS)


def in_range(line: str, zone: str, after: datetime, until: datetime) -> list[datetime]:
    return list(takewhile(lambda moment: moment <= until, fires(check_cron(line), after, ZoneInfo(zone))))


def wall_times(line: str, begin: datetime, end: datetime) -> Iterator[datetime]:
    """Give the times after `begin`, up to `end`, that a wall clock without any zone shows when the line fits."""
    return takewhile(lambda wall: wall <= end, CronSim(line, begin))


@given(LINES, st.sampled_from(ZONES), MOMENTS)
def test_fires_are_aware_utc_and_strictly_increasing(line: str, zone: str, after: datetime) -> None:
    moments = list(islice(fires(check_cron(line), after, ZoneInfo(zone)), 50))
    assert all(moment.tzinfo is UTC for moment in moments)
    assert moments[0] > after
    assert all(one < other for one, other in pairwise(moments))


@given(LINES, st.sampled_from(ZONES), MOMENTS, st.integers(0, 36 * 60))
def test_a_later_start_gives_the_rest_of_the_same_fires(line: str, zone: str, after: datetime, minutes: int) -> None:
    later, until = after + timedelta(minutes=minutes), after + timedelta(days=3)
    assert in_range(line, zone, later, until) == [one for one in in_range(line, zone, after, until) if one > later]


@settings(max_examples=60, deadline=None)
@given(MINUTES, HOURS, st.sampled_from(ZONES), MOMENTS)
def test_a_line_with_a_star_fires_at_every_real_minute_that_fits(
    minute: str, hour: str, zone: str, after: datetime
) -> None:
    if not (minute.startswith("*") or hour.startswith("*")):
        hour = "*"
    line = f"{minute} {hour} * * *"
    after = after.replace(second=0, microsecond=0)
    until = after + timedelta(days=1)
    begin = datetime(2025, 12, 30)
    fitting = {wall.time() for wall in wall_times(line, begin, begin + timedelta(days=1))}
    every_minute = (after + timedelta(minutes=number) for number in range(1, 24 * 60 + 1))
    expected = [moment for moment in every_minute if moment.astimezone(ZoneInfo(zone)).time() in fitting]
    assert in_range(line, zone, after, until) == expected


@pytest.mark.parametrize("zone", ZONES)
@given(minute=st.integers(0, 59), hour=st.integers(0, 23))
@settings(max_examples=15, deadline=None)
def test_a_fixed_time_fires_exactly_once_a_day(zone: str, minute: int, hour: int) -> None:
    line = f"{minute} {hour} * * *"
    begin = datetime(2026, 1, 1, tzinfo=ZoneInfo(zone))
    moments = in_range(line, zone, begin - timedelta(seconds=1), datetime(2026, 12, 31, 23, 59, tzinfo=ZoneInfo(zone)))
    days = [moment.astimezone(ZoneInfo(zone)).date() for moment in moments]
    assert len(days) == len(set(days)) == 365


@given(LINES, st.sampled_from(["UTC", "America/New_York", "Europe/London", "Asia/Kolkata"]), MOMENTS)
def test_where_clocks_change_by_an_hour_cronsim_agrees(line: str, zone: str, after: datetime) -> None:
    walked = CronSim(line, after.astimezone(ZoneInfo(zone)))
    cronsims = [moment.astimezone(UTC) for moment in islice(walked, 30)]
    assert list(islice(fires(line, after, ZoneInfo(zone)), 30)) == cronsims


def test_a_time_that_the_spring_skips_fires_when_the_gap_is_over() -> None:
    fire = next(fires("30 2 * * *", datetime(2026, 3, 8, 5, tzinfo=UTC), NEW_YORK))
    assert fire.astimezone(NEW_YORK).isoformat() == "2026-03-08T03:00:00-04:00"


def test_two_times_in_the_gap_fire_once() -> None:
    begin = datetime(2026, 3, 8, 5, tzinfo=UTC)
    moments = islice(fires("0,30 2-3 * * *", begin, NEW_YORK), 3)
    assert [moment.astimezone(NEW_YORK).strftime("%d %H:%M") for moment in moments] == [
        "08 03:00",
        "08 03:30",
        "09 02:00",
    ]


def test_a_time_that_the_autumn_shows_twice_fires_the_first_time_only() -> None:
    begin = datetime(2026, 11, 1, 4, tzinfo=UTC)
    moments = [moment.astimezone(NEW_YORK) for moment in islice(fires("30 1 * * *", begin, NEW_YORK), 2)]
    assert [moment.isoformat() for moment in moments] == ["2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"]


def test_an_hourly_line_fires_every_real_hour_of_the_autumn_night() -> None:
    begin = datetime(2026, 11, 1, 3, tzinfo=UTC)
    moments = list(islice(fires("0 * * * *", begin, NEW_YORK), 5))
    assert moments == [begin + timedelta(hours=number) for number in range(1, 6)]


def test_two_walks_of_a_line_do_not_disturb_each_other() -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    one, other = fires("0 9 * * *", begin, UTC), fires("0 9 * * *", begin + timedelta(days=100), NEW_YORK)
    first = next(one), next(other)
    second = next(one), next(other)
    assert [later - earlier for earlier, later in zip(first, second, strict=True)] == [timedelta(days=1)] * 2


def test_half_an_hour_put_back_repeats_half_an_hour() -> None:
    begin = datetime(2026, 4, 4, 14, tzinfo=UTC)
    moments = [moment.astimezone(LORD_HOWE) for moment in islice(fires("30 * * * *", begin, LORD_HOWE), 3)]
    assert [moment.isoformat() for moment in moments] == [
        "2026-04-05T01:30:00+11:00",
        "2026-04-05T01:30:00+10:30",
        "2026-04-05T02:30:00+10:30",
    ]


def test_a_day_that_an_island_skips_is_made_up_for() -> None:
    apia = ZoneInfo("Pacific/Apia")  # had no 30 December 2011
    moments = islice(fires("0 12 * * *", datetime(2011, 12, 29, 0, tzinfo=apia), apia), 3)
    assert [moment.astimezone(apia).strftime("%d %H:%M") for moment in moments] == ["29 12:00", "31 00:00", "31 12:00"]


def test_seconds_stand_in_front() -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    moments = islice(fires("*/20 0 * * * *", begin, UTC), 4)
    assert [moment.strftime("%H:%M:%S") for moment in moments] == ["00:00:20", "00:00:40", "01:00:00", "01:00:20"]


def test_a_fixed_time_with_seconds_keeps_to_the_same_rule() -> None:
    begin = datetime(2026, 3, 8, 5, tzinfo=UTC)
    fire = next(fires("15 30 2 * * *", begin, NEW_YORK))
    assert fire.astimezone(NEW_YORK).strftime("%H:%M:%S") == "03:00:15"
    assert next(fires("15 30 2 * * *", fire - timedelta(seconds=10), NEW_YORK)) == fire


def test_a_moment_between_two_seconds_is_before_the_next() -> None:
    half_past = datetime(2026, 1, 1, 0, 59, 59, 500_000, tzinfo=UTC)
    assert next(fires("0 * * * *", half_past, UTC)) == datetime(2026, 1, 1, 1, tzinfo=UTC)
    assert next(fires("0 * * * *", datetime(2026, 1, 1, 1, tzinfo=UTC), UTC)) == datetime(2026, 1, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("0 * * * *", "0 * * * *"),
        ("  0\t9 * jan mon-Fri ", "0 9 * JAN MON-FRI"),
        ("0 0 L * *", "0 0 L * *"),
        ("0 0 * * 5#2,1L", "0 0 * * 5#2,1L"),
        ("*/10 0 * * * *", "*/10 0 * * * *"),
        ("@Hourly", "0 * * * *"),
        ("0 0 29 2 *", "0 0 29 2 *"),
        ("5-5/2,05-5/1 */2 1-1/4 jan-1/3 sun-0/2", "5,05 */2 1 JAN SUN"),  # cronsim would read 5/2, which is 5, 7, 9…
    ],
)
def test_a_line_is_kept_in_one_form(line: str, kept: str) -> None:
    assert check_cron(line) == kept


@pytest.mark.parametrize("alias", ALIASES)
def test_every_alias_is_a_line(alias: str) -> None:
    assert check_cron(alias) == ALIASES[alias] == check_cron(ALIASES[alias])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("60 * * * *", "minute is '60'; expected * or 0 to 59"),
        ("* 24 * * *", "hour is '24'; expected * or 0 to 23"),
        ("* * 32 * *", "day of month is '32'; expected * or 1 to 31"),
        ("* * 0 2 *", "day of month is '0'; expected * or 1 to 31"),
        ("* * * 13 *", "month is '13'; expected * or 1 to 12 or JAN to DEC"),
        ("* * * * 8", "day of week is '8'; expected * or 0 to 7 or SUN to SAT"),
        ("* * * * FUN", "day of week is 'FUN'"),
        ("99 0 0 * * *", "second is '99'; expected * or 0 to 59"),
        ("0 0 L-3 * *", "day of month is 'L-3'; expected"),
        ("5-1 * * * *", "minute is '5-1', but 5-1 runs backwards"),
        ("* * * * 1,FRI-MON", "day of week is '1,FRI-MON', but FRI-MON runs backwards"),
        ("*/0 * * * *", "minute is '*/0', whose step is nothing"),
        ("* * ? * *", "day of month is '?', but '?' is not cron's"),
        ("* * 15W * *", "the weekday nearest to a day is not supported"),
        ("0 0 30 2 *", "never fires: no month that it names has such a day"),
        ("0 0 */31 * MON#5", "never fires"),
        ("* * * *", "expected five fields … got 4"),
        ("* * * * * * *", "expected five fields … got 7"),
        ("", "expected five fields … got 0"),
        ("@reboot", "a start is no time"),
        ("@dayly", "expected one of @hourly, @daily"),
        ("9" * 5000 + " * * * *", "99…': "),
        (5, "expected a cron line such as '0 * * * *', got 5"),
        (None, "expected a cron line such as"),
        (b"0 * * * *", "expected a cron line such as"),
        (["0 * * * *"], "expected a cron line such as"),
        ("\u0660 * * * *", "minute is "),
        ("-5 * * * *", "minute is '-5'"),
        ("1.5 * * * *", "minute is '1.5'"),
        (",1 * * * *", "minute is ',1'"),
        ("0 0 * * L", "day of week is 'L'"),
        ("0 0 * * 5#6", "day of week is '5#6'"),
        ("0 L * * *", "hour is 'L'"),
        ("@", "expected one of @hourly, @daily"),
        ("@every 5m", "expected one of @hourly, @daily"),
    ],
    ids=str,
)
def test_what_is_no_cron_is_refused_with_the_field_and_the_reason(line: str, reason: str) -> None:
    with pytest.raises(ValueError, match="cron line") as caught:
        check_cron(line)
    assert all(part in str(caught.value) for part in reason.split(" … "))
    assert len(str(caught.value)) < 600


@given(st.text("0123456789*/,-#LWSUNMONJAN? @", max_size=25))
def test_any_text_is_kept_or_refused_and_what_is_kept_can_be_explained(text: str) -> None:
    try:
        kept = check_cron(text)
    except ValueError:
        return
    assert check_cron(kept) == kept
    assert explain(kept)


@settings(deadline=None)
@given(LINES)
def test_a_line_can_be_put_in_words(line: str) -> None:
    assert explain(line)[0].isupper()


def test_words_are_plain() -> None:
    assert explain("0 * * * *") == "At the start of every hour"
    assert explain("0 9 * * 1") == "At 09:00 on Monday"
