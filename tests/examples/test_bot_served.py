"""The bot example as a whole: a real `start-server`, with its bot and its workers, on a real port."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from watchfiles import watch

from tests.examples.test_bot import PROJECT, command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the example's files apart from those of who tries it; this one stands in for the other example's."""
    monkeypatch.setenv("PINSTRIPE_DATABASE_URL", f"sqlite:///{tmp_path / 'bot.db'}")
    monkeypatch.setenv("PINSTRIPE_LEDGER", f"sqlite:///{tmp_path / 'ledger.db'}")


@contextmanager
def start_server(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Serve the example; give the process, and the URL that it says."""
    with subprocess.Popen(
        [sys.executable, "-m", "pinstripe", "start-server", "--host", "127.0.0.1:0", *options],
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            serving = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
            assert serving, process.stdout.read()
            yield process, serving[0]
        finally:
            process.kill()


def runs(*filters: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(command("list-runs", "--json", *filters))
    return listed


def test_the_heart_beats_by_itself_and_a_handler_runs_what_fails(tmp_path: Path) -> None:
    with start_server() as (process, url):
        for _ in watch(tmp_path, yield_on_timeout=True, rust_timeout=500):
            if httpx2.get(url).json()["heartbeat"] is not None:
                break

        answer = httpx2.get(f"{url}/risky")
        assert (answer.status_code, answer.json()) == (500, {"error": "OperationFailed: it went wrong"})

        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 143, output

    beats = [run for run in runs("--job", "heartbeat") if run["status"] == "succeeded"]
    assert {run["trigger"] for run in beats} == {"schedule"}
    assert len({run["scheduled_for"] for run in beats}) == len(beats) >= 1
    (risky,) = runs("--job", "risky_operation")
    assert (risky["trigger"], risky["status"]) == ("code", "failed")
    shown = json.loads(command("show-run", risky["id"], "--json"))
    assert shown["failures"][0]["error"].endswith("OperationFailed: it went wrong")


def test_without_a_bot_the_handlers_work_and_nothing_runs_by_itself() -> None:
    with start_server("--without-bot", "--without-workers") as (process, url):
        assert httpx2.post(f"{url}/background-jobs/heartbeat").json()["status"] == "succeeded"
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 143
    assert [run["trigger"] for run in runs()] == ["code"]
