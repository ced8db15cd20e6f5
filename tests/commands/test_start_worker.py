from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.commands.conftest import Command, Start, Started
    from tests.conftest import ProjectFolder

SETTINGS = """
    [tool.pinstripe.tenants]
    source = "shop:tenants"

    [tool.pinstripe.worker]
    shutdown_grace = "{}"
"""

CRASH = """
    import os, pathlib, signal
    from pinstripe import BackgroundJob

    class CrashOnce(BackgroundJob):
        def run(self):
            if not pathlib.Path("crashed").exists():
                pathlib.Path("crashed").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            print("survived")
"""

BLOCK = """
    import threading
    from pinstripe import BackgroundJob

    class Block(BackgroundJob):
        async def run(self):
            print("blocking")
            threading.Event().wait()
"""

STICK = """
    import threading
    from pinstripe import BackgroundJob

    class Stick(BackgroundJob):
        def run(self):
            print("stuck")
            threading.Event().wait()
"""


NESTS = """
    from pinstripe import BackgroundJob

    class Nests(BackgroundJob):
        timeout = "200ms"

        async def run(self):
            await self.run_background_job("stick")
"""

MEDDLES = """
    import asyncio, sys
    from pinstripe import BackgroundJob

    class Meddles(BackgroundJob):
        async def run(self, how: str):
            print("meddling")
            await getattr(self, how)()

        async def cancels(self):
            for task in asyncio.all_tasks():
                task.cancel()
            await asyncio.sleep(0)

        async def stops(self):
            asyncio.get_running_loop().stop()
            await asyncio.Event().wait()

        async def exits(self):
            async with asyncio.TaskGroup() as group:
                group.create_task(self.exit())

        async def exit(self):
            sys.exit(0)
"""


def enqueue(pinstripe: Command, *words: str) -> None:
    answer = pinstripe("run-background-job", *words, "--enqueue")
    assert answer.code == 0, answer.err


def last_run(pinstripe: Command) -> dict[str, object]:
    found: dict[str, object] = pinstripe("show-run", "last", "--json").json
    return found


def executions(pinstripe: Command) -> dict[str, int]:
    """Give the counts of the last run that aren't zero."""
    found: dict[str, int] = pinstripe("show-run", "last", "--json").json["executions"]
    return {name: count for name, count in found.items() if count and name != "total"}


def send(command: Started, number: signal.Signals) -> None:
    os.kill(command.process.pid, number)


def test_what_was_queued_is_done_and_the_ledger_named(
    shop: ProjectFolder, pinstripe: Command, process: Command
) -> None:
    enqueue(pinstripe, "hello")
    (shop.path / "mended").touch()
    enqueue(pinstripe, "greet")
    answer = process("start-worker", "--drain", "--concurrency", "1")
    assert (answer.code, answer.err) == (0, "")
    first, *rest = answer.out.splitlines()
    assert first == f"Working on 7 jobs, 1 execution at once, by the ledger {shop.path}/.pinstripe/ledger.db"
    assert rest[-1] == "Nothing is left."
    assert "hello | hello" in rest
    assert "greet acme | hello acme" in rest
    assert last_run(pinstripe)["status"] == "succeeded"
    assert executions(pinstripe) == {"succeeded": 2}


def test_what_is_due_later_is_left_and_told(pinstripe: Command, process: Command) -> None:
    enqueue(pinstripe, "hello", "--delay", "2h")
    answer = process("start-worker", "--drain")
    assert answer.code == 0
    left = r"Nothing is ready any more\. Left: 1 waits for its time at \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$"
    assert re.search(left, answer.out, re.MULTILINE)
    assert executions(pinstripe) == {"queued": 1}


def test_a_run_whose_tenants_nobody_can_select_is_told(
    shop: ProjectFolder, pinstripe: Command, process: Command
) -> None:
    enqueue(pinstripe, "greet")
    (shop.path / "lib/background_jobs/greet.py").unlink()
    answer = process("start-worker", "--drain", "--without-bot")
    assert answer.code == 0
    assert answer.out.endswith("Left: 1 run whose tenants are to be selected\n")


def test_broken_files_are_told_and_keep_no_other_from_working(
    shop: ProjectFolder, pinstripe: Command, process: Command
) -> None:
    enqueue(pinstripe, "hello")
    shop.job("broken", "class Broken(:\n")
    shop.service("mailer", "x = 1\n")
    answer = process("start-worker", "--drain")
    assert answer.code == 0
    assert "lib/background_jobs/broken.py:1: SyntaxError: invalid syntax\n" in answer.err
    assert "lib/services/mailer.py: " in answer.err
    assert answer.out.startswith("Working on 7 jobs, ")
    assert last_run(pinstripe)["status"] == "succeeded"


@pytest.mark.parametrize(
    ("words", "settings", "told"),
    [
        (("--concurrency", "0"), "", "0 is not in the range x>=1"),
        (("--concurrency", "9" * 20), "", "expected a whole number from 1 to 100,000"),
        ((), "worker.processes = 0", "expected a whole number from 1 to 100,000"),
        ((), "setup = 'nowhere:setup'", "nowhere"),
    ],
)
def test_what_cannot_be_configured_is_exit_code_2(
    shop: ProjectFolder, process: Command, words: tuple[str, ...], settings: str, told: str
) -> None:
    shop.configure(settings)
    answer = process("start-worker", *words)
    assert (answer.code, answer.out) == (2, "")
    assert told in answer.err


def test_a_ledger_that_cannot_be_used_is_exit_code_4(shop: ProjectFolder, process: Command) -> None:
    shop.configure("ledger = 'sqlite:///lib'")
    assert process("start-worker").code == 4
    assert process("start-worker", "--processes", "2").code == 4


@pytest.mark.parametrize("processes", ["1", "2"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it_and_what_did_not_end_is_queued_again(
    shop: ProjectFolder, pinstripe: Command, started: Start, number: signal.Signals, code: int, processes: str
) -> None:
    shop.configure(SETTINGS.format("50ms"))
    enqueue(pinstripe, "wait")
    worker = started("start-worker", "--processes", processes)
    worker.wait_for("waiting")
    send(worker, number)
    assert worker.end() == code
    assert worker.seen.count("Stopping: what runs may end within 50ms; another ") == 1
    assert "Warning" not in worker.seen
    assert executions(pinstripe) == {"queued": 2}


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_second_signal_ends_it_at_once(
    shop: ProjectFolder, pinstripe: Command, started: Start, processes: str
) -> None:
    shop.configure(SETTINGS.format("1h"))
    enqueue(pinstripe, "wait")
    worker = started("start-worker", "--processes", processes)
    worker.wait_for("waiting")
    send(worker, signal.SIGTERM)
    worker.wait_for("Stopping: what runs may end within 1h; another SIGTERM, or Ctrl-C, stops it at once.")
    send(worker, signal.SIGTERM)  # as timeout(1) does it, to the process and its group
    send(worker, signal.SIGINT)
    worker.wait_for("Stopping at once")
    assert worker.end() == 143
    assert executions(pinstripe) == {"queued": 2}


def test_a_third_signal_ends_a_process_whose_event_loop_is_blocked(
    shop: ProjectFolder, pinstripe: Command, started: Start
) -> None:
    shop.job("block", BLOCK)
    enqueue(pinstripe, "block")
    worker = started("start-worker")
    worker.wait_for("blocking")
    for told in ("Stopping: ", "Stopping at once"):
        send(worker, signal.SIGINT)
        worker.wait_for(told)
    send(worker, signal.SIGINT)
    assert worker.end() == 130


def test_a_thread_that_does_not_end_keeps_nothing_from_ending(
    shop: ProjectFolder, pinstripe: Command, started: Start
) -> None:
    shop.configure(SETTINGS.format("50ms"))
    shop.job("stick", STICK)
    enqueue(pinstripe, "stick")
    worker = started("start-worker")
    worker.wait_for("stuck")
    send(worker, signal.SIGTERM)
    assert worker.end() == 143
    assert "left behind and still running: stick" in worker.seen
    shop.job("stick", CRASH.replace("CrashOnce", "Stick").replace("not pathlib", "False and pathlib"))
    again = started("start-worker", "--drain")
    assert again.end() == 0
    assert "survived" in again.seen
    assert last_run(pinstripe)["status"] == "succeeded"


def test_a_stream_that_a_job_has_closed_keeps_nothing_from_ending(
    shop: ProjectFolder, pinstripe: Command, started: Start
) -> None:
    shop.configure(SETTINGS.format("50ms"))
    shop.job("stick", STICK.replace("print(", "import sys; sys.__stdout__.close(); print("))
    enqueue(pinstripe, "stick")
    worker = started("start-worker")
    worker.wait_for("I/O operation on closed file")
    send(worker, signal.SIGTERM)
    assert worker.end() == 143


def test_a_thread_that_outlives_the_job_that_waited_for_it_keeps_nothing_from_ending(
    shop: ProjectFolder, pinstripe: Command, started: Start
) -> None:
    shop.configure(SETTINGS.format("50ms"))
    shop.job("stick", STICK)
    shop.job("nests", NESTS)
    enqueue(pinstripe, "nests")
    worker = started("start-worker")
    worker.wait_for("nests failed")
    send(worker, signal.SIGTERM)
    assert worker.end() == 143


@pytest.mark.parametrize(("how", "status"), [("cancels", "cancelled"), ("stops", "failed"), ("exits", "failed")])
def test_a_job_that_meddles_with_the_event_loop_ends_one_worker_and_no_further_one(
    shop: ProjectFolder, pinstripe: Command, process: Command, how: str, status: str
) -> None:
    shop.job("meddles", MEDDLES)
    enqueue(pinstripe, "wait")
    enqueue(pinstripe, "meddles", how)
    shop.configure(SETTINGS.format("50ms"))
    answer = process("start-worker", "--drain")
    assert answer.code == 1
    assert answer.err.endswith("runs again, each alone in a process of its own.\n")
    assert "Traceback" not in answer.err
    assert pinstripe("pause", "--job", "wait").code == 0
    answer = process("start-worker", "--drain")
    assert answer.code == 0
    assert last_run(pinstripe)["status"] == status


def test_a_signal_while_the_project_is_set_up_is_heard(shop: ProjectFolder, pinstripe: Command, started: Start) -> None:
    enqueue(pinstripe, "hello")
    os.mkfifo(shop.path / "news")
    shop.file(
        "boot.py",
        """
        def setup():
            print("setting up", flush=True)
            open("news").read()
        """,
    )
    shop.configure("setup = 'boot:setup'")
    worker = started("start-worker")
    worker.wait_for("setting up")
    send(worker, signal.SIGTERM)
    worker.wait_for("Stopping")
    (shop.path / "news").write_text("go on")
    assert worker.end() == 143
    shop.configure("")
    assert executions(pinstripe) == {"queued": 1}


def test_a_second_signal_while_the_project_is_set_up_ends_it(shop: ProjectFolder, started: Start) -> None:
    os.mkfifo(shop.path / "news")
    shop.file("boot.py", "def setup():\n    print('setting up', flush=True)\n    open('news').read()\n")
    shop.configure("setup = 'boot:setup'")
    worker = started("start-worker")
    worker.wait_for("setting up")
    send(worker, signal.SIGTERM)
    worker.wait_for("Stopping")
    send(worker, signal.SIGINT)
    assert worker.end() == 130


def test_a_process_that_crashes_is_replaced_and_its_work_done(
    shop: ProjectFolder, pinstripe: Command, started: Start
) -> None:
    shop.job("crash_once", CRASH)
    enqueue(pinstripe, "crash_once")
    worker = started("start-worker", "--processes", "2")
    worker.wait_for("survived")
    assert re.search(
        r"^Warning: the worker's process \d+ ended: signal SIGKILL; another one starts in 0\.1s\.$",
        worker.seen,
        re.MULTILINE,
    )
    send(worker, signal.SIGTERM)
    assert worker.end() == 143
    assert last_run(pinstripe)["status"] == "succeeded"


def test_several_processes_drain_and_end(shop: ProjectFolder, pinstripe: Command, process: Command) -> None:
    (shop.path / "mended").touch()
    enqueue(pinstripe, "greet")
    answer = process("start-worker", "--processes", "2", "--drain")
    assert (answer.code, answer.err) == (0, "")
    first, *rest = answer.out.splitlines()
    assert first.startswith("Working on 7 jobs, 20 executions at once in each of 2 processes, by the ledger ")
    assert rest[-1] == "Nothing is left."
    assert executions(pinstripe) == {"succeeded": 2}


def test_processes_end_with_their_supervisor(shop: ProjectFolder, pinstripe: Command, started: Start) -> None:
    shop.configure(SETTINGS.format("50ms"))
    enqueue(pinstripe, "wait")
    worker = started("start-worker", "--processes", "2")
    worker.wait_for("waiting")
    worker.process.kill()
    assert worker.end() == -signal.SIGKILL  # and nobody holds the pipe any more
    assert executions(pinstripe) == {"queued": 2}


def test_a_terminal_is_told_how_to_stop(terminal: Start) -> None:
    worker = terminal("start-worker")
    worker.wait_for("Press Ctrl-C to stop.")
    worker.type("\x03")
    worker.wait_for("another Ctrl-C stops it at once")
    assert worker.end() == 130


def test_on_a_terminal_one_ctrl_c_is_one_for_all_processes(
    shop: ProjectFolder, pinstripe: Command, terminal: Start
) -> None:
    shop.configure(SETTINGS.format("50ms"))
    enqueue(pinstripe, "wait")
    worker = terminal("start-worker", "--processes", "2")
    worker.wait_for("waiting")
    worker.type("\x03")
    assert worker.end() == 130
    assert "Stopping at once" not in worker.seen
    assert executions(pinstripe) == {"queued": 2}


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_ledger_that_is_removed_is_exit_code_4(
    shop: ProjectFolder, pinstripe: Command, started: Start, processes: str
) -> None:
    shop.job("stick", STICK)  # whose thread doesn't keep it from ending
    enqueue(pinstripe, "stick")
    worker = started("start-worker", "--processes", processes)
    worker.wait_for("stuck")
    (shop.path / ".pinstripe" / "ledger.db").unlink()
    assert worker.end() == 4
    assert "was removed or replaced while this process had it open" in worker.seen
    assert "Traceback" not in worker.seen
