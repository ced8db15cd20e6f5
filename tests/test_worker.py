from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.background_job import BackgroundJob
from pinstripe.errors import PinstripeError
from pinstripe.run import Counts
from tests.jobs import Fails, Sums
from tests.shop import Shop, many, open_shop
from tests.working import Gate, drain, enqueue, gated, seen, working

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio


# What is queued is executed.


async def test_a_queued_run_is_executed(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        run = await enqueue(shop, Sums, 1, 2)
        assert (run.status, run.executions) == ("queued", Counts(1, 1))
        await drain(shop)
        done = await seen(shop, run)
    assert (done.status, done.result, done.executions) == ("succeeded", 3, Counts(1, succeeded=1))


async def test_no_more_go_on_at_once_than_are_allowed(project_folder: ProjectFolder) -> None:
    gate = Gate()
    async with open_shop(project_folder) as shop:
        runs = [await enqueue(shop, gated(gate) if not number else "gated", str(number)) for number in range(7)]
        task = asyncio.create_task(drain(shop, 3))
        await gate.has(3)
        status = await shop.project.ledger.queue.status()
        assert (status.running, [each.concurrency for each in status.processes]) == (3, [3])
        gate.open.set()
        await task
        assert [(await seen(shop, run)).status for run in runs] == ["succeeded"] * 7
    assert gate.most == 3


async def test_a_slot_that_is_free_is_filled_while_others_go_on(project_folder: ProjectFolder) -> None:
    gate, last = Gate(), asyncio.Event()

    class Quick(BackgroundJob):
        async def run(self, number: int) -> None:
            if number == 4:
                last.set()

    async with open_shop(project_folder) as shop:
        await enqueue(shop, gated(gate), "slow")
        async with working(shop, 2):
            await gate.has(1)
            for number in range(5):
                await enqueue(shop, Quick, number)
            await last.wait()
            assert gate.inside == ["slow"]


async def test_a_job_may_run_and_enqueue_others(project_folder: ProjectFolder) -> None:
    class Outer(BackgroundJob):
        async def run(self) -> list[Any]:
            inside = await self.run_background_job("sums", 1, 2)
            queued = await self.enqueue_background_job("sums", 3, 4)
            return [inside.result, inside.parent, queued.id]

    async with open_shop(project_folder) as shop:
        shop.add(Sums)
        run = await enqueue(shop, Outer)
        await drain(shop)
        result, parent, queued = (await seen(shop, run)).result
        assert (result, parent) == (3, run.id)
        assert (await shop.project.ledger.find_run(queued)).result == 7


async def test_nothing_is_kept_of_what_has_ended(project_folder: ProjectFolder) -> None:
    import gc

    class Quick(BackgroundJob):
        async def run(self, number: int) -> None: ...

    async def some(shop: Shop) -> int:
        for number in range(300):
            await enqueue(shop, Quick, number)
        worker = await drain(shop)
        assert worker.left == []
        shop.project._workers.clear()  # noqa: SLF001 - the project keeps each worker until it is closed
        del worker
        gc.collect()
        return len(gc.get_objects())

    async with open_shop(project_folder) as shop:
        await some(shop)
        before = await some(shop)
        after = await some(shop)
    assert after - before < 100


async def test_what_is_due_later_is_started_when_it_is(project_folder: ProjectFolder) -> None:
    began = asyncio.Event()

    class Begins(BackgroundJob):
        async def run(self) -> None:
            began.set()

    async with open_shop(project_folder) as shop:
        run = await enqueue(shop, Begins, delay="100ms")
        async with working(shop):
            await began.wait()
        done = await seen(shop, run)
    assert done.started_at is not None
    assert done.started_at - done.created_at >= timedelta(milliseconds=100)


async def test_a_worker_works_once(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        worker = await drain(shop)
        with pytest.raises(PinstripeError, match="this worker has worked"):
            await worker.work()


# Cancelling.


async def test_what_runs_hears_that_its_run_was_cancelled(project_folder: ProjectFolder) -> None:
    gate = Gate()
    async with open_shop(project_folder) as shop:
        run = await enqueue(shop, gated(gate), "a")
        other = await enqueue(shop, "gated", "b")
        task = asyncio.create_task(drain(shop))
        await gate.has(2)
        await shop.project.ledger.queue.cancel(run.id, "not needed")
        await gate.has(1)
        gate.open.set()
        await task
        assert (await shop.execution(run)).error == "not needed"
        assert [(await seen(shop, each)).status for each in (run, other)] == ["cancelled", "succeeded"]


# Workers of several runs at once, and many executions.


async def test_many_executions_are_all_executed_once(project_folder: ProjectFolder) -> None:
    ran: list[str] = []

    class Counts_(BackgroundJob):  # noqa: N801 - `Counts` is another thing
        multi_tenant = True

        async def run(self) -> None:
            ran.append(self.tenant.id)

    async with open_shop(project_folder, many(1_500)) as shop:
        shop.add(Counts_, "counts")
        run = await enqueue(shop, "counts")
        assert run.selecting
        await drain(shop, 50)
        assert (await seen(shop, run)).executions == Counts(1_500, succeeded=1_500)
    assert ran == [f"t{number:05}" for number in range(1_500)]


async def test_an_error_of_one_execution_is_nobody_elses(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        bad = await enqueue(shop, Fails)
        good = await enqueue(shop, Sums, 1)
        await drain(shop)
        assert (await seen(shop, bad)).failures[0].error == "LookupError: nothing there"
        assert (await seen(shop, good)).status == "succeeded"


async def test_an_execution_whose_process_dies_runs_again_and_fails_in_the_end(project_folder: ProjectFolder) -> None:
    project_folder.job(
        "dies",
        """
        import os

        from pinstripe import BackgroundJob

        class Dies(BackgroundJob):
            runs_in = "process"

            def run(self):
                os._exit(3)
        """,
    )
    async with open_shop(project_folder) as shop:
        run = await enqueue(shop, "dies")
        await drain(shop)
        done = await seen(shop, run)
    assert done.status == "failed"
    assert "exit code 3" in done.failures[0].error
