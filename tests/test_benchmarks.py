"""Every scenario measures what it says, in a size so small that its figures mean nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import apsw
import pytest
from benchmarks import kept
from benchmarks.__main__ import SCENARIOS
from benchmarks.figures import Figure, machine, middle, table

ROOT = Path(__file__).parent.parent

# Something that each scenario must have measured.
MEASURED = {
    "cold_start": "`pinstripe run-background-job once`",
    "fan_out": "50 tenants, the whole command",
    "memory": "50 tenants, peak",
    "history": "list-runs, --tenant --status failed",
    "looking_back": "executions, search among failed",
    "costs": "the executor, output captured",
    "enqueueing": "20 calls of `await workspace.enqueue_background_job()`",
    "draining": "20 no-ops, `worker.work(drain=True)`",
    "idle": "from the call that enqueues to the job's first line, p50",
    "schedules": "5 due at once: from their time to the job's first line, by start-worker, p50",
    "simulated_years": "30 days of 5 jobs: fires, each as a calendar has it",
    "growth": "memory after 60 executions",
    "nested": "5 calls of `await workspace.run_background_job()`, one by one",
    "tenant_queries": "SQLite, the service",
    "dashboard": "a run, its failed tenants",
    "postgres_dashboard": "a run, its failed tenants",
    "postgres": "20 calls of `await workspace.enqueue_background_job()`",
    "postgres_idle": "from the call that enqueues to the job's first line, p50",
    "postgres_scaling": "jobs that wait for 20 ms, `start-worker --processes 2`",
    "postgres_history": "list-runs, --tenant --status failed",
    "postgres_looking_back": "executions, search among failed",
}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ})


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_gives_its_figures(scenario: str) -> None:
    answer = run("--size", "tiny", "--json", scenario)
    assert answer.returncode == 0, answer.stderr
    figures = [Figure(**each) for each in json.loads(answer.stdout)]
    what = [figure.what for figure in figures]
    assert MEASURED[scenario] in what
    assert len(set(what)) == len(what)
    assert all(figure.value is not None and (figure.value > 0 or figure.unit == "%") for figure in figures)


def test_all_is_one_table_and_tells_what_it_was_measured_on() -> None:
    answer = run("--size", "tiny", "cold_start", "memory")
    assert answer.returncode in {0, 1}, answer.stderr  # 1: on a busy machine a budget may well be missed
    assert f"Python {sys.version_info.major}.{sys.version_info.minor}." in answer.stdout
    assert answer.stdout.count("| what |") == 1
    assert MEASURED["cold_start"] in answer.stdout
    assert MEASURED["memory"] in answer.stdout


def test_a_scenario_that_does_not_exist_is_refused() -> None:
    answer = run("speed")
    assert answer.returncode == 2
    assert "expected of cold_start, fan_out" in answer.stderr


@pytest.mark.parametrize(
    ("figure", "met"),
    [
        (Figure("x", 5, "ms"), None),
        (Figure("x", 5, "ms", most=5), True),
        (Figure("x", 5.1, "ms", most=5), False),
        (Figure("x", 5, "jobs/s", least=5), True),
        (Figure("x", 4.9, "jobs/s", least=5), False),
    ],
)
def test_a_budget_is_met_or_missed(figure: Figure, met: bool | None) -> None:
    assert figure.met is met


def test_a_figure_is_a_line_of_the_table() -> None:
    figures = [Figure("a page", 1_234.5, "ms", most=20, note="worst: 2,000 ms"), Figure("a loop", 1.234, "µs")]
    assert table([("pages", figures)])[2:] == [
        "| **pages** | | | | |",
        "| a page | 1,234 ms | ≤ 20.0 | **missed** | worst: 2,000 ms |",
        "| a loop | 1.23 µs |  |  |  |",
    ]


def test_the_middle_is_the_median() -> None:
    assert middle([9, 1, 2]) == 2


def test_the_machine_is_told_in_one_line() -> None:
    assert "\n" not in machine()
    assert "SQLite" in machine()


def test_a_history_is_a_sound_ledger(tmp_path: Path) -> None:
    made = kept.build(tmp_path / "ledger.db", executions=5_000, singles=300)
    connection = apsw.Connection(str(tmp_path / "ledger.db"))

    def value(sql: str) -> object:
        return connection.execute(sql).fetchall()[0][0]

    assert value("select count(*) from executions") == made.executions == 5_000
    assert value("select count(*) from runs") == made.runs
    assert value("pragma integrity_check") == "ok"
    # The counters are what counting gives, and no index that the schema has was left out.
    assert value("select sum(total) from runs") == 5_000
    assert value("select sum(failed) from runs") == value("select count(*) from executions where state = 'failed'")
    assert value("select count(*) from sqlite_schema where name = 'executions_of_tenant'") == 1
    assert value(f"select total from runs where id = '{made.biggest}'") == value("select max(total) from runs")
    connection.close()
