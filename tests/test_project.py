from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.background_job import BackgroundJob
from pinstripe.errors import (
    ConfigurationError,
    InvalidArguments,
    InvalidJob,
    PinstripeError,
    TenantRequired,
    TenantSourceFailed,
    UnknownJob,
    UnknownTenant,
)
from pinstripe.ledger import RunFilter
from pinstripe.opening import open_project
from pinstripe.runs import Request
from pinstripe.selection import Selection
from tests.conftest import ProjectFolder
from tests.shop import Recorder, open_shop

if TYPE_CHECKING:
    from pathlib import Path

    from pinstripe.run import Run

pytestmark = pytest.mark.anyio

BOOT = """
    import sys

    calls = []

    def setup():
        calls.append([name for name in sys.modules if name.startswith(("lib.", "tenancy"))])
        if len(calls) == FAILS:
            raise RuntimeError("not today")

    async def later(): ...
"""

JOB = """
    import boot
    from pinstripe import BackgroundJob

    class Job(BackgroundJob):
        async def run(self, times: int = 1) -> int:
            return len(boot.calls) * times
"""

NEIGHBOUR = """
    from pinstripe import BackgroundJob

    class Job(BackgroundJob):
        multi_tenant = True

        async def run(self) -> str:
            return self.tenant.id
"""


class Waits(BackgroundJob):
    multi_tenant = True

    async def run(self) -> None:
        self.progress(0)
        await asyncio.Event().wait()


class Begun(Recorder):
    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()

    def progress(self, tenant: str | None, done: float, total: float | None) -> None:
        self.begun.set()


def with_setup(folder: ProjectFolder, target: str = "boot:setup", *, fails: int = 0) -> None:
    folder.file("boot.py", BOOT.replace("FAILS", str(fails)))
    folder.configure(f'setup = "{target}"')
    folder.job("job", JOB)


# Setup.


async def test_setup_is_called_once_before_any_job_is_imported(project_folder: ProjectFolder) -> None:
    with_setup(project_folder)
    async with open_project(project_folder.path) as project:
        assert "boot" not in sys.modules
        assert project.job_names() == ["job"]
        assert "boot" not in sys.modules  # names are asked for by shells, many times a second
        runs = [await project.run(Request("job")) for _ in range(3)]
        assert [run.result for run in runs] == [1, 1, 1]
        assert sys.modules["boot"].calls == [[]]


async def test_setup_is_called_once_in_a_process_that_opens_a_project_twice(project_folder: ProjectFolder) -> None:
    with_setup(project_folder)
    async with open_project(project_folder.path) as one, open_project(project_folder.path) as other:
        assert [(await each.run(Request("job"))).result for each in (one, other)] == [1, 1]
    with open_project(project_folder.path) as plain:
        assert len(plain.registry.load_all()) == 1
    assert sys.modules["boot"].calls == [[]]


@pytest.mark.parametrize("ask", ["registry", "services", "tenants"])
async def test_whatever_imports_the_project_s_own_code_is_set_up_before(
    project_folder: ProjectFolder, ask: str
) -> None:
    with_setup(project_folder)
    async with open_project(project_folder.path) as project:
        getattr(project, ask)
        assert sys.modules["boot"].calls == [[]]


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("nowhere:setup", "ModuleNotFoundError: No module named 'nowhere'"),
        ("boot:nothing", "AttributeError: module 'boot' has no attribute 'nothing'"),
        ("broken:setup", "ZeroDivisionError"),
        ("leaves:setup", "SystemExit"),
        ("boot:calls", "boot:calls raised TypeError"),
        ("boot:later", "expected a plain function, got the async boot:later"),
    ],
)
async def test_a_setup_that_can_not_be_called_is_told(project_folder: ProjectFolder, target: str, reason: str) -> None:
    with_setup(project_folder, target)
    project_folder.file("broken.py", "1 / 0")
    project_folder.file("leaves.py", "raise SystemExit(3)")
    async with open_project(project_folder.path) as project:
        with pytest.raises(ConfigurationError, match=r"^setting `setup`: ") as raised:
            await project.run(Request("job"))
        assert reason in str(raised.value)
        assert "lib.background_jobs.job" not in sys.modules


async def test_a_setup_that_fails_fails_each_time_until_it_succeeds(project_folder: ProjectFolder) -> None:
    with_setup(project_folder, fails=1)
    async with open_project(project_folder.path) as project:
        with pytest.raises(ConfigurationError, match="boot:setup raised RuntimeError: not today"):
            await project.run(Request("job"))
        assert "lib.background_jobs.job" not in sys.modules
        assert (await project.run(Request("job"))).result == 2


async def test_the_project_s_folder_is_on_the_path_once(project_folder: ProjectFolder) -> None:
    folder = str(project_folder.path)
    for _ in range(2):
        async with open_project(project_folder.path):
            assert sys.path[0] == folder
            assert sys.path.count(folder) == 1


# Workspaces.


async def test_in_a_project_with_tenants_a_workspace_says_whose_it_is(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        with pytest.raises(TenantRequired, match="tenant=None for the global one"):
            shop.project.workspace()
        async with shop.project.workspace(tenant=None) as workspace:
            assert workspace.tenant is None
        async with shop.project.workspace(tenant="acme") as workspace:
            assert workspace.tenant is not None
            assert (workspace.tenant.id, workspace.tenant.plan) == ("acme", "pro")
        # A workspace is no run: whoever is outside of a job's filter has one too.
        async with shop.project.workspace(tenant="gone") as workspace:
            assert workspace.tenant is not None


@pytest.mark.parametrize("tenant", ["nobody", "", 5])
async def test_an_unknown_tenant_has_no_workspace(project_folder: ProjectFolder, tenant: Any) -> None:
    async with open_shop(project_folder) as shop:
        with pytest.raises(UnknownTenant):
            async with shop.project.workspace(tenant=tenant):
                pass


async def test_in_a_project_without_tenants_a_workspace_is_global(project_folder: ProjectFolder) -> None:
    async with open_project(project_folder.path) as project:
        async with project.workspace() as workspace:
            assert workspace.tenant is None
        with pytest.raises(UnknownTenant, match=r"the project has no tenants; expected `source`"):
            async with project.workspace(tenant="acme"):
                pass


async def test_a_source_that_fails_is_told_where_a_workspace_is_opened(project_folder: ProjectFolder) -> None:
    project_folder.file(
        "own.py",
        """
        class Own:
            def where(self, **lookups): return self
            async def by_ids(self, ids): raise OSError("gone away")
            def __aiter__(self): ...

        source = Own()
        """,
    )
    project_folder.configure('tenants.source = "own:source"')
    async with open_project(project_folder.path) as project:
        with pytest.raises(TenantSourceFailed, match="OSError: gone away"):
            async with project.workspace(tenant="acme"):
                pass


async def test_a_closed_workspace_runs_nothing(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        shop.add(Waits)
        async with shop.project.workspace(tenant="acme") as workspace:
            pass
        with pytest.raises(PinstripeError, match="the workspace for tenant acme is closed"):
            await workspace.run_background_job(Waits)


# What raises before anything is recorded.


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (Request("jobb"), UnknownJob),
        (Request("job", ("x",)), InvalidArguments),
        (Request("job", (), {"wrong": 1}), InvalidArguments),
        (Request("neighbour", selection=Selection(tenants=("nobody",))), UnknownTenant),
        (Request("neighbour", selection=Selection(tenants=("gone",))), UnknownTenant),
        (Request("neighbour", selection=Selection(where=(("plan__near", "pro"),))), ConfigurationError),
        (Request("neighbour", selection=Selection(where=(("colour", "red"),))), ConfigurationError),
        (Request("job", selection=Selection(tenants=("acme",))), ConfigurationError),
        (Request("broken"), InvalidJob),
    ],
)
async def test_what_can_not_run_is_not_recorded(
    project_folder: ProjectFolder, request_: Request, error: type[Exception]
) -> None:
    with_setup(project_folder)
    project_folder.job("neighbour", NEIGHBOUR)
    project_folder.job("broken", "def")
    async with open_shop(project_folder) as shop:
        recorder = Recorder()
        with pytest.raises(error):
            await shop.project.run(request_, recorder)
        assert recorder.calls == []
        assert await shop.runs() == []
    ledger = shop.project.settings.ledger_path
    assert not [*ledger.with_name(f"{ledger.name}-owners").glob("*")]


async def test_a_broken_job_breaks_only_itself(project_folder: ProjectFolder) -> None:
    with_setup(project_folder)
    project_folder.job("broken", "def")
    async with open_project(project_folder.path) as project:
        assert project.job_names() == ["broken", "job"]
        assert (await project.run(Request("job", ("3",), text=True))).result == 3


# Several projects, and closing.


async def test_two_projects_in_one_process_know_nothing_of_one_another(tmp_path: Path) -> None:
    class First(BackgroundJob):
        async def run(self) -> str:
            return "first"

    class Second(BackgroundJob):
        async def run(self) -> str:
            return "second"

    folders = []
    for name in ("one", "two"):
        folder = ProjectFolder(tmp_path / name)
        folder.configure("")
        (folder.path / "lib" / "background_jobs").mkdir(parents=True)
        folders.append(folder.path)
    async with open_project(folders[0]) as one, open_project(folders[1]) as two:
        one.registry.add("same", First)
        two.registry.add("same", Second)
        runs = await asyncio.gather(one.run(Request("same")), two.run(Request("same")), one.run(Request("same")))
        assert [run.result for run in runs] == ["first", "second", "first"]
        assert await two.ledger.find_run("last") == runs[1]
    assert all((folder / ".pinstripe" / "ledger.db").exists() for folder in folders)


async def test_two_openings_of_one_project_share_its_ledger(project_folder: ProjectFolder) -> None:
    with_setup(project_folder)
    async with open_project(project_folder.path) as one, open_project(project_folder.path) as other:
        runs = await asyncio.gather(*[each.run(Request("job")) for each in (one, other) * 5])
        assert {run.status for run in runs} == {"succeeded"}
        assert [(await other.ledger.find_run(run.id)).status for run in runs] == ["succeeded"] * 10


async def test_closing_cancels_what_runs_and_waits_for_it(project_folder: ProjectFolder) -> None:
    watcher = Begun()
    async with open_shop(project_folder) as shop:
        task = asyncio.create_task(shop.run(Waits, watcher=watcher, concurrency=1))
        await watcher.begun.wait()
    run: Run = await task
    assert (run.status, run.executions.cancelled) == ("cancelled", 3)
    async with open_shop(project_folder) as shop:
        assert await shop.statuses(run, "acme", "birch") == ["cancelled", "cancelled"]
        assert [(await shop.execution(run, id_)).error for id_ in ("acme", "birch")] == ["interrupted", "not started"]


async def test_closing_ends_a_selection_that_goes_on(project_folder: ProjectFolder) -> None:
    reading = asyncio.Event()

    async def hang(number: int) -> None:
        reading.set()
        await asyncio.Event().wait()

    async with open_shop(project_folder) as shop:
        shop.on_reading(hang)
        task = asyncio.create_task(shop.run(Waits))
        await reading.wait()
    with pytest.raises(PinstripeError, match="stopped before anything of it was recorded"):
        await task


async def test_a_closed_project_runs_nothing(project_folder: ProjectFolder) -> None:
    with_setup(project_folder)
    async with open_project(project_folder.path) as project:
        pass
    for attempt in (project.run(Request("job")), project.retry("last")):
        with pytest.raises(PinstripeError, match="has been closed; open it again"):
            await attempt
    assert not project.settings.ledger_path.exists()


async def test_stopping_a_project_that_runs_nothing_does_nothing(project_folder: ProjectFolder) -> None:
    with_setup(project_folder)
    async with open_project(project_folder.path) as project:
        project.stop()
        assert (await project.run(Request("job"))).status == "succeeded"
        project.stop()
        assert (await project.run(Request("job"))).status == "succeeded"


async def test_looking_writes_nothing(project_folder: ProjectFolder) -> None:
    with_setup(project_folder)
    async with open_project(project_folder.path) as project:
        assert project.registry.names() == ["job"]
        assert project.tenants is None
        assert await project.ledger.list_runs(RunFilter()) == []
    assert not project.settings.ledger_path.parent.exists()


async def test_services_of_the_project_are_closed_with_it(project_folder: ProjectFolder) -> None:
    project_folder.service(
        "pool",
        """
        events = []
        scope = "project"

        def pool():
            events.append("opened")
            yield "a pool"
            events.append("closed")
        """,
    )
    project_folder.job(
        "uses",
        """
        from pinstripe import BackgroundJob

        class Uses(BackgroundJob):
            pool: str

            async def run(self) -> str:
                return self.pool
        """,
    )
    async with open_project(project_folder.path) as project:
        assert [(await project.run(Request("uses"))).result for _ in range(2)] == ["a pool", "a pool"]
        events = sys.modules["lib.services.pool"].events
        assert events == ["opened"]
    assert events == ["opened", "closed"]
