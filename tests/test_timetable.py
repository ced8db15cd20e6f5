"""The timetable: which timers there are, in the order in which they are due; ten thousand hold nothing up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.clock import to_microseconds
from pinstripe.schedule import TENANT_ZONE, Schedule
from pinstripe.timetable import Timetable
from pinstripe.zone_groups import ZoneGroups
from tests.firing import DAY, HOUR, MINUTE, NOON, World, machine, scheduled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pinstripe.background_job import BackgroundJob
    from pinstripe.timers import Timer
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(project_folder: ProjectFolder) -> AsyncIterator[World]:
    tenants = [{"id": "p", "time_zone": "Europe/Paris"}, {"id": "t", "time_zone": "Asia/Tokyo"}]
    async with machine(project_folder, tenants=tenants) as world:
        yield world


async def make(world: World, *jobs: type[BackgroundJob], opened: bool = True) -> tuple[Timetable, Any]:
    """Make a timetable of these jobs, with what is kept of them."""
    project = world.make(*jobs).project
    await project.open()
    await project.ledger.open(write=True)
    groups = ZoneGroups(lambda: project.tenants, active="active", attribute="time_zone", default="UTC")
    table = Timetable(project.registry, groups, world.clock, time_zone="UTC", zone_attribute="time_zone")
    if opened:
        await table.open(project.ledger.fires, catch_up=True)
    return table, project.ledger.fires


def names(timers: list[Timer]) -> list[str]:
    return [timer.definition.name for timer in timers]


async def test_timers_are_taken_in_the_order_in_which_they_are_due(world: World) -> None:
    lines = {"A": "30 12 * * *", "B": "0 13 * * *", "C": "10 12 * * *", "D": "0 13 * * *"}
    table, _ = await make(world, *(scheduled(line, name=name) for name, line in lines.items()))
    now = to_microseconds(NOON + HOUR)
    assert table.take_due(world.clock.microseconds, 9) == []
    first = table.take_due(now, 3)
    assert names(first) == ["c", "a", "b"]
    assert table.next_due == now
    rest = table.take_due(now, 3)
    assert names(rest) == ["d"]
    assert [table.next_due, *table.take_due(now, 3)] == [None]
    for timer in first + rest:
        timer.passed(now)
        table.push(timer)
    assert table.next_due == to_microseconds(NOON + DAY + 10 * MINUTE)


async def test_a_timer_that_was_put_back_as_it_was_is_due_still(world: World) -> None:
    table, _ = await make(world, scheduled("0 13 * * *"))
    due = table.next_due
    assert due is not None
    (timer,) = table.take_due(due, 9)
    table.push(timer)
    assert (table.next_due, table.take_due(due, 9), table.take_due(due, 9)) == (due, [timer], [])


async def test_a_timer_that_has_gone_on_is_not_taken_for_its_old_time(world: World) -> None:
    table, _ = await make(world, scheduled("0 * * * *"))
    due = table.next_due
    assert due is not None
    (timer,) = table.take_due(due, 9)
    table.push(timer)
    timer.passed(due)
    table.push(timer)
    assert table.take_due(due, 9) == []


async def test_zones_that_are_gone_are_due_no_more(world: World) -> None:
    job = scheduled(Schedule("0 9 * * *", time_zone=TENANT_ZONE), multi_tenant=True)
    table, fires = await make(world, job)
    assert table.next_due is None
    await table.look_at_zones(fires)
    first = table.next_due
    assert first is not None
    world.processes[-1].shop().tenants([{"id": "p", "time_zone": "Europe/Paris"}])
    await table.look_at_zones(fires)
    assert table.next_due == first  # it is still in the heap
    assert table.take_due(first, 9) == []
    assert table.next_due == first + 8 * 3_600_000_000


async def test_zones_that_are_due_at_once_are_taken_in_their_order(world: World) -> None:
    zones = ["Europe/Paris", "Europe/Berlin", "Africa/Tunis", "Europe/Oslo", "Africa/Lagos", "Europe/Rome"]
    table, fires = await make(world, scheduled(Schedule("0 12 3 12 *", time_zone=TENANT_ZONE), multi_tenant=True))
    world.processes[-1].shop().tenants([{"id": zone, "time_zone": zone} for zone in zones])
    assert await table.look_at_zones(fires) == {}
    assert [timer.place for timer in table.take_due(table.next_due or 0, 9)] == sorted(zones)


async def test_a_look_gives_why_zones_can_not_be_read(world: World) -> None:
    job = scheduled(Schedule("0 9 * * *", time_zone=TENANT_ZONE), multi_tenant=True, name="Greet")
    table, fires = await make(world, job)

    async def fail(number: int) -> None:
        message = "the source is away"
        raise OSError(message)

    world.processes[-1].shop().on_reading(fail)
    failures = await table.look_at_zones(fires)
    assert [*failures] == ["greet"]
    assert "the source is away" in str(failures["greet"])


async def test_without_catching_up_nothing_before_now_is_due(world: World) -> None:
    await make(world, scheduled("0 * * * *"))
    world.clock.advance(5 * HOUR + HOUR / 2)
    table, fires = await make(world, scheduled("0 * * * *"), opened=False)
    await table.open(fires, catch_up=False)
    assert table.take_due(world.clock.microseconds, 9) == []
    table, _ = await make(world, scheduled("0 * * * *"))
    assert len(table.take_due(world.clock.microseconds, 9)) == 1


async def test_each_timer_is_wound_once_however_often_it_is_put_back(world: World) -> None:
    table, _ = await make(world, scheduled("0 * * * *"))
    (timer,) = table.take_due(1 << 62, 9)
    for _ in range(1_000):
        table.push(timer)
    assert len(table._to_wind) == 1  # noqa: SLF001 - it must not grow
    while table.wind():
        pass
    timer.passed(timer.next or 0)
    table.push(timer)
    assert len(table._to_wind) == 1  # noqa: SLF001


async def test_winding_lets_others_have_the_event_loop(world: World) -> None:
    many = scheduled(*(Schedule(f"{n % 60} 5 29 2 *", name=f"{n}") for n in range(1_500)))
    table, _ = await make(world, many)
    slices = 1
    while table.wind():
        slices += 1
    assert slices > 2


async def test_ten_thousand_schedules_let_others_have_the_event_loop(world: World) -> None:
    many = scheduled(*(Schedule(f"{n % 60} {n % 24} * * *", name=f"{n}") for n in range(10_000)))
    table, fires = await make(world, many, opened=False)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await table.open(fires, catch_up=True)
    counting.cancel()
    assert turns >= 10_000
    assert len(table.take_due(1 << 62, 20_000)) == 10_000
