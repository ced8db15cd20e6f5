"""The bot example, as a user has it: by its commands, by its handlers, and served as a whole."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import pinstripe
from tests.code_blocks import Trial, read_blocks
from tests.web import client_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx2

pytestmark = pytest.mark.anyio

PROJECT = Path(__file__).resolve().parents[2] / "examples" / "bot"


@pytest.fixture(autouse=True)
def _example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the example's files apart from those of who tries it; this one stands in for the other example's."""
    monkeypatch.setenv("PINSTRIPE_DATABASE_URL", f"sqlite:///{tmp_path / 'bot.db'}")
    monkeypatch.setenv("PINSTRIPE_LEDGER", f"sqlite:///{tmp_path / 'ledger.db'}")


def command(*arguments: str, exits: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pinstripe", *arguments],
        cwd=PROJECT,
        env={**os.environ, "COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == exits, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_jobs_are_listed_with_their_schedules() -> None:
    said = command("list-background-jobs")
    names = [line.partition(" ")[0] for line in said.splitlines() if line[:1].strip()]
    assert names == ["heartbeat", "risky_operation", "send_reminders", "weekly_report"]
    assert "every second" in said
    assert "09:00, in each tenant's zone, spread over 30m" in said
    assert "(team)" in said
    assert "(board)" in said


def test_each_active_tenant_is_reminded_once() -> None:
    first = command("run-background-job", "send_reminders")
    assert sorted(line for line in first.splitlines() if " | " in line) == [
        "acme | to owner@acme.example: Pay the rent",
        "acme | to owner@acme.example: Water the plants",
        "birch | to owner@birch.example: Call Ada",
    ]
    assert " | " not in command("run-background-job", "send_reminders")


def test_a_job_that_is_unknown_or_has_wrong_arguments_is_wrong_usage() -> None:
    assert "'heartbet'" in command("run-background-job", "heartbet", exits=2)
    assert "expected Literal['team', 'board'], found 'nobody'" in command(
        "run-background-job", "weekly_report", "nobody", exits=2
    )


def test_the_page_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PINSTRIPE_DATABASE_URL")
    monkeypatch.delenv("PINSTRIPE_LEDGER")
    trial = Trial(tmp_path)
    for block in read_blocks(PROJECT / "README.md"):
        trial.try_block(block)


@asynccontextmanager
async def opened(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[httpx2.AsyncClient, pinstripe.Project]]:
    """Open the example, and talk to its application."""
    monkeypatch.syspath_prepend(PROJECT)
    from bot.web import app

    async with pinstripe.open_project(PROJECT) as project, client_of(app, project) as client:
        yield client, project


async def last_run(project: pinstripe.Project) -> dict[str, Any]:
    return (await project.ledger.find_run("last")).to_json()


async def test_a_handler_runs_what_fails_and_the_run_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(monkeypatch) as (client, project):
        answer = await client.get("/risky")
        assert (answer.status_code, answer.json()) == (500, {"error": "OperationFailed: it went wrong"})
        run = await last_run(project)
        assert (run["job"], run["trigger"], run["status"]) == ("risky_operation", "code", "failed")
        assert run["failures"][0]["error"].endswith("OperationFailed: it went wrong")


async def test_a_handler_shows_the_last_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(monkeypatch) as (client, project):
        assert (await client.get("/")).json() == {"heartbeat": None}
        async with project.workspace(tenant=None) as workspace:
            await workspace.run_background_job("heartbeat")
        assert (await client.get("/", headers={"x-tenant": "acme"})).json()["heartbeat"] is not None


async def test_a_handler_runs_a_job_by_name_with_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(monkeypatch) as (client, _):
        answer = await client.post("/background-jobs/Weekly-Report", json={"reader": "board", "full": True})
        assert answer.status_code == 200, answer.text
        assert answer.json()["kwargs"] == {"reader": "board", "full": True}
        assert answer.json()["result"] == "To the board: 2 tenants are active of 3; 0 heartbeats are kept"

        answer = await client.post("/background-jobs/send_reminders", headers={"x-tenant": "acme"})
        assert answer.json()["executions"]["total"] == 1
        answer = await client.post("/background-jobs/send_reminders")
        assert answer.json()["executions"]["total"] == 2


@pytest.mark.parametrize(
    ("path", "body", "tenant", "status", "error"),
    [
        ("nope", "", None, 404, "UnknownJob: "),
        ("send_reminders", "", "nobody", 404, "UnknownTenant: "),
        ("weekly_report", "", None, 422, "InvalidArguments: "),
        ("weekly_report", "[1]", None, 422, "InvalidArguments: expected the arguments by name"),
        ("weekly_report", "{", None, 422, "JSONDecodeError: "),
    ],
)
async def test_a_handler_tells_what_can_t_be(
    monkeypatch: pytest.MonkeyPatch, path: str, body: str, tenant: str | None, status: int, error: str
) -> None:
    async with opened(monkeypatch) as (client, _):
        headers = {} if tenant is None else {"x-tenant": tenant}
        answer = await client.post(f"/background-jobs/{path}", content=body, headers=headers)
        assert answer.status_code == status
        assert answer.json()["error"].startswith(error)


async def test_a_handler_tells_for_whom_a_job_has_failed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with opened(monkeypatch) as (client, project):
        assert project.tenants is not None
        with closing(sqlite3.connect(tmp_path / "bot.db")) as connection:
            connection.execute("drop table reminders")
        answer = await client.post("/background-jobs/send_reminders")
        assert answer.status_code == 500
        assert sorted(answer.json()["failures"]) == ["acme", "birch"]
