from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.answers import RetryLater
from pinstripe.capture import Capture
from pinstripe.run import ExecutionStatus
from pinstripe.tenants import Tenant
from tests.process_bench import bench, ended

if TYPE_CHECKING:
    from pinstripe.outcome import Outcome
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio

SUCCEEDED, FAILED, CANCELLED = ExecutionStatus.SUCCEEDED, ExecutionStatus.FAILED, ExecutionStatus.CANCELLED

JOB = """
    import os
    import signal
    import sys
    import time
    from pathlib import Path
    from typing import Any

    from pinstripe import BackgroundJob, Cancel, RetryLater


    class Crunch(BackgroundJob):
        runs_in = "process"
        multi_tenant = True
        mailer: Any

        def run(self, what: str = "value", where: str = "") -> Any:
            return getattr(self, what)(where)

        def value(self, _: str) -> Any:
            return [self.tenant.id, self.tenant.plan, self.mailer, self.attempt.key, os.getpid()]

        def fail(self, _: str) -> None:
            raise LookupError(f"nothing for {self.tenant.id}")

        def fail_with_a_difficult_error(self, _: str) -> None:
            raise Difficult("a", "b")

        def cancel(self, reason: str) -> None:
            raise Cancel(reason)

        def ask_to_run_later(self, delay: str) -> None:
            raise RetryLater(delay)

        def exit(self, _: str) -> None:
            sys.exit(0)

        def die(self, code: str) -> None:
            print("last words", end="", flush=True)
            os._exit(int(code))

        def kill(self, _: str) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        def hang(self, where: str) -> None:
            Path(where).write_text(str(os.getpid()))
            self.progress(1, 2)
            print("about to hang")
            while True:
                time.sleep(0.01)

        def hold(self, where: str) -> str:
            print(os.getpid())
            return Path(where).read_text()

        def leave_a_fork(self, where: str) -> int:
            if os.fork() == 0:  # it holds all that this process has open, until the test lets it go
                Path(where).read_text()
                os._exit(0)
            return 7

        def die_and_leave_a_fork(self, where: str) -> None:
            self.leave_a_fork(where)
            os._exit(3)

        def stop_when_told(self, where: str) -> None:
            while not self.attempt.cancelled:
                time.sleep(0.001)

        def talk(self, _: str) -> None:
            print("out")
            print("err", file=sys.stderr)
            sys.stdout.buffer.write(b"\\xff bytes\\n")
            self.logger.info("logged")


    class Difficult(Exception):
        def __init__(self, one, two):
            super().__init__(f"{one} and {two}")
"""

MAILER = """
def mailer(tenant):
    return f"mailer of {tenant.id}"
"""


@pytest.fixture
def project(project_folder: ProjectFolder) -> ProjectFolder:
    """Give a project with one job, which does what it is told."""
    project_folder.job("crunch", JOB)
    project_folder.service("mailer", MAILER)
    return project_folder


async def test_a_job_runs_in_a_process_that_has_the_tenant_and_its_services(
    project: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(project, monkeypatch) as each:
        first = await each.execute()
        assert first.error is None
        assert first.value[:4] == ["acme", "pro", "mailer of acme", "key"]
        assert first.value[4] != os.getpid()
        assert first.result is not None


async def test_how_a_job_ends_in_a_process(project: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(project, monkeypatch) as each:
        failed = await each.execute("fail")
        assert (failed.status, failed.error) == (FAILED, "LookupError: nothing for acme")
        assert isinstance(failed.exception, LookupError)
        assert failed.traceback is not None
        assert "in fail" in failed.traceback

        difficult = await each.execute("fail_with_a_difficult_error")  # can't be unpickled
        assert difficult.error == "Difficult: a and b"
        assert str(difficult.exception) == "Difficult: a and b"

        left = await each.execute("exit")
        assert (left.error, left.crashed) == ("the job called sys.exit(0)", False)

        died = await each.execute("die", "3", capture=Capture("acme"))
        assert (died.status, died.error, died.log) == (FAILED, "the process died: exit code 3", "last words")
        assert (died.crashed, died.traceback) == (
            True,
            "pinstripe.errors.PinstripeError: the process died: exit code 3\n",
        )
        for args, error in ((("die", "0"), "exit code 0"), (("kill",), "signal SIGKILL")):
            died = await each.execute(*args)
            assert (died.error, died.crashed) == (f"the process died: {error}", True)

        assert (await each.execute()).status is SUCCEEDED  # the dead are replaced


async def test_what_a_job_answers_comes_over(project: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(project, monkeypatch) as each:
        cancelled = await each.execute("cancel", "the card has expired")
        assert (cancelled.status, cancelled.error) == (CANCELLED, "the card has expired")
        assert (cancelled.exception, cancelled.traceback, cancelled.stopped) == (None, None, False)
        later = await each.execute("ask_to_run_later", "90s")
        assert (later.status, later.error, later.retry_after) == (FAILED, "RetryLater: run again in 1m30s", 90)
        assert isinstance(later.exception, RetryLater)


async def test_a_stuck_job_is_killed_at_its_timeout(project: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pinstripe.execution.KILL_AFTER", 0.05)
    pid = project.path / "pid"
    async with bench(project, monkeypatch) as each:
        begun = time.monotonic()
        heard: list[Any] = []
        stuck, neighbour = await asyncio.gather(
            each.execute(
                "hang",
                str(pid),
                timeout=0.2,
                capture=Capture("acme"),
                progress=lambda done, total: heard.append((done, total)),
            ),
            each.execute(tenant=Tenant("globex", {"plan": "free"})),
        )
        assert (stuck.status, stuck.error) == (FAILED, "TimeoutError: exceeded its timeout of 200ms")
        assert stuck.traceback == "TimeoutError: exceeded its timeout of 200ms\n"
        assert stuck.log == "about to hang\n"
        assert (stuck.crashed, stuck.stopped) == (False, False)
        assert heard == [(1, 2)]
        assert neighbour.value[:2] == ["globex", "free"]
        assert time.monotonic() - begun < 10
        await ended(int(pid.read_text()))


async def test_a_job_that_heeds_its_timeout_is_not_killed(
    project: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(project, monkeypatch) as each:
        outcome = await each.execute("stop_when_told", timeout=0.1)
        assert (outcome.status, outcome.error) == (FAILED, "TimeoutError: exceeded its timeout of 100ms")


async def test_cancelling_it_kills_the_process(project: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = project.path / "pid"
    async with bench(project, monkeypatch) as each:
        said = asyncio.Event()
        outcomes: asyncio.Queue[Outcome] = asyncio.Queue()
        assignment = each.assign("hang", str(pid), capture=Capture("acme", lambda _tenant, _text: said.set()))
        execution = each.executor.start(assignment, lambda _, outcome: outcomes.put_nowait(outcome))
        await said.wait()
        execution.cancel()
        outcome = await outcomes.get()
        assert (outcome.status, outcome.error, outcome.log) == (CANCELLED, "interrupted", "about to hang\n")
        assert (outcome.crashed, outcome.stopped) == (False, True)
        await ended(int(pid.read_text()))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_to_end_that_others_send_it_is_its_parents_to_heed(
    project: ProjectFolder, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    line = project.path / "line"
    os.mkfifo(line)
    pids: asyncio.Queue[int] = asyncio.Queue()
    async with bench(project, monkeypatch) as each:
        capture = Capture("acme", lambda _tenant, text: pids.put_nowait(int(text)) if text.strip() else None)
        task = asyncio.create_task(each.execute("hold", str(line), capture=capture))
        os.kill(await pids.get(), number)
        await asyncio.to_thread(line.write_text, "all well")
        outcome = await task
        assert (outcome.status, outcome.value) == (SUCCEEDED, "all well")


async def test_what_a_job_has_forked_and_left_is_not_waited_for(
    project: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pinstripe.process_call.NEWS_LIMIT", 0.05)
    line = project.path / "line"
    os.mkfifo(line)
    async with bench(project, monkeypatch) as each:
        try:
            done = await asyncio.wait_for(each.execute("leave_a_fork", str(line)), 20)
            died = await asyncio.wait_for(each.execute("die_and_leave_a_fork", str(line)), 20)
        finally:
            await asyncio.to_thread(line.write_text, "")
    assert (done.status, done.value) == (SUCCEEDED, 7)
    assert (died.error, died.crashed) == ("the process died: exit code 3", True)


async def test_jobs_that_fill_the_event_loops_executor_keep_no_process_from_starting_and_ending(
    project: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    executor = ThreadPoolExecutor(1)
    asyncio.get_running_loop().set_default_executor(executor)
    stuck = asyncio.get_running_loop().run_in_executor(None, release.wait)
    try:
        async with asyncio.timeout(30):
            async with bench(project, monkeypatch) as each:
                assert (await each.execute()).status is SUCCEEDED
    finally:
        release.set()
        await stuck
        executor.shutdown()


async def test_output_comes_over_as_it_is_made(project: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    async with bench(project, monkeypatch) as each:
        outcome = await each.execute("talk", capture=Capture("acme", lambda _tenant, text: shown.append(text)))
    assert outcome.log == "out\nerr\n\N{REPLACEMENT CHARACTER} bytes\nINFO pinstripe.jobs.crunch: logged\n"
    assert "".join(shown) == outcome.log


async def test_a_tenant_that_can_not_be_sent_is_told(project: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(project, monkeypatch) as each:
        outcome = await each.execute(tenant=Tenant("acme", lambda: None))
    assert outcome.error is not None
    assert outcome.error.startswith("the tenant of crunch can't be sent to its process (")
    assert outcome.error.endswith("let the tenant source give mappings or plain objects")


async def test_a_project_that_does_not_open_in_the_child_is_told(
    project: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.service(
        "mailer", "import multiprocessing\nif multiprocessing.parent_process():\n    import missing\n" + MAILER
    )
    async with bench(project, monkeypatch) as each:
        outcome = await each.execute()
    assert outcome.status is FAILED
    assert outcome.error is not None
    assert "No module named 'missing'" in outcome.error


async def test_a_ledger_that_can_not_be_reached_in_the_child_is_not_the_jobs_fault(
    project: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker's process may be made while the ledger's server is away, and has work to do once that is back."""
    with monkeypatch.context() as away:
        away.setenv("PINSTRIPE_LEDGER", "postgresql://jobs:swordfish@127.0.0.1:1/jobs")
        async with bench(project, monkeypatch) as each:
            outcome = await each.execute()
            assert (outcome.status, outcome.unstarted, outcome.crashed) == (FAILED, True, False)
            assert outcome.error is not None
            assert "the ledger postgresql://jobs@127.0.0.1:1/jobs can't be reached" in outcome.error
            assert not (await each.execute()).succeeded  # it is tried again, in the same process
    async with bench(project, monkeypatch) as each:
        assert (await each.execute()).succeeded


async def test_a_process_that_takes_too_long_to_start_is_not_the_jobs_fault(
    project: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine that has far too much to do."""
    monkeypatch.setattr("pinstripe.process_call.START_LIMIT", 0.001)
    monkeypatch.setattr("pinstripe.process_call.NEWS_LIMIT", 0.001)
    async with bench(project, monkeypatch) as each:
        outcome = await each.execute()
    assert (outcome.status, outcome.unstarted, outcome.crashed) == (FAILED, True, False)
    assert (outcome.error or "").startswith("its process could not be started: it did not start within 0.0")
