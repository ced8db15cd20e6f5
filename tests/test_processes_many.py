"""How many processes there are, and what happens where there can be no more."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pinstripe.capture import Capture
from pinstripe.run import ExecutionStatus
from tests.process_bench import bench, ended

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder
    from tests.process_bench import Bench

pytestmark = pytest.mark.anyio

SUCCEEDED, FAILED = ExecutionStatus.SUCCEEDED, ExecutionStatus.FAILED

JOB = """
    import os

    from pinstripe import BackgroundJob


    class Meet(BackgroundJob):
        runs_in = "process"

        def run(self, line: str = "") -> int:
            print("here")
            if line:
                with open(line, "rb", buffering=0) as end:  # the other end is open, and says when all are here
                    end.read(1)
            return os.getpid()
"""


@pytest.fixture
def project(project_folder: ProjectFolder) -> ProjectFolder:
    """Give a project with a job that waits for the others, if it is told to."""
    project_folder.job("meet", JOB)
    return project_folder


def held() -> tuple[int, int]:
    """Count the threads and the open files of this process, once those threads have ended that have told so.

    What other tests have left to the garbage collector goes first; what else of theirs ends meanwhile makes them fewer.
    """
    gc.collect()
    for thread in threading.enumerate():
        if thread.name == "pinstripe processes":
            thread.join(5)
    threads = [thread for thread in threading.enumerate() if not thread.name.startswith("asyncio")]
    return len(threads), len(os.listdir("/dev/fd"))  # noqa: PTH208


async def meet(each: Bench, folder: Path, count: int) -> list[int]:
    """Have so many executions run at the same time; give the processes that they ran in."""
    line = folder / "line"
    if not line.exists():
        os.mkfifo(line)
    end = os.open(line, os.O_RDWR)
    here = asyncio.Semaphore(0)

    def capture() -> Capture:
        return Capture(None, lambda _tenant, text: here.release() if text.strip() else None)

    calls = [each.execute(str(line), job="meet", tenant=None, capture=capture(), claimed=True) for _ in range(count)]
    tasks = [asyncio.create_task(call) for call in calls]
    for _ in tasks:
        await here.acquire()
    os.write(end, b"." * count)
    outcomes = await asyncio.gather(*tasks)
    os.close(end)
    assert [outcome.error for outcome in outcomes] == [None] * count
    return [outcome.value for outcome in outcomes]


async def test_there_are_as_many_processes_as_calls_at_once(
    project: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pinstripe.processes.os.cpu_count", lambda: 1)
    async with bench(project, monkeypatch) as each:
        first = await meet(each, project.path, 6)
        assert len(set(first)) == 6
        assert set(await meet(each, project.path, 6)) == set(first)  # for a while, all are kept
    for pid in first:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_calls_of_runs_by_hand_share_a_few(project: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pinstripe.processes.os.cpu_count", lambda: 1)
    async with bench(project, monkeypatch) as each:
        outcomes = await asyncio.gather(*(each.execute(job="meet", tenant=None) for _ in range(6)))
        assert len({outcome.value for outcome in outcomes}) <= 2


async def test_of_those_that_have_nothing_to_do_some_are_kept(
    project: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pinstripe.processes.os.cpu_count", lambda: 1)
    monkeypatch.setattr("pinstripe.processes.IDLE_LIMIT", 0.01)
    async with bench(project, monkeypatch) as each:
        first = set(await meet(each, project.path, 5))
        gone = [asyncio.create_task(ended(pid)) for pid in first]
        left = len(gone)
        for one in asyncio.as_completed(gone):
            await one
            left -= 1
            if left == 2:
                break
        kept = {(await each.execute(job="meet", tenant=None)).value for _ in range(3)}
        assert len(kept) == 1
        assert kept < first
    await asyncio.gather(*gone)


async def test_a_process_that_has_served_its_time_makes_room_for_a_new_one(
    project: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pinstripe.child_process.MAX_TASKS", 2)
    async with bench(project, monkeypatch) as each:
        await each.execute(job="meet", tenant=None)  # what multiprocessing keeps open is open
    before = held()
    async with bench(project, monkeypatch) as each:
        pids = [(await each.execute(job="meet", tenant=None)).value for _ in range(6)]
        assert pids[::2] == pids[1::2]
        assert len(set(pids)) == 3
    assert all(now <= then for now, then in zip(held(), before, strict=True))


async def test_one_that_died_while_it_had_nothing_to_do_disturbs_no_call(
    project: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(project, monkeypatch) as each:
        first = await each.execute(job="meet", tenant=None)
        os.kill(first.value, signal.SIGKILL)
        second = await each.execute(job="meet", tenant=None)
        os.kill(second.value, signal.SIGKILL)
        await ended(second.value)
        third = await each.execute(job="meet", tenant=None)
        assert [first.error, second.error, third.error] == [None] * 3
        assert len({first.value, second.value, third.value}) == 3


async def test_a_setup_that_ends_the_process_is_a_crash(
    project: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.file(
        "boot.py",
        """
        import multiprocessing, os

        def setup():
            if multiprocessing.parent_process():
                os._exit(3)
        """,
    )
    project.configure('setup = "boot:setup"')
    async with bench(project, monkeypatch) as each:
        outcome = await each.execute(job="meet", tenant=None)
    assert (outcome.error, outcome.crashed, outcome.unstarted) == ("the process died: exit code 3", True, False)


# Where no process can be started: in an interpreter that may open no more files.

LIMITED = """
    import asyncio
    import contextlib
    import logging
    import os
    import resource
    import sys
    from datetime import timedelta
    from pathlib import Path

    from tests.conftest import ProjectFolder
    from tests.working import drain, enqueue, seen, told_shop


    @contextlib.contextmanager
    def no_files(free):
        # Let this process open only so many more files.
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        held = []
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
        with contextlib.suppress(OSError):
            while True:
                held.append(os.dup(0))
        for _ in range(free):
            os.close(held.pop())
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for each in held:
                os.close(each)


    async def show(shop, run):
        execution = await shop.execution(run)
        print(execution.status, execution.attempts, execution.error)


    async def main():
        async with told_shop(ProjectFolder(Path(sys.argv[1]))) as (shop, clock):
            await drain(shop)  # what a worker opens is open
            with no_files(int(sys.argv[2])):
                run = await enqueue(shop, "meet")
                for _ in range(5):
                    await drain(shop)
                    await show(shop, run)
                    clock.advance(timedelta(seconds=5))
                async with shop.project.workspace(tenant=None) as workspace:
                    try:
                        await workspace.run_background_job("meet")
                    except Exception as error:
                        print(error)
            await drain(shop)
            await show(shop, run)


    if __name__ == "__main__":
        logging.basicConfig(format="%(message)s")
        asyncio.run(main())
"""


ERROR = "its process could not be started: OSError: [Errno 24] Too many open files"


@pytest.mark.parametrize("free", range(3, 9))
def test_what_can_get_no_process_waits_in_a_worker_and_fails_in_the_foreground(
    project: ProjectFolder, free: int
) -> None:
    program = project.file("limited.py", LIMITED)
    words = [sys.executable, str(program), str(project.path), str(free)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), str(project.path)])}
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [*[f"queued 0 {ERROR}"] * 5, ERROR, "succeeded 1 None"]
    assert done.stderr.count(ERROR) == 5  # each of these workers warns of it once
