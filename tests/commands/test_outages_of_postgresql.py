"""What is going on while the server that has the ledger is away goes on when it is there again."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from pinstripe.commands.by_hand import AT_ONCE
from tests.postgres import OWNER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.commands.conftest import Command, Start
    from tests.conftest import ProjectFolder
    from tests.postgres import Postgres

AWAIT_FILE = """\
import asyncio
import pathlib

from pinstripe import BackgroundJob


class AwaitFile(BackgroundJob):
    multi_tenant = True

    async def run(self):
        print("waiting", flush=True)
        while not pathlib.Path("go").exists():
            await asyncio.sleep(0.01)
"""


@pytest.fixture(autouse=True)
def server(shop: ProjectFolder, postgres_to_stop: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Postgres]:
    """Give the shop a ledger on a server that the test may stop, and a job that awaits the file `go`."""
    shop.file("lib/background_jobs/await_file.py", AWAIT_FILE)
    with postgres_to_stop.database() as name:
        monkeypatch.setenv("PINSTRIPE_LEDGER", postgres_to_stop.url(name))
        yield postgres_to_stop


@pytest.fixture
def go(shop: ProjectFolder) -> Path:
    """Give the path of that file."""
    return shop.path / "go"


def test_what_ends_meanwhile_in_a_run_by_hand_is_recorded(
    server: Postgres, go: Path, started: Start, pinstripe: Command
) -> None:
    run = started("run-background-job", "await_file")
    run.wait_for("waiting")
    with server.stopped():
        go.touch()
        run.wait_for("is away, and is waited for, for up to 60s: ")
    assert run.end() == 0
    assert run.seen.count("is away") == run.seen.count("is there again") == 1
    (recorded,) = pinstripe("list-runs", "--json").json
    assert (recorded["status"], recorded["executions"]["succeeded"]) == ("succeeded", 2)


def test_a_run_by_hand_waits_for_no_longer_than_a_lease(
    server: Postgres, go: Path, started: Start, pinstripe: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PINSTRIPE_WORKER_LEASE", "1s")
    run = started("run-background-job", "await_file")
    run.wait_for("waiting")
    with server.stopped():
        go.touch()
        assert run.end() == 4
    assert "is waited for, for up to 1s: " in run.seen
    assert "Error: the ledger " in run.seen
    assert "retention" not in run.seen
    assert pinstripe("show-run", "last").code == 0


def test_a_second_ctrl_c_ends_a_run_by_hand_that_waits_and_says_what_becomes_of_it(
    server: Postgres, started: Start, pinstripe: Command
) -> None:
    run = started("run-background-job", "await_file", "--tenant", "acme")
    run.wait_for("waiting")
    with server.stopped():
        run.process.send_signal(signal.SIGINT)
        run.wait_for("is away, and is waited for, for up to 60s: ")
        assert "Stopping… press Ctrl-C again to stop at once.\n" in run.seen
        run.process.send_signal(signal.SIGINT)
        assert run.end() == 130
    assert run.seen.endswith(AT_ONCE)
    (recorded,) = pinstripe("list-runs", "--json").json
    assert (recorded["status"], recorded["executions"]["cancelled"]) == ("cancelled", 1)


def test_who_follows_a_run_goes_on(server: Postgres, go: Path, started: Start, process: Command) -> None:
    follower = started("run-background-job", "await_file", "--enqueue", "--wait")
    follower.wait_for("no worker is there")
    with server.stopped():
        follower.wait_for("How far it is can't be seen, which is tried again for 60 s: the ledger ")
    go.touch()
    assert process("start-worker", "--drain").code == 0
    assert follower.end() == 0
    assert follower.seen.count("can't be seen") == 1


WAITS = "Waiting for the ledger's server, which is away: the ledger postgresql://"

SERVERS = [("start-worker",), ("start-worker", "--processes", "2"), ("start-server", "--host", "0")]


@pytest.mark.parametrize(
    ("words", "begins"), list(zip(SERVERS, ["Working on", "Working on", "Serving no application"], strict=True))
)
def test_who_starts_before_the_server_waits_for_it(
    server: Postgres, go: Path, started: Start, pinstripe: Command, words: tuple[str, ...], begins: str
) -> None:
    go.touch()
    with server.stopped():
        command = started(*words)
        command.wait_for(WAITS)
        assert begins not in command.seen
    command.wait_for("The ledger's server is there.")
    assert pinstripe("run-background-job", "await_file", "--enqueue", "--wait").code == 0
    command.process.send_signal(signal.SIGTERM)
    assert command.end() == 143
    assert begins in command.seen
    assert command.seen.count(WAITS) == 1


@pytest.mark.parametrize("words", SERVERS)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_that_wait(
    server: Postgres, started: Start, words: tuple[str, ...], number: signal.Signals, code: int
) -> None:
    with server.stopped():
        command = started(*words)
        command.wait_for(WAITS)
        command.process.send_signal(number)
        assert command.end() == code
    assert "Traceback" not in command.seen


@pytest.mark.parametrize("words", SERVERS)
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"password": "wrong"}, "lets nobody in by that name and password: mend its URL"),
        ({"database": "nowhere"}, "is not there: create the database, or mend its name in the URL"),
    ],
)
def test_for_what_has_to_be_mended_nobody_waits(
    server: Postgres,
    process: Command,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    wrong: dict[str, str],
    said: str,
) -> None:
    monkeypatch.setenv("PINSTRIPE_LEDGER", server.url(user=OWNER, **wrong))
    answer = process(*words)
    assert (answer.code, answer.out) == (4, "")
    assert said in answer.err
    assert "Waiting" not in answer.err


@pytest.mark.parametrize("processes", ["1", "2"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_worker_whose_server_has_gone(
    server: Postgres, started: Start, processes: str, number: signal.Signals, code: int
) -> None:
    worker = started("start-worker", "--processes", processes)
    worker.wait_for("Letting 1 schedule fire")
    with server.stopped():
        worker.wait_for("can't be reached")
        worker.process.send_signal(number)
        assert worker.end() == code
    assert "retention" not in worker.seen
