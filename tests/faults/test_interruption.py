"""A run by hand is stopped, ended, or killed: the ledger is right afterwards, and `retry-run` carries on."""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import TYPE_CHECKING

import apsw
import pytest

if TYPE_CHECKING:
    from tests.faults.conftest import Faulty

TENANTS = """
    def tenants():
        for number in range({}):
            yield f"t{{number:05}}"
"""

WORK = """
    class Work(BackgroundJob):
        multi_tenant = True
        async def run(self):
            with open("begun", "a") as begun:
                begun.write(self.tenant.id + "\\n")
            if self.tenant.id in ("t00002", "t00003") and not pathlib.Path("open").exists():
                print("waiting", flush=True)
                await asyncio.Event().wait()
            with open("done", "a") as done:
                done.write(self.tenant.id + "\\n")
"""

STUBBORN = """
    class Work(BackgroundJob):
        multi_tenant = True
        async def run(self):
            while not pathlib.Path("open").exists():
                print("waiting", flush=True)
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    print("no, not me", flush=True)
            with open("done", "a") as done:
                done.write(self.tenant.id + "\\n")
"""


def states(project: Faulty) -> dict[str, tuple[str, str | None]]:
    """Read the state and the reason of each tenant's execution, straight from the file."""
    connection = apsw.Connection(str(project.path / ".pinstripe" / "ledger.db"), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        return {
            tenant: (state, error)
            for tenant, state, error in connection.execute("select tenant, state, error from executions")
        }
    finally:
        connection.close()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_signal_stops_cleanly_and_retry_carries_on(project: Faulty, number: signal.Signals, code: int) -> None:
    project.tenants(TENANTS.format(6))
    project.job("work", WORK)
    run = project.start("run-background-job", "work", "--concurrency", "2")
    run.wait_for("waiting", times=2)
    run.send(number)
    assert run.end() == code
    assert "pinstripe retry-run" in run.seen
    assert states(project) == {
        "t00000": ("succeeded", None),
        "t00001": ("succeeded", None),
        "t00002": ("cancelled", "interrupted"),
        "t00003": ("cancelled", "interrupted"),
        "t00004": ("cancelled", "not started"),
        "t00005": ("cancelled", "not started"),
    }
    assert project.show()["status"] == "cancelled"
    (project.path / "open").touch()
    retried = project("retry-run", "last", "--json")
    assert retried.code == 0
    assert retried.json["executions"]["succeeded"] == 4
    assert Counter(project.lines("done")) == Counter(f"t{each:05}" for each in range(6))
    assert project("retry-run", "last").code == 3
    project.works()


def test_a_second_ctrl_c_ends_at_once_and_the_next_command_marks_it(project: Faulty) -> None:
    project.tenants(TENANTS.format(3))
    project.job("work", STUBBORN)
    run = project.start("run-background-job", "work", "--concurrency", "1")
    run.wait_for("waiting")
    run.send(signal.SIGINT)
    run.wait_for("no, not me")
    run.send(signal.SIGINT)
    assert run.end() == 130
    assert states(project)["t00000"] == ("running", None)
    assert project("list-runs").code == 0
    assert states(project) == {
        "t00000": ("cancelled", "interrupted"),
        "t00001": ("cancelled", "not started"),
        "t00002": ("cancelled", "not started"),
    }
    (project.path / "open").touch()
    assert project("retry-run", "last").code == 0
    assert Counter(project.lines("done")) == Counter(["t00000", "t00001", "t00002"])


@pytest.mark.parametrize("command", [("list-runs",), ("check",), ("run-background-job", "innocent")])
def test_any_command_marks_what_a_killed_one_left(project: Faulty, command: tuple[str, ...]) -> None:
    project.tenants(TENANTS.format(4))
    project.job("work", WORK)
    run = project.start("run-background-job", "work", "--concurrency", "4")
    run.wait_for("waiting", times=2)
    run.send(signal.SIGKILL)
    assert run.end() == -signal.SIGKILL
    assert project(*command).code == 0
    left = states(project)
    assert left["t00002"] == left["t00003"] == ("cancelled", "interrupted")
    killed = project.runs()[-1]
    assert (killed["job"], killed["status"], killed["executions"]["running"]) == ("work", "cancelled", 0)


def test_killed_in_the_middle_of_ten_thousand_tenants(project: Faulty) -> None:
    """Each tenant's work is done in the end, and none of those settled before the kill runs again."""
    project.tenants(TENANTS.format(10_000))
    project.job(
        "work",
        """
        class Work(BackgroundJob):
            multi_tenant = True
            async def run(self):
                with open("done", "a") as done:
                    done.write(self.tenant.id + "\\n")
                if self.tenant.id == "t06000" and not pathlib.Path("open").exists():
                    os.kill(os.getpid(), signal.SIGKILL)
        """,
    )
    killed = project("run-background-job", "work")
    assert killed.code == -signal.SIGKILL
    before = Counter(project.lines("done"))
    settled = {tenant for tenant, (state, _) in states(project).items() if state == "succeeded"}
    assert 5_000 < len(settled) <= 6_001
    assert settled <= set(before)
    (run,) = project.runs()
    assert (run["status"], run["executions"]["total"]) == ("cancelled", 10_000)
    assert (run["executions"]["succeeded"], run["executions"]["queued"]) == (len(settled), 0)
    (project.path / "open").touch()
    retried = project("retry-run", "last", "--json")
    assert retried.code == 0
    assert retried.json["executions"]["succeeded"] == 10_000 - len(settled)
    after = Counter(project.lines("done"))
    assert set(after) == {f"t{number:05}" for number in range(10_000)}
    assert {tenant for tenant, times in after.items() if times > 1} <= set(before) - settled
    assert max(after.values()) <= 2
    assert project("retry-run", "last").code == 3


def test_killed_while_it_selects_then_retried(project: Faulty) -> None:
    """A selection that never was complete is made again; nothing had started."""
    project.tenants(
        """
        import os, pathlib, signal
        def tenants():
            for number in range(3_000):
                if number == 2_500 and not pathlib.Path("open").exists():
                    os.kill(os.getpid(), signal.SIGKILL)
                yield f"t{number:05}"
        """
    )
    project.job("work", WORK)
    assert project("run-background-job", "work").code == -signal.SIGKILL
    assert project.lines("begun") == []
    (run,) = project.runs()
    assert (run["status"], run["executions"]["cancelled"]) == ("cancelled", 2_000)
    (project.path / "open").touch()
    retried = project("retry-run", "last", "--json")
    assert (retried.code, retried.json["executions"]["succeeded"]) == (0, 3_000)
    assert Counter(project.lines("done")) == Counter(f"t{number:05}" for number in range(3_000))


def test_ctrl_c_while_it_selects_then_retried(project: Faulty) -> None:
    project.tenants(
        """
        import asyncio, pathlib
        async def tenants():
            for number in range(1_500):
                if number == 1_200 and not pathlib.Path("open").exists():
                    print("selecting", flush=True)
                    await asyncio.Event().wait()
                yield f"t{number:05}"
        """
    )
    project.job("work", WORK)
    run = project.start("run-background-job", "work")
    run.wait_for("selecting")
    run.send(signal.SIGINT)
    assert run.end() == 130
    (cancelled,) = project.runs()
    assert (cancelled["status"], cancelled["executions"]["cancelled"]) == ("cancelled", 1_000)
    assert project.lines("begun") == []
    (project.path / "open").touch()
    retried = project("retry-run", "last", "--json")
    assert (retried.code, retried.json["executions"]["succeeded"]) == (0, 1_500)
    assert len(project.lines("done")) == 1_500


def test_two_commands_at_once_and_one_is_killed(project: Faulty) -> None:
    """Several processes share a ledger; the death of one is nothing to the others, which mark it at their start."""
    project.tenants(TENANTS.format(200))
    for name in ("one", "two"):
        project.job(
            name,
            """
            class Work(BackgroundJob):
                multi_tenant = True
                async def run(self):
                    if self.tenant.id == "t00100":
                        print("waiting", flush=True)
                        await asyncio.to_thread(pathlib.Path("gate").read_text)
            """,
        )
    gate = project.path / "gate"
    os.mkfifo(gate)
    first = project.start("run-background-job", "one")
    second = project.start("run-background-job", "two")
    first.wait_for("waiting")
    second.wait_for("waiting")
    first.send(signal.SIGKILL)
    first.end()
    two, one = sorted(project.runs(), key=lambda run: run["job"], reverse=True)
    assert (one["status"], two["status"]) == ("cancelled", "running")
    assert two["executions"]["cancelled"] == 0
    gate.write_text("open")
    assert second.end() == 0
    gate.unlink()
    gate.touch()
    assert project.counts(two["id"]) == {"total": 200, "succeeded": 200}
    assert project("retry-run", one["id"]).code == 0


def test_a_living_run_is_not_retried(project: Faulty) -> None:
    project.tenants(TENANTS.format(4))
    project.job("work", WORK)
    run = project.start("run-background-job", "work")
    run.wait_for("waiting", times=2)
    refused = project("retry-run", "last")
    assert refused.code == 2
    assert "is still running" in refused.err
    run.send(signal.SIGINT)
    assert run.end() == 130
    assert len(project.runs()) == 1


STUCK = """
    class Stuck(BackgroundJob):
        runs_in = {!r}
        def run(self):
            print("waiting", flush=True)
            while True:
                threading.Event().wait()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_stuck_process_ends_with_the_run(project: Faulty, number: signal.Signals, code: int) -> None:
    """A terminal sends Ctrl-C to the processes of the jobs as well; a SIGKILL they only see by its effect."""
    project.job("stuck", STUCK.format("process"))
    run = project.start("run-background-job", "stuck")
    run.wait_for("waiting")
    if number == signal.SIGKILL:
        run.send(number)
    else:
        os.killpg(run.process.pid, number)
    assert run.end() == code  # the output has an end: nobody is left to write to it
    assert project.counts() == {"total": 1, "cancelled": 1}
    project.works()


def test_a_second_sigterm_ends_at_once_what_a_first_can_not_stop(project: Faulty) -> None:
    project.job(
        "deaf",
        """
        import threading
        from pinstripe import BackgroundJob

        class Deaf(BackgroundJob):
            def run(self):
                print("waiting")
                while not self.attempt.cancelled:
                    threading.Event().wait(0.01)
                threading.Event().wait(1.2)  # longer than one signal that comes twice
                print("still there")
                threading.Event().wait()
        """,
    )
    run = project.start("run-background-job", "deaf")
    run.wait_for("waiting")
    run.send(signal.SIGTERM)
    run.send(signal.SIGTERM)  # as timeout(1) does: to the process, and to its group
    run.wait_for("still there")
    run.send(signal.SIGTERM)
    assert run.end() == 143
    assert project.counts() == {"total": 1, "cancelled": 1}


def test_a_thread_can_not_be_stopped_but_ended(project: Faulty) -> None:
    project.job("stuck", STUCK.format(None))
    run = project.start("run-background-job", "stuck")
    run.wait_for("waiting")
    run.send(signal.SIGINT)
    run.wait_for("press Ctrl-C again to stop at once")
    run.send(signal.SIGINT)
    assert run.end() == 130
    assert project.counts() == {"total": 1, "cancelled": 1}
