# ruff: noqa: DTZ001 - wall clocks show times without a zone
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.clock_changes import ClockChange, effect_in_words, next_change
from pinstripe.cron import check_cron, fires, is_fixed

BEGIN = datetime(2026, 11, 22, 7, 0, 0, 5, tzinfo=UTC)


def changes(zone: str, number: int = 2) -> list[ClockChange]:
    found: list[ClockChange] = []
    for _ in range(number):
        change = next_change(ZoneInfo(zone), found[-1].at if found else BEGIN)
        assert change is not None
        found.append(change)
    return found


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        ("Europe/Paris", ["forward on 2027-03-28 at 02:00 (to 03:00)", "back on 2027-10-31 at 03:00 (to 02:00)"]),
        ("America/New_York", ["forward on 2027-03-14 at 02:00 (to 03:00)", "back on 2027-11-07 at 02:00 (to 01:00)"]),
        (
            "Australia/Lord_Howe",
            ["back on 2027-04-04 at 02:00 (to 01:30)", "forward on 2027-10-03 at 02:00 (to 02:30)"],
        ),
        ("Antarctica/Troll", ["forward on 2027-03-28 at 01:00 (to 03:00)", "back on 2027-10-31 at 03:00 (to 01:00)"]),
        ("Africa/Casablanca", ["back on 2027-02-07 at 03:00 (to 02:00)", "forward on 2027-03-14 at 02:00 (to 03:00)"]),
        (
            "America/Santiago",
            ["back on 2027-04-04 at 00:00 (to 2027-04-03 23:00)", "forward on 2027-09-05 at 00:00 (to 01:00)"],
        ),
    ],
)
def test_the_next_changes_of_a_clock_in_words(zone: str, words: list[str]) -> None:
    assert [change.in_words() for change in changes(zone)] == [f"the clock goes {each}" for each in words]


def test_a_change_is_a_moment_with_what_was_to_be_shown_and_what_is() -> None:
    change = changes("Antarctica/Troll", 1)[0]
    assert change == ClockChange(datetime(2027, 3, 28, 1, tzinfo=UTC), timedelta(0), timedelta(hours=2))
    assert change.is_forward
    assert (change.shown, change.put_to) == (datetime(2027, 3, 28, 1), datetime(2027, 3, 28, 3))


def test_an_island_that_changes_the_side_of_the_date_line() -> None:
    change = next_change(ZoneInfo("Pacific/Apia"), datetime(2011, 11, 1, tzinfo=UTC))
    assert change is not None
    assert change.in_words() == "the clock goes forward on 2011-12-30 at 00:00 (to 2011-12-31 00:00)"
    assert effect_in_words("0 12 * * *", ZoneInfo("Pacific/Apia"), change) == "12:00 isn't there; it fires at 00:00"


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "Pacific/Kiritimati"])
def test_a_clock_that_is_never_changed(zone: str) -> None:
    assert next_change(ZoneInfo(zone), BEGIN) is None


def test_a_change_is_found_from_the_moment_before_it_and_not_from_its_own() -> None:
    paris = ZoneInfo("Europe/Paris")
    at = datetime(2027, 3, 28, 1, tzinfo=UTC)
    found = [next_change(paris, at - timedelta(seconds=before), timedelta(seconds=5)) for before in (6, 5, 1, 0)]
    assert [change and change.at for change in found] == [None, at, at, None]


FORWARD = {
    "30 2 * * *": "02:30 isn't there; it fires at 03:00",
    "0,30 2 * * *": "02:00 and 02:30 aren't there; it fires once, at 03:00",
    "0,30 1-3 * * *": "02:00 and 02:30 aren't there; it fires once, at 03:00",
    "15,20 30 2 * * *": "02:30:15 and 02:30:20 aren't there; it fires at 03:00:15 and 03:00:20",
    "0-59 2 * * *": "60 times from 02:00 to 02:59 aren't there; it fires once, at 03:00",
    "0 * * * *": "it fires each real hour, as ever",
    "*/5 * * * *": "it fires every 5 real minutes, as ever",
    "* * * * *": "it fires each real minute, as ever",
    "* * * * * *": "it fires each real second, as ever",
    "*/10 * * * * *": "it fires every 10 real seconds, as ever",
    "0-20 * * * *": "21 times from 02:00 to 02:20 aren't there: it doesn't fire for them",
    "*/30 2 * * *": "02:00 and 02:30 aren't there: it doesn't fire for them",
    "0 */2 * * *": "02:00 isn't there: it doesn't fire for it",
    "0,20 * * * *": "02:00 and 02:20 aren't there: it doesn't fire for them",
    "0 9 * * *": "no effect",
    "30 2 * * MON": "no effect",
    "30 2 28 3 *": "02:30 isn't there; it fires at 03:00",
}

BACK = {
    "30 2 * * *": "02:30 is there twice: it fires once, at the first",
    "0,30 2 * * *": "02:00 and 02:30 are there twice: it fires once for each, at the first",
    "0 * * * *": "it fires each real hour, as ever",
    "*/5 * * * *": "it fires every 5 real minutes, as ever",
    "*/30 2 * * *": "02:00 and 02:30 are there twice: it fires both times",
    "0 3 * * *": "no effect",
    "30 2 * * MON": "no effect",
}

HALF_AN_HOUR = {
    "45 1 * * *": "01:45 is there twice: it fires once, at the first",
    "15 1 * * *": "no effect",
    "0 * * * *": "no effect",
    "45 * * * *": "01:45 is there twice: it fires both times",
    "*/30 * * * *": "it fires every 30 real minutes, as ever",
}


@pytest.mark.parametrize(
    ("zone", "change", "effects"),
    [("Europe/Paris", 0, FORWARD), ("Europe/Paris", 1, BACK), ("Australia/Lord_Howe", 0, HALF_AN_HOUR)],
)
def test_what_a_schedule_does_then_in_words(zone: str, change: int, effects: dict[str, str]) -> None:
    at = changes(zone)[change]
    assert {cron: effect_in_words(cron, ZoneInfo(zone), at) for cron in effects} == effects


ZONES = ("Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Antarctica/Troll", "America/Santiago")
PLACES = [(zone, change) for zone in ZONES for change in changes(zone)]
FIELDS = st.tuples(
    st.sampled_from(["0", "30", "15,45", "0-20", "*", "*/5", "*/20", "7"]),
    st.sampled_from(["0", "1", "2", "23", "1-3", "0-23", "*", "*/2", "0,23"]),
    st.sampled_from(["*", "*", "SUN", "MON", "0L"]),
)


@given(FIELDS, st.sampled_from(PLACES))
def test_the_words_say_what_the_fires_do(fields: tuple[str, str, str], place: tuple[str, ClockChange]) -> None:
    minute, hour, weekday = fields
    cron = check_cron(f"{minute} {hour} * * {weekday}")
    zone, change = ZoneInfo(place[0]), place[1]
    words = effect_in_words(cron, zone, change)
    around = timedelta(hours=3)
    found = list(takewhile(lambda one: one < change.at + around, fires(cron, change.at - around, zone)))
    shown = [moment.astimezone(zone).replace(tzinfo=None, fold=0) for moment in found]
    first, last = sorted((change.shown, change.put_to))
    named = list(takewhile(lambda wall: wall < last, walls(cron, first)))
    again = [wall for wall in shown if shown.count(wall) > 1]
    if words == "no effect":
        assert not named
    elif "as ever" in words:
        assert len({later - earlier for earlier, later in pairwise(found)}) == 1
    elif "both times" in words:
        assert sorted(set(again)) == named
    elif "there twice" in words:
        assert not again
        assert [wall for wall in shown if wall in named] == named
    else:
        assert change.is_forward
        assert named
        assert not {*named} & {*shown}
        made_up = [wall for wall in shown if last <= wall < last + timedelta(minutes=1)]
        assert ("doesn't fire" in words) is not is_fixed(cron)
        if is_fixed(cron):
            assert words.endswith(f"{'once, ' if len(named) > 1 else ''}at {made_up[0]:%H:%M}")


def walls(cron: str, first: datetime) -> list[datetime]:
    """Give the times of the wall that a line names from `first` on, whether the clock shows them or not."""
    begin = first.replace(tzinfo=UTC) - timedelta(seconds=1)
    return [wall.replace(tzinfo=None) for wall in islice(fires(cron, begin, UTC), 200)]
