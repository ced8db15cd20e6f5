"""Retries: for whom they are, whose keys they keep, and what they refuse."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from pinstripe.background_job import BackgroundJob
from pinstripe.clock import SystemClock
from pinstripe.errors import InvalidArguments, UnknownRun
from pinstripe.ledger import NewRun
from pinstripe.run import Run, Trigger, new_run_id
from pinstripe.selection import PAGE, Selection
from pinstripe.text_values import TextValue
from tests.jobs import Alone, Picky, Stuck
from tests.shop import FOUR, Recorder, many, open_shop, retried

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _good_again(monkeypatch: pytest.MonkeyPatch) -> None:
    for job_class in (Picky, Stuck):
        monkeypatch.setattr(job_class, "bad", frozenset())
    monkeypatch.setattr(Alone, "ok", False)


async def test_a_retry_is_for_what_failed_with_the_same_arguments(project_folder: ProjectFolder) -> None:
    Picky.bad = frozenset({"birch", "cedar"})
    async with open_shop(project_folder) as shop:
        first = await shop.run(Picky, "weekly", kwargs={"limit": 5})
        Picky.bad = frozenset({"cedar"})
        second = await retried(shop, first)
        assert (second.retry_of, second.trigger, second.job, second.args) == (first.id, "retry", "picky", ("weekly",))
        assert (second.status, second.executions.total, second.executions.failed) == ("failed", 2, 1)

        # Whoever succeeded in a later retry needs none, whichever run is named.
        Picky.bad = frozenset()
        third = await retried(shop, first)
        assert (third.status, third.executions.total) == ("succeeded", 1)
        assert [await shop.project.retry(run.id) for run in (first, second, third)] == [None, None, None]
        assert len(await shop.runs()) == 3

        results = [(await shop.execution(run, id_)).result for run, id_ in ((second, "birch"), (third, "cedar"))]
        assert results == [[1, f"{first.id}/{id_}", 1, "weekly", {"limit": 5}] for id_ in ("birch", "cedar")]


async def test_a_key_is_stable_over_a_chain_of_retries(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        run = first = await shop.run(Alone)
        for _ in range(3):
            run = await retried(shop, run)
            assert run.status == "failed"
        Alone.ok = True
        last = await retried(shop, "last")
        assert last.result == f"{first.id}/"
        assert last.retry_of == run.id


async def test_what_was_cancelled_is_retried(project_folder: ProjectFolder) -> None:
    Stuck.bad = frozenset({"birch"})
    async with open_shop(project_folder) as shop:

        class Stops(Recorder):
            def progress(self, tenant: str | None, done: float, total: float | None) -> None:
                shop.project.stop()

        first = await shop.run(Stuck, watcher=Stops(), concurrency=1)
        assert await shop.statuses(first, "acme", "birch", "cedar") == ["succeeded", "cancelled", "cancelled"]
        Stuck.bad = frozenset()
        again = await retried(shop, first)
        assert (again.status, again.executions.total) == ("succeeded", 2)


async def test_what_was_skipped_is_retried_where_that_is_asked(project_folder: ProjectFolder) -> None:
    Picky.bad = frozenset({"birch"})
    async with open_shop(project_folder) as shop:
        first = await shop.run(Picky)
        shop.tenants([item for item in FOUR if item["id"] != "birch"])  # type: ignore[index]
        again = await retried(shop, first)
        assert (again.status, again.executions.skipped) == ("succeeded", 1)
        assert (await shop.execution(again, "birch")).error == "no longer a tenant that the job's filter lets through"

        shop.tenants(FOUR)
        Picky.bad = frozenset()
        assert await shop.project.retry(again.id) is None
        last = await retried(shop, again, skipped=True)
        assert (last.status, last.executions.succeeded) == ("succeeded", 1)
        assert (await shop.execution(last, "birch")).result[1] == f"{first.id}/birch"


async def test_a_tenant_that_the_filter_leaves_out_today_is_skipped(project_folder: ProjectFolder) -> None:
    Picky.bad = frozenset({"birch", "cedar"})
    async with open_shop(project_folder) as shop:
        first = await shop.run(Picky, where=(("plan__ne", TextValue("gold")),))
        shop.tenants([{"id": "birch", "plan": "gold", "active": True}, {"id": "cedar", "plan": "pro", "active": True}])
        Picky.bad = frozenset()
        again = await retried(shop, first)
        assert await shop.statuses(again, "birch", "cedar") == ["skipped", "succeeded"]


async def test_a_tenant_run_by_force_is_retried_by_force(project_folder: ProjectFolder) -> None:
    Picky.bad = frozenset({"gone"})
    async with open_shop(project_folder) as shop:
        first = await shop.run(Picky, tenants=("gone",), force=True)
        Picky.bad = frozenset()
        assert (await retried(shop, first)).executions.succeeded == 1


async def test_a_retry_of_more_than_a_page(project_folder: ProjectFolder) -> None:
    count = PAGE + 200
    Picky.bad = frozenset(f"t{number:05}" for number in range(count))
    async with open_shop(project_folder, many(count + 50)) as shop:
        first = await shop.run(Picky)
        assert first.executions.failed == count
        Picky.bad = frozenset()
        recorder = Recorder()
        again = await retried(shop, first, watcher=recorder)
        assert (again.status, again.executions.succeeded, again.executions.total) == ("succeeded", count, count)
        assert recorder.found == [PAGE, count]


async def test_an_interrupted_selection_is_made_anew_without_whom_it_reached(project_folder: ProjectFolder) -> None:
    """Such a run never started anybody; one who has succeeded in a retry of it is left out of the next."""
    reading = asyncio.Event()

    async def hang(number: int) -> None:
        if number == PAGE:
            reading.set()
            await asyncio.Event().wait()

    async with open_shop(project_folder, many(PAGE + 3)) as shop:
        shop.on_reading(hang)
        task = asyncio.create_task(shop.run(Picky, exclude=("t00000",)))
        await reading.wait()
        shop.project.stop()
        first = await task
        assert first.status == "cancelled"

        shop.on_reading(None)
        Picky.bad = frozenset({"t00001"})
        second = await retried(shop, first)
        assert (second.executions.total, second.executions.failed) == (PAGE + 2, 1)
        Picky.bad = frozenset()
        third = await retried(shop, first)
        assert (third.executions.total, third.executions.succeeded) == (1, 1)
        assert (await shop.execution(third, "t00001")).result[1] == f"{first.id}/t00001"


async def test_a_retry_interrupted_in_its_selection_stands_for_what_it_retried(project_folder: ProjectFolder) -> None:
    Picky.bad = frozenset({"acme", "birch"})
    async with open_shop(project_folder) as shop:
        first = await shop.run(Picky)

        class Stops(Recorder):
            def created(self, run: Run) -> None:
                shop.project.stop()

        interrupted = await retried(shop, first, watcher=Stops())
        assert (interrupted.status, interrupted.retry_of) == ("cancelled", first.id)
        Picky.bad = frozenset()
        last = await retried(shop, interrupted)
        assert (last.status, last.executions.succeeded, last.retry_of) == ("succeeded", 2, first.id)
        assert (await shop.execution(last, "acme")).result[1] == f"{first.id}/acme"


async def test_an_open_run_is_not_retried(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:

        class Retries(BackgroundJob):
            async def run(self) -> None:
                await shop.project.retry("last")

        run = await shop.run(Retries)
        assert (run.status, len(await shop.runs())) == ("failed", 1)
        assert "is still running: wait for its end" in run.failures[0].error


async def test_an_unknown_or_pruned_run_is_not_retried(project_folder: ProjectFolder) -> None:
    settings = 'retention.failed = "0s"'
    async with open_shop(project_folder, settings=settings) as shop:
        with pytest.raises(UnknownRun):
            await shop.project.retry("last")
        run = await shop.run(Alone)
        assert run.status == "failed"
    async with open_shop(project_folder) as shop:
        with pytest.raises(UnknownRun, match=run.id):
            await shop.project.retry(run.id)


async def test_a_retry_needs_arguments_that_still_fit(project_folder: ProjectFolder) -> None:
    class Job(BackgroundJob):
        async def run(self, count: int) -> None:
            raise ValueError

    class Changed(BackgroundJob):
        async def run(self) -> None: ...

    async with open_shop(project_folder) as shop:
        shop.add(Job, "job")
        run = await shop.run(Job, 5)
    async with open_shop(project_folder) as shop:
        shop.add(Changed, "job")
        with pytest.raises(InvalidArguments, match=r"job\(\)"):
            await shop.project.retry(run.id)
        assert len(await shop.runs()) == 1


@pytest.mark.parametrize("was", [True, False])
async def test_a_job_that_has_become_another_kind_is_skipped(project_folder: ProjectFolder, was: bool) -> None:
    class Before(BackgroundJob):
        multi_tenant = was

        async def run(self) -> None:
            raise ValueError

    class After(BackgroundJob):
        multi_tenant = not was

        async def run(self) -> None: ...

    async with open_shop(project_folder, ["acme"]) as shop:
        shop.add(Before, "job")
        run = await shop.run(Before)
        assert run.status == "failed"
    async with open_shop(project_folder, ["acme"]) as shop:
        shop.add(After, "job")
        again = await retried(shop, run)
        assert (again.status, again.executions.skipped) == ("succeeded", 1)


async def test_of_retries_made_at_once_a_tenant_is_in_one_only(project_folder: ProjectFolder) -> None:
    Picky.bad = frozenset({"acme", "birch", "cedar"})
    async with open_shop(project_folder) as shop, open_shop(project_folder) as other:
        first = await shop.run(Picky)
        other.add(Picky)
        Picky.bad = frozenset()
        tries = [each.project.retry(first.id) for each in (shop, other) * 4]
        again = [run for run in await asyncio.gather(*tries) if run is not None]
        assert sum(run.executions.succeeded for run in again) == 3
        assert {run.status for run in again} == {"succeeded"}


async def test_how_a_retry_runs_can_be_chosen(project_folder: ProjectFolder) -> None:
    Picky.bad = frozenset({"acme", "birch", "cedar"})
    async with open_shop(project_folder) as shop:
        first = await shop.run(Picky)
        again = await retried(shop, first, concurrency=1, fail_fast=True)
        assert (again.executions.failed, again.executions.cancelled) == (1, 2)


async def test_a_run_left_by_a_killed_process_is_carried_on(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder, many(3)) as shop:
        shop.add(Picky)
        ledger = shop.project.ledger
        await ledger.open(write=True)
        selection = Selection(exclude=("t00002",)).to_json()
        left = new_run_id(SystemClock().now())
        await ledger.create(NewRun(left, "picky", Trigger.CLI, ["x"], {}, selection))
        await ledger.add(left, ["t00000", "t00001"])
    async with open_shop(project_folder, many(3)) as shop:
        shop.add(Picky)
        (run,) = await shop.runs()
        assert (run.status, run.executions.cancelled) == ("cancelled", 2)
        again = await retried(shop, run)
        assert (again.status, again.executions.succeeded, again.args) == ("succeeded", 2, ("x",))
