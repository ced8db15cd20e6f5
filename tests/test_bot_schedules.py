"""The bot: schedules that come, change and go, and two versions of the code on one ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.schedule import Schedule
from tests.firing import DAY, HOUR, MINUTE, SECONDS, World, scheduled

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio


HOURLY = scheduled("0 * * * *", name="Hourly")
OTHER = scheduled("59 23 31 12 *", name="Other")


def named(cron: str = "0 * * * *", **given: Any) -> Schedule:
    return Schedule(cron, name="its name", **given)


# Changes.


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param([], ["30 * * * *"], id="new"),
        pytest.param(["0 * * * *"], ["30 * * * *"], id="cron"),
        pytest.param(["0 * * * *"], [Schedule("0 * * * *", args=[1])], id="args"),
        pytest.param(["0 * * * *"], [Schedule("0 * * * *", time_zone="Asia/Kathmandu")], id="zone"),
        pytest.param([named()], [named("30 * * * *")], id="named-cron"),
        pytest.param([named()], [named(args=[1])], id="named-args"),
        pytest.param([named()], [named(time_zone="Asia/Kathmandu")], id="named-zone"),
        pytest.param([named()], [Schedule("0 * * * *", name="another")], id="renamed"),
        pytest.param([named()], ["0 * * * *"], id="unnamed"),
    ],
)
async def test_what_is_new_or_changed_has_nothing_to_catch_up(
    world: World, before: list[str | Schedule], after: list[str | Schedule]
) -> None:
    await world.end(await world.start(scheduled(*before), OTHER))
    world.clock.advance(5 * HOUR + 50 * MINUTE)
    process = await world.start(scheduled(*after), OTHER)
    await world.tick()
    assert await process.fired() == []
    await world.go(HOUR)
    (fired,) = await process.runs()
    assert fired.args == (after[0].args if isinstance(after[0], Schedule) else ())


@pytest.mark.parametrize("policy", [{"catch_up": "none"}, {"spread": "1m"}])
@pytest.mark.parametrize("name", [None, "its name"])
async def test_another_policy_is_the_same_schedule(world: World, name: str | None, policy: dict[str, Any]) -> None:
    await world.end(await world.start(scheduled(Schedule("0 * * * *", name=name))))
    world.clock.advance(5 * HOUR + 2 * SECONDS)
    process = await world.start(scheduled(Schedule("0 * * * *", name=name, **policy)))
    await world.tick()
    assert await process.fired() == ["job 11-20 17:00"]


async def test_one_that_was_new_while_the_clock_was_wrong_fires_once_it_is_right(world: World) -> None:
    world.clock.jump(DAY)
    await world.end(await world.start(HOURLY))
    world.clock.jump(-DAY)
    process = await world.start(HOURLY)
    await world.go(HOUR)
    assert await process.fired() == ["hourly 11-20 13:00"]


async def test_one_that_was_taken_away_and_comes_back_is_new(world: World) -> None:
    for jobs in ([HOURLY, OTHER], [OTHER], [HOURLY, OTHER]):
        process = await world.start(*jobs)
        await world.go(HOUR)
        await world.end(process)
        world.clock.advance(HOUR + 30 * MINUTE)
    process = await world.start(HOURLY, OTHER)
    await world.tick()
    # 13:00 by the first; nothing at 14:00 to 17:00; 18:00 by the third; its downtime until 19:30 is caught up.
    assert await process.fired() == ["hourly 11-20 13:00", "hourly 11-20 18:00", "hourly 11-20 19:00"]


async def test_a_job_that_is_renamed_is_new(world: World) -> None:
    await world.end(await world.start(HOURLY))
    world.clock.advance(5 * HOUR + 30 * MINUTE)
    process = await world.start(scheduled("0 * * * *", name="Renamed"))
    await world.go(HOUR)
    assert await process.fired() == ["renamed 11-20 18:00"]


async def test_the_projects_zone_is_part_of_what_a_schedule_is(world: World, project_folder: ProjectFolder) -> None:
    job = scheduled("0 9 * * *"), scheduled(Schedule("0 9 * * *", time_zone="UTC"), name="Fixed")
    await world.end(await world.start(*job))
    world.clock.advance(DAY + HOUR)
    project_folder.configure('time_zone = "Asia/Tokyo"')
    process = await world.start(*job)
    await world.go(DAY)
    assert await process.fired() == ["fixed 11-21 09:00", "job 11-22 00:00", "fixed 11-22 09:00"]


async def test_a_broken_file_keeps_its_schedules(world: World, project_folder: ProjectFolder) -> None:
    source = """
        from pinstripe import BackgroundJob

        class Report(BackgroundJob):
            schedule = "0 * * * *"
            def run(self): ...
        """
    project_folder.job("report", source)
    await world.end(await world.start(HOURLY))
    project_folder.job("report", "this is no Python")
    _forget_module()
    world.clock.advance(HOUR)
    process = await world.start(HOURLY)
    await world.go(HOUR)
    assert await process.fired() == ["hourly 11-20 13:00", "hourly 11-20 14:00"]
    await world.end(process)
    project_folder.job("report", source + "\n")
    _forget_module()
    process = await world.start(HOURLY)
    await world.tick()
    assert await process.fired() == ["hourly 11-20 13:00", "hourly 11-20 14:00", "report 11-20 14:00"]


def _forget_module() -> None:
    """Forget what was imported, as another process has not imported it."""
    import importlib
    import sys

    for name in [name for name in sys.modules if name.startswith("lib")]:
        del sys.modules[name]
    importlib.invalidate_caches()


# Two versions of the code at once.


async def test_old_and_new_code_fire_both_what_only_they_have(world: World) -> None:
    old_job, new_job = scheduled("0 * * * *", name="Old"), scheduled("0 * * * *", name="New")
    old = await world.start(old_job, HOURLY)
    new = await world.start(new_job, HOURLY)
    await world.go(HOUR)
    restarted = await world.start(old_job, HOURLY)  # a rolling deploy has several of each
    await world.go(HOUR)
    await world.end(new)
    new = await world.start(new_job, HOURLY)
    await world.go(HOUR)
    assert await new.fired() == [f"{job} 11-20 {hour}:00" for hour in (13, 14, 15) for job in ("hourly", "new", "old")]
    for process in (old, restarted):
        await world.end(process)
    await world.go(HOUR)
    assert [line for line in await new.fired() if "16:00" in line] == ["hourly 11-20 16:00", "new 11-20 16:00"]


async def test_old_and_new_editions_of_a_schedule_fire_both_and_never_the_same_time(world: World) -> None:
    old, new = scheduled(named("0 * * * *")), scheduled(named("*/30 * * * *"))
    await world.start(old)
    process = await world.start(new)
    await world.go(HOUR)
    await world.start(old)
    await world.go(HOUR)
    await world.start(new)
    await world.go(HOUR)
    assert [line[-5:] for line in await process.fired()] == ["12:30", "13:00", "13:30", "14:00", "14:30", "15:00"]


async def test_an_old_edition_that_wakes_up_fires_nothing_from_before_the_new_one(world: World) -> None:
    zombie = await world.start(scheduled(named("0 * * * *")))
    world.clock.advance(5 * HOUR + 30 * MINUTE)
    new = await world.start(scheduled(named("15 * * * *")))
    await world.tick(zombie)
    assert await new.fired() == []  # 17:00 was before the new edition was known
    await world.go(HOUR, new)
    await world.tick(zombie)
    await world.tick(zombie)
    assert await new.fired() == ["job 11-20 18:15"]  # 18:00 is before what has fired


async def test_a_zone_of_an_old_edition_is_gone_once_the_old_code_is(world: World) -> None:
    paris, tokyo = (scheduled(named("0 9 * * *", time_zone=zone)) for zone in ("Europe/Paris", "Asia/Tokyo"))
    old = await world.start(paris)
    process = await world.start(tokyo)
    await world.go(DAY)
    assert await process.fired() == ["job 11-21 00:00", "job 11-21 08:00"]
    await world.end(old)
    await world.end(process)
    process = await world.start(tokyo)
    assert [state.zone for state in await process.project.ledger.fires.states() if not state.gone] == ["Asia/Tokyo"]
    await world.go(DAY)
    assert await process.fired() == ["job 11-21 00:00", "job 11-21 08:00", "job 11-22 00:00"]


async def test_old_code_that_goes_on_for_long_loses_nothing(world: World) -> None:
    """As where a deploy is tried out beside it, and given up: what only the old code has isn't forgotten."""
    old = await world.start(scheduled("0 0 15 * *", name="Monthly"), HOURLY)
    world.pass_to(world.clock.microseconds + 11 * 3_600_000_000)
    await world.end(await world.start(OTHER))
    for _ in range(60):
        await world.go(DAY)
        old.project.ledger.beat()
        await old.bot.affirm()
        await old.project.ledger.prune()
    assert [line for line in await old.fired() if "monthly" in line] == ["monthly 12-15 00:00", "monthly 01-15 00:00"]
    assert not any(state.gone for state in await old.project.ledger.fires.states() if state.job != "other")
