from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pinstripe import open_project
from pinstripe.clock import to_iso, to_microseconds
from pinstripe.fires import Fire, KnownSchedule
from pinstripe.ledger import NO_TENANT, NewRun
from pinstripe.queue import NewWork
from pinstripe.run import Trigger

if TYPE_CHECKING:
    from tests.commands.conftest import Command, Start
    from tests.conftest import ProjectFolder

START = "start one:  pinstripe start-worker"


def test_in_a_project_without_a_ledger_nothing_goes_on_and_none_is_made(
    shop: ProjectFolder, pinstripe: Command
) -> None:
    answer = pinstripe("status")
    assert answer.code == 0
    assert answer.out == (
        f"There is no ledger yet: {shop.path}/.pinstripe/ledger.db\nWhatever runs or is enqueued first makes it.\n"
    )
    assert pinstripe("status", "--json").json == {
        "ledger": {"made": False, "trouble": None},
        "processes": [],
        "queue": [
            {"priority": priority, "ready": 0, "oldest_at": None} for priority in ("interactive", "default", "bulk")
        ],
        "held": {"due": 0, "limit": 0, "tenant_limit": 0, "paused": 0, "overlap": 0},
        "lacking": [],
        "running": 0,
        "selecting": 0,
        "next_due_at": None,
        "pauses": [],
        "schedules": {"total": 0, "next_fire_at": None, "bots": 0},
        "overdue": [],
    }
    assert not (shop.path / ".pinstripe").exists()


def test_where_nothing_goes_on_is_shown_that_nothing_does(pinstripe: Command) -> None:
    pinstripe("pause", "--all")  # which makes the ledger
    pinstripe("resume", "--all")
    lines = pinstripe("status").out.splitlines()
    assert (lines[0], lines[-1]) == ("No process runs anything.", "Running: 0")
    assert pinstripe("status", "--json").json["ledger"] == {"made": True, "trouble": None}


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
    worker = started("start-worker", "--concurrency", "3", "--without-bot")
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
    assert process["bot"] is False
    assert process["started_at"] <= process["heard_at"]


def test_what_a_worker_runs_is_shown_below_it(started: Start, pinstripe: Command) -> None:
    worker = started("start-worker", "--without-bot")
    pinstripe("run-background-job", "wait", "--tenant", "acme", "--tenant", "globex", "--enqueue")
    worker.wait_for("acme | waiting")
    worker.wait_for("globex | waiting")
    run = pinstripe("list-runs", "--json").json[0]["id"]
    lines = pinstripe("status").out.splitlines()
    assert sorted(line.partition(":")[0] for line in lines[2:4]) == ["  wait for acme", "  wait for globex"]
    assert all(line.endswith(f" so far, in run {run[-8:]}") for line in lines[2:4])
    (process,) = pinstripe("status", "--json").json["processes"]
    assert {(one["job"], one["tenant"], one["run"]) for one in process["executions"]} == {
        ("wait", "acme", run),
        ("wait", "globex", run),
    }
    assert process["started_at"] <= process["executions"][0]["started_at"]


def test_what_a_worker_lacks_the_job_of_is_named_in_the_status_and_in_its_run(
    shop: ProjectFolder, pinstripe: Command, process: Command
) -> None:
    pinstripe("run-background-job", "hello", "--enqueue")
    pinstripe("run-background-job", "greet", "--tenant", "acme", "--tenant", "globex", "--enqueue")
    pinstripe("run-background-job", "wait", "--enqueue")
    jobs = shop.path / "lib" / "background_jobs"
    for name in ("hello", "greet", "wait"):
        (jobs / f"{name}.py").rename(jobs / f"_{name}.py")  # as in a worker of the version before
    assert process("start-worker", "--drain", "--without-bot").code == 0
    answer = pinstripe("status")
    assert "Held: 3 wait for a worker that has their job\n" in answer.out
    at = answer.out.index("No worker that took it has the job:")
    assert answer.out[at:].splitlines()[1:4] == [
        "  greet, 2 wait",
        "  hello, 1 waits",
        "  wait, 1 run whose tenants are to be selected",
    ]
    lacking = pinstripe("status", "--json").json["lacking"]
    assert lacking == [
        {"job": "greet", "waiting": 2, "selecting": 0},
        {"job": "hello", "waiting": 1, "selecting": 0},
        {"job": "wait", "waiting": 0, "selecting": 1},
    ]
    shown = pinstripe("show-run", "last").out
    assert "  waiting     its tenants wait to be selected by a worker that has its job; no worker is there" in shown
    assert "  error       waits for a worker that has the job: " in shown
    greet = pinstripe("list-runs", "--job", "greet", "--json").json[0]["id"]
    shown = pinstripe("show-run", greet).out
    assert "  waiting     2 wait for a worker that has their job; no worker is there" in shown
    shown = pinstripe("show-run", greet, "--tenant", "acme").out
    assert "  waiting     for a worker that has its job\n" in shown
    assert "\nwaits for a worker that has the job: " in shown
    hello = pinstripe("list-runs", "--job", "hello", "--json").json[0]["id"]
    assert "  waiting     for a worker that has its job; no worker is there" in pinstripe("show-run", hello).out


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


def fire_once(shop: ProjectFolder, at: datetime) -> str:
    """Let the schedule of `hello` be known since the day before, and fire once; give the run's id."""

    async def fire() -> str:
        async with open_project(shop.path) as project:
            await project.ledger.open()
            key = "0 * * * * UTC"
            known = KnownSchedule("hello", key, key, "0 * * * *", "UTC")
            since = to_microseconds(at - timedelta(days=1))
            (number,) = (await project.ledger.fires.register([known], keep=(), now=since)).numbers
            due = to_microseconds(at)
            run = NewRun("0199f2c4-0000-7000-8000-000000000001", "hello", Trigger.SCHEDULE, [], {}, {})
            work = NewWork(run, [NO_TENANT], schedule=key, scheduled_for=due, overlap="skip")
            assert await project.ledger.fires.fire([Fire(number, "UTC", due, work)]) == [True]
            return run.id

    return asyncio.run(fire())


def test_what_should_have_run_is_shown_with_why(shop: ProjectFolder, pinstripe: Command, process: Command) -> None:
    fired = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=5)
    run = fire_once(shop, fired)
    answer = pinstripe("status")
    assert "Schedules: 1, the next is due at " in answer.out
    assert answer.out.splitlines()[-7:] == [
        "Should have run by now: 2",
        "JOB    TENANT  DUE                   WHY",
        f"hello  -       {fired:%Y-%m-%d %H}:00:00Z  waits for a worker",
        f"hello  -       {fired + timedelta(hours=1):%Y-%m-%d %H}:00:00Z  not fired since, as no bot runs",
        "",
        "No bot runs, so no schedule fires; start one:  pinstripe start-server",
        "Work waits, and no worker is there; start one:  pinstripe start-worker",
    ]
    status = pinstripe("status", "--json").json
    waits, unfired = status["overdue"]
    assert waits == {
        "job": "hello",
        "schedule": "0 * * * * UTC",
        "tenant": None,
        "due_at": to_iso(fired),
        "run": run,
        "reason": "waits for a worker",
    }
    assert (unfired["run"], unfired["due_at"]) == (None, to_iso(fired + timedelta(hours=1)))
    assert (status["schedules"]["total"], status["schedules"]["bots"]) == (1, 0)
    coming = datetime.fromisoformat(status["schedules"]["next_fire_at"])
    assert timedelta() < coming - datetime.now(UTC) <= timedelta(hours=1)
    pinstripe("pause", "--job", "hello")
    assert pinstripe("status", "--json").json["overdue"] == []
    pinstripe("resume", "--job", "hello")
    process("start-worker", "--drain", "--without-bot")
    assert [one["run"] for one in pinstripe("status", "--json").json["overdue"]] == [None]
