"""The bot of the original system, ported: what it did, and each thing that went wrong with it, which can't here."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

import pinstripe
from pinstripe.background_job import BackgroundJob
from pinstripe.run import RunStatus
from pinstripe.schedule import Schedule
from tests.firing import DAY, HOUR, SECONDS, Process, World, machine, scheduled
from tests.ported import command
from tests.shop import Shop
from tests.working import Gate, drain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import FrameType

    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio

FIVE: list[object] = [{"id": id_, "active": id_ != "echo"} for id_ in ("alpha", "bravo", "cargo", "delta", "echo")]


@pytest.fixture
async def world(project_folder: ProjectFolder) -> AsyncIterator[World]:
    async with machine(project_folder, tenants=FIVE) as world:
        yield world


class Greet(BackgroundJob):
    """Two schedules, each with arguments of its own."""

    schedule = (Schedule("0 9 * * *", args=("Ada",)), Schedule("0 17 * * *", args=("Grace",), kwargs={"loud": True}))

    async def run(self, name: str, *, loud: bool = False) -> str:
        return f"hello {name}".upper() if loud else f"hello {name}"


class Remind(BackgroundJob):
    """Every hour, for each tenant that its filter lets through; the one named cargo fails."""

    schedule = "0 * * * *"
    multi_tenant = True

    @staticmethod
    def tenants_filter(tenants: Any) -> Any:
        return tenants.where(active=True)

    async def run(self) -> str:
        if self.tenant.id == "cargo":
            raise ValueError("no address")
        return self.tenant.id


class Throws(BackgroundJob):
    schedule = "* * * * * *"

    async def run(self) -> None:
        raise RuntimeError("it went wrong")


async def finished(process: Process) -> list[tuple[str, str]]:
    """Execute what is due, and give each scheduled run with what became of it."""
    await drain(process.shop())
    return [(run.job, str(run.status)) for run in await process.runs()]


# What it did.


async def test_a_job_s_schedules_run_it_each_with_its_own_arguments(world: World) -> None:
    process = await world.start(Greet)
    await world.go(DAY)
    await drain(process.shop())
    evening, morning = await process.runs()
    assert (evening.args, evening.kwargs, evening.result) == (("Grace",), {"loud": True}, "HELLO GRACE")
    assert (morning.args, morning.kwargs, morning.result) == (("Ada",), {}, "hello Ada")


async def test_a_job_of_tenants_runs_for_each_that_its_filter_lets_through(world: World) -> None:
    process = await world.start(Remind)
    await world.go(HOUR)
    await drain(process.shop())
    (run,) = await process.runs()
    assert run.executions.total == 4
    assert await process.project.ledger.find_execution(run.id, "echo") is None


# What went wrong: the tenants after one that failed got nothing.


async def test_a_tenant_that_fails_takes_nothing_from_those_after_it(world: World) -> None:
    process = await world.start(Remind)
    await world.go(HOUR)
    await drain(process.shop())
    (run,) = await process.runs()
    assert (run.status, run.executions.succeeded, run.executions.failed) == (RunStatus.FAILED, 3, 1)
    statuses = await process.shop().statuses(run, "alpha", "bravo", "cargo", "delta")
    assert statuses == ["succeeded", "succeeded", "failed", "succeeded"]


# The bot waited for each job, then went through every second that it had missed; one that raised was its end.


async def test_a_job_that_takes_long_holds_up_no_schedule_and_no_other_job(world: World) -> None:
    gate = Gate()

    async def run(self: BackgroundJob) -> None:
        await gate("long")

    short = scheduled("* * * * * *", name="Short", overlap="allow")
    process = await world.start(scheduled("* * * * * *", name="Long", run=run), short)
    worker = process.project.worker()
    working = asyncio.create_task(worker.work())
    await world.go(1 * SECONDS)
    await gate.has(1)
    await world.go(4 * SECONDS)
    assert Counter(run.job for run in await process.runs()) == {"long": 5, "short": 5}
    gate.open.set()
    worker.stop()
    await working
    await drain(process.shop())
    executions = Counter([(run.job, str((await process.shop().execution(run)).status)) for run in await process.runs()])
    # Those that came while it ran have nothing to do: that it runs once at a time is the default.
    assert executions == {("long", "succeeded"): 1, ("long", "skipped"): 4, ("short", "succeeded"): 5}


async def test_seconds_that_were_missed_are_not_gone_through_one_by_one(world: World) -> None:
    process = await world.start(scheduled("* * * * * *"))
    await world.go(1 * SECONDS)
    world.pass_to(world.clock.microseconds + 3_600_000_000)
    await world.tick()
    assert 1 < len(await process.fired()) <= 1 + 6  # what is some seconds late is only late


async def test_a_job_that_raises_is_not_the_end_of_the_bot(world: World) -> None:
    process = await world.start(Throws, scheduled("* * * * * *", name="Other"))
    for count in (1, 2, 3):
        await world.go(1 * SECONDS)
        assert await finished(process) == [("other", "succeeded"), ("throws", "failed")] * count
    assert process.bot.is_ticking


# Arguments were dropped, and the command didn't wait.


GREET = """
    from pathlib import Path
    from pinstripe import BackgroundJob

    class Greet(BackgroundJob):
        '''Greet somebody, and write down who.'''

        async def run(self, name: str, times: int = 1) -> str:
            Path("greeted").write_text(f"{name} {times}")
            print(f"hello {name}")
            return name * times
    """


def test_the_command_gives_the_job_its_arguments_and_waits_for_it(project_folder: ProjectFolder) -> None:
    project_folder.job("greet", GREET)
    done = command(project_folder.path, "run-background-job", "greet", "Ada", "2")
    assert done.returncode == 0, done.stderr
    assert "hello Ada" in done.stdout
    assert (project_folder.path / "greeted").read_text(encoding="utf-8") == "Ada 2"


async def test_code_gives_the_job_its_arguments_and_waits_for_it(project_folder: ProjectFolder) -> None:
    project_folder.job("shout", GREET.replace('Path("greeted").write_text(f"{name} {times}")', "pass"))
    async with pinstripe.open_project(project_folder.path) as project, project.workspace(tenant=None) as workspace:
        run = await workspace.run_background_job("shout", "Ada", times=3)
    assert (run.status, run.result) == ("succeeded", "AdaAdaAda")


# An unknown job was a line on standard error, and exit code 0.


def test_an_unknown_job_is_wrong_usage(project_folder: ProjectFolder) -> None:
    project_folder.job("greet", GREET)
    done = command(project_folder.path, "run-background-job", "great")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'great'" in done.stderr
    assert "greet" in done.stderr


async def test_an_unknown_job_raises(project_folder: ProjectFolder) -> None:
    async with pinstripe.open_project(project_folder.path) as project, project.workspace(tenant=None) as workspace:
        with pytest.raises(pinstripe.UnknownJob):
            await workspace.run_background_job("great")
        with pytest.raises(pinstripe.UnknownJob):
            await workspace.enqueue_background_job("great")


# Cron lines were parsed each second, in the host's zone, by every node; what was missed was lost.


async def test_a_second_in_which_nothing_is_due_parses_no_cron_line(world: World) -> None:
    process = await world.start(*(scheduled("0 9 * * *", name=f"Job{number}") for number in range(20)))
    await world.tick()
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and "cron" in frame.f_code.co_filename:
            calls[frame.f_code.co_filename] += 1

    sys.setprofile(count)
    try:
        for _ in range(3_600):
            world.clock.advance(1 * SECONDS)
            await process.bot.tick(world.clock.microseconds)
        idle = dict(calls)
        await world.go(DAY)
    finally:
        sys.setprofile(None)
    assert idle == {}
    assert len(await process.fired()) == 20
    assert calls.total() > 0  # for the next times


async def test_the_host_s_zone_is_nobody_s(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        process = await world.start(
            scheduled("0 9 * * *", name="Project"),
            scheduled(Schedule("0 9 * * *", time_zone="Europe/Paris"), name="Paris"),
        )
        await world.go(DAY)
        assert await process.fired() == ["paris 11-21 08:00", "project 11-21 09:00"]
    finally:
        monkeypatch.undo()
        time.tzset()


async def test_what_was_missed_while_nothing_ran_is_made_up_for_once(world: World) -> None:
    jobs = scheduled("0 */2 * * *", name="Latest"), scheduled(Schedule("0 */2 * * *", catch_up="none"), name="Never")
    await world.end(await world.start(*jobs))
    world.pass_to(world.clock.microseconds + 5 * 3_600_000_000)
    process = await world.start(*jobs)
    await world.tick()
    assert await process.fired() == ["latest 11-20 16:00"]


async def test_several_nodes_run_each_time_once(world: World) -> None:
    jobs = [scheduled("* * * * * *", name=name, overlap="allow") for name in ("One", "Two")]
    nodes = [await world.start(*jobs) for _ in range(3)]
    await world.go(3 * SECONDS)
    await asyncio.gather(*(drain(node.shop()) for node in nodes))
    runs = await nodes[0].runs()
    assert Counter(run.job for run in runs) == {"one": 3, "two": 3}
    assert {run.executions.total for run in runs} == {1}
    for run in runs:
        assert (await nodes[0].shop().execution(run)).attempts == 1


# Without a table of tenants, a job for tenants did nothing, and said nothing.


REMIND = """
    from pinstripe import BackgroundJob

    class Remind(BackgroundJob):
        schedule = "0 * * * *"
        multi_tenant = True

        async def run(self) -> None:
            pass
    """


def test_a_job_for_tenants_where_there_are_none_is_told_of(project_folder: ProjectFolder) -> None:
    project_folder.job("remind", REMIND)
    checked = command(project_folder.path, "check")
    assert checked.returncode == 1
    assert "tenant" in checked.stdout + checked.stderr
    done = command(project_folder.path, "run-background-job", "remind")
    assert done.returncode == 2
    assert "[tool.pinstripe.tenants]" in done.stderr


async def test_its_schedule_makes_a_run_that_has_failed_and_tells_why(project_folder: ProjectFolder) -> None:
    async with machine(project_folder) as world:
        process = await world.start(scheduled("0 * * * *", name="Remind", multi_tenant=True))
        await world.go(HOUR)
        await drain(Shop(process.project))
        (run,) = await process.runs()
    assert run.status == "failed"
    assert run.error is not None
    assert "tenants" in run.error
