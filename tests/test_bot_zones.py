"""The bot: schedules that fire in each tenant's zone, while tenants come, go and move."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.clock import to_microseconds
from pinstripe.schedule import TENANT_ZONE, Schedule, offset
from tests.firing import DAY, HOUR, MINUTE, SECOND, SECONDS, Process, World, machine, scheduled
from tests.working import drain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pinstripe.background_job import BackgroundJob
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio

PARIS, TOKYO, LIMA = "Europe/Paris", "Asia/Tokyo", "America/Lima"  # 1, 9 and -5 hours from UTC in November


def tenant(id_: str, zone: str | None, **more: object) -> dict[str, object]:
    return {"id": id_, "time_zone": zone, **more}


TENANTS = [tenant("paris", PARIS), tenant("tokyo", TOKYO), tenant("tokyo2", TOKYO)]


@pytest.fixture
async def world(project_folder: ProjectFolder) -> AsyncIterator[World]:
    async with machine(project_folder, tenants=TENANTS) as world:
        yield world


def each(cron: str = "0 9 * * *", *, spread: str | None = None, **attributes: Any) -> type[BackgroundJob]:
    """Make a job that runs for each tenant, in its zone."""
    return scheduled(Schedule(cron, time_zone=TENANT_ZONE, spread=spread), multi_tenant=True, **attributes)


async def who(process: Process) -> list[str]:
    """Have all runs selected and executed; give the tenants of each fire, by time."""
    shop = process.shop()
    await drain(shop)
    had = []
    for run, shown in zip(await process.runs(), await process.fired(), strict=True):
        page = [item["id"] for item in [*TENANTS, *MORE] if await _has(process, run.id, str(item["id"]))]
        had.append(f"{shown[4:]} {' '.join(map(str, page))}".strip())
    return sorted(had)


async def move(process: Process, *tenants: dict[str, object]) -> None:
    """Let these be the tenants between two looks."""
    await process.bot.look_at_zones()
    process.shop().tenants(tenants)
    await process.bot.look_at_zones()


MORE = [tenant("lima", LIMA), tenant("nowhere", None)]


async def _has(process: Process, run: str, id_: str) -> bool:
    return await process.project.ledger.find_execution(run, id_) is not None


async def test_each_zone_has_its_own_times_and_tenants(world: World) -> None:
    process = await world.start(each())
    await world.go(DAY)
    assert await who(process) == ["11-21 00:00 tokyo tokyo2", "11-21 08:00 paris"]


async def test_a_timer_is_for_a_zone_and_not_for_a_tenant(world: World) -> None:
    process = await world.start(each(), each("30 9 * * *", name="Other"))
    process.shop().tenants([tenant(f"t{n}", zone) for n in range(2_000) for zone in (PARIS, TOKYO)])
    await process.bot.look_at_zones()
    await world.go(DAY)
    assert len(await process.runs()) == 4


async def test_a_zone_that_appears_fires_and_one_that_disappears_does_not(world: World) -> None:
    process = await world.start(each())
    await world.go(DAY)
    await move(process, tenant("paris", PARIS), tenant("lima", LIMA))
    await world.go(DAY)
    assert await who(process) == ["11-21 00:00", "11-21 08:00 paris", "11-21 14:00 lima", "11-22 08:00 paris"]


async def test_a_zone_that_returns_fires_again_and_catches_nothing_up(world: World) -> None:
    process = await world.start(each())
    await move(process, TENANTS[0])
    await world.go(DAY)
    await move(process, *TENANTS)
    await world.tick()
    assert await who(process) == ["11-21 08:00 paris"]
    await world.go(DAY)
    assert await who(process) == ["11-21 08:00 paris", "11-22 00:00 tokyo tokyo2", "11-22 08:00 paris"]


async def test_a_zone_that_is_found_new_is_known_since_the_look_before(world: World) -> None:
    process = await world.start(each("0 * * * *"))
    process.shop().tenants([tenant("paris", PARIS)])
    await process.bot.look_at_zones()
    world.pass_to(to_microseconds(datetime(2026, 11, 20, 12, 59, 40, tzinfo=UTC)))
    await process.bot.look_at_zones()
    process.shop().tenants([tenant("paris", PARIS), tenant("lima", LIMA)])
    world.clock.advance(MINUTE)
    await process.bot.look_at_zones()
    await world.tick()
    assert await who(process) == ["11-20 13:00 lima", "11-20 13:00 paris"]


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_look_that_takes_its_time_is_of_when_it_began(world: World, restarts: bool) -> None:
    process = await world.start(each("0 * * * *"))
    shop = process.shop()
    world.pass_to(to_microseconds(datetime(2026, 11, 20, 12, 59, tzinfo=UTC)))

    async def take_time(number: int) -> None:
        if not number:
            world.clock.advance(2 * MINUTE)

    shop.on_reading(take_time)
    await process.bot.look_at_zones()
    shop.on_reading(None)
    shop.tenants([*TENANTS, tenant("lima", LIMA)])  # who may have been there before 13:00
    if restarts:
        await world.end(process)
        process = await world.start(each("0 * * * *"), looks=False)
    await process.bot.look_at_zones()
    await world.tick()
    assert "11-20 13:00 lima" in await who(process)


async def test_a_zone_that_appears_while_no_bot_is_there_is_caught_up(world: World) -> None:
    jobs = [each(), each(name="Two")]
    process = await world.start(*jobs)
    await world.go(DAY)
    process.shop().tenants([TENANTS[0], tenant("tokyo", LIMA), TENANTS[2]])
    await world.end(process)
    world.clock.advance(3 * HOUR)
    process = await world.start(*jobs)
    await world.tick()
    assert (await who(process))[-2:] == ["11-21 14:00 tokyo"] * 2
    await world.go(DAY)
    assert (await who(process))[6::2] == ["11-22 00:00 tokyo2", "11-22 08:00 paris", "11-22 14:00 tokyo"]


async def test_a_new_schedule_has_nothing_to_catch_up_in_any_zone(world: World) -> None:
    process = await world.start(each(), each(name="Old"))
    await world.end(process)
    world.clock.advance(DAY)
    process = await world.start(each("1 9 * * *"), each("1 9 * * *", name="Young"))
    await world.tick()
    assert await process.fired() == []


async def test_without_catching_up_no_zone_has_anything_to_catch_up(world: World) -> None:
    process = await world.start(each())
    process.shop().tenants([TENANTS[0], tenant("lima", LIMA)])
    await world.end(process)
    world.clock.advance(DAY)
    process = await world.start(each(), catch_up=False)
    await world.tick()
    assert await process.fired() == []


async def test_a_zone_that_appears_after_the_clock_was_set_back_is_known_from_then_on(world: World) -> None:
    process = await world.start(each("*/10 * * * *"))
    world.clock.jump(-HOUR)
    process.shop().tenants([*TENANTS, tenant("lima", LIMA)])
    await process.bot.look_at_zones()
    await world.go(20 * MINUTE)
    assert await who(process) == ["11-20 11:10 lima", "11-20 11:20 lima"]


async def test_a_failed_look_is_no_look(world: World, caplog: pytest.LogCaptureFixture) -> None:
    process = await world.start(each("0 * * * *"))
    shop = process.shop()
    shop.tenants([tenant("paris", PARIS), tenant("lima", LIMA)])

    async def fail(number: int) -> None:
        message = "the source is away"
        raise OSError(message)

    shop.on_reading(fail)
    await world.go(30 * MINUTE)
    await process.bot.look_at_zones()
    assert "the zones of its tenants can't be read now" in caplog.text
    assert process.bot.next_due == to_microseconds(datetime(2026, 11, 20, 13, tzinfo=UTC))  # all stays as it is
    await world.go(31 * MINUTE)
    await process.bot.look_at_zones()
    shop.on_reading(None)
    await process.bot.look_at_zones()
    await world.tick()
    assert [line for line in await who(process) if "lima" in line] == ["11-20 13:00 lima"]


async def test_until_tenants_are_read_the_ledgers_zones_hold(world: World) -> None:
    await world.end(await world.start(each()))
    process = await world.start(each(), looks=False)
    await world.go(DAY)
    assert await who(process) == ["11-21 00:00 tokyo tokyo2", "11-21 08:00 paris"]


async def test_at_the_first_start_a_time_before_the_first_look_is_not_lost(world: World) -> None:
    process = await world.start(each("0 * * * *"), looks=False)
    assert process.bot.next_due is None
    await world.go(61 * MINUTE)
    await process.bot.look_at_zones()
    await world.tick()
    assert await who(process) == ["11-20 13:00 paris", "11-20 13:00 tokyo tokyo2"]


async def test_a_tenant_that_moves_far_has_each_local_time_once(world: World) -> None:
    process = await world.start(each())
    await world.go(DAY)
    await who(process)
    await move(process, tenant("paris", PARIS), tenant("tokyo", LIMA), tenant("tokyo2", TOKYO))
    await world.go(DAY)
    # In Lima it is 09:00 at 14:00 UTC; tokyo had 09:00 of that day at 00:00, by Tokyo's clock.
    assert (await who(process))[2:] == ["11-21 14:00", "11-22 00:00 tokyo2", "11-22 08:00 paris"]
    await world.go(DAY)
    assert "11-22 14:00 tokyo" in await who(process)


async def test_a_tenant_that_moves_west_after_its_fire_has_no_second(world: World) -> None:
    process = await world.start(each())
    await world.go(13 * HOUR)  # 01:00 UTC: it was 09:00 in Tokyo an hour ago
    assert await who(process) == ["11-21 00:00 tokyo tokyo2"]
    await move(process, tenant("paris", PARIS), tenant("tokyo", PARIS), tenant("tokyo2", TOKYO))
    await world.go(8 * HOUR)
    assert await who(process) == ["11-21 00:00 tokyo tokyo2", "11-21 08:00 paris"]
    await world.go(DAY)
    assert (await who(process))[2:] == ["11-22 00:00 tokyo2", "11-22 08:00 paris tokyo"]


async def test_tenants_that_come_and_go_between_fires_are_those_of_the_fire(world: World) -> None:
    process = await world.start(each())
    await world.go(11 * HOUR)
    process.shop().tenants([tenant("paris", PARIS), tenant("tokyo2", TOKYO), tenant("nowhere", None)])
    await world.go(13 * HOUR)
    assert await who(process) == ["11-21 00:00 tokyo2", "11-21 08:00 paris"]
    await (
        process.bot.look_at_zones()
    )  # who has no zone counts as in the project's, UTC, and may have been there at 09:00
    await world.go(DAY)
    nowhere = ["11-21 09:00 nowhere", "11-22 09:00 nowhere"]
    assert (await who(process))[2:] == sorted([*nowhere, "11-22 00:00 tokyo2", "11-22 08:00 paris"])


async def test_a_repeated_hour_is_two_local_times(world: World) -> None:
    world.pass_to(to_microseconds(datetime(2027, 10, 30, 22, tzinfo=UTC)))
    process = await world.start(each("0 * * * *"))
    process.shop().tenants([tenant("paris", PARIS)])
    await process.bot.look_at_zones()
    await world.go(4 * HOUR + MINUTE)
    # 02:00 is shown twice, at 00:00 and at 01:00 UTC.
    assert await who(process) == [f"10-{day} paris" for day in ("30 23:00", "31 00:00", "31 01:00", "31 02:00")]


async def test_a_zone_that_this_machine_does_not_know_leaves_the_others(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    process = await world.start(each())
    fires = process.project.ledger.fires
    (number,) = {state.schedule for state in await fires.states()}
    await fires.set_zones(number, [PARIS, "Mars/Olympus", TOKYO], since=1, now=1)
    await world.end(process)
    process = await world.start(each(), looks=False)
    assert "can't fire in Mars/Olympus" in caplog.text
    await world.go(DAY)
    assert await who(process) == ["11-21 00:00 tokyo tokyo2", "11-21 08:00 paris"]


async def test_a_zone_goes_while_it_fires(world: World) -> None:
    process = await world.start(each())
    world.pass_to(process.bot.next_due or 0)
    process.shop().tenants(TENANTS[:1])
    await asyncio.gather(process.tick(world.clock.microseconds), process.bot.look_at_zones())
    await process.bot.look_at_zones()
    await world.go(2 * DAY)
    fired = await process.fired()
    assert [line for line in fired if line.endswith("00:00") and "11-22" in line] == []
    assert "job 11-22 08:00" in fired


async def test_each_tenant_starts_at_its_own_place_in_the_window(world: World) -> None:
    process = await world.start(each(spread="30m"))
    await world.go(12 * HOUR)
    (run,) = await process.runs()
    await drain(process.shop())
    begin = to_microseconds(datetime(2026, 11, 21, tzinfo=UTC))
    for id_ in ("tokyo", "tokyo2"):
        execution = await process.project.ledger.find_execution(run.id, id_)
        assert execution is not None
        assert execution.due_at is not None
        assert to_microseconds(execution.due_at) - begin == offset("job", id_, 30 * 60 * SECOND)


async def test_a_job_without_tenants_has_a_place_too(world: World) -> None:
    process = await world.start(scheduled(Schedule("0 13 * * *", spread="30m")))
    await world.go(HOUR)
    (run,) = await process.runs()
    execution = await process.project.ledger.find_execution(run.id, None)
    assert execution is not None
    assert execution.due_at is not None
    place = offset("job", "", 30 * 60 * SECOND)
    assert to_microseconds(execution.due_at) == to_microseconds(datetime(2026, 11, 20, 13, tzinfo=UTC)) + place
    world.clock.advance(place // SECOND * SECONDS + SECONDS)
    await drain(process.shop())
    assert (await process.runs())[0].status == "succeeded"
