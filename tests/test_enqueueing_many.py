"""Many runs of one job, enqueued at once: all or none."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.background_job import BackgroundJob
from pinstripe.enqueueing import MAX_EXECUTIONS
from pinstripe.errors import InvalidArguments
from pinstripe.options import MAX_CALLS
from pinstripe.priority import Priority
from pinstripe.queue import Held
from tests.jobs import Picky, Sums
from tests.shop import Shop, many, open_shop
from tests.test_enqueueing import read, ready

if TYPE_CHECKING:
    from pinstripe.run import Run
    from pinstripe.workspace import Workspace
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio


async def enqueue_many(shop: Shop, job: type[BackgroundJob], calls: Any, **options: Any) -> list[Run]:
    shop.add(job)
    async with shop.project.workspace(tenant=None) as workspace:
        return await workspace.options(**options).enqueue_background_jobs(job, calls)


async def test_many_are_enqueued_in_order(project_folder: ProjectFolder) -> None:
    class Named(BackgroundJob):
        def run(self, number: int, *, when: datetime | None = None) -> None: ...

    noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
    async with open_shop(project_folder) as shop:
        calls = [(0,), {"number": 1}, (2,), {"number": 3, "when": noon}]
        runs = await enqueue_many(shop, Named, (call for call in calls), priority="bulk", delay="1h")
        when = "2026-11-21T12:00:00Z"
        assert [(run.args, run.kwargs) for run in runs] == [
            ((0,), {}),
            ((), {"number": 1}),
            ((2,), {}),
            ((), {"number": 3, "when": when}),
        ]
        assert await shop.runs() == runs
        assert read(shop, "select band from runs") == [(Priority.BULK.band,)] * 4
        assert (await shop.project.ledger.queue.status()).held == {Held.DUE: 4}
        assert await enqueue_many(shop, Named, []) == []


async def test_so_many_are_one_transaction(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        runs = await enqueue_many(shop, Sums, [(number,) for number in range(MAX_CALLS)])
        assert [run.args for run in runs] == [(number,) for number in range(MAX_CALLS)]
        assert len({run.id for run in runs}) == MAX_CALLS
        with pytest.raises(InvalidArguments, match="expected at most 10,000 calls"):
            await enqueue_many(shop, Sums, ((number,) for number in range(10**9)))
        assert await ready(shop) == {"default": MAX_CALLS}


@pytest.mark.parametrize(
    ("calls", "message"),
    [
        ([(1,), ("2",), (3,)], r"^call 2: an argument doesn't fit sums\("),
        ([(1,), {"x": 1}], r"^call 2: .* x: there is no such argument"),
        ([(1,), 2], r"^call 2: expected a tuple of arguments by position, such as \(1,\), or a mapping .* got 2$"),
        (["ab"], r"^call 1: expected a tuple"),
        (5, r"^expected the arguments of many calls, such as \[\(1,\), \(2,\)\], got 5$"),
    ],
)
async def test_one_wrong_call_refuses_all(project_folder: ProjectFolder, calls: Any, message: str) -> None:
    async with open_shop(project_folder) as shop:
        with pytest.raises(InvalidArguments, match=message):
            await enqueue_many(shop, Sums, calls)
        with pytest.raises(TypeError, match=r"^options\(key=…\) is for enqueue_background_job: one key "):
            await enqueue_many(shop, Sums, [(1,)], key="a")
        assert await shop.runs() == []


async def test_many_for_a_tenant(project_folder: ProjectFolder) -> None:
    class Outer(BackgroundJob):
        multi_tenant = True

        async def run(self) -> list[str]:
            runs = await self.enqueue_background_jobs("picky", [("a",), {"b": 1}])
            return [run.id for run in runs]

    async with open_shop(project_folder) as shop:
        shop.add(Picky)
        outer = await shop.run(Outer, tenants=("acme",))
        runs = [await shop.project.ledger.find_run(id_) for id_ in outer.result]
        assert [(run.args, run.kwargs, run.parent) for run in runs] == [
            (("a",), {}, outer.id),
            ((), {"b": 1}, outer.id),
        ]
        assert [await shop.project.ledger.queued_tenants(run.id, after=None, limit=9) for run in runs] == [["acme"]] * 2


async def test_many_runs_for_many_tenants_are_too(project_folder: ProjectFolder) -> None:
    ids = [str(item["id"]) for item in many(100)]  # type: ignore[index]
    async with open_shop(project_folder, many(100)) as shop:
        runs = await enqueue_many(shop, Picky, [()] * (MAX_EXECUTIONS // 100), tenants=ids)
        assert {(run.selecting, run.executions.total) for run in runs} == {(False, 100)}
        runs = await enqueue_many(shop, Picky, [()] * (MAX_EXECUTIONS // 100 + 1), tenants=ids)
        assert {(run.selecting, run.executions.total) for run in runs} == {(True, 0)}


async def using(workspace: Workspace) -> None:  # what a type checker takes
    await workspace.enqueue_background_jobs("a", [(1,), (2,)])
    await workspace.enqueue_background_jobs("a", [{"a": 1}])
    await workspace.enqueue_background_jobs("a", ((n,) for n in range(3)))
