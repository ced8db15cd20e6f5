"""The bot: each due time becomes one run, whatever clocks, processes and code do meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pinstripe.bot import BATCH
from pinstripe.schedule import Schedule
from tests.firing import DAY, HOUR, MINUTE, SECONDS, World, machine, scheduled

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio


HOURLY = scheduled("0 * * * *", name="Hourly")


# Firing.


async def test_what_is_due_becomes_a_run(world: World) -> None:
    process = await world.start(scheduled(Schedule("0 * * * *", args=[1], kwargs={"b": 2}), name="Hourly"))
    await world.go(2 * HOUR)
    assert await process.fired() == ["hourly 11-20 13:00", "hourly 11-20 14:00"]
    first = (await process.runs())[0]
    assert (first.trigger, first.args, first.kwargs, first.executions.queued) == ("schedule", (1,), {"b": 2}, 1)


async def test_nothing_fires_before_its_time(world: World) -> None:
    process = await world.start(HOURLY)
    world.pass_to((process.bot.next_due or 0) - 1)
    assert not await process.bot.tick(world.clock.microseconds)
    assert await process.fired() == []
    assert not await process.bot.tick(world.clock.microseconds + 1)
    assert await process.fired() == ["hourly 11-20 13:00"]


async def test_a_time_at_which_it_is_made_known_is_past(world: World) -> None:
    process = await world.start(scheduled("0 12 * * *"))
    await world.tick()
    await world.go(DAY + HOUR)
    assert await process.fired() == ["job 11-21 12:00"]


async def test_a_tick_with_the_same_now_fires_nothing_more(world: World) -> None:
    process = await world.start(scheduled("* * * * * *"))
    await world.go(3 * SECONDS)
    for _ in range(3):
        assert not await process.bot.tick(world.clock.microseconds)
    assert len(await process.fired()) == 3


async def test_schedules_of_one_job_fire_each(world: World) -> None:
    process = await world.start(scheduled("0 * * * *", Schedule("0 13 * * *", name="noon", args=["x"])))
    await world.go(2 * HOUR)
    assert await process.fired() == ["job 11-20 13:00", "job 11-20 13:00", "job 11-20 14:00"]


async def test_there_is_more_to_do_where_more_is_due_than_a_transaction_takes(world: World) -> None:
    process = await world.start(*(scheduled("0 13 * * *", name=f"Job{n}") for n in range(BATCH + 10)))
    world.pass_to(process.bot.next_due or 0)
    assert await process.bot.tick(world.clock.microseconds)
    assert len(await process.fired()) == BATCH
    assert not await process.bot.tick(world.clock.microseconds)
    assert len(await process.fired()) == BATCH + 10


# Once.


async def test_two_bots_fire_each_time_once(world: World) -> None:
    one = await world.start(HOURLY)
    two = await world.start(HOURLY)
    await world.go(2 * HOUR, one)
    await world.go(2 * HOUR)
    await world.go(2 * HOUR, two)
    assert [line[-5:] for line in await one.fired()] == ["13:00", "14:00", "15:00", "16:00", "17:00", "18:00"]


async def test_bots_at_the_same_moment_fire_each_time_once(world: World) -> None:
    jobs = [scheduled("* * * * *", name=f"Job{n}") for n in range(30)]
    processes = [await world.start(*jobs) for _ in range(3)]
    for _ in range(3):
        world.clock.advance(MINUTE)
        await asyncio.gather(*(process.tick(world.clock.microseconds) for process in processes))
    assert len(await processes[0].fired()) == 90


async def test_a_restart_fires_nothing_twice_and_loses_nothing(world: World) -> None:
    job = scheduled("*/10 * * * * *")
    for _ in range(5):
        process = await world.start(job)
        await world.tick()
        await world.go(10 * SECONDS)
        await world.tick()
        await world.end(process)
    process = await world.start(job)
    assert len(await process.fired()) == 5


async def test_a_suspended_process_fires_nothing_that_another_has_fired(world: World) -> None:
    suspended = await world.start(HOURLY)
    awake = await world.start(HOURLY)
    await world.go(5 * HOUR + MINUTE, awake)
    before = await awake.fired()
    await world.tick(suspended)
    assert await awake.fired() == before
    await world.go(HOUR, suspended)
    assert len(await awake.fired()) == len(before) + 1


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["go", "go", "go", "suspend", "restart", "back", "forward", "again"]), st.integers(0, 5_000)
    ),
    max_size=12,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=MOVES)
def test_whatever_happens_no_time_has_two_runs(
    moves: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    from tests.conftest import ProjectFolder

    folder = ProjectFolder(tmp_path_factory.mktemp("moves"))
    asyncio.run(_move(folder, moves))


async def _move(folder: ProjectFolder, moves: list[tuple[str, int]]) -> None:
    jobs = [scheduled("*/7 * * * *", name="Often"), scheduled(Schedule("0 * * * *", catch_up="none"), name="Hourly")]
    async with machine(folder) as world:
        for _ in range(2):
            await world.start(*jobs)
        for what, number in moves:
            process = world.processes[number % 2]
            step = number * SECONDS
            if what == "restart":
                await world.end(process)
                world.clock.advance(step)
                await world.start(*jobs)
            elif what == "back":
                world.clock.jump(-step)
            elif what == "forward":
                world.clock.jump(step)
            elif what == "again":
                await asyncio.gather(*(one.tick(world.clock.microseconds) for one in world.processes))
            else:
                await world.go(step, *([process] if what == "suspend" else world.processes))
        fired = await world.processes[0].fired()
        assert len(fired) == len(set(fired))
        before = len(fired)
        # What has fired is ahead of a clock that was put back.
        world.pass_to(max(world.clock.microseconds, *(one.bot.next_due or 0 for one in world.processes)))
        await world.go(2 * HOUR)
        assert len(await world.processes[0].fired()) > before  # and it goes on


# Clocks.


async def test_a_clock_that_is_put_back_fires_nothing_twice(world: World, caplog: pytest.LogCaptureFixture) -> None:
    process = await world.start(HOURLY)
    await world.go(3 * HOUR)
    world.clock.jump(-HOUR)
    await world.tick()
    assert [record.getMessage() for record in caplog.records] == [
        "the clock went back by 1h: what has fired for a time that comes again doesn't fire a second time"
    ]
    await world.go(2 * HOUR)
    assert [line[-5:] for line in await process.fired()] == ["13:00", "14:00", "15:00", "16:00"]
    again = await world.start(HOURLY)
    assert again.bot.next_due == process.bot.next_due
    assert len(caplog.records) == 1


async def test_a_clock_that_is_put_forward_a_day_and_back(world: World, caplog: pytest.LogCaptureFixture) -> None:
    process = await world.start(HOURLY, scheduled(Schedule("30 * * * *", catch_up="none"), name="Strict"))
    await world.go(HOUR + MINUTE)
    world.clock.jump(DAY)
    await world.tick()
    assert [record.getMessage() for record in caplog.records] == [
        "the clock went forward by 1d, or this machine slept: what was missed is caught up as each job says",
        (
            "schedules whose times were missed: 1 fire once, late; 1 are let go (catch_up, or older than a day): "
            "strict, hourly"
        ),
    ]
    after = ["strict 11-20 12:30", "hourly 11-20 13:00", "hourly 11-21 13:00"]
    assert await process.fired() == after
    assert await process.missed() == ["strict 11-21 12:30"]
    world.clock.jump(-DAY)
    await world.go(DAY - 2 * MINUTE)
    assert await process.fired() == after
    await world.go(HOUR + 2 * MINUTE)
    assert await process.fired() == [*after, "strict 11-21 13:30", "hourly 11-21 14:00"]


async def test_a_bot_that_starts_with_a_stale_clock_fires_nothing_twice(world: World) -> None:
    process = await world.start(HOURLY)
    await world.go(3 * HOUR)
    await world.end(process)
    world.clock.jump(-2 * HOUR)
    process = await world.start(HOURLY)
    await world.go(3 * HOUR)
    assert [line[-5:] for line in await process.fired()] == ["13:00", "14:00", "15:00", "16:00"]


@pytest.mark.parametrize("seconds", [-4, 4])
async def test_a_clock_that_is_put_right_by_little_is_not_told(
    world: World, caplog: pytest.LogCaptureFixture, seconds: int
) -> None:
    await world.start(HOURLY)
    await world.go(MINUTE)
    world.clock.jump(seconds * SECONDS)
    await world.go(MINUTE)
    assert caplog.records == []


async def test_a_bot_that_is_not_asked_for_an_hour_tells_of_no_jump(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await world.start(scheduled("0 0 1 * *"))
    await world.tick()
    world.clock.advance(HOUR)
    await world.tick()
    assert caplog.records == []


# After downtime.


async def test_the_last_missed_time_fires_once_late(world: World, caplog: pytest.LogCaptureFixture) -> None:
    process = await world.start(HOURLY)
    await world.end(process)
    world.clock.advance(5 * HOUR + 30 * MINUTE)
    process = await world.start(HOURLY)
    await world.tick()
    assert await process.fired() == ["hourly 11-20 17:00"]
    assert [record.getMessage() for record in caplog.records] == [
        "schedules whose times were missed: 1 fire once, late; 0 are let go (catch_up, or older than a day): hourly"
    ]
    await world.go(HOUR)
    assert await process.fired() == ["hourly 11-20 17:00", "hourly 11-20 18:00"]
    assert await process.missed() == []


async def test_missed_times_are_let_go_where_a_job_says_so(world: World) -> None:
    job = scheduled(Schedule("0 * * * *", catch_up="none"))
    process = await world.start(job)
    await world.end(process)
    world.clock.advance(5 * HOUR + 30 * MINUTE)
    process = await world.start(job)
    await world.go(HOUR)
    assert await process.fired() == ["job 11-20 18:00"]
    assert await process.missed() == ["job 11-20 17:00"]


async def test_what_is_older_than_a_day_is_let_go(world: World) -> None:
    jobs = scheduled("0 13 20 * *", name="Old"), scheduled("1 13 20 * *", name="Young")
    process = await world.start(*jobs)
    await world.end(process)
    world.clock.advance(DAY + HOUR + 30 * SECONDS)
    process = await world.start(*jobs)
    await world.tick()
    assert await process.fired() == ["young 11-20 13:01"]
    assert await process.missed() == ["old 11-20 13:00"]


async def test_a_restart_of_seconds_misses_nothing(world: World) -> None:
    job = scheduled(Schedule("* * * * * *", catch_up="none"))
    process = await world.start(job)
    await world.go(2 * SECONDS)
    await world.end(process)
    world.clock.advance(4 * SECONDS)
    process = await world.start(job)
    await world.go(SECONDS)
    assert len(await process.fired()) == 7
    assert await process.missed() == []


async def test_without_catching_up_what_was_missed_is_past(world: World) -> None:
    process = await world.start(HOURLY)
    await world.end(process)
    world.clock.advance(5 * HOUR + 30 * MINUTE)
    process = await world.start(HOURLY, catch_up=False)
    await world.go(HOUR)
    assert await process.fired() == ["hourly 11-20 18:00"]


async def test_what_is_caught_up_is_told_once_for_a_pass(world: World, caplog: pytest.LogCaptureFixture) -> None:
    jobs = [scheduled("0 * * * *", name=f"Job{n}") for n in range(300)]
    await world.end(await world.start(*jobs))
    world.clock.advance(5 * HOUR + 30 * MINUTE)
    await world.start(*jobs)
    await world.tick()
    (record,) = caplog.records
    assert "300 fire once, late; 0 are let go" in record.getMessage()


async def test_a_bot_that_comes_second_tells_nothing(world: World, caplog: pytest.LogCaptureFixture) -> None:
    await world.end(await world.start(HOURLY))
    world.clock.advance(5 * HOUR + 30 * MINUTE)
    for _ in range(2):
        await world.start(HOURLY)
    await world.tick()
    assert len(caplog.records) == 1


async def test_a_bot_that_starts_after_a_wrong_clock_tells_until_when_nothing_fires(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    process = await world.start(HOURLY)
    world.clock.advance(3 * DAY)
    await world.tick()
    await world.end(process)
    caplog.clear()
    world.clock.jump(-3 * DAY)
    await world.start(HOURLY)
    (record,) = caplog.records
    message = "no more until 2026-11-23T12:00:00.000000Z, as they have fired for it already: 1"
    assert message in record.getMessage()
