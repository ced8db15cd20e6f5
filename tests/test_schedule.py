from __future__ import annotations

import dataclasses
import pickle
import re
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.schedule import Schedule, check_apart, offset

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)

PLACES = [708000000, 5000000]
"""Where these tenants are in half an hour, in microseconds; another place would let them run twice after a deploy."""


def test_a_schedule_says_nothing_more_than_its_cron_line() -> None:
    schedule = Schedule("@hourly")
    assert schedule.cron == "0 * * * *"
    assert (schedule.name, schedule.args, schedule.kwargs) == (None, (), {})
    assert (schedule.time_zone, schedule.catch_up, schedule.spread) == (None, "latest", None)


def test_a_schedule_with_everything() -> None:
    schedule = Schedule(
        "0 9 * * 1",
        name="weekly",
        args=("weekly", {"limit": 5}),
        kwargs={"dry": True},
        time_zone="tenant",
        catch_up="none",
        spread="30m",
    )
    assert (schedule.name, schedule.args, schedule.kwargs) == ("weekly", ("weekly", {"limit": 5}), {"dry": True})
    assert (schedule.time_zone, schedule.catch_up, schedule.spread) == ("tenant", "none", timedelta(minutes=30))


def test_a_schedule_is_a_fixed_value() -> None:
    items = [1, 2]
    schedule = Schedule("0 * * * *", args=(items,), kwargs={"a": 1})
    items.append(3)
    assert schedule.args == ([1, 2],)
    same = Schedule("0  *  * * *", args=[[1, 2]], kwargs={"a": 1})
    assert schedule == same
    assert hash(schedule) == hash(same)
    assert schedule != Schedule("0 * * * *")
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    with pytest.raises(dataclasses.FrozenInstanceError):
        schedule.cron = "1 * * * *"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"name": ""}, "^name of the schedule .*: expected a text"),
        ({"name": 5}, "^name of the schedule .*: expected a text .* got 5"),
        ({"name": []}, "^name of the schedule .*: expected a text"),
        ({"name": " "}, "^name of the schedule .*: expected a text"),
        ({"name": "a\nb"}, "^name of the schedule .*: expected a text of one line"),
        ({"name": "\ud800"}, "^name of the schedule .*: expected a text of one line"),
        ({"name": "n" * 201}, "^name of the schedule .* at most 200 characters, got 'n{199}…$"),
        ({"args": ["x" * 10_000, {1}]}, "^args of the schedule .{50,300}…$"),
        ({"args": None}, "^args of the schedule"),
        ({"args": b"weekly"}, "^args of the schedule"),
        ({"args": {"a": 1}}, "^args of the schedule"),
        ({"kwargs": "a"}, "^kwargs of the schedule"),
        ({"catch_up": []}, "^catch_up of the schedule"),
        ({"catch_up": None}, "^catch_up of the schedule"),
        ({"time_zone": []}, "^time_zone of the schedule"),
        ({"time_zone": ""}, "^time_zone of the schedule"),
        ({"time_zone": ZoneInfo("Europe/Paris")}, "^time_zone of the schedule .* got zoneinfo"),
        ({"spread": "366d"}, "^spread of the schedule .*: expected more than nothing and at most 365d, got '366d'"),
        ({"spread": timedelta(seconds=-1)}, "^spread of the schedule"),
        ({"spread": []}, "^spread of the schedule"),
        ({"args": "weekly"}, "^args of the schedule .*: expected a list of JSON values, got 'weekly'"),
        ({"args": 5}, "^args of the schedule"),
        ({"args": ({1, 2},)}, "^args of the schedule"),
        ({"args": (float("nan"),)}, "^args of the schedule"),
        ({"args": ((1, 2),)}, "^args of the schedule"),
        ({"kwargs": [1]}, "^kwargs of the schedule .*: expected JSON values by name"),
        ({"kwargs": {1: 2}}, "^kwargs of the schedule"),
        ({"kwargs": {"at": NOON}}, "^kwargs of the schedule"),
        ({"time_zone": "Europe/Pariss"}, "^time_zone of the schedule .*'tenant', got .* nearest: Europe/Paris"),
        ({"time_zone": 5}, "^time_zone of the schedule"),
        ({"catch_up": "all"}, "^catch_up of the schedule .*: expected 'none' or 'latest', got 'all'"),
        ({"spread": 30}, "^spread of the schedule .*: expected a duration"),
        ({"spread": "0s"}, "^spread of the schedule .*: expected more than nothing"),
    ],
    ids=str,
)
def test_what_is_wrong_is_refused_by_name(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Schedule("0 * * * *", **options)


def test_a_circular_argument_is_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(ValueError, match=r"^args of the schedule"):
        Schedule("0 * * * *", args=circle)


def test_a_line_that_is_no_cron_is_refused() -> None:
    with pytest.raises(ValueError, match="minute is '60'"):
        Schedule("60 * * * *")


def test_what_a_job_may_say() -> None:
    weekly = Schedule("@weekly", name="weekly")
    assert Schedule.of(None) == ()
    assert Schedule.of("@hourly") == (Schedule("@hourly"),)
    assert Schedule.of(weekly) == (weekly,)
    assert Schedule.of(["@hourly", weekly]) == (Schedule("@hourly"), weekly)
    assert Schedule.of([]) == ()


@pytest.mark.parametrize("value", [5, {"cron": "0 * * * *"}, ["0 * * * *", 5], [None]], ids=str)
def test_what_a_job_may_not_say(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^schedule: expected a cron line"):
        Schedule.of(value)


def test_two_schedules_of_a_job_have_two_names() -> None:
    with pytest.raises(ValueError, match="two schedules of one job have the name 'weekly'"):
        Schedule.of([Schedule("@weekly", name="weekly"), Schedule("@daily", name="weekly")])


def test_two_schedules_of_a_job_without_names_are_not_the_same() -> None:
    paris = Schedule("@daily", args=(1,), time_zone="Europe/Paris")
    reason = (
        "two schedules of one job are the same: '0 0 * * *' in Europe/Paris, with the same arguments; take one away"
    )
    with pytest.raises(ValueError, match=re.escape(reason)):
        Schedule.of([paris, Schedule("0 0 * * *", args=[1], time_zone="Europe/Paris", catch_up="none")])
    with pytest.raises(ValueError, match=r"the same: '0 0 .* in the project's zone"):
        Schedule.of(["@daily", "@midnight"])
    different = [
        paris,
        Schedule("@daily", args=(2,), time_zone="Europe/Paris"),
        Schedule("@daily", args=(1,), time_zone="Europe/Rome"),
        Schedule("@daily", args=(1,)),
        Schedule("@daily", args=(1,), time_zone="tenant"),
        Schedule("@daily", args=(1,), time_zone="Europe/Paris", name="b"),
    ]
    assert Schedule.of(different) == tuple(different)


def test_no_zone_is_the_same_as_the_projects_own_where_that_is_known() -> None:
    both = (Schedule("@daily"), Schedule("@daily", time_zone="Europe/Paris"))
    check_apart(both, "Europe/Rome")
    with pytest.raises(ValueError, match="two schedules of one job are the same"):
        check_apart(both, "Europe/Paris")


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (Schedule("@hourly"), "every hour, at minute 0"),
        (Schedule("0 * * * *", time_zone="tenant"), "every hour, at minute 0, in each tenant's zone"),
        (
            Schedule("0 9 * * 1", time_zone="Europe/Paris", spread="30m"),
            "every Monday at 09:00, Europe/Paris time, spread over 30m",
        ),
    ],
    ids=["plain", "tenant", "spread"],
)
def test_it_is_put_in_words(schedule: Schedule, words: str) -> None:
    assert schedule.in_words() == words


def first(schedule: Schedule, zone: Any = None) -> str:
    return next(schedule.fires(NOON, zone)).strftime("%H:%M")


def test_a_zone_is_the_schedules_own_or_else_the_given_one_or_else_utc() -> None:
    assert first(Schedule("0 20 * * *")) == "20:00"
    assert first(Schedule("0 20 * * *"), "Europe/Paris") == "18:00"
    assert first(Schedule("0 20 * * *"), ZoneInfo("Europe/Paris")) == "18:00"
    assert first(Schedule("0 20 * * *", time_zone="Asia/Tokyo"), "Europe/Paris") == "11:00"
    assert first(Schedule("0 20 * * *", time_zone="tenant"), "Europe/Paris") == "18:00"


def test_a_tenants_zone_must_be_given() -> None:
    with pytest.raises(ValueError, match="fires in each tenant's zone; give one"):
        Schedule("0 20 * * *", time_zone="tenant").fires(NOON)


class OldZone(ZoneInfo):
    """A zone as pytz has them."""

    def localize(self, moment: datetime) -> datetime:
        return moment.replace(tzinfo=self)


@pytest.mark.parametrize(
    ("after", "zone", "reason"),
    [
        (NOON.replace(tzinfo=None), None, "expected an aware datetime, got the naive"),
        (NOON.date(), None, "expected an aware datetime, got datetime.date"),
        ("2026-01-01", None, "expected an aware datetime, got '2026-01-01'"),
        (NOON.replace(year=1), None, "expected a time from the year 2 to 9998"),
        (NOON.replace(year=9999), None, "expected a time from the year 2 to 9998"),
        (NOON, "Nowhere", "no time zone 'Nowhere'"),
        (NOON, "", "no time zone ''"),
        (NOON, 5, "expected zone as a name or a zoneinfo.ZoneInfo, got 5"),
        (NOON, OldZone("UTC"), "expected zone as a name or a zoneinfo.ZoneInfo"),
    ],
    ids=str,
)
def test_what_can_not_be_walked_is_refused_at_once(after: Any, zone: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Schedule("@daily").fires(after, zone)


def test_the_fires_end_with_the_calendar() -> None:
    late = list(Schedule("0 12 30 * *").fires(datetime(9998, 11, 1, tzinfo=UTC), ZoneInfo("America/New_York")))
    assert late[0] == datetime(9998, 11, 30, 17, tzinfo=UTC)
    assert late[-1] == datetime(9999, 12, 30, 17, tzinfo=UTC)


@given(st.text(max_size=8), st.text(max_size=8), st.integers(1, 90_000_000_000))
def test_a_tenants_place_is_the_same_each_time_and_inside_the_window(job: str, tenant: str, spread: int) -> None:
    place = offset(job, tenant, spread)
    assert place == offset(job, tenant, spread)
    assert 0 <= place < spread
    assert spread < 1_000_000 or place % 1_000_000 == 0


def test_places_are_known_for_ever_and_all_over_the_window() -> None:
    assert [offset("send_report", tenant, 1_800_000_000) for tenant in ("acme", "globex")] == PLACES
    places = {offset("send_report", str(number), 60_000_000) for number in range(2_000)}
    assert places == {second * 1_000_000 for second in range(60)}


def test_any_aware_time_will_do() -> None:
    there = NOON.astimezone(ZoneInfo("Asia/Tokyo"))
    schedule = Schedule("*/7 * * * *")
    assert list(islice(schedule.fires(there), 20)) == list(islice(schedule.fires(NOON), 20))
