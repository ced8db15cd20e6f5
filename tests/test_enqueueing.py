"""What is enqueued from code: checked first, then kept for workers, all or none."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import apsw
import pytest

from pinstripe.background_job import BackgroundJob
from pinstripe.errors import (
    ConfigurationError,
    InvalidArguments,
    PinstripeError,
    UnknownJob,
    UnknownTenant,
    WorkspaceClosed,
)
from pinstripe.limits import Limits
from pinstripe.opening import open_project
from pinstripe.options import Terms
from pinstripe.priority import Priority
from pinstripe.queue import Held
from pinstripe.retry import Retry
from pinstripe.run import Trigger
from pinstripe.runs import Request
from pinstripe.selection import PAGE, Selection
from tests.jobs import FailsForSome, Picky, Sums
from tests.shop import Shop, many, open_shop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pinstripe.run import Run
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio


class Urgent(Picky):
    priority = "interactive"
    limits = Limits(total=2)
    retries = Retry(times=1, crashes=0)


def read(shop: Shop, query: str, *values: str) -> list[Any]:
    """Look into the ledger's file."""
    connection = apsw.Connection(str(shop.project.settings.ledger_path))
    try:
        return connection.execute(query, values).fetchall()
    finally:
        connection.close()


async def ready(shop: Shop) -> dict[str, int]:
    """Give how many executions are ready, by priority."""
    return {str(each.priority): each.ready for each in (await shop.project.ledger.queue.status()).waiting if each.ready}


async def enqueue(shop: Shop, job: type[BackgroundJob], *args: Any, tenant: str | None = None, **options: Any) -> Run:
    shop.add(job)
    async with shop.project.workspace(tenant=tenant) as workspace:
        return await workspace.options(**options).enqueue_background_job(job, *args)


async def test_a_run_is_kept_and_nothing_of_it_is_run(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        shop.add(Sums)
        async with shop.project.workspace(tenant=None) as workspace:
            run = await workspace.enqueue_background_job("Sums", 1, 2)
        assert (run.status, run.trigger, run.args, run.job) == ("queued", "code", (1, 2), "sums")
        assert (run.executions.total, run.executions.queued, run.parent, run.finished) == (1, 1, None, False)
        assert await shop.project.ledger.find_run(run.id) == run
    async with open_project(project_folder.path) as project:
        assert await project.ledger.find_run(run.id) == run


async def test_enqueueing_starts_nothing(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        await enqueue(shop, Sums)
        async with shop.project.workspace(tenant=None) as workspace:
            await workspace.enqueue_background_jobs(Sums, [(1,)] * 1_000)
        await shop.project.enqueue(Request("sums"))
        assert "pinstripe pulse" not in {thread.name for thread in threading.enumerate()}
        assert read(shop, "select count(*) from owners") == [(0,)]
        await shop.run(Sums)
        assert "pinstripe pulse" in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize(
    ("job", "args", "options", "error"),
    [
        ("nothing", (), {}, UnknownJob),
        ("sums", ("one",), {}, InvalidArguments),
        ("sums", (), {"tenants": ["acme"]}, ConfigurationError),
        ("picky", (), {"tenants": ["nobody"]}, UnknownTenant),
        ("picky", (), {"tenants": ["gone"]}, UnknownTenant),
        ("picky", (), {"exclude": ["nobody"]}, UnknownTenant),
        ("picky", (), {"tenants": "acme"}, InvalidArguments),
        ("sums", (), {"at": datetime(2026, 1, 1)}, InvalidArguments),  # noqa: DTZ001 - that is what is wrong
        ("sums", (), {"delay": timedelta.max}, InvalidArguments),
        ("sums", (), {"connection": object()}, InvalidArguments),  # the ledger is a SQLite file
        ("sums", (), {"retries": 3}, TypeError),
    ],
)
async def test_what_can_not_be_run_is_refused_before_anything_is_kept(
    project_folder: ProjectFolder, job: str, args: Sequence[Any], options: dict[str, Any], error: type[Exception]
) -> None:
    async with open_shop(project_folder) as shop:
        shop.add(Sums)
        shop.add(Picky)
        async with shop.project.workspace(tenant=None) as workspace:
            with pytest.raises(error):
                await workspace.options(**options).enqueue_background_job(job, *args)
            with pytest.raises(error):
                await workspace.options(**options).enqueue_background_jobs(job, [(), tuple(args)])
        with pytest.raises(WorkspaceClosed):
            await workspace.enqueue_background_job("sums")
        with pytest.raises(WorkspaceClosed):
            await workspace.enqueue_background_jobs("sums", [])
        assert await shop.runs() == []


@pytest.mark.parametrize(
    "option",
    [{"at": datetime.now(UTC)}, {"delay": "5m"}, {"key": "a"}, {"priority": "bulk"}, {"connection": object()}],
)
async def test_options_of_enqueued_runs_are_not_for_one_here_and_now(
    project_folder: ProjectFolder, option: dict[str, Any]
) -> None:
    async with open_shop(project_folder) as shop:
        shop.add(Sums)
        async with shop.project.workspace(tenant=None) as workspace:
            message = rf"^options\({next(iter(option))}=…\) is for enqueue_background_job; run_background_job runs the"
            with pytest.raises(TypeError, match=message):
                await workspace.options(**option).run_background_job("sums")
            with pytest.raises(TypeError, match=r"^unknown option wait; expected one of tenants, .*, connection$"):
                workspace.options(wait=True)


# For whom.


@pytest.mark.parametrize(
    ("options", "tenants"),
    [
        ({"tenants": ["birch", "acme", "birch"]}, ["acme", "birch"]),
        ({"tenants": ["birch", "acme"], "exclude": ["acme"]}, ["birch"]),
        ({"tenants": ["birch", "acme"], "where": {"plan": "pro"}}, ["acme"]),
        ({"tenants": ["birch"], "where": {"plan": "pro"}}, []),
        ({"tenants": []}, []),
    ],
)
async def test_named_tenants_are_written_with_the_run(
    project_folder: ProjectFolder, options: dict[str, Any], tenants: list[str]
) -> None:
    async with open_shop(project_folder) as shop:
        run = await enqueue(shop, Picky, **options)
        assert (run.selecting, run.executions.total) == (False, len(tenants))
        assert run.status == ("queued" if tenants else "succeeded")
        assert await shop.project.ledger.queued_tenants(run.id, after=None, limit=9) == tenants


async def test_a_tenant_s_workspace_is_for_that_tenant_alone(project_folder: ProjectFolder) -> None:
    class ForFree(FailsForSome):
        @staticmethod
        def tenants_filter(tenants: Any) -> Any:
            return tenants.where(plan="free")

    async with open_shop(project_folder) as shop:
        run = await enqueue(shop, Picky, tenant="acme")
        assert await shop.project.ledger.queued_tenants(run.id, after=None, limit=9) == ["acme"]
        nobody = await enqueue(shop, ForFree, tenant="acme")
        assert (nobody.status, nobody.executions.total) == ("succeeded", 0)
        alone = await enqueue(shop, Sums, tenant="acme")
        assert await shop.project.ledger.queued_tenants(alone.id, after=None, limit=9) == [""]
        with pytest.raises(ConfigurationError, match="from the workspace of tenant 'acme'; expected that tenant alone"):
            await enqueue(shop, Picky, tenant="acme", tenants=["birch"])


async def test_all_others_are_left_to_a_worker_to_select(project_folder: ProjectFolder) -> None:
    async def fail(_: int) -> None:
        raise AssertionError("the source was read")

    async with open_shop(project_folder) as shop:
        shop.on_reading(fail)
        run = await enqueue(shop, Picky, where={"plan": "pro"})
        assert (run.selecting, run.status, run.executions.total) == (True, "queued", 0)
        chosen = await shop.project.ledger.selected_by(run.id)
        assert Selection.from_json(chosen.selection) == Selection(where=(("plan", "pro"),))
        assert not chosen.complete


async def test_many_named_tenants_are_too(project_folder: ProjectFolder) -> None:
    ids = [str(item["id"]) for item in many(PAGE + 1)]  # type: ignore[index]
    async with open_shop(project_folder, many(PAGE + 1)) as shop:
        assert (await enqueue(shop, Picky, tenants=ids[:PAGE])).executions.total == PAGE
        run = await enqueue(shop, Picky, tenants=ids)
        assert run.selecting
        chosen = await shop.project.ledger.selected_by(run.id)
        assert Selection.from_json(chosen.selection).tenants == tuple(ids)


@pytest.mark.parametrize(
    ("tenant", "options"),
    [
        (None, {}),
        (None, {"exclude": ["acme"]}),
        (None, {"where": {"plan": "pro"}}),
        (None, {"where": {"plan": "none"}}),
        (None, {"tenants": ["cedar", "birch"], "where": {"plan": "pro"}}),
        (None, {"tenants": []}),
        ("birch", {}),
        ("gone", {}),
    ],
)
async def test_a_worker_runs_it_for_whom_it_would_be_run_here(
    project_folder: ProjectFolder, tenant: str | None, options: dict[str, Any]
) -> None:
    async with open_shop(project_folder) as shop:
        shop.add(Picky)
        async with shop.project.workspace(tenant=tenant) as workspace:
            here = await workspace.options(**options).run_background_job(Picky, "a")
        there = await enqueue(shop, Picky, "a", tenant=tenant, **options)
        await shop.project.worker().work(drain=True)
        there = await shop.project.ledger.find_run(there.id)
        assert (there.status, there.executions) == (here.status, here.executions)
        ids = ["acme", "birch", "cedar", "gone"]
        found = [[await shop.project.ledger.find_execution(run.id, id_) for id_ in ids] for run in (here, there)]
        assert [each and each.status for each in found[0]] == [each and each.status for each in found[1]]


async def test_a_job_may_enqueue_itself(project_folder: ProjectFolder) -> None:
    class Again(BackgroundJob):
        multi_tenant = True

        async def run(self, left: int = 2) -> str:
            return (await self.options(delay="1m").enqueue_background_job(Again, left - 1)).id

    class AgainPlainly(BackgroundJob):
        def run(self) -> list[str]:
            one = self.wait(self.enqueue_background_job("again_plainly"))
            more = self.wait(self.enqueue_background_jobs("again_plainly", [(), {}]))
            return [one.id, *(run.id for run in more)]

    async with open_shop(project_folder) as shop:
        outer = await shop.run(Again, tenants=("acme",))
        run = await shop.project.ledger.find_run(outer.result)
        assert (run.parent, run.trigger, run.args, run.executions.total) == (outer.id, "code", (1,), 1)
        assert await shop.project.ledger.queued_tenants(run.id, after=None, limit=9) == ["acme"]

        plain = await shop.run(AgainPlainly)
        runs = [await shop.project.ledger.find_run(id_) for id_ in plain.result]
        assert [(run.parent, run.job) for run in runs] == [(plain.id, "again_plainly")] * 3


async def test_a_job_in_a_process_may_enqueue(project_folder: ProjectFolder) -> None:
    project_folder.job(
        "outer",
        """
        from pinstripe import BackgroundJob

        class Outer(BackgroundJob):
            runs_in = "process"

            def run(self, left: int) -> str:
                return self.wait(self.options(key="one").enqueue_background_job("outer", left - 1)).id
        """,
    )
    async with open_project(project_folder.path) as project:
        outer = await project.run(Request("outer", (3,)))
        run = await project.ledger.find_run(outer.result)
        assert (run.parent, run.status, run.args) == (outer.id, "queued", (2,))


# When, how urgently, and once.


async def test_what_is_for_later_is_held_until_then(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        at = datetime.now(UTC) + timedelta(hours=1)
        await enqueue(shop, Sums, at=at)
        status = await shop.project.ledger.queue.status()
        assert status.held == {Held.DUE: 1}
        assert await ready(shop) == {}
        assert status.next_due is not None
        assert datetime.fromtimestamp(status.next_due / 1e6, UTC) - at < timedelta(milliseconds=1)
        await enqueue(shop, Sums, at=datetime.now(UTC))
        await enqueue(shop, Sums, delay="0s")
        assert await ready(shop) == {"default": 2}


@pytest.mark.parametrize(
    ("job", "options", "priority"),
    [
        (Sums, {}, "default"),
        (Picky, {"tenants": ["acme"]}, "default"),
        (Picky, {"tenants": ["acme", "birch"]}, "bulk"),
        (Picky, {}, "bulk"),
        (Picky, {"priority": "default"}, "default"),
        (Sums, {"priority": "bulk"}, "bulk"),
        (Urgent, {}, "interactive"),
        (Urgent, {"tenants": ["acme"]}, "interactive"),
        (Urgent, {"priority": "bulk"}, "bulk"),
    ],
)
async def test_what_was_said_last_decides_the_priority(
    project_folder: ProjectFolder, job: type[BackgroundJob], options: dict[str, Any], priority: str
) -> None:
    async with open_shop(project_folder) as shop:
        run = await enqueue(shop, job, **options)
        assert read(shop, "select band from runs where id = ?", run.id) == [(Priority(priority).band,)]


async def test_what_the_job_says_is_kept_with_the_run(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        await enqueue(shop, Sums)
        await enqueue(shop, Urgent)
        assert read(shop, "select job, crashes from runs order by n") == [("sums", 2), ("urgent", 0)]
        assert read(shop, "select job, total, per_tenant from limits") == [("urgent", 2, None)]


async def test_a_key_is_one_run(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        run = await enqueue(shop, Sums, 1, key="inv-17")
        again = await enqueue(shop, Sums, 2, key="inv-17", delay="1h")
        assert again == run
        others = [
            await enqueue(shop, Sums, key="inv-18"),
            await enqueue(shop, Picky, key="inv-17"),
            await enqueue(shop, Sums, key="inv-17", tenant="acme"),
            await enqueue(shop, Sums, key="inv-17", tenant="birch"),
        ]
        assert len({run.id, *(each.id for each in others)}) == 5
        assert (await enqueue(shop, Sums, key="inv-17", tenant="birch")).id == others[-1].id
        assert len(await shop.runs()) == 5


# For the command line.


async def test_a_request_is_enqueued(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        name = shop.add(Picky)
        selection = Selection(tenants=("gone",), force=True)
        request = Request(name, ("5",), text=True, selection=selection, trigger=Trigger.CLI)
        run = await shop.project.enqueue(request, Terms(key="k"))
        assert (run.trigger, run.args, run.executions.total) == ("cli", ("5",), 1)
        assert await shop.project.enqueue(request, Terms(key="k")) == run
        assert Selection.from_json((await shop.project.ledger.selected_by(run.id)).selection) == selection
    with pytest.raises(PinstripeError, match="has been closed"):
        await shop.project.enqueue(request)
    with pytest.raises(PinstripeError, match="has been closed"):
        await shop.project.enqueue_retry(run.id)


async def test_the_global_workspace_says_nothing_of_a_key_s_tenant(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        run = await shop.project.enqueue(Request(shop.add(Sums)), Terms(key="k"))
        assert (await enqueue(shop, Sums, key="k")).id == run.id
