"""Attempts that are alone in a process, whatever their job's `runs_in` says."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.capture import Capture
from pinstripe.run import ExecutionStatus
from pinstripe.tenants import Tenant
from tests.attempts import ACME, assign, executor
from tests.jobs import Picky
from tests.process_bench import bench, ended

if TYPE_CHECKING:
    from pinstripe.outcome import Outcome
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio

SUCCEEDED, FAILED, CANCELLED = ExecutionStatus.SUCCEEDED, ExecutionStatus.FAILED, ExecutionStatus.CANCELLED

POST = """
    import asyncio
    import contextlib
    import os
    import signal
    import threading
    from pathlib import Path
    from typing import Any

    import shop
    from pinstripe import BackgroundJob, Cancel, RetryLater


    class Post(BackgroundJob):
        multi_tenant = True
        mailer: Any

        async def run(self, what: str = "look", where: str = "") -> Any:
            return await getattr(self, what)(where)

        async def look(self, _: str) -> Any:
            on_main_thread = threading.current_thread() is threading.main_thread()
            return [os.getpid(), on_main_thread, await self.mailer(), self.attempt.key, shop.CURRENT.get()]

        async def meet(self, where: str) -> int:
            print("here")
            with open(where, "rb", buffering=0) as line:  # its other end is open, and says when all are here
                line.read(1)
            return os.getpid()

        async def cancel(self, reason: str) -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.raise_it(Cancel(reason)))

        async def ask_to_run_later(self, delay: str) -> None:
            raise RetryLater(delay)

        async def raise_it(self, error: Exception) -> None:
            raise error

        async def heed(self, where: str) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                Path(where).write_text(f"told, and cancelled is {self.attempt.cancelled}")

        async def ignore(self, where: str) -> None:
            Path(where).write_text(str(os.getpid()))
            self.progress(1, 2)
            print("about to ignore")
            while True:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()

        async def stop(self, where: str) -> None:
            asyncio.get_running_loop().stop()
            await asyncio.sleep(0)
            Path(where).write_text("it went on")

        async def die(self, _: str) -> None:
            os.kill(os.getpid(), signal.SIGKILL)
"""

WALK = """
    import os
    import threading

    import shop
    from pinstripe import BackgroundJob


    class Walk(BackgroundJob):
        multi_tenant = True

        def run(self) -> list[object]:
            on_main_thread = threading.current_thread() is threading.main_thread()
            return [os.getpid(), on_main_thread, self.tenant.id, shop.CURRENT.get()]
"""

SHOP = """
    import contextlib
    from contextvars import ContextVar

    CURRENT: ContextVar[str | None] = ContextVar("current", default=None)
    tenants = [{"id": "acme"}]

    @contextlib.asynccontextmanager
    async def switch(tenant):
        token = CURRENT.set(tenant.id)
        yield
        CURRENT.reset(token)
"""

MAILER = """
async def mailer(tenant):
    async def send():
        return f"mailer of {tenant.id}"
    yield send
"""


@pytest.fixture
def project(project_folder: ProjectFolder) -> ProjectFolder:
    """Give a project with an `async def` that does what it is told, a plain `def`, and a tenant context."""
    project_folder.job("post", POST)
    project_folder.job("walk", WALK)
    project_folder.service("mailer", MAILER)
    project_folder.file("shop.py", SHOP)
    project_folder.configure('tenants.source = "shop:tenants"\ntenants.context = "shop:switch"')
    return project_folder


async def test_an_async_def_has_the_event_loop_of_its_process(
    project: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(project, monkeypatch) as each:
        outcome = await each.execute(job="post", solo=True)
        assert outcome.error is None
        pid, *rest = outcome.value
        assert pid != os.getpid()
        assert rest == [True, "mailer of acme", "key", "acme"]


async def test_a_plain_def_has_a_thread_there(project: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(project, monkeypatch) as each:
        outcome = await each.execute(job="walk", solo=True)
        assert outcome.error is None
        pid, *rest = outcome.value
        assert pid != os.getpid()
        assert rest == [False, "acme", "acme"]


async def test_what_has_stopped_the_event_loop_of_its_process_goes_on_beside_nothing(
    project: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = project.path / "where"
    monkeypatch.setattr("pinstripe.processes.os.cpu_count", lambda: 1)
    async with bench(project, monkeypatch) as each:
        stopped = await each.execute("stop", str(where), job="post", solo=True)
        assert (stopped.status, stopped.crashed) == (FAILED, False)
        assert stopped.error == "RuntimeError: Event loop stopped before Future completed."
        for _ in range(4):  # there are two processes
            assert (await each.execute(job="post", solo=True)).status is SUCCEEDED
    assert not where.exists()


async def test_two_at_once_are_in_two_processes(project: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    line = project.path / "line"
    os.mkfifo(line)
    end = os.open(line, os.O_RDWR)
    both = asyncio.Semaphore(0)
    async with bench(project, monkeypatch) as each:
        tasks = [
            asyncio.create_task(
                each.execute(
                    "meet",
                    str(line),
                    job="post",
                    tenant=Tenant(name),
                    solo=True,
                    capture=Capture(name, lambda _tenant, _text: both.release()),
                )
            )
            for name in ("acme", "globex")
        ]
        await both.acquire()
        await both.acquire()
        os.write(end, b"go")  # a byte for each
        outcomes = await asyncio.gather(*tasks)
    os.close(end)
    assert {outcome.status for outcome in outcomes} == {SUCCEEDED}
    assert len({outcome.value for outcome in outcomes}) == 2


async def test_what_it_answers_comes_over(project: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(project, monkeypatch) as each:
        cancelled = await each.execute("cancel", "the card has expired", job="post", solo=True)
        assert (cancelled.status, cancelled.error) == (CANCELLED, "the card has expired")
        later = await each.execute("ask_to_run_later", "5m", job="post", solo=True)
        assert (later.status, later.retry_after) == (FAILED, 300)


async def test_an_async_def_is_told_at_its_timeout(project: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    told = project.path / "told"
    async with bench(project, monkeypatch) as each:
        outcome = await each.execute("heed", str(told), job="post", timeout=0.1, solo=True)
        assert (outcome.status, outcome.error) == (FAILED, "TimeoutError: exceeded its timeout of 100ms")
        assert told.read_text() == "told, and cancelled is True"
        assert outcome.traceback is not None
        assert "in heed" in outcome.traceback  # where it was, there
        assert (outcome.crashed, outcome.stopped) == (False, False)


async def test_an_async_def_that_ignores_its_timeout_is_killed(
    project: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pinstripe.execution.KILL_AFTER", 0.05)
    pid = project.path / "pid"
    heard: list[Any] = []
    async with bench(project, monkeypatch) as each:
        outcome = await each.execute(
            "ignore",
            str(pid),
            job="post",
            timeout=0.2,
            solo=True,
            capture=Capture("acme"),
            progress=lambda done, total: heard.append((done, total)),
        )
        assert (outcome.status, outcome.error) == (FAILED, "TimeoutError: exceeded its timeout of 200ms")
        assert (outcome.log, heard) == ("about to ignore\n", [(1, 2)])
        assert not outcome.crashed
        await ended(int(pid.read_text()))


async def test_cancelling_it_kills_its_process_which_is_no_crash(
    project: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = project.path / "pid"
    async with bench(project, monkeypatch) as each:
        said = asyncio.Event()
        outcomes: asyncio.Queue[Outcome] = asyncio.Queue()
        assignment = each.assign("ignore", str(pid), job="post", solo=True, progress=lambda _done, _total: said.set())
        execution = each.executor.start(assignment, lambda _, outcome: outcomes.put_nowait(outcome))
        await said.wait()
        execution.cancel("the worker stops")
        outcome = await outcomes.get()
        assert (outcome.status, outcome.error) == (CANCELLED, "the worker stops")
        assert (outcome.crashed, outcome.stopped) == (False, True)
        await ended(int(pid.read_text()))


async def test_only_its_own_process_dies_with_it(project: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(project, monkeypatch) as each:
        died = await each.execute("die", job="post", solo=True)
        assert (died.status, died.error) == (FAILED, "the process died: signal SIGKILL")
        assert (died.crashed, died.stopped) == (True, False)
        assert (await each.execute(job="post", solo=True)).status is SUCCEEDED
        here = await each.execute(job="walk")  # who isn't alone runs where it always does
        assert here.value[0] == os.getpid()


async def test_where_there_are_no_processes_it_fails() -> None:
    async with executor() as each:
        outcome = await each.execute(assign(Picky, tenant=ACME, solo=True))
    assert outcome.error == "the_job is to run in a process of its own, and there are no processes here"
