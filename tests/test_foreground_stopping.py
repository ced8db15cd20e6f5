"""Stopping and cancelling runs that code awaits, at any moment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.background_job import BackgroundJob
from pinstripe.commands.summary import exit_code
from pinstripe.errors import PinstripeError, RunCancelled
from pinstripe.opening import open_project
from pinstripe.selection import PAGE
from tests.jobs import FailsForSome, Waits
from tests.shop import Begun, Recorder, in_global_workspace, many, open_shop

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio


async def test_stop_cancels_what_runs_and_what_has_not_started(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        watcher = Begun()
        task = asyncio.create_task(shop.run(Waits, watcher=watcher, concurrency=2))
        await watcher.begun.wait()
        shop.project.stop("shut down")
        run = await task
        assert (run.status, run.executions.cancelled) == ("cancelled", 3)
        reasons = [(await shop.execution(run, id_)).error for id_ in ("acme", "birch", "cedar")]
        assert reasons == ["shut down", "shut down", "not started"]
        assert watcher.runs == [run]


async def test_a_run_hears_that_another_process_asked_for_its_end(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop, open_project(project_folder.path) as other:
        watcher = Begun()
        task = asyncio.create_task(shop.run(Waits, watcher=watcher, concurrency=2))
        await watcher.begun.wait()
        (begun,) = await shop.runs()
        await other.ledger.open()
        await other.ledger.queue.cancel(begun.id, "not needed")
        run = await task
        assert (run.status, run.executions.cancelled, exit_code(run)) == ("cancelled", 3, 1)
        reasons = [(await shop.execution(run, id_)).error for id_ in ("acme", "birch", "cedar")]
        assert reasons == ["not needed"] * 3


async def test_a_run_hears_that_also_while_its_tenants_are_selected(project_folder: ProjectFolder) -> None:
    reading, stays = asyncio.Event(), asyncio.Event()

    async def hear(number: int) -> None:
        if number == PAGE:  # the first page is read, so the run is in the ledger
            reading.set()
            await stays.wait()

    async with open_shop(project_folder, many(PAGE + 1)) as shop, open_project(project_folder.path) as other:
        shop.on_reading(hear)
        task = asyncio.create_task(shop.run(Waits))
        await reading.wait()
        (begun,) = await shop.runs()
        await other.ledger.open()
        await other.ledger.queue.cancel(begun.id, "not needed")
        run = await asyncio.wait_for(task, 10)
        assert (run.status, run.executions.cancelled, exit_code(run)) == ("cancelled", PAGE, 1)
        assert await shop.none_is_open()


async def test_what_code_awaits_raises_where_another_process_asked_for_its_end(project_folder: ProjectFolder) -> None:
    begun = asyncio.Event()

    class Tells(Waits):
        async def run(self) -> None:
            begun.set()
            await super().run()

    async with open_shop(project_folder) as shop:
        task = asyncio.create_task(in_global_workspace(shop, Tells, tenants=["acme"]))
        await begun.wait()
        await shop.project.ledger.queue.cancel("last", "not needed")
        with pytest.raises(RunCancelled):
            await task
        assert await shop.none_is_open()


async def test_stop_raises_run_cancelled_where_code_awaits(project_folder: ProjectFolder) -> None:
    class Tells(Waits):
        async def run(self) -> None:
            shop.project.stop()
            await super().run()

    async with open_shop(project_folder) as shop:
        with pytest.raises(RunCancelled) as raised:
            await in_global_workspace(shop, Tells)
        assert raised.value.run.status == "cancelled"
        assert await shop.none_is_open()


async def test_stop_while_tenants_are_selected(project_folder: ProjectFolder) -> None:
    reading = asyncio.Event()

    async def hang(number: int) -> None:
        if number == 1_500:
            reading.set()
            await asyncio.Event().wait()

    async with open_shop(project_folder, many(2_000)) as shop:
        shop.on_reading(hang)
        watcher = Recorder()
        task = asyncio.create_task(shop.run(FailsForSome, watcher=watcher))
        await reading.wait()
        shop.project.stop()
        run = await task
        assert (run.status, run.executions.total, run.executions.cancelled) == ("cancelled", 1_000, 1_000)
        assert run.error is None
        assert (await shop.execution(run, "t00000")).error == "not started"
        assert watcher.calls == ["created", "selecting", "finished"]

        shop.on_reading(None)
        again = await shop.project.retry(run.id)
        assert again is not None
        assert (again.status, again.executions.succeeded, again.retry_of) == ("succeeded", 2_000, run.id)


async def test_stop_before_anything_is_recorded(project_folder: ProjectFolder) -> None:
    reading = asyncio.Event()

    async def hang(number: int) -> None:
        reading.set()
        await asyncio.Event().wait()

    async with open_shop(project_folder) as shop:
        shop.on_reading(hang)
        task = asyncio.create_task(shop.run(FailsForSome))
        await reading.wait()
        shop.project.stop()
        with pytest.raises(PinstripeError, match="stopped before anything of it was recorded"):
            await task
        assert await shop.runs() == []


@pytest.mark.parametrize("when", ["created", "selecting", "selected", "advanced", "finished"])
async def test_stop_from_a_watcher_at_any_moment_leaves_no_run_open(project_folder: ProjectFolder, when: str) -> None:
    async with open_shop(project_folder) as shop:

        class Stops(Recorder):
            pass

        def stop(self: Recorder, *facts: Any) -> None:
            getattr(Recorder, when)(self, *facts)
            shop.project.stop()

        setattr(Stops, when, stop)
        watcher = Stops()
        run = await shop.run(FailsForSome, watcher=watcher, concurrency=1)
        assert run.status == ("succeeded" if when == "finished" else "cancelled")
        assert await shop.none_is_open()
        assert watcher.calls[-1] == "finished"


async def test_a_timeout_around_a_run_stops_it_cleanly(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        shop.add(Waits)
        async with shop.project.workspace(tenant=None) as workspace:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await workspace.options(tenants=["acme"]).run_background_job(Waits)
        (run,) = await shop.runs()
        assert (run.status, (await shop.execution(run, "acme")).error) == ("cancelled", "interrupted")


async def test_cancelling_who_awaits_stops_the_inner_runs_too(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        name = shop.add(Waits)
        watcher = Begun()

        class Starts(BackgroundJob):
            async def run(self) -> None:
                self.progress(0)
                await self.run_background_job(name)

        task = asyncio.create_task(shop.run(Starts, watcher=watcher))
        await watcher.begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await shop.none_is_open()
        assert {str(run.status) for run in await shop.runs()} == {"cancelled"}
        assert len(watcher.runs) == 1


@pytest.mark.parametrize("turns", range(12))
async def test_cancelling_who_awaits_at_any_moment_leaves_no_run_open(
    project_folder: ProjectFolder, turns: int
) -> None:
    async with open_shop(project_folder) as shop:
        task = asyncio.create_task(shop.run(Waits, concurrency=1))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await shop.none_is_open()


@pytest.mark.parametrize("turns", range(12))
async def test_stop_at_any_moment_leaves_no_run_open(project_folder: ProjectFolder, turns: int) -> None:
    async with open_shop(project_folder) as shop:
        task = asyncio.create_task(shop.run(FailsForSome, concurrency=1))
        for _ in range(turns):
            await asyncio.sleep(0)
        shop.project.stop()
        (ended,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(ended, PinstripeError) == (await shop.runs() == [])
        assert await shop.none_is_open()
