"""The failures of a ledger that begin in a tenant source: it is slow, it fails, or it fails when it is asked again."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe import open_project
from pinstripe.ledger import RunFilter
from pinstripe.run import Counts, Run, RunStatus
from pinstripe.runs import Request
from tests.ledgers.processes import child

if TYPE_CHECKING:
    import asyncio
    from types import ModuleType

    from pinstripe.project import Project
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio

SHOP = """
import asyncio
from pinstripe.errors import TenantSourceFailed
from pinstripe.tenants import Tenant

ids = ["acme", "globex", "acme", "initech"]
broken = None       # after this tenant the source fails
forgetful = False   # whether it fails when it is asked by ids
gate = None         # what it waits for after its first thousand
reached = asyncio.Event()
done = []           # which tenants the job was run for
failing = set()     # for which of them it fails


class Shop:
    def where(self, **lookups):
        return self

    async def by_ids(self, ids_):
        if forgetful:
            raise ConnectionError("the database is away")
        return {id_: Tenant(id_) for id_ in ids_ if id_ in ids}

    async def __aiter__(self):
        for n, id_ in enumerate(ids):
            if gate is not None and n == 2_500:
                reached.set()
                await gate.wait()
            yield Tenant(id_)
            if id_ == broken:
                raise ConnectionError("the database is away")


tenants = Shop()
"""

GREET = """
import shop
from pinstripe import BackgroundJob


class Greet(BackgroundJob):
    multi_tenant = True

    @staticmethod
    def tenants_filter(tenants):
        return tenants

    async def run(self):
        shop.done.append(self.tenant.id)
        if self.tenant.id in shop.failing:
            raise ValueError("no address")
"""


@pytest.fixture
def folder(project_folder: ProjectFolder) -> ProjectFolder:
    project_folder.configure("""
        [tool.pinstripe.tenants]
        source = "shop:tenants"
    """)
    project_folder.file("shop.py", SHOP)
    project_folder.job("greet", GREET)
    return project_folder


def shop_of(project: Project) -> Any:
    """Give the module that the project's tenants come from."""
    assert project.tenants is not None
    module: ModuleType = importlib.import_module("shop")
    return module


async def retry(project: Project, run: Run) -> Run:
    retried = await project.retry(run.id)
    assert retried is not None
    return retried


async def test_duplicates_of_a_source_are_one_tenant(folder: ProjectFolder) -> None:
    """`on conflict (run, tenant) do nothing`: a source that gives a tenant twice has it run once."""
    async with open_project(folder.path) as project:
        shop = shop_of(project)
        run = await project.run(Request("greet"))
        assert run.executions == Counts(3, succeeded=3)
        assert sorted(shop.done) == ["acme", "globex", "initech"]


async def test_a_slow_source_holds_no_lock(folder: ProjectFolder) -> None:
    """Streaming tenants inside a transaction holds the write lock for as long as the source is slow."""
    import asyncio

    async with open_project(folder.path) as project:
        shop = shop_of(project)
        shop.ids, shop.gate = [f"tenant-{n}" for n in range(3_000)], asyncio.Event()
        running: asyncio.Task[Run] = asyncio.create_task(project.run(Request("greet")))
        await shop.reached.wait()
        with child(project.settings.ledger_path, "hammer", 10, 2) as process:
            lines = [await asyncio.to_thread(process.line) for _ in range(21)]
            assert (lines[-1], process.release()) == ("done", 0)
        (selecting,) = await project.ledger.list_runs(RunFilter(job="greet", status=RunStatus.QUEUED))
        assert (selecting.selecting, selecting.executions.total) == (True, 2_000)
        shop.gate.set()
        assert (await running).executions == Counts(3_000, succeeded=3_000)


async def test_a_source_that_fails_half_way_is_asked_again_by_the_retry(folder: ProjectFolder) -> None:
    """A failed selection starts nobody, and its retry selects again, leaving out who has succeeded since."""
    async with open_project(folder.path) as project:
        shop = shop_of(project)
        shop.ids = [f"tenant-{n:04}" for n in range(2_000)]
        shop.broken, shop.failing = "tenant-1500", {"tenant-0003"}
        run = await project.run(Request("greet"))
        assert (run.status, run.executions.cancelled) == (RunStatus.FAILED, run.executions.total)
        assert run.executions.total >= 1_000
        assert "the database is away" in (run.error or "")
        assert shop.done == []
        shop.broken = None
        first = await retry(project, run)
        assert first.executions == Counts(2_000, succeeded=1_999, failed=1)
        shop.done.clear()
        shop.failing.clear()
        second = await retry(project, run)
        assert (second.executions, shop.done) == (Counts(1, succeeded=1), ["tenant-0003"])


async def test_a_source_that_fails_at_once_is_no_run_of_nobody(folder: ProjectFolder) -> None:
    """A source that fails never looks like "no tenants"."""
    async with open_project(folder.path) as project:
        shop = shop_of(project)
        shop.broken = "acme"
        run = await project.run(Request("greet"))
        assert (run.status, shop.done) == (RunStatus.FAILED, [])


@pytest.mark.parametrize("others", [0, 3_000])
async def test_a_source_that_fails_by_ids_skips_nobody(folder: ProjectFolder, others: int) -> None:
    """From tenant id to tenant: a failing source releases the batch, and never skips."""
    async with open_project(folder.path) as project:
        shop = shop_of(project)
        shop.ids += [f"tenant-{n}" for n in range(others)]
        shop.failing = {"acme", "globex"}
        run = await project.run(Request("greet"))
        assert run.executions.failed == 2
        shop.failing.clear()
        shop.done.clear()
        shop.forgetful = True
        failed = await retry(project, run)
        assert (failed.status, failed.executions, shop.done) == (RunStatus.FAILED, Counts(2, cancelled=2), [])
        assert "the database is away" in (failed.error or "")
        shop.forgetful = False
        again = await retry(project, run)
        assert (again.executions, sorted(shop.done)) == (Counts(2, succeeded=2), ["acme", "globex"])


async def test_a_source_that_fails_on_its_second_reading_skips_nobody(folder: ProjectFolder) -> None:
    """A large selection is read once more as it is carried out: who can't be found then isn't skipped."""
    async with open_project(folder.path) as project:
        shop = shop_of(project)
        shop.ids = [f"tenant-{n:05}" for n in range(12_000)]
        ledger = project.ledger
        end_selection = ledger.end_selection

        async def break_then(run: str, *, error: str | None = None) -> Run:
            shop.broken = "tenant-02500"
            return await end_selection(run, error=error)

        ledger.end_selection = break_then  # type: ignore[method-assign]
        run = await project.run(Request("greet"))
        assert (run.status, run.executions.total, run.executions.skipped) == (RunStatus.FAILED, 12_000, 0)
        assert run.executions.succeeded + run.executions.cancelled == 12_000
        assert run.executions.cancelled >= 9_000
        shop.broken = None
        ledger.end_selection = end_selection  # type: ignore[method-assign]
        again = await retry(project, run)
        assert again.executions == Counts(run.executions.cancelled, succeeded=run.executions.cancelled)
        assert sorted(shop.done) == shop.ids


async def test_a_tenant_that_is_gone_is_skipped_with_the_reason(folder: ProjectFolder) -> None:
    """The source answered, without that tenant: only then is it skipped."""
    async with open_project(folder.path) as project:
        shop = shop_of(project)
        shop.failing = {"acme", "globex"}
        run = await project.run(Request("greet"))
        shop.failing.clear()
        shop.ids.remove("globex")
        retried = await retry(project, run)
        assert retried.executions == Counts(2, succeeded=1, skipped=1)
        execution = await project.ledger.find_execution(retried.id, "globex")
        assert execution is not None
        assert execution.error == "no longer a tenant that the job's filter lets through"
