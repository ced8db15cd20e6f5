"""Streams that are closed, full or replaced, a folder that is gone, and jobs that meddle with what all share."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults.conftest import PATIENCE

if TYPE_CHECKING:
    from tests.faults.conftest import Faulty


@pytest.fixture(scope="module")
def chatty(shared: Faulty) -> Faulty:
    """Give a project with a job that prints."""
    shared.job(
        "chatty",
        """
        class Chatty(BackgroundJob):
            async def run(self):
                print("x" * 100_000)
                print("y")
                return 5
        """,
    )
    return shared


def shell(project: Faulty, line: str) -> tuple[int, str]:
    """Give the project a command by way of a shell; give its exit code and what it wrote to standard error."""
    command = line.replace("pinstripe", f"{shlex.quote(sys.executable)} -m pinstripe", 1)
    done = subprocess.run(
        ["/bin/sh", "-c", command], cwd=project.path, stderr=subprocess.PIPE, check=False, timeout=PATIENCE
    )
    return done.returncode, done.stderr.decode()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_behind_standard_output(chatty: Faulty, monkeypatch: pytest.MonkeyPatch, unbuffered: str) -> None:
    """The run keeps its true exit code; a command that has nothing else to do fails."""
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    for options in ("", " --json"):
        code, err = shell(chatty, f"pinstripe run-background-job chatty{options} > /dev/full")
        assert code == 0, err
        assert "what became of the run can't be written: No space left on device" in err
        assert chatty.show()["status"] == "succeeded"
    for command in ("list-runs", "check", "--help"):
        code, err = shell(chatty, f"pinstripe {command} > /dev/full")
        assert (code, err.strip()) == (
            1,
            "Error: standard output can't be written ([Errno 28] No space left on device)",
        )


def test_closed_streams_lead_nowhere(chatty: Faulty) -> None:
    """Nothing else, least of all the ledger, is opened under the number of a closed stream."""
    for closed in (">&-", "<&- >&- 2>&-"):
        for options in ("", " --json", " --no-capture"):
            code, err = shell(chatty, f"pinstripe run-background-job chatty{options} {closed}")
            assert code == 0, err
            assert chatty.show()["result"] == 5
    chatty.works()


def test_a_job_that_replaces_standard_output(project: Faulty) -> None:
    """What it put there is gone with it: what became of the run is told."""
    for name, harm in {"none": "None", "buffer": "__import__('io').StringIO()"}.items():
        project.job(
            name,
            f"""
            class Replacing(BackgroundJob):
                async def run(self):
                    sys.stdout = {harm}
                    print("lost")
            """,
        )
        answer = project("run-background-job", name)
        assert answer.code == 0, answer
        assert answer.out.startswith(f"{name} succeeded in ")


def test_a_working_directory_that_is_gone(project: Faulty) -> None:
    code, err = shell(project, "mkdir gone && cd gone && rmdir ../gone && pinstripe list-runs")
    assert code == 2, err
    assert "the working directory is gone" in err
    assert "--project" in err


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        ("asyncio.get_running_loop().stop()", "a job stopped the event loop"),
        ("[task.cancel() for task in asyncio.all_tasks()]", "a job cancelled tasks of the event loop"),
    ],
)
def test_a_job_that_meddles_with_the_event_loop(project: Faulty, harm: str, told: str) -> None:
    """It takes its neighbours with it, for they share the loop; that is told, recorded, and can be retried."""
    project.tenants("def tenants():\n    yield from ('acme', 'globex', 'initech')\n")
    project.job(
        "meddler",
        f"""
        class Meddler(BackgroundJob):
            multi_tenant = True
            async def run(self):
                if self.tenant.id == "globex" and not pathlib.Path("mended").exists():
                    {harm}
                    await asyncio.Event().wait()
        """,
    )
    answer = project("run-background-job", "meddler", "--concurrency", "1")
    assert answer.code == 1, answer
    assert told in answer.err
    assert "Traceback" not in answer.err
    assert project.counts() == {"total": 3, "succeeded": 1, "cancelled": 2}
    (project.path / "mended").touch()
    retried = project("retry-run", "last", "--json")
    assert (retried.code, retried.json["executions"]["succeeded"]) == (0, 2)
