from __future__ import annotations

import os
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.commands.conftest import Command, Start
    from tests.conftest import ProjectFolder

START = "start one:  pinstripe start-worker"


def test_in_a_project_without_a_ledger_nothing_goes_on_and_none_is_made(
    shop: ProjectFolder, pinstripe: Command
) -> None:
    answer = pinstripe("status")
    assert answer.code == 0
    assert answer.out.splitlines()[0] == "No process runs anything."
    assert answer.out.splitlines()[-1] == "Running: 0"
    assert pinstripe("status", "--json").json == {
        "processes": [],
        "queue": [
            {"priority": priority, "ready": 0, "oldest_at": None} for priority in ("interactive", "default", "bulk")
        ],
        "held": {"due": 0, "limit": 0, "tenant_limit": 0, "paused": 0, "overlap": 0},
        "running": 0,
        "selecting": 0,
        "next_due_at": None,
        "pauses": [],
    }
    assert not (shop.path / ".pinstripe").exists()


def test_what_waits_is_shown_by_priority_and_reason(pinstripe: Command) -> None:
    pinstripe("run-background-job", "hello", "--enqueue", "--priority", "interactive")
    pinstripe("run-background-job", "greet", "--tenant", "acme", "--tenant", "globex", "--enqueue")
    pinstripe("run-background-job", "hello", "--enqueue", "--at", "2126-01-01T00:00Z")
    pinstripe("run-background-job", "greet", "--enqueue")
    lines = pinstripe("status").out.splitlines()
    assert [line.split()[:2] for line in lines[2:6]] == [
        ["QUEUE", "READY"],
        ["interactive", "1"],
        ["default", "0"],
        ["bulk", "2"],
    ]
    assert "Selecting tenants: 1 run" in lines
    assert "Held: 1 waits for its time at 2126-01-01 00:00:00Z" in lines
    assert lines[-1].endswith(START)
    status = pinstripe("status", "--json").json
    assert [line["ready"] for line in status["queue"]] == [1, 0, 2]
    assert datetime.fromisoformat(status["queue"][0]["oldest_at"]) < datetime.fromisoformat(
        status["queue"][2]["oldest_at"]
    )
    assert (status["held"]["due"], status["selecting"]) == (1, 1)
    assert status["next_due_at"] == "2126-01-01T00:00:00.000000Z"


def test_pauses_are_shown_and_what_is_paused_needs_no_worker(pinstripe: Command, process: Command) -> None:
    pinstripe("pause", "--job", "hello")
    pinstripe("run-background-job", "hello", "--enqueue")
    process("start-worker", "--drain")
    answer = pinstripe("status")
    assert "Held: 1 is paused\nPaused:\n  job hello, since " in answer.out
    assert START not in answer.out


def test_a_worker_is_shown_with_what_it_runs(started: Start, pinstripe: Command) -> None:
    worker = started("start-worker", "--concurrency", "3")
    pinstripe("run-background-job", "wait", "--tenant", "acme", "--tenant", "globex", "--enqueue")
    follower = started("show-run", "last", "--follow")
    follower.wait_for("Following run ")
    worker.wait_for("waiting")
    answer = pinstripe("status")
    heading, line = answer.out.splitlines()[:2]
    assert heading.split() == ["HOST", "PID", "RUNS", "VERSION", "HEARD", "STATE"]
    assert line.split()[:2] == [os.uname().nodename, str(worker.process.pid)]
    assert " of 3 " in line
    assert line.endswith(" ago  works")
    assert START not in answer.out
    (process,) = pinstripe("status", "--json").json["processes"]
    assert (process["pid"], process["concurrency"], process["stopping"]) == (worker.process.pid, 3, False)
    assert process["started_at"] <= process["heard_at"]


def test_a_run_by_hand_is_shown_and_is_no_worker(started: Start, pinstripe: Command) -> None:
    by_hand = started("run-background-job", "wait")
    by_hand.wait_for("waiting")
    pinstripe("run-background-job", "hello", "--enqueue")
    answer = pinstripe("status")
    assert answer.out.splitlines()[1].endswith("  by hand")
    assert "Running: 2\n" in answer.out
    assert START in answer.out
    (process,) = pinstripe("status", "--json").json["processes"]
    assert (process["running"], process["concurrency"]) == (2, None)
