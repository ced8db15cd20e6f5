from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.ledger import Settlement
from pinstripe.outcome import Outcome, failed
from pinstripe.queue import QueuedRun, Started
from pinstripe.retry import Retry
from pinstripe.run import ExecutionStatus
from pinstripe.settlement import ended, hand_back, settlement_of

NOW = 1_790_000_000_000_000
SECOND = 1_000_000
FAILED = failed(ValueError("bad"))
CANCELLED = Outcome(ExecutionStatus.CANCELLED, "not needed")
STOPPED = Outcome(ExecutionStatus.CANCELLED, "asked to", stopped=True)
CRASHED = Outcome(ExecutionStatus.FAILED, "the process died: signal SIGKILL", crashed=True)
UNSTARTED = Outcome(ExecutionStatus.FAILED, "its process could not be started: no memory", unstarted=True)
LATER = Outcome(ExecutionStatus.FAILED, "run again in 5m", retry_after=300.0)
DONE = Outcome(ExecutionStatus.SUCCEEDED, result="3", log="hello\n")
THRICE = Retry(3, wait="1m")
NEVER = Retry.of(None)


def started(*, attempt: int = 1, crashes: int = 0, survives: int = 2, retry_until: int | None = None) -> Started:
    """Make an execution that was started."""
    run = QueuedRun(7, "run", "job", "code", (), {}, {}, "run", None, None, retry_until, survives, 1, NOW)
    return Started(11, run, "acme", 5, attempt, solo=False, crashes=crashes)


def settle(what: Started, outcome: Outcome, retry: Retry = THRICE, **options: Any) -> Settlement:
    """Give the settlement at a known time, without chance."""
    return settlement_of(what, outcome, retry, now=lambda: NOW, jitter=lambda: 0.0, **options)


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (DONE, Settlement(11, 5, ExecutionStatus.SUCCEEDED, result="3", log="hello\n", run=7)),
        (CANCELLED, Settlement(11, 5, ExecutionStatus.CANCELLED, "not needed", run=7)),
        (STOPPED, Settlement(11, 5, ExecutionStatus.CANCELLED, "asked to", run=7)),
        (
            CRASHED,
            Settlement(11, 5, ExecutionStatus.QUEUED, str(CRASHED.error), run=7, counted=False, crash=True),
        ),
        (
            UNSTARTED,
            Settlement(11, 5, ExecutionStatus.QUEUED, UNSTARTED.error, run=7, due_at=NOW + 5 * SECOND, counted=False),
        ),
        (LATER, Settlement(11, 5, ExecutionStatus.QUEUED, run=7, due_at=NOW + 300 * SECOND, counted=False)),
        (
            FAILED,
            Settlement(
                11, 5, ExecutionStatus.QUEUED, "ValueError: bad", FAILED.traceback, run=7, due_at=NOW + 60 * SECOND
            ),
        ),
    ],
)
def test_each_outcome_has_its_settlement(outcome: Outcome, expected: Settlement) -> None:
    assert settle(started(), outcome) == expected


@pytest.mark.parametrize(
    ("what", "outcome", "retry", "status"),
    [
        (started(attempt=3), FAILED, THRICE, "queued"),
        (started(attempt=4), FAILED, THRICE, "failed"),
        (started(), FAILED, NEVER, "failed"),
        (started(), FAILED, Retry(3, on=KeyError), "failed"),
        (started(retry_until=NOW + 60 * SECOND), FAILED, THRICE, "queued"),
        (started(retry_until=NOW + 60 * SECOND - 1), FAILED, THRICE, "failed"),
        (started(attempt=9, retry_until=NOW), LATER, NEVER, "queued"),
        (started(), CANCELLED, THRICE, "cancelled"),
        (started(attempt=9, crashes=1), CRASHED, NEVER, "queued"),
        (started(crashes=2), CRASHED, THRICE, "failed"),
        (started(survives=0), CRASHED, THRICE, "failed"),
        (started(attempt=9, survives=0, retry_until=NOW), UNSTARTED, NEVER, "queued"),
        (started(), Outcome(ExecutionStatus.FAILED, "its arguments can't be sent"), THRICE, "failed"),
    ],
)
def test_what_is_tried_again(what: Started, outcome: Outcome, retry: Retry, status: str) -> None:
    assert settle(what, outcome, retry).status == status


def test_what_a_worker_released_is_as_if_it_had_not_been_started() -> None:
    assert settle(started(), STOPPED, released=True) == Settlement(
        11, 5, ExecutionStatus.QUEUED, run=7, due_at=None, counted=False
    )


@pytest.mark.parametrize("outcome", [DONE, FAILED, CRASHED, CANCELLED])
def test_what_ended_by_itself_ended_so_also_in_a_worker_that_released_it(outcome: Outcome) -> None:
    assert settle(started(), outcome, released=True) == settle(started(), outcome)


def test_a_crash_is_told_to_the_ledger_also_where_it_is_the_last() -> None:
    settlement = settle(started(crashes=2), CRASHED)
    assert (settlement.crash, settlement.error) == (True, CRASHED.error)


def test_the_output_of_an_attempt_that_is_tried_again_is_kept() -> None:
    outcome = failed(ValueError("bad"))
    outcome.log = "about to fail\n"
    assert settle(started(), outcome).log == "about to fail\n"


@given(attempt=st.integers(1, 3), jitter=st.floats(-1, 1))
def test_chance_moves_a_retry_by_a_tenth(attempt: int, jitter: float) -> None:
    settlement = settlement_of(started(attempt=attempt), FAILED, THRICE, now=lambda: NOW, jitter=lambda: jitter)
    assert settlement.due_at is not None
    assert abs(settlement.due_at - NOW - 60 * SECOND) <= 6 * SECOND
    assert settlement.due_at == NOW + THRICE.delay(attempt, jitter) // timedelta(microseconds=1)


def test_the_time_is_asked_only_where_it_matters() -> None:
    def nobody() -> Any:
        raise AssertionError

    for outcome in (DONE, CANCELLED, STOPPED, CRASHED):
        assert settlement_of(started(), outcome, THRICE, now=nobody, jitter=nobody).epoch == 5


def test_what_never_began_is_handed_back_or_ended() -> None:
    assert hand_back(started(), NOW) == Settlement(11, 5, ExecutionStatus.QUEUED, run=7, due_at=NOW, counted=False)
    assert ended(started(), ExecutionStatus.SKIPPED, "gone") == Settlement(
        11, 5, ExecutionStatus.SKIPPED, "gone", run=7, counted=False
    )
    assert hand_back(started(), error="not now").error == "not now"
