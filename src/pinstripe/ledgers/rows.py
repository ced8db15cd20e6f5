"""From a ledger's rows to runs and executions: the same for both, since their statements give the same columns."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pinstripe.clock import to_datetime
from pinstripe.ledger import NO_TENANT
from pinstripe.run import Counts, Execution, ExecutionStatus, Failure, Run, RunStatus, Trigger

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

NUMBER, FAILED = 0, 18
"""Where in a row of `columns_of_run` the run's number is, and how many of its executions have failed."""

LAST_NUMBER = 2**63 - 1
"""The greatest number that there can be, and that no run comes to."""


def read_run(row: Sequence[Any], failures: Iterable[Sequence[Any]] = ()) -> Run:
    """Make a `Run` of a row of `columns_of_run`, and of those of its `failures`: tenant, attempts, error, traceback."""
    (_n, id_, job, state, trigger, args, kwargs, selected, retry_of, parent, scheduled_for, error, *rest) = row
    created_at, started_at, finished_at, total, open_, succeeded, failed, cancelled, skipped, running, *rest = rest
    result, redacted = rest
    status = RunStatus(state)
    return Run(
        id=id_,
        job=job,
        status=status,
        trigger=Trigger(trigger),
        args=tuple(json.loads(args)),
        kwargs=json.loads(kwargs),
        selecting=not selected and status in {RunStatus.QUEUED, RunStatus.RUNNING},
        retry_of=retry_of,
        parent=parent,
        scheduled_for=moment(scheduled_for),
        error=error,
        result=None if result is None else json.loads(result),
        created_at=to_datetime(created_at),
        started_at=moment(started_at),
        finished_at=moment(finished_at),
        executions=Counts(total, open_ - running, running, succeeded, failed, cancelled, skipped),
        redacted=() if redacted is None else tuple(json.loads(redacted)),
        failures=tuple(Failure(tenant or None, attempts, text, trace) for tenant, attempts, text, trace in failures),
    )


def read_counts(row: Sequence[int]) -> Counts:
    """Make `Counts` of a row of the statement `counts`."""
    total, open_, succeeded, failed, cancelled, skipped, running = row
    return Counts(total, open_ - running, running, succeeded, failed, cancelled, skipped)


def read_execution(run: str, row: Sequence[Any]) -> Execution:
    """Make an `Execution` of a row of the statement `find_execution`."""
    job, tenant, state, attempts, held, due_at, error, traceback, result, started_at, finished_at, log = row
    waits = state == ExecutionStatus.QUEUED
    return Execution(
        run=run,
        job=job,
        tenant=None if tenant == NO_TENANT else tenant,
        status=ExecutionStatus(state),
        attempts=attempts,
        held=held if waits else None,
        due_at=moment(due_at) if waits else None,
        error=error,
        traceback=traceback,
        result=None if result is None else json.loads(result),
        started_at=moment(started_at),
        finished_at=moment(finished_at),
        log=log,
    )


def moment(microseconds: int | None) -> datetime | None:
    """Turn microseconds UTC into a datetime; None stays None."""
    return None if microseconds is None else to_datetime(microseconds)
