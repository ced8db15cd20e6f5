"""What becomes of an execution of a worker when its attempt has ended: done, once more, or failed for good."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pinstripe.errors import InvalidJob, UnknownJob
from pinstripe.ledger import Settlement
from pinstripe.outcome import MAX_ERROR, cut
from pinstripe.queue import LACKS_AGAIN, LACKS_JOB
from pinstripe.run import ExecutionStatus
from pinstripe.setting_keys import hide_passwords

if TYPE_CHECKING:
    from collections.abc import Callable

    from pinstripe.outcome import Outcome
    from pinstripe.queue import Started
    from pinstripe.retry import Retry

UNSTARTED_AGAIN = 5
"""Seconds after which an execution is tried again whose process could not be started."""

_MICROSECOND = timedelta(microseconds=1)
_QUEUED = ExecutionStatus.QUEUED


def settlement_of(  # noqa: PLR0911 - one for each case, in their order
    started: Started,
    outcome: Outcome,
    retry: Retry,
    *,
    now: Callable[[], int],
    jitter: Callable[[], float],
    released: bool = False,
) -> Settlement:
    """Give the settlement of an attempt by its outcome; the first of these that is so decides.

    - It succeeded: so has the execution.
    - It was stopped: `cancelled` with the reason; where the worker `released` it instead, for its own sake, it is
      queued again at once, as if the attempt had not been.
    - Its own process died: queued again, to run alone at once; failed after more crashes than the run allows.
    - Its own process could not be started, or lacks the job: queued again for a moment later, as if the attempt had
      not been.
    - It asked to run later: queued again until then, and the attempt doesn't count.
    - It failed, and `retry` has it tried again: queued again until then, unless that is past the run's `retry_until`.
    - Else it ends as it is, failed or cancelled.

    `now` (microseconds UTC) and `jitter` (from -1 to 1) are asked only where they matter.
    """
    if outcome.succeeded:
        return _final(started, outcome)
    if outcome.stopped:
        return hand_back(started) if released else _final(started, outcome)
    if outcome.crashed:
        if started.crashes + 1 > started.run.crashes:
            return _final(started, outcome)._replace(crash=True)
        return _again(started, outcome, None, counted=False)._replace(crash=True)
    if outcome.unstarted:
        if isinstance(outcome.exception, (InvalidJob, UnknownJob)):
            return hand_back(started, now() + LACKS_AGAIN * 1_000_000, error=lacks_job(outcome.exception))
        return hand_back(started, now() + UNSTARTED_AGAIN * 1_000_000, error=outcome.error)
    if outcome.retry_after is not None:
        due_at = now() + timedelta(seconds=outcome.retry_after) // _MICROSECOND
        return hand_back(started, due_at)._replace(log=outcome.log)
    if outcome.exception is not None and retry.retries(outcome.exception, started.attempt):
        due_at = now() + retry.delay(started.attempt, jitter()) // _MICROSECOND
        if started.run.retry_until is None or due_at <= started.run.retry_until:
            return _again(started, outcome, due_at, counted=True)
    return _final(started, outcome)


def hand_back(started: Started, due_at: int | None = None, *, error: str | None = None) -> Settlement:
    """Give the settlement that queues an execution again, until `due_at`, as if its attempt had not been.

    `error` tells whoever looks at it meanwhile what kept it from being done.
    """
    return Settlement(started.id, started.epoch, _QUEUED, error, run=started.run.n, due_at=due_at, counted=False)


def lacks_job(error: Exception) -> str:
    """Write what keeps an execution waiting whose job can't be found where it was to be executed."""
    return f"{LACKS_JOB}: {cut(hide_passwords(str(error)), MAX_ERROR)}"


def ended(started: Started, status: ExecutionStatus, reason: str) -> Settlement:
    """Give the settlement of an execution that ends without its job being called, with the `reason`.

    That counts as an attempt where it has failed.
    """
    is_failed = status is ExecutionStatus.FAILED
    return Settlement(started.id, started.epoch, status, reason, run=started.run.n, counted=is_failed)


def _final(started: Started, outcome: Outcome) -> Settlement:
    return Settlement(
        started.id,
        started.epoch,
        outcome.status,
        outcome.error,
        outcome.traceback,
        outcome.result,
        outcome.log,
        started.run.n,
    )


def _again(started: Started, outcome: Outcome, due_at: int | None, *, counted: bool) -> Settlement:
    return _final(started, outcome)._replace(status=_QUEUED, result=None, due_at=due_at, counted=counted)
