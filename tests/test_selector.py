from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe import selector
from pinstripe.background_job import BackgroundJob
from pinstripe.ledger import NewRun
from pinstripe.queue import NewWork
from pinstripe.run import Counts, Trigger, new_run_id
from pinstripe.selector import Selector
from tests.jobs import FailsForSome, Picky
from tests.shop import Shop, many
from tests.working import drain, enqueue, seen, told_shop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from pinstripe.run import Run
    from tests.conftest import ProjectFolder
    from tests.ledgers.conftest import HandClock

pytestmark = pytest.mark.anyio


class Greets(BackgroundJob):
    multi_tenant = True

    async def run(self) -> str:
        return self.tenant.id


@asynccontextmanager
async def selecting(
    folder: ProjectFolder, items: Sequence[object] | None = None
) -> AsyncIterator[tuple[Shop, Selector, HandClock]]:
    """Open a shop with a selector of its own, in a process that is a worker."""
    async with told_shop(folder, *([] if items is None else [items])) as (shop, clock):
        project = shop.project
        await project.ledger.open()
        await project.ledger.queue.join(1)
        yield shop, Selector(project.ledger, project.registry, lambda: project.tenants, "active", clock), clock


async def put(shop: Shop, job: str, **changes: Any) -> Run:
    """Enqueue a run that is to be selected, of any job and by any selection."""
    selection = {"tenants": None, "exclude": [], "where": [], "force": False, **changes}
    new = NewRun(new_run_id(shop.project.clock.now()), job, Trigger.CODE, (), {}, selection)
    return (await shop.project.ledger.queue.enqueue([NewWork(new, None)]))[0]


async def test_a_run_is_selected_and_its_executions_are_ready(project_folder: ProjectFolder) -> None:
    async with selecting(project_folder) as (shop, chooser, _):
        run = await enqueue(shop, Greets)
        assert run.selecting
        assert await chooser.select()
        assert not await chooser.select()
        assert (await seen(shop, run)).executions == Counts(3, 3)
        taken = await shop.project.ledger.queue.turn([], 10)
        assert [each.tenant for each in taken.started] == ["acme", "birch", "cedar"]


async def test_it_comes_in_pages(project_folder: ProjectFolder) -> None:
    async with selecting(project_folder, many(2_500)) as (shop, chooser, _):
        run = await enqueue(shop, Greets)
        assert await chooser.go_through()
        assert (await seen(shop, run)).executions == Counts(2_500, 2_500)


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"exclude": ["acme"]}, ["birch", "cedar"]),
        ({"where": [["plan", "pro"]]}, ["acme", "cedar"]),
        ({"where": [["plan", {"text": "free"}]]}, ["birch"]),
        ({"tenants": ["cedar", "acme"]}, ["cedar", "acme"]),
        ({"tenants": ["gone", "acme"], "force": True}, ["gone", "acme"]),
        # What was checked when it was enqueued may have changed since: that is no error any more.
        ({"tenants": ["gone", "acme", "never"]}, ["acme"]),
        ({"exclude": ["never", "birch"]}, ["acme", "cedar"]),
    ],
)
async def test_it_chooses_as_the_run_was_asked_to(
    project_folder: ProjectFolder, chosen: dict[str, Any], expected: list[str]
) -> None:
    async with selecting(project_folder) as (shop, chooser, _):
        await put(shop, shop.add(Greets), **chosen)
        await chooser.go_through()
        taken = await shop.project.ledger.queue.turn([], 10)
        assert [each.tenant for each in taken.started] == expected


async def test_a_selection_of_nobody_succeeds(project_folder: ProjectFolder) -> None:
    async with selecting(project_folder) as (shop, chooser, _):
        run = await put(shop, shop.add(Greets), where=[["plan", "gold"]])
        await chooser.go_through()
        done = await seen(shop, run)
        assert (done.status, done.executions) == ("succeeded", Counts())


# What goes wrong.


async def test_a_source_that_fails_half_way_fails_the_run(
    project_folder: ProjectFolder, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(number: int) -> None:
        if number == 1_200:
            raise OSError("no route to host")

    async with selecting(project_folder, many(1_500)) as (shop, chooser, _):
        run = await enqueue(shop, Greets)
        shop.on_reading(fail)
        assert await chooser.go_through()
        done = await seen(shop, run)
        assert done.status == "failed"
        assert done.error is not None
        assert "no route to host" in done.error
        assert caplog.messages == [f"greets failed (run {run.id}): {done.error}"]
        assert (done.executions.succeeded, done.executions.queued, done.executions.running) == (0, 0, 0)


async def test_a_filter_that_fails_fails_the_run(project_folder: ProjectFolder) -> None:
    class Filters(Greets):
        broken = False

        @staticmethod
        def tenants_filter(tenants: Any) -> Any:
            return None if Filters.broken else tenants

    async with selecting(project_folder) as (shop, chooser, _):
        run = await enqueue(shop, Filters)
        Filters.broken = True
        await chooser.go_through()
        done = await seen(shop, run)
        assert done.status == "failed"
        assert "tenants_filter of filters" in str(done.error)


async def test_an_error_that_nobody_thought_of_ends_one_run(
    project_folder: ProjectFolder, caplog: pytest.LogCaptureFixture
) -> None:
    async with selecting(project_folder) as (shop, chooser, _):
        bad = await put(shop, shop.add(Greets), where=[["plan"]])
        good = await enqueue(shop, Greets)
        await chooser.go_through()
        assert (await seen(shop, bad)).status == "failed"
        assert (await seen(shop, good)).executions == Counts(3, 3)
    assert "selecting the tenants of run" in caplog.text


async def test_a_run_of_an_unknown_job_is_put_aside_and_others_are_selected(
    project_folder: ProjectFolder, caplog: pytest.LogCaptureFixture
) -> None:
    async with selecting(project_folder) as (shop, chooser, clock):
        unknown = await put(shop, "not_yet_deployed")
        known = await enqueue(shop, Greets)
        with caplog.at_level(logging.WARNING, "pinstripe"):
            assert await chooser.go_through()
        assert (await seen(shop, known)).executions == Counts(3, 3)
        put_aside = await seen(shop, unknown)
        assert put_aside.selecting
        assert (put_aside.error or "").startswith("waits for a worker that has the job: ")
        assert not await chooser.go_through()
        clock.advance(timedelta(seconds=31))
        assert not await chooser.go_through()  # now it is given back
        shop.add(Greets)
        shop.project.registry.add("not_yet_deployed", type("NotYetDeployed", (Greets,), {}))
        assert await chooser.go_through()
        selected = await seen(shop, unknown)
        assert (selected.executions, selected.error) == (Counts(3, 3), None)
    assert "waits for a worker that has it" in caplog.text


async def test_what_is_put_aside_is_given_back_at_the_end(project_folder: ProjectFolder) -> None:
    async with selecting(project_folder) as (shop, chooser, _):
        unknown = await put(shop, "not_yet_deployed")
        await chooser.go_through()
        await chooser.close()
        taken = await shop.project.ledger.queue.take_selection()
        assert taken is not None
        assert taken.id == unknown.id


async def test_no_more_is_put_aside_than_fits(project_folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selector, "MAX_PUT_ASIDE", 2)
    async with selecting(project_folder) as (shop, chooser, _):
        for number in range(3):
            await put(shop, f"unknown_{number}")
        assert await chooser.go_through()
        taken = await shop.project.ledger.queue.take_selection()
        assert taken is not None
        assert taken.job == "unknown_2"


async def test_a_run_that_is_cancelled_while_it_is_selected_ends(project_folder: ProjectFolder) -> None:
    async with selecting(project_folder, many(1_500)) as (shop, chooser, _):
        run = await enqueue(shop, Greets)

        async def cancel(number: int) -> None:
            if number == 1_200:
                await shop.project.ledger.queue.cancel(run.id, "not needed")

        shop.on_reading(cancel)
        await chooser.go_through()
        shop.on_reading(None)
        await shop.project.ledger.queue.sweep()
        assert not await chooser.go_through()
        done = await seen(shop, run)
        assert (done.status, done.selecting, done.executions.queued) == ("cancelled", False, 0)


async def test_cancelling_it_leaves_the_run_to_others(project_folder: ProjectFolder) -> None:
    reading = asyncio.Event()

    async def stand_still(number: int) -> None:
        if number == 1_200:
            reading.set()
            await asyncio.Event().wait()

    async with selecting(project_folder, many(1_500)) as (shop, chooser, _):
        run = await enqueue(shop, Greets)
        shop.on_reading(stand_still)
        task = asyncio.create_task(chooser.go_through())
        await reading.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        shop.on_reading(None)
        assert await chooser.go_through()
        assert (await seen(shop, run)).executions == Counts(1_500, 1_500)


# Retries.


async def test_a_retry_is_for_what_failed(project_folder: ProjectFolder) -> None:
    async with told_shop(project_folder) as (shop, _):
        run = await shop.run(FailsForSome, "birch")
        retry = await shop.project.enqueue_retry(run.id)
        assert retry is not None
        await drain(shop)
        done = await seen(shop, retry)
        assert (done.retry_of, done.executions) == (run.id, Counts(1, failed=1))
        assert await shop.project.ledger.find_execution(retry.id, "acme") is None


async def test_a_retry_may_be_for_what_was_skipped_too(project_folder: ProjectFolder) -> None:
    async with told_shop(project_folder) as (shop, _):
        run = await enqueue(shop, Greets, tenants=["acme", "birch"])
        shop.tenants(["birch"])
        await drain(shop)
        shop.tenants(["acme", "birch"])
        assert await shop.project.enqueue_retry(run.id) is None
        retry = await shop.project.enqueue_retry(run.id, skipped=True)
        assert retry is not None
        await drain(shop)
        assert (await seen(shop, retry)).executions == Counts(1, succeeded=1)
        assert await shop.statuses(retry, "acme") == ["succeeded"]


async def test_a_retry_of_a_run_whose_selection_failed_selects_again(project_folder: ProjectFolder) -> None:
    async def fail(number: int) -> None:
        raise OSError("no route to host")

    async with told_shop(project_folder) as (shop, _):
        run = await enqueue(shop, Picky)
        shop.on_reading(fail)
        await drain(shop)
        shop.on_reading(None)
        retry = await shop.project.enqueue_retry(run.id)
        assert retry is not None
        await drain(shop)
        assert (await seen(shop, retry)).executions == Counts(3, succeeded=3)
        execution = await shop.execution(retry, "acme")
        assert execution.result[1] == f"{run.id}/acme"  # the same piece of work
