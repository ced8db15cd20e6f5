"""A timer: the next time of a schedule in one zone, and what its fire asks the ledger for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.catch_up import LATE, find_due
from pinstripe.clock import to_datetime, to_microseconds
from pinstripe.fires import ScheduleState
from pinstripe.limits import Limits
from pinstripe.priority import Priority
from pinstripe.registry import Registry
from pinstripe.retry import Retry
from pinstripe.schedule import TENANT_ZONE, Schedule, offset
from pinstripe.selection import Selection, ZoneChoice
from pinstripe.services import Services
from pinstripe.timers import Timer
from tests.firing import NOON, SECOND, scheduled

if TYPE_CHECKING:
    from pathlib import Path

    from pinstripe.queue import NewWork

START = to_microseconds(NOON)
HOUR = 3_600 * SECOND
CHOICE = ZoneChoice("Asia/Kathmandu", "time_zone", "UTC")


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    services = Services(tmp_path / "services", "lib.services", None)
    return Registry(tmp_path / "jobs", package="lib.background_jobs", multi_tenant=False, services=services)


def timer(
    registry: Registry,
    schedule: str | Schedule = "0 * * * *",
    *,
    zone: str = "UTC",
    since: int = START,
    fired: int | None = None,
    choice: ZoneChoice | None = None,
    **attributes: Any,
) -> Timer:
    (one,) = Schedule.of(schedule)
    definition = registry.add(f"job{len(registry.names())}", scheduled(one, **attributes))
    state = ScheduleState(7, definition.name, "its key", one.cron, zone, choice is not None, since, fired, None, False)
    return Timer(definition, one, state, choice)


def work(made: Timer, at: int = START + HOUR) -> NewWork:
    fire = made.fire(at, "its-run")
    assert (fire.schedule, fire.at, fire.zone) == (7, at, made.place)
    assert fire.work is not None
    return fire.work


@pytest.mark.parametrize(
    ("since", "fired", "first"),
    [
        (START, None, START + HOUR),
        (START - 1, None, START),
        (START, START + HOUR, START + 2 * HOUR),
        (START + HOUR, START, START + 2 * HOUR),
    ],
)
def test_it_begins_after_what_is_known_and_what_has_fired(
    registry: Registry, since: int, fired: int | None, first: int
) -> None:
    assert timer(registry, since=since, fired=fired).next == first


def test_it_is_read_in_its_zone(registry: Registry) -> None:
    assert timer(registry, "0 * * * *", zone="Asia/Kathmandu").next == START + HOUR // 4
    fixed = Schedule("0 * * * *", time_zone="Asia/Kathmandu")
    assert timer(registry, fixed, zone="Asia/Kathmandu").next == START + HOUR // 4


@pytest.mark.parametrize("wound", [False, True])
def test_it_goes_on_to_the_next_time(registry: Registry, wound: bool) -> None:
    made = timer(registry)
    for hour in range(1, 5):
        if wound:
            made.wind()
            made.wind()
        assert made.next == START + hour * HOUR
        assert made.find_due(START + hour * HOUR).times == [START + hour * HOUR]
        made.passed(START + hour * HOUR)
        assert made.find_due(START + hour * HOUR) == ([], None, False)
    made.passed(START + 99 * HOUR)
    assert (made.next, made.after) == (START + 100 * HOUR, START + 99 * HOUR)


@pytest.mark.parametrize("wound", [False, True])
def test_it_never_goes_back(registry: Registry, wound: bool) -> None:
    made = timer(registry)
    made.passed(START + 5 * HOUR)
    if wound:
        made.wind()
    made.passed(START + HOUR)
    assert (made.next, made.after) == (START + 6 * HOUR, START + 5 * HOUR)


@given(
    line=st.sampled_from(["* * * * * *", "*/3 * * * * *", "* * * * *", "0 * * * *", "30 2 * * *", "0 0 1 * *"]),
    zone=st.sampled_from(["UTC", "America/New_York", "Australia/Lord_Howe"]),
    steps=st.lists(st.one_of(st.integers(0, 12 * SECOND), st.integers(0, 90 * HOUR)), max_size=8),
    winds=st.integers(0, 255),
)
def test_wound_or_not_it_is_what_is_due(line: str, zone: str, steps: list[int], winds: int) -> None:
    schedule = Schedule(line, name="x")
    state = ScheduleState(1, "job", "x", line, zone, False, START, None, None, False)
    made = Timer(_Anything, schedule, state, None)  # type: ignore[arg-type]
    now = START
    for number, step in enumerate(steps):
        if winds >> number & 1:
            made.wind()
        now += step
        due = made.find_due(now)
        assert due == find_due(schedule, ZoneInfo(zone), made.after, now)
        assert (made.next is not None and made.next <= now) == (due.times != [] or due.let_go is not None)
        for at in due.times or ([] if due.let_go is None else [due.let_go]):
            made.passed(at)
        assert made.next == to_microseconds(next(iter(schedule.fires(to_datetime(made.after), zone))))


class _Anything:
    """A definition of which nothing is asked."""


def test_a_time_that_is_late_for_five_seconds_waits_for_the_missed_ones(registry: Registry) -> None:
    made = timer(registry)
    made.wind()
    assert not made.find_due(START + HOUR + LATE - 1).caught_up
    assert made.find_due(START + HOUR + LATE).caught_up


def test_what_never_fires_again(registry: Registry) -> None:
    begin = to_microseconds(datetime(9997, 1, 1, tzinfo=UTC))
    made = timer(registry, "0 12 29 2 *", since=begin)
    assert made.next is None
    made.wind()
    assert made.find_due(begin) == ([], None, False)


# What a fire asks for.


def test_a_fire_of_a_job_without_tenants(registry: Registry) -> None:
    schedule = Schedule("0 * * * *", args=[1], kwargs={"b": [2]})
    made = work(timer(registry, schedule))
    assert (made.run.id, made.run.trigger, list(made.run.args), dict(made.run.kwargs)) == (
        *("its-run", "schedule", [1], {"b": [2]}),
    )
    assert (made.tenants, made.priority, made.due_at) == (("",), Priority.DEFAULT, None)
    assert (made.schedule, made.scheduled_for, made.retry_until) == ("its key", START + HOUR, START + 2 * HOUR)
    assert (made.overlap, made.spread, made.local_time, made.limits, made.crashes) == ("skip", None, None, None, 2)
    assert made.run.selection == Selection().to_json()


def test_a_fire_for_tenants(registry: Registry) -> None:
    made = work(timer(registry, Schedule("0 * * * *", spread="30m"), multi_tenant=True))
    assert (made.tenants, made.priority, made.due_at, made.spread) == (None, Priority.BULK, None, 1_800 * SECOND)
    assert (made.local_time, made.run.selection) == (None, Selection().to_json())


def test_a_fire_in_tenants_zones(registry: Registry) -> None:
    schedule = Schedule("0 * * * *", time_zone=TENANT_ZONE)
    made = work(timer(registry, schedule, zone="Asia/Kathmandu", choice=CHOICE, multi_tenant=True), START + HOUR // 4)
    assert made.local_time == "2026-11-20T18:00:00"
    assert made.run.selection == Selection(zone=CHOICE).to_json()
    assert Selection.from_json(made.run.selection).zone == CHOICE


def test_the_second_showing_of_an_hour_is_told_apart(registry: Registry) -> None:
    begin = to_microseconds(datetime(2026, 10, 24, 23, 30, tzinfo=UTC))
    choice = ZoneChoice("Europe/Berlin", "time_zone", "UTC")
    schedule = Schedule("*/30 * * * *", time_zone=TENANT_ZONE)
    made = timer(registry, schedule, zone="Europe/Berlin", since=begin, choice=choice, multi_tenant=True)
    moments = islice(schedule.fires(to_datetime(begin), "Europe/Berlin"), 5)
    assert [work(made, to_microseconds(at)).local_time for at in moments] == [
        f"2026-10-25T{shown}" for shown in ("02:00:00", "02:30:00", "02:00:00+1", "02:30:00+1", "03:00:00")
    ]


def test_a_job_says_how_its_fires_are_executed(registry: Registry) -> None:
    limits = Limits(total=3)
    attributes: dict[str, Any] = {
        "priority": "interactive",
        "limits": limits,
        "overlap": "queue",
        "retries": Retry(crashes=5),
    }
    made = work(timer(registry, **attributes))
    assert (made.priority, made.limits, made.overlap, made.crashes) == (Priority.INTERACTIVE, limits, "queue", 5)
    assert work(timer(registry, overlap="allow")).overlap is None
    assert work(timer(registry, multi_tenant=True, priority="default")).priority is Priority.DEFAULT


def test_a_job_without_tenants_starts_at_its_place_in_the_window(registry: Registry) -> None:
    made = timer(registry, Schedule("0 * * * *", spread=timedelta(minutes=30)))
    place = offset(made.definition.name, "", 1_800 * SECOND)
    assert 0 < place < 1_800 * SECOND
    assert work(made).due_at == START + HOUR + place
    assert work(made).spread is None  # that would be a place in a window that begins at its place


@pytest.mark.parametrize("wound", [False, True])
@pytest.mark.parametrize("hours", [1, 5])
def test_retries_end_where_the_next_time_is_due(registry: Registry, wound: bool, hours: int) -> None:
    made = timer(registry)
    if wound:
        made.wind()
    assert work(made, START + hours * HOUR).retry_until == START + (hours + 1) * HOUR


def test_the_last_time_of_all_has_no_next(registry: Registry) -> None:
    made = timer(registry, "0 12 29 2 *", since=to_microseconds(datetime(9995, 1, 1, tzinfo=UTC)))
    assert made.next is not None
    assert work(made, made.next).retry_until is None


def test_a_time_that_is_let_go_has_no_work(registry: Registry) -> None:
    assert timer(registry).let_go(START + HOUR) == (7, "UTC", START + HOUR, None)


def test_it_shows_what_it_is(registry: Registry) -> None:
    assert repr(timer(registry)) == "<Timer job0 its key in UTC>"
