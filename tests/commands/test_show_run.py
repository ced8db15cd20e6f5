from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from tests.commands.conftest import Command, Start
    from tests.conftest import ProjectFolder


def test_a_run_is_shown_with_what_failed_and_how_to_retry_it(pinstripe: Command) -> None:
    pinstripe("run-background-job", "greet", "2")
    run = pinstripe("show-run", "last", "--json").json
    lines = pinstripe("show-run", run["id"][-8:]).out.splitlines()
    assert lines[0] == f"Run {run['id']} of greet"
    fields = {line[:13].strip(): line[13:].strip() for line in lines[1:7]}
    assert (fields["status"], fields["trigger"], fields["arguments"]) == ("failed", "cli", "2")
    assert fields["executions"] == "1 succeeded, 1 failed of 2"
    assert r"globex  ValueError: no \x1b[31maddress" in lines
    assert lines[-1] == f"Run again:  pinstripe retry-run {run['id'][-8:]}"
    assert run["failures"][0]["traceback"].startswith("Traceback")


def test_one_tenant_is_shown_with_its_log(pinstripe: Command) -> None:
    pinstripe("run-background-job", "greet")
    answer = pinstripe("show-run", "last", "--tenant", "globex")
    assert answer.code == 0
    assert 'greet.py", line ' in answer.out
    assert r"ValueError: no \x1b[31maddress" in answer.out
    assert answer.out.endswith("OUTPUT\nhello globex\n")
    execution = pinstripe("show-run", "last", "--tenant", "globex", "--json").json
    assert list(execution) == [
        *("run", "job", "tenant", "status", "attempts", "held", "due_at", "error", "traceback", "result"),
        *("started_at", "finished_at", "log"),
    ]
    assert (execution["status"], execution["log"]) == ("failed", "hello globex\n")


def test_a_job_without_tenants_is_shown_with_its_log(pinstripe: Command) -> None:
    pinstripe("run-background-job", "hello")
    answer = pinstripe("show-run", "last")
    assert "  result      5\n" in answer.out
    assert answer.out.endswith("OUTPUT\nhello\n")


def test_what_is_not_there_is_exit_code_2(pinstripe: Command) -> None:
    answer = pinstripe("show-run", "last")
    assert (answer.code, answer.out) == (2, "")
    pinstripe("run-background-job", "greet")
    answer = pinstripe("show-run", "last", "--tenant", "initech")
    assert (answer.code, answer.out) == (2, "")
    assert "has no tenant 'initech'" in answer.err
    assert pinstripe("show-run", "0000").code == 2


def test_a_run_is_followed_to_its_end(started: Start) -> None:
    run = started("run-background-job", "wait")
    run.wait_for("waiting")
    follower = started("show-run", "last", "--follow", "--json")
    follower.wait_for("Following run ")
    run.process.send_signal(signal.SIGINT)
    assert run.end() == 130
    assert follower.end() == 1
    assert '"status": "cancelled"' in follower.seen


def test_a_followed_run_whose_process_dies_ends_too(started: Start) -> None:
    run = started("run-background-job", "wait")
    run.wait_for("waiting")
    follower = started("show-run", "last", "--follow")
    follower.wait_for("Following run ")
    run.process.kill()
    assert follower.end() == 1
    assert "2 cancelled of 2" in follower.seen


def test_a_run_that_waits_tells_why(pinstripe: Command) -> None:
    pinstripe("run-background-job", "hello", "--enqueue")
    assert (
        "  waiting     queued; no worker is there; `pinstripe start-worker` starts one\n"
        in pinstripe("show-run", "last").out
    )
    pinstripe("run-background-job", "greet", "--tenant", "acme", "--tenant", "globex", "--enqueue", "--delay", "2h")
    assert "  waiting     2 wait for their time, the next at " in pinstripe("show-run", "last").out
    pinstripe("run-background-job", "greet", "--enqueue")
    shown = pinstripe("show-run", "last").out
    assert "  executions  selecting tenants\n" in shown
    assert "  waiting     its tenants wait to be selected; no worker is there" in shown


def test_one_that_is_to_be_tried_again_tells_of_its_attempts(
    shop: ProjectFolder, pinstripe: Command, process: Command
) -> None:
    shop.job(
        "again",
        """
        from pinstripe import BackgroundJob
        class Again(BackgroundJob):
            multi_tenant = True
            retries = 3
            async def run(self):
                raise ValueError("no luck")
        """,
    )
    pinstripe("run-background-job", "again", "--tenant", "acme", "--enqueue")
    assert "  attempts    0\n" in pinstripe("show-run", "last", "--tenant", "acme").out
    process("start-worker", "--drain")
    execution = pinstripe("show-run", "last", "--tenant", "acme", "--json").json
    assert (execution["status"], execution["attempts"], execution["held"]) == ("queued", 1, "due")
    assert execution["error"] == "ValueError: no luck"
    due = execution["due_at"]
    shown = pinstripe("show-run", "last", "--tenant", "acme").out
    assert f"  attempts    1, the next at {due[:10]} {due[11:19]}Z\n" in shown
    assert "ValueError: no luck" in shown


def test_a_skipped_tenant_tells_its_reason(pinstripe: Command) -> None:
    pinstripe("pause", "--tenant", "acme")
    pinstripe("run-background-job", "greet")
    shown = pinstripe("show-run", "last", "--tenant", "acme").out
    assert "  status      skipped\n" in shown
    assert "paused" in shown


def test_a_run_tells_why_tenants_were_skipped_or_cancelled(pinstripe: Command) -> None:
    pinstripe("pause", "--tenant", "acme")
    pinstripe("pause", "--tenant", "globex")
    pinstripe("run-background-job", "greet")
    assert "  skipped     paused (2)\n" in pinstripe("show-run", "last").out
    pinstripe("run-background-job", "greet", "--tenant", "acme", "--tenant", "globex", "--enqueue")
    pinstripe("cancel-run", "last")
    assert "  cancelled   cancelled by cancel-run (2)\n" in pinstripe("show-run", "last").out


def test_of_many_reasons_the_most_frequent_are_named(
    shop: ProjectFolder, pinstripe: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pinstripe.commands.show_run.MOST_REASONS", 1)
    shop.job(
        "leave",
        """
        from pinstripe import BackgroundJob, Cancel

        class Leave(BackgroundJob):
            multi_tenant = True

            def run(self):
                raise Cancel(f"{self.tenant.id} is\\x1b[31m closed")
        """,
    )
    pinstripe("run-background-job", "leave")
    shown = pinstripe("show-run", "last").out
    assert re.search(r"^  cancelled   \w+ is\\x1b\[31m closed \(1\); 1 other reason$", shown, re.MULTILINE)
