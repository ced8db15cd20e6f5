from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.commands.conftest import Command, Start
    from tests.conftest import ProjectFolder

GATED = '''
    class Gated(BackgroundJob):
        """Wait until the tenant may go on."""
        multi_tenant = True
        async def run(self):
            print("waiting", flush=True)
            while not pathlib.Path(self.tenant.id).exists():
                await asyncio.sleep(0.01)
    '''


@pytest.fixture
def gated(shop: ProjectFolder) -> ProjectFolder:
    """Give a shop of ten tenants, and a job that goes on for each of them when a file of its name is there."""
    shop.file("shop.py", "tenants = [f't{n}' for n in range(10)]")
    shop.job("gated", "import asyncio, pathlib\nfrom pinstripe import BackgroundJob\n")
    path = shop.path / "lib" / "background_jobs" / "gated.py"
    heading = path.read_text()
    shop.job("gated", GATED)
    path.write_text(heading + path.read_text())
    return shop


def test_a_run_that_waits_for_a_worker_says_so_until_there_is_one(
    started: Start, pinstripe: Command, process: Command
) -> None:
    pinstripe("run-background-job", "greet", "--tenant", "acme", "--tenant", "globex", "--enqueue")
    follower = started("show-run", "last", "--follow")
    follower.wait_for("greet: 2 are queued; no worker is there; `pinstripe start-worker` starts one\n")
    assert process("start-worker", "--drain").code == 0
    assert follower.end() == 1
    assert "  executions  1 succeeded, 1 failed of 2\n" in follower.seen
    assert follower.seen.rstrip().splitlines()[-1].startswith("Run again:  pinstripe retry-run ")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["hello", "--at", "2126-01-01T00:00Z"], "hello: 1 waits for its time at 2126-01-01 00:00:00Z"),
        (["greet", "--at", "2126-01-01T00:00Z"], "greet: its tenants are selected at 2126-01-01 00:00:00Z"),
        (["greet"], "greet: its tenants wait to be selected"),
    ],
)
def test_ctrl_c_ends_the_following_and_not_the_run(
    started: Start, pinstripe: Command, options: list[str], reason: str
) -> None:
    pinstripe("run-background-job", *options, "--enqueue")
    follower = started("show-run", "last", "--follow")
    follower.wait_for(reason)
    assert "selecting tenants" not in follower.seen
    follower.process.send_signal(signal.SIGINT)
    assert follower.end() == 130
    assert "No longer following; run " in follower.seen
    assert "End it:     pinstripe cancel-run " in follower.seen
    assert pinstripe("show-run", "last", "--json").json["status"] == "queued"


def test_a_paused_run_says_so(started: Start, pinstripe: Command, process: Command) -> None:
    pinstripe("pause", "--all")
    pinstripe("run-background-job", "hello", "--enqueue")
    process("start-worker", "--drain")
    follower = started("show-run", "last", "--follow")
    follower.wait_for("hello: 1 is paused; no worker is there")
    pinstripe("resume", "--all")
    process("start-worker", "--drain")
    assert follower.end() == 0


def test_on_a_terminal_there_is_a_bar(
    gated: ProjectFolder, terminal: Start, started: Start, pinstripe: Command
) -> None:
    pinstripe("run-background-job", "gated", "--enqueue")
    follower = terminal("show-run", "last", "--follow")
    follower.wait_for("its tenants wait to be selected")
    worker = started("start-worker")
    follower.wait_for("0 of 10")
    worker.wait_for("waiting")
    for number in range(9):
        gated.file(f"t{number}", "")
    follower.wait_for(" 9 of 10, ")
    gated.file("t9", "")
    assert follower.end() == 0
    assert "10 succeeded" in follower.seen


def test_json_is_the_one_final_run(started: Start, pinstripe: Command, process: Command) -> None:
    started("start-worker").wait_for("Working on ")
    pinstripe("run-background-job", "greet", "--enqueue")
    answer = process("show-run", "last", "--follow", "--json")
    assert answer.code == 1
    assert (answer.json["status"], answer.json["failures"][0]["tenant"]) == ("failed", "globex")


def test_one_tenant_is_shown_when_the_run_is_finished(started: Start, pinstripe: Command, process: Command) -> None:
    started("start-worker").wait_for("Working on ")
    pinstripe("run-background-job", "greet", "--enqueue")
    answer = process("show-run", "last", "--follow", "--tenant", "acme")
    assert answer.out.endswith("OUTPUT\nhello acme\n")


@pytest.mark.parametrize(("job", "code"), [("hello", 0), ("boom", 1)])
def test_of_a_finished_run_the_exit_code_tells_its_end(pinstripe: Command, job: str, code: int) -> None:
    pinstripe("run-background-job", job)
    assert pinstripe("show-run", "last").code == 0
    assert pinstripe("show-run", "last", "--follow").code == code


def test_where_nothing_ran_the_exit_code_is_3(pinstripe: Command) -> None:
    pinstripe("run-background-job", "greet", "--where", "plan=none")
    assert pinstripe("show-run", "last", "--follow").code == 3


def test_on_a_terminal_ctrl_c_takes_the_bar_away(
    gated: ProjectFolder, terminal: Start, started: Start, pinstripe: Command
) -> None:
    started("start-worker").wait_for("Working on ")
    pinstripe("run-background-job", "gated", "--enqueue")
    follower = terminal("show-run", "last", "--follow")
    follower.wait_for("━")
    follower.type("\x03")
    assert follower.end() == 130
    shown = follower.seen.rpartition("━")[2]
    assert "\x1b[?25h" in shown, "the cursor is shown again"
    assert "\r\nNo longer following; run " in shown
    for number in range(10):
        gated.file(f"t{number}", "")
