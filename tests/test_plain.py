from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.background_job import BackgroundJob
from pinstripe.errors import InvalidArguments, PinstripeError, TenantFailures, TenantRequired, UnknownJob, UnknownTenant
from pinstripe.opening import open_project
from tests.shop import TENANCY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pinstripe.plain import PlainProject
    from tests.conftest import ProjectFolder


class Sums(BackgroundJob):
    def run(self, *numbers: int) -> int:
        return sum(numbers)


class Fails(BackgroundJob):
    async def run(self) -> None:
        raise LookupError("nothing there")


class Tells(BackgroundJob):
    multi_tenant = True

    async def run(self, bad: str = "") -> str:
        if self.tenant.id in bad.split():
            raise ValueError(bad)
        return self.tenant.id


class Meets(BackgroundJob):
    """Ends only when so many are in it at the same time."""

    barrier = threading.Barrier(4)

    def run(self) -> str:
        type(self).barrier.wait(timeout=30)
        return threading.current_thread().name


@pytest.fixture
def project(project_folder: ProjectFolder) -> Iterator[PlainProject]:
    project_folder.file("tenancy.py", TENANCY.replace("= []", '= ["acme", "birch"]'))
    project_folder.configure('tenants.source = "tenancy:tenants"')
    with open_project(project_folder.path) as opened:
        for job_class in (Sums, Fails, Tells, Meets):
            opened.registry.add(job_class.__name__, job_class)
        yield opened


def test_a_run_is_a_plain_call(project: PlainProject) -> None:
    with project.workspace(tenant=None) as workspace:
        run = workspace.run_background_job("sums", 1, 2)
        assert (run.status, run.result, run.trigger) == ("succeeded", 3, "code")
        assert workspace.tenant is None


def test_a_workspace_has_its_tenant(project: PlainProject) -> None:
    with project.workspace(tenant="acme") as workspace:
        assert workspace.tenant is not None
        assert workspace.tenant.id == "acme"
        assert workspace.run_background_job(Tells).result == "acme"


def test_options_choose(project: PlainProject) -> None:
    with project.workspace(tenant=None) as workspace:
        assert workspace.options(exclude=["acme"]).run_background_job("tells").result == "birch"
        with pytest.raises(TypeError, match="unknown option whom"):
            workspace.options(whom=["acme"])


def test_what_is_enqueued_is_a_plain_call_too(project: PlainProject) -> None:
    with project.workspace(tenant=None) as workspace:
        run = workspace.enqueue_background_job("sums", 1, 2)
        assert (run.status, run.args) == ("queued", (1, 2))
        assert workspace.options(key="a").enqueue_background_job("sums").id != run.id
        thread = threading.current_thread()

        def calls() -> Iterator[tuple[int]]:
            assert threading.current_thread() is thread  # they are the caller's own, and may be anything
            yield from ((1,), (2,))

        assert [run.args for run in workspace.enqueue_background_jobs("sums", calls())] == [(1,), (2,)]
        runs = workspace.options(delay="1h").enqueue_background_jobs("sums", calls())
        assert [run.status for run in runs] == ["queued", "queued"]
        with pytest.raises(InvalidArguments, match="at most 10,000 calls"):
            workspace.enqueue_background_jobs("sums", [()] * 10_001)
        with pytest.raises(InvalidArguments, match="call 2"):
            workspace.enqueue_background_jobs("sums", [(1,), ("b",)])
        with pytest.raises(TypeError, match="is for enqueue_background_job"):
            workspace.options(key="a").run_background_job("sums")
    with project.workspace(tenant="acme") as workspace:
        assert workspace.enqueue_background_job(Tells).executions.total == 1


def test_errors_come_through(project: PlainProject) -> None:
    with pytest.raises(TenantRequired, match="tenant=None for the global one"):
        project.workspace()
    with pytest.raises(UnknownTenant, match="'nobody'"), project.workspace(tenant="nobody"):
        pass
    with project.workspace(tenant=None) as workspace:
        with pytest.raises(LookupError, match="nothing there"):
            workspace.run_background_job(Fails)
        with pytest.raises(UnknownJob, match="sums"):
            workspace.run_background_job("sum")
        with pytest.raises(TenantFailures, match="2 of 2"):
            workspace.run_background_job(Tells, bad="acme birch")


def test_several_threads_may_call_at_once(project: PlainProject) -> None:
    def call(_: int) -> Any:
        with project.workspace(tenant=None) as workspace:
            return workspace.run_background_job(Meets).result

    with ThreadPoolExecutor(4) as threads:
        names = list(threads.map(call, range(4)))
    assert len(names) == 4


def test_set_up_ends_before_any_thread_goes_on(project_folder: ProjectFolder) -> None:
    project_folder.file(
        "boot.py",
        """
        import threading

        asked = threading.Semaphore(0)
        done = []

        def setup():
            asked.acquire(timeout=0.05)  # whoever else asks meanwhile must wait
            done.append(1)
        """,
    )
    project_folder.configure('setup = "boot:setup"')
    with open_project(project_folder.path) as opened, ThreadPoolExecutor(4) as threads:

        def look(_: int) -> int:
            assert opened.registry.names() == []
            sys.modules["boot"].asked.release()
            return len(sys.modules["boot"].done)

        assert list(threads.map(look, range(4))) == [1, 1, 1, 1]


def test_a_call_from_an_async_job_is_refused(project: PlainProject) -> None:
    class Calls(BackgroundJob):
        async def run(self) -> None:
            with project.workspace(tenant=None) as workspace:
                workspace.run_background_job(Sums, 1)

    project.registry.add("calls", Calls)
    with (
        project.workspace(tenant=None) as workspace,
        pytest.raises(PinstripeError, match=r"from inside one of its jobs; use `self\.run_background_job` there"),
    ):
        workspace.run_background_job(Calls)


def test_a_plain_def_may_call_since_it_has_a_thread_of_its_own(project: PlainProject) -> None:
    class Calls(BackgroundJob):
        def run(self) -> Any:
            with project.workspace(tenant=None) as workspace:
                return workspace.run_background_job(Sums, 1, 4).result

    project.registry.add("calls", Calls)
    with project.workspace(tenant=None) as workspace:
        assert workspace.run_background_job(Calls).result == 5


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")  # that is what is tried
def test_a_forked_child_is_told(project: PlainProject) -> None:
    reader, end = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(10)  # where it would wait for ever
        said = ""
        try:
            with project.workspace(tenant=None) as workspace:
                workspace.run_background_job(Sums, 1)
        except PinstripeError as error:
            said = str(error)
        project.close()
        os.write(end, said.encode())
        os._exit(0)
    os.close(end)
    os.waitpid(child, 0)
    with os.fdopen(reader) as told:
        assert "of which this one is a fork" in told.read()
    with project.workspace(tenant=None) as workspace:
        assert workspace.run_background_job(Sums, 1).result == 1


def test_a_closed_project_is_told(project_folder: ProjectFolder) -> None:
    with open_project(project_folder.path) as opened:
        workspace = opened.workspace()
        with pytest.raises(PinstripeError, match="the workspace is not open"):
            workspace.run_background_job("sums")
    with pytest.raises(PinstripeError, match="the project is closed"), opened.workspace():
        pass
    opened.close()


def test_tasks_left_behind_end_with_the_project(project_folder: ProjectFolder) -> None:
    ended: list[str] = []
    left: list[asyncio.Task[None]] = []

    async def wait_for_ever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(threading.current_thread().name)

    async def leave() -> None:
        left.append(asyncio.create_task(wait_for_ever()))
        await asyncio.sleep(0)

    with open_project(project_folder.path) as opened:
        opened.call(leave())
    assert ended == ["pinstripe-project"]
    assert "pinstripe-project" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.anyio
async def test_it_can_be_used_where_another_loop_runs(project_folder: ProjectFolder) -> None:
    with open_project(project_folder.path) as opened:
        opened.registry.add("sums", Sums)
        with opened.workspace() as workspace:
            assert workspace.run_background_job("sums", 1, 2).result == 3


PROGRAM = """
import signal
import sys
import pinstripe

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it starts in the background ignore it

with pinstripe.open_project(sys.argv[1]) as project, project.workspace() as workspace:
    try:
        workspace.run_background_job("waits")
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


def test_ctrl_c_stops_the_run_and_records_it(project_folder: ProjectFolder) -> None:
    project_folder.job(
        "waits",
        """
        import asyncio
        from pinstripe import BackgroundJob

        class Waits(BackgroundJob):
            async def run(self):
                print("begun", flush=True)
                await asyncio.Event().wait()
        """,
    )
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(project_folder.path)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": ""},
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "begun\n"
        child.send_signal(signal.SIGINT)
        assert child.stdout.read() == "interrupted\n"
    assert child.returncode == 0
    listed = subprocess.run(
        [sys.executable, "-m", "pinstripe", "show-run", "last", "--project", str(project_folder.path), "--json"],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert '"status": "cancelled"' in listed.stdout
