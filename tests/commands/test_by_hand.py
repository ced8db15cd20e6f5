from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.commands.conftest import Command, Start
    from tests.conftest import ProjectFolder


@pytest.mark.parametrize(
    ("number", "code", "again"),
    [
        (signal.SIGINT, 130, "press Ctrl-C again to stop at once."),
        (signal.SIGTERM, 143, "another SIGTERM, or Ctrl-C, stops at once."),
    ],
)
def test_a_signal_stops_cleanly_and_retry_carries_on(
    started: Start, pinstripe: Command, number: signal.Signals, code: int, again: str
) -> None:
    run = started("run-background-job", "wait", "--concurrency", "1")
    run.wait_for("waiting")
    run.process.send_signal(number)
    assert run.end() == code
    assert f"Stopping… {again}" in run.seen
    assert "wait cancelled: 2 cancelled of 2 in " in run.seen
    assert "Run again:  pinstripe retry-run " in run.seen
    shown = pinstripe("show-run", "last", "--json").json
    assert (shown["status"], shown["executions"]["cancelled"]) == ("cancelled", 2)
    reasons = [
        pinstripe("show-run", "last", "--tenant", tenant, "--json").json["error"] for tenant in ("acme", "globex")
    ]
    assert reasons == ["interrupted", "not started"]
    retried = pinstripe("retry-run", "last", "--timeout", "20ms")
    assert (retried.code, "2 failed of 2" in retried.out) == (1, True)


def test_a_job_that_cancels_itself_says_why(shop: ProjectFolder, pinstripe: Command) -> None:
    shop.job(
        "refuse",
        """
        from pinstripe import BackgroundJob, Cancel

        class Refuse(BackgroundJob):
            async def run(self):
                raise Cancel("the card has expired")
        """,
    )
    answer = pinstripe("run-background-job", "refuse")
    first, second, *_ = answer.out.splitlines()
    assert (answer.code, second) == (1, "the card has expired")
    assert first.startswith("refuse cancelled in ")


def test_a_signal_is_in_the_json_too(started: Start) -> None:
    run = started("run-background-job", "wait", "--json")
    run.wait_for("waiting")
    run.process.send_signal(signal.SIGINT)
    assert run.end() == 130
    assert '"status": "cancelled"' in run.seen


def test_a_second_ctrl_c_ends_at_once_and_the_next_command_mends_the_ledger(started: Start, pinstripe: Command) -> None:
    run = started("run-background-job", "stubborn")
    run.wait_for("waiting")
    run.process.send_signal(signal.SIGINT)
    run.wait_for("not me")
    run.process.send_signal(signal.SIGINT)
    assert run.end() == 130
    (shown,) = pinstripe("list-runs", "--json").json
    assert (shown["status"], shown["executions"]["cancelled"]) == ("cancelled", 1)


def test_a_ctrl_c_ends_at_once_what_a_sigterm_has_begun_to_stop(started: Start) -> None:
    run = started("run-background-job", "stubborn")
    run.wait_for("waiting")
    run.process.send_signal(signal.SIGTERM)
    run.wait_for("not me")
    run.process.send_signal(signal.SIGINT)
    assert run.end() == 130


def test_a_job_that_blocks_the_event_loop_can_still_be_ended(shop: ProjectFolder, started: Start) -> None:
    shop.job(
        "block",
        """
        import time
        from pinstripe import BackgroundJob
        class Block(BackgroundJob):
            async def run(self):
                print("waiting", flush=True)
                time.sleep(60)
        """,
    )
    run = started("run-background-job", "block")
    run.wait_for("waiting")
    run.process.send_signal(signal.SIGINT)
    run.wait_for("Stopping")
    run.process.send_signal(signal.SIGINT)
    assert run.end() == 130


def test_threads_left_behind_are_named_and_do_not_keep_the_process(process: Command) -> None:
    answer = process("run-background-job", "leave_thread")
    assert answer.code == 0
    assert "forgotten" in answer.err
    assert answer.out.startswith("leave_thread succeeded in ")


def test_interrupted_before_anything_ran(shop: ProjectFolder, started: Start, pinstripe: Command) -> None:
    shop.file(
        "shop.py",
        """
        import asyncio
        async def tenants():
            print("asked", flush=True)
            await asyncio.Event().wait()
            yield "acme"
        """,
    )
    run = started("run-background-job", "greet")
    run.wait_for("asked")
    run.process.send_signal(signal.SIGINT)
    assert run.end() == 130
    assert "Interrupted before anything ran." in run.seen
    assert pinstripe("list-runs", "--json").json == []


def test_one_execution_on_a_terminal_has_it_for_itself(terminal: Start) -> None:
    run = terminal("run-background-job", "ask")
    run.wait_for("your name? ")
    run.type("Ada\n")
    assert run.end() == 0
    assert 'Result: "Ada"' in run.seen


def test_breakpoint_works(shop: ProjectFolder, terminal: Start) -> None:
    shop.job(
        "stop_here",
        """
        from pinstripe import BackgroundJob
        class StopHere(BackgroundJob):
            multi_tenant = True
            async def run(self):
                answer = 6
                breakpoint()
                return answer * 7
        """,
    )
    run = terminal("run-background-job", "stop_here", "--tenant", "acme")
    run.wait_for("(Pdb)")
    run.type("answer = 1\nc\n")
    assert run.end() == 0
    assert "Result: 7" in run.seen


def test_ctrl_c_on_a_terminal(terminal: Start) -> None:
    run = terminal("run-background-job", "wait")
    run.wait_for("waiting")
    run.type("\x03")
    assert run.end() == 130
    assert "2 cancelled" in run.seen
