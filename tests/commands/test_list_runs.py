from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.commands.conftest import Command
    from tests.conftest import ProjectFolder


def test_a_project_without_a_ledger_has_no_runs_and_gets_none(shop: ProjectFolder, pinstripe: Command) -> None:
    assert pinstripe("list-runs").out == "No runs.\n"
    assert pinstripe("list-runs", "--json").json == []
    assert not (shop.path / ".pinstripe").exists()


def test_runs_are_listed_newest_first_with_their_counts(pinstripe: Command) -> None:
    pinstripe("run-background-job", "hello")
    pinstripe("run-background-job", "greet")
    answer = pinstripe("list-runs")
    assert answer.code == 0
    heading, first, second = [line.split() for line in answer.out.splitlines()]
    assert heading == ["RUN", "JOB", "STATUS", "TRIGGER", "CREATED", "TOOK", "EXECUTIONS"]
    assert first[1:4] == ["greet", "failed", "cli"]
    assert first[-3:] == ["2:", "1", "failed"]
    assert second[1:4] == ["hello", "succeeded", "cli"]
    listed = pinstripe("list-runs", "--json").json
    assert [run["job"] for run in listed] == ["greet", "hello"]
    assert "traceback" not in listed[0]["failures"][0]


def test_all_filters_must_hold(pinstripe: Command) -> None:
    pinstripe("run-background-job", "hello")
    pinstripe("run-background-job", "greet")

    def jobs(*args: str) -> list[str]:
        return [run["job"] for run in pinstripe("list-runs", "--json", *args).json]

    assert jobs("--job", "Greet") == ["greet"]
    assert jobs("--tenant", "acme") == ["greet"]
    assert jobs("--tenant", "initech") == []
    assert jobs("--status", "succeeded") == ["hello"]
    assert jobs("--status", "succeeded", "--job", "greet") == []
    assert jobs("--since", "2d") == ["greet", "hello"]
    assert jobs("--limit", "1") == ["greet"]


def test_wrong_filters_are_explained(pinstripe: Command) -> None:
    for args, message in (
        (["--job", "greeet"], "did you mean greet?"),
        (["--job", "/"], "expected a job name"),
        (["--status", "fialed"], "Invalid value for '--status'"),
        (["--since", "2"], "Invalid value for '--since'"),
        (["--limit", "0"], "Invalid value for '--limit'"),
    ):
        answer = pinstripe("list-runs", *args)
        assert (answer.code, answer.out) == (2, "")
        assert message in answer.err


def test_what_is_enqueued_is_listed_as_it_waits(pinstripe: Command) -> None:
    pinstripe("run-background-job", "greet", "--tenant", "acme", "--tenant", "globex", "--enqueue")
    pinstripe("run-background-job", "greet", "--enqueue")
    pinstripe("run-background-job", "hello")
    _, selecting, queued = pinstripe("list-runs", "--status", "queued").out.splitlines()
    assert selecting.endswith("  selecting")
    assert queued.endswith("  2: 2 queued")


def test_what_runs_jobs_and_serves_workers_is_not_even_imported(shop: ProjectFolder, pinstripe: Command) -> None:
    pinstripe("run-background-job", "hello")
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "pinstripe", "list-runs"],
        cwd=shop.path,
        env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "hello" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "pinstripe.project" in imported
    needless = {"runs", "executor", "foreground", "registry", "services", "operations", "queue", "history", "fires"}
    assert not imported & {f"pinstripe.{name}" for name in needless}
    assert not imported & {"pydantic", "starlette", "fastapi", "jinja2", "opentelemetry", "prometheus_client", "rich"}
