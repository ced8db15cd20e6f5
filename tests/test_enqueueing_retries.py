"""Retries that are left to the workers, which select whom they are for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pinstripe.errors import ConfigurationError, InvalidArguments, UnknownRun
from pinstripe.selection import Selection
from tests.jobs import Alone, FailsForSome, Picky
from tests.shop import open_shop
from tests.test_enqueueing import read

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _good_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Picky, "bad", frozenset())


@pytest.mark.parametrize("skipped", [False, True])
async def test_a_retry_is_kept_for_a_worker_to_select(project_folder: ProjectFolder, skipped: bool) -> None:
    async with open_shop(project_folder) as shop:
        first = await shop.run(FailsForSome, "acme", where=(("plan", "pro"),))
        retry = await shop.project.enqueue_retry(first.id[-6:], skipped=skipped)
        assert retry is not None
        assert (retry.status, retry.selecting, retry.retry_of, retry.trigger) == ("queued", True, first.id, "retry")
        assert (retry.job, retry.args, retry.parent) == (first.job, ("acme",), None)
        chosen = await shop.project.ledger.selected_by(retry.id)
        assert (chosen.origin, chosen.complete, chosen.selection["skipped"]) == (first.id, False, skipped)
        assert Selection.from_json(chosen.selection) == Selection(where=(("plan", "pro"),))
        assert read(shop, "select band, total from runs where id = ?", retry.id) == [(2, 0)]


async def test_a_worker_runs_what_is_left_and_nothing_else(project_folder: ProjectFolder) -> None:
    Picky.bad = frozenset({"birch", "cedar"})
    async with open_shop(project_folder) as shop:
        first = await shop.run(Picky, "weekly")
        Picky.bad = frozenset({"cedar"})
        retry = await shop.project.enqueue_retry(first.id)
        assert retry is not None
        await shop.project.worker().work(drain=True)
        done = await shop.project.ledger.find_run(retry.id)
        assert (done.status, done.executions.total, done.executions.succeeded) == ("failed", 2, 1)
        assert (await shop.execution(done, "birch")).result == [1, f"{first.id}/birch", 1, "weekly", {}]

        Picky.bad = frozenset()
        last = await shop.project.enqueue_retry(done.id)
        assert last is not None
        assert last.retry_of == done.id
        await shop.project.worker().work(drain=True)
        assert (await shop.project.ledger.find_run(last.id)).executions.succeeded == 1
        assert await shop.project.enqueue_retry(first.id) is None


async def test_one_of_a_job_without_tenants_is_as_urgent_as_its_run(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        await shop.run(Alone)
        retry = await shop.project.enqueue_retry("last")
        assert retry is not None
        assert read(shop, "select band from runs where id = ?", retry.id) == [(1,)]


async def test_where_nothing_is_left_nothing_is_enqueued(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        first = await shop.run(Picky)
        assert await shop.project.enqueue_retry(first.id) is None
        assert await shop.project.enqueue_retry(first.id, skipped=True) is None
        assert len(await shop.runs()) == 1


async def test_one_that_waits_to_be_selected_is_enough(project_folder: ProjectFolder) -> None:
    Picky.bad = frozenset({"birch", "cedar"})
    async with open_shop(project_folder) as shop:
        first = await shop.run(Picky)
        some = await shop.project.enqueue_retry(first.id, tenants=["birch"])
        every = await shop.project.enqueue_retry(first.id)
        assert some is not None
        assert every is not None
        assert await shop.project.enqueue_retry(first.id) is None
        more = await shop.project.enqueue_retry(first.id, skipped=True)  # which the other one leaves out
        assert more is not None
        assert await shop.project.enqueue_retry(first.id, skipped=True) is None
        await shop.project.cancel(every.id)
        await shop.project.cancel(more.id)
        assert await shop.project.enqueue_retry(first.id) is not None


async def test_a_run_that_was_never_selected_is_selected_again(project_folder: ProjectFolder) -> None:
    async def fail(_: int) -> None:
        raise OSError("gone away")

    async with open_shop(project_folder) as shop:
        shop.on_reading(fail)
        first = await shop.run(Picky)
        assert first.status == "failed"
        retry = await shop.project.enqueue_retry(first.id)
        assert retry is not None
        assert (retry.retry_of, retry.selecting) == (first.id, True)


async def test_what_can_not_be_retried_is_refused_at_once(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        with pytest.raises(UnknownRun):
            await shop.project.enqueue_retry("last")
        Picky.bad = frozenset({"acme"})
        first = await shop.run(Picky, "weekly")
        shop.add(Alone)
        async with shop.project.workspace(tenant=None) as workspace:
            waits = await workspace.enqueue_background_job(Alone)
        with pytest.raises(ConfigurationError, match="is still queued"):
            await shop.project.enqueue_retry(waits.id)

        async def run(self: Picky, count: int) -> None: ...

        shop.project.registry._loaded.pop("picky")  # noqa: SLF001 - a deploy brings another version of it
        shop.project.registry._by_class.clear()  # noqa: SLF001 - as above
        shop.project.registry._added.clear()  # noqa: SLF001 - as above
        shop.project.registry.add("picky", type("Picky", (Picky,), {"run": run}))
        with pytest.raises(InvalidArguments, match=r"picky\(count: int\)"):
            await shop.project.enqueue_retry(first.id)
