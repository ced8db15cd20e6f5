from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pinstripe.ledgers.rows import moment, read_counts, read_execution, read_run
from pinstripe.run import Counts, ExecutionStatus, RunStatus, Trigger


def test_a_moment_is_aware_or_none() -> None:
    assert moment(None) is None
    assert moment(1_790_000_000_000_001) == datetime(2026, 9, 21, 14, 13, 20, 1, tzinfo=UTC)


def test_counts_are_derived_from_what_is_open() -> None:
    assert read_counts((10, 5, 1, 2, 1, 1, 3)) == Counts(10, 2, 3, 1, 2, 1, 1)


@pytest.mark.parametrize(("state", "selecting"), [("queued", True), ("running", True), ("failed", False)])
def test_a_run_is_read_whole(state: str, *, selecting: bool) -> None:
    row = (
        *(1, "the-id", "greet", state, "schedule", "[1]", '{"a": 2}', 0, "older", "outer", 4_000_000, "an error"),
        *(1_000_000, 2_000_000, 3_000_000, 7, 3, 1, 0, 2, 1, 1, '{"kept": true}', '[0, "a"]'),
    )
    run = read_run(row)
    assert (run.id, run.job, run.status, run.trigger) == ("the-id", "greet", RunStatus(state), Trigger.SCHEDULE)
    assert (run.redacted, run.shown()) == ((0, "a"), (("***",), {"a": "***"}))
    assert (run.args, run.kwargs, run.result) == ((1,), {"a": 2}, {"kept": True})
    assert (run.retry_of, run.parent, run.error, run.selecting) == ("older", "outer", "an error", selecting)
    assert [m and m.second for m in (run.created_at, run.started_at, run.finished_at, run.scheduled_for)] == [
        1,
        2,
        3,
        4,
    ]
    assert (run.executions, run.failures) == (Counts(7, 2, 1, 1, 0, 2, 1), ())


def test_an_execution_is_read_whole() -> None:
    row = ("greet", "", "failed", 2, None, None, "an error", "a traceback", "null", 1_000_000, None, "a log")
    execution = read_execution("the-id", row)
    assert (execution.run, execution.job, execution.tenant) == ("the-id", "greet", None)
    assert (execution.status, execution.attempts, execution.result) == (ExecutionStatus.FAILED, 2, None)
    assert (execution.error, execution.traceback, execution.log) == ("an error", "a traceback", "a log")
    assert (execution.started_at, execution.finished_at) == (datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), None)
