from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.commands.conftest import Command, Start
    from tests.conftest import ProjectFolder


def test_an_enqueued_run_is_left_to_the_workers(pinstripe: Command, process: Command) -> None:
    answer = pinstripe("run-background-job", "greet", "2", "--tenant", "acme", "--tenant", "globex", "--enqueue")
    assert answer.code == 0
    run = pinstripe("show-run", "last", "--json").json
    assert answer.out == (
        f"Enqueued greet for 2 tenants (run {run['id'][-8:]})\n"
        f"Follow it:  pinstripe show-run {run['id'][-8:]} --follow\n"
    )
    assert answer.err == "No worker is there to run it; start one:  pinstripe start-worker\n"
    assert (run["status"], run["trigger"], run["args"], run["executions"]["queued"]) == ("queued", "cli", [2], 2)
    assert process("start-worker", "--drain").code == 0
    assert pinstripe("show-run", "last", "--json").json["executions"]["succeeded"] == 1


def test_json_is_the_queued_run(shop: ProjectFolder, process: Command) -> None:
    shop.job("hello", "print('noise')\nfrom pinstripe import BackgroundJob\nclass Hello(BackgroundJob):\n" + RUN)
    answer = process("run-background-job", "hello", "--enqueue", "--json")
    assert answer.code == 0
    assert (answer.json["job"], answer.json["status"]) == ("hello", "queued")
    assert answer.json == process("show-run", "last", "--json").json


RUN = "    async def run(self):\n        return 5\n"


def test_wait_follows_it_to_its_end(started: Start, process: Command) -> None:
    started("start-worker").wait_for("Working on ")
    answer = process("run-background-job", "greet", "--enqueue", "--wait")
    assert answer.code == 1
    lines = answer.out.splitlines()
    assert lines[0].startswith("Enqueued greet (run ")
    assert lines[1].startswith("Run ")
    assert "  executions  1 succeeded, 1 failed of 2" in lines
    answer = process("run-background-job", "hello", "--enqueue", "--wait", "--json")
    assert answer.code == 0
    assert (answer.json["status"], answer.json["result"]) == ("succeeded", 5)
    assert answer.err.startswith("Enqueued hello (run ")
    assert process("run-background-job", "greet", "--where", "plan=none", "--enqueue", "--wait").code == 3


def test_ctrl_c_while_waiting_leaves_the_run(started: Start, pinstripe: Command) -> None:
    waiting = started("run-background-job", "hello", "--enqueue", "--wait")
    waiting.wait_for("no worker is there")
    waiting.process.send_signal(signal.SIGINT)
    assert waiting.end() == 130
    assert pinstripe("show-run", "last", "--json").json["status"] == "queued"


def test_a_key_is_one_runs(pinstripe: Command) -> None:
    first = pinstripe("run-background-job", "hello", "--enqueue", "--key", "inv-17", "--json").json
    again = pinstripe("run-background-job", "hello", "--enqueue", "--key", "inv-17")
    assert again.out.startswith(f"hello was enqueued with this key before: run {first['id'][-8:]}, queued\n")
    assert pinstripe("run-background-job", "hello", "--enqueue", "--key", "inv-18", "--json").json != first
    assert len(pinstripe("list-runs", "--json").json) == 2


@pytest.mark.parametrize(
    ("zone", "at", "due"),
    [
        ("UTC", "2126-01-01 09:00", "2126-01-01T09:00:00.000000Z"),
        ("Europe/Paris", "2126-01-01 09:00", "2126-01-01T08:00:00.000000Z"),
        ("Europe/Paris", "2126-01-01T09:00Z", "2126-01-01T09:00:00.000000Z"),
        ("UTC", "2126-01-01T09:00:30-05:00", "2126-01-01T14:00:30.000000Z"),
    ],
)
def test_a_time_is_in_its_own_zone_or_the_projects(
    pinstripe: Command, monkeypatch: pytest.MonkeyPatch, zone: str, at: str, due: str
) -> None:
    monkeypatch.setenv("PINSTRIPE_TIME_ZONE", zone)
    pinstripe("run-background-job", "greet", "--tenant", "acme", "--enqueue", "--at", at)
    execution = pinstripe("show-run", "last", "--tenant", "acme", "--json").json
    assert (execution["status"], execution["held"], execution["due_at"]) == ("queued", "due", due)
    shown = pinstripe("show-run", "last", "--tenant", "acme").out
    assert f"  waiting     for its time at {due[:10]} {due[11:19]}Z\n" in shown


def test_a_priority_is_the_runs(pinstripe: Command) -> None:
    pinstripe("run-background-job", "hello", "--enqueue", "--priority", "bulk")
    assert [line["ready"] for line in pinstripe("status", "--json").json["queue"]] == [0, 0, 1]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["hello", "--wait"], "--wait is for an enqueued run; expected --enqueue with it"),
        (["hello", "--at", "2126-01-01"], "--at is for an enqueued run"),
        (["hello", "--delay", "2h"], "--delay is for an enqueued run"),
        (["hello", "--key", "k"], "--key is for an enqueued run"),
        (["hello", "--priority", "bulk"], "--priority is for an enqueued run"),
        (["hello", "--enqueue", "--dry-run"], "--dry-run doesn't go with --enqueue"),
        (["hello", "--enqueue", "--concurrency", "3"], "--concurrency doesn't go with --enqueue"),
        (["hello", "--enqueue", "--fail-fast"], "--fail-fast doesn't go with --enqueue"),
        (["hello", "--enqueue", "--no-capture"], "--no-capture doesn't go with --enqueue"),
        (["hello", "--enqueue", "--timeout", "5s"], "expected `timeout` in the job"),
        (["hello", "--enqueue", "--at", "2126-01-01", "--delay", "2h"], "--at and --delay both say when"),
        (["hello", "--enqueue", "--at", "tomorrow"], "expected a time as 2026-12-01T09:00"),
        (["hello", "--enqueue", "--delay", "2"], "Invalid value for '--delay'"),
        (["hello", "--enqueue", "--key", ""], "expected a text of 1 to 200 characters, got 0"),
        (["hello", "--enqueue", "--key", "k" * 201], "expected a text of 1 to 200 characters, got 201"),
        (["hello", "--enqueue", "--priority", "low"], "Invalid value for '--priority'"),
        (["greeet", "--enqueue"], "did you mean greet?"),
        (["greet", "many", "--enqueue"], "greet(times: int = 1)"),
        (["greet", "--tenant", "nobody", "--enqueue"], "unknown tenant 'nobody'"),
    ],
)
def test_wrong_usage_is_explained_and_enqueues_nothing(pinstripe: Command, args: list[str], message: str) -> None:
    answer = pinstripe("run-background-job", *args)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err
    assert pinstripe("list-runs", "--json").json == []


def test_a_delay_of_nothing_still_needs_enqueue(pinstripe: Command) -> None:
    assert pinstripe("run-background-job", "hello", "--delay", "0s").code == 2


def test_a_retry_is_enqueued(shop: ProjectFolder, pinstripe: Command, process: Command) -> None:
    pinstripe("run-background-job", "greet")
    first = pinstripe("show-run", "last", "--json").json
    answer = pinstripe("retry-run", "last", "--enqueue")
    assert answer.code == 0
    assert answer.out.startswith("Enqueued greet (run ")
    shop.file("mended", "")
    process("start-worker", "--drain")
    run = pinstripe("show-run", "last", "--json").json
    assert (run["status"], run["trigger"], run["retry_of"]) == ("succeeded", "retry", first["id"])
    assert run["executions"]["total"] == 1


def test_a_retry_is_followed(shop: ProjectFolder, started: Start, pinstripe: Command, process: Command) -> None:
    pinstripe("run-background-job", "greet")
    shop.file("mended", "")
    started("start-worker").wait_for("Working on ")
    answer = process("retry-run", "last", "--enqueue", "--wait", "--json")
    assert answer.code == 0
    assert answer.json["executions"]["succeeded"] == 1


def test_a_retry_that_waits_is_named_instead_of_another_one(pinstripe: Command) -> None:
    pinstripe("run-background-job", "boom")
    failed = pinstripe("show-run", "last", "--json").json["id"]
    retry = pinstripe("retry-run", failed, "--enqueue", "--json").json["id"]
    answer = pinstripe("retry-run", failed, "--enqueue")
    assert (answer.code, answer.out) == (3, "")
    assert answer.err == f"Nothing to retry: a retry of run {failed} is under way: run {retry[-8:]}.\n"


def test_where_nothing_is_to_be_retried_nothing_is_enqueued(pinstripe: Command) -> None:
    pinstripe("run-background-job", "hello")
    answer = pinstripe("retry-run", "last", "--enqueue")
    assert (answer.code, answer.out) == (3, "")
    assert answer.err.startswith("Nothing to retry: ")
    assert len(pinstripe("list-runs", "--json").json) == 1


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--wait"], "--wait is for an enqueued run"),
        (["--enqueue", "--timeout", "5s"], "--timeout doesn't go with --enqueue"),
        (["--enqueue", "--fail-fast"], "--fail-fast doesn't go with --enqueue"),
    ],
)
def test_wrong_usage_of_a_retry_is_explained(pinstripe: Command, args: list[str], message: str) -> None:
    pinstripe("run-background-job", "greet")
    answer = pinstripe("retry-run", "last", *args)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err
