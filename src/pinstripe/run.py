"""Runs and executions: what they are, the states they go through, and how they are written as JSON."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from pinstripe.clock import to_iso
from pinstripe.redaction import shown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

MAX_FAILURES = 1_000
"""How many failures a `Run` lists; `executions.failed` is the count."""


class RunStatus(StrEnum):
    """Where a run is. The last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ExecutionStatus(StrEnum):
    """Where an execution is. The last four are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


class Trigger(StrEnum):
    """What started a run."""

    CLI = "cli"
    CODE = "code"
    API = "api"
    SCHEDULE = "schedule"
    RETRY = "retry"


TRANSITIONS: Mapping[ExecutionStatus, frozenset[ExecutionStatus]] = {
    ExecutionStatus.QUEUED: frozenset(
        {ExecutionStatus.RUNNING, ExecutionStatus.CANCELLED, ExecutionStatus.SKIPPED},
    ),
    ExecutionStatus.RUNNING: frozenset(
        {
            ExecutionStatus.QUEUED,
            ExecutionStatus.SUCCEEDED,
            ExecutionStatus.FAILED,
            ExecutionStatus.CANCELLED,
            ExecutionStatus.SKIPPED,
        },
    ),
    ExecutionStatus.SUCCEEDED: frozenset(),
    ExecutionStatus.FAILED: frozenset(),
    ExecutionStatus.CANCELLED: frozenset(),
    ExecutionStatus.SKIPPED: frozenset(),
}
"""THE transition table: from a status, the ones an execution may go to. What is final leads nowhere."""


def final_status(*, error: str | None, failed: int, cancelled: int) -> RunStatus:
    """Tell how a run ends: failed by an error of its own or any failed execution, else cancelled, else succeeded."""
    if error is not None or failed:
        return RunStatus.FAILED
    return RunStatus.CANCELLED if cancelled else RunStatus.SUCCEEDED


class Counts(NamedTuple):
    """How many executions of a run are in which state."""

    total: int = 0
    queued: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    skipped: int = 0

    @property
    def done(self) -> int:
        """How many executions are in a final state."""
        return self.succeeded + self.failed + self.cancelled + self.skipped


class Failure(NamedTuple):
    """One failed execution. `tenant` is None in a job that is not multi-tenant."""

    tenant: str | None
    attempts: int
    error: str
    traceback: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One invocation of a job, as the ledger has it; the same fields as its JSON.

    `args` and `kwargs` are what it was given. Those `redacted`, by their positions and names, are shown to nobody: what
    is shown of a run, its JSON and its `repr` among it, has what `shown` gives.
    """

    id: str
    job: str
    status: RunStatus
    trigger: Trigger
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    created_at: datetime
    selecting: bool = False
    retry_of: str | None = None
    parent: str | None = None
    scheduled_for: datetime | None = None
    error: str | None = None
    result: Any = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    executions: Counts = field(default_factory=Counts)
    failures: tuple[Failure, ...] = ()
    redacted: tuple[int | str, ...] = ()

    def __repr__(self) -> str:
        """Show which run it is, and its arguments as they may be shown."""
        args, kwargs = self.shown()
        return f"Run(id={self.id!r}, job={self.job!r}, status={str(self.status)!r}, args={args!r}, kwargs={kwargs!r})"

    def shown(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Give the arguments as they may be shown: `"***"` for each that the job's `redact` names."""
        return shown(self.args, self.kwargs, self.redacted)

    @property
    def finished(self) -> bool:
        """Whether the run has reached a final status."""
        return self.status not in {RunStatus.QUEUED, RunStatus.RUNNING}

    def to_json(self, *, tracebacks: bool = True) -> dict[str, Any]:
        """Give the run as JSON values, in the documented order; without `tracebacks` where a list must stay small."""
        counts = self.executions
        args, kwargs = self.shown()
        return {
            "id": self.id,
            "job": self.job,
            "status": str(self.status),
            "trigger": str(self.trigger),
            "args": list(args),
            "kwargs": kwargs,
            "selecting": self.selecting,
            "retry_of": self.retry_of,
            "parent": self.parent,
            "scheduled_for": _iso(self.scheduled_for),
            "error": self.error,
            "result": self.result,
            "created_at": _iso(self.created_at),
            "started_at": _iso(self.started_at),
            "finished_at": _iso(self.finished_at),
            "executions": {
                "total": counts.total,
                "queued": counts.queued,
                "running": counts.running,
                "succeeded": counts.succeeded,
                "failed": counts.failed,
                "cancelled": counts.cancelled,
                "skipped": counts.skipped,
            },
            "failures": [_failure_json(failure, tracebacks=tracebacks) for failure in self.failures],
        }


@dataclass(frozen=True, slots=True)
class Execution:
    """A run's work for one tenant, as the ledger has it.

    `error` is the error of a failed one and the reason of a cancelled or skipped one; of one that is to run again, that
    of its last attempt. `held` is why a queued one may not start yet (see `pinstripe.queue.Held`), and `due_at` when it
    may where it waits for its time; `log` is its captured output.
    """

    run: str
    job: str
    tenant: str | None
    status: ExecutionStatus
    attempts: int
    held: str | None = None
    due_at: datetime | None = None
    error: str | None = None
    traceback: str | None = None
    result: Any = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    log: str | None = None


def new_run_id(microseconds: int) -> str:
    """Make a UUIDv7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, version, variant, 74 random bits."""
    return new_run_ids(microseconds, 1)[0]


def new_run_ids(microseconds: int, count: int) -> list[str]:
    """Make so many ids of one moment, in their order, as `new_run_id` does but for the last 32 bits.

    Those are a counter of 16 bits (RFC 9562, section 6.2), begun at random, and 16 random bits that all of them have.
    So the last eight characters, which screens show, differ, while an index over ids that are read from their end has
    all of them in one place: written to a place of its own each, many runs take twice as long.
    """
    milliseconds = f"{microseconds // 1_000 & 0xFFFFFFFFFFFF:012x}"
    start = f"{milliseconds[:8]}-{milliseconds[8:]}-7"
    random = os.urandom(6 * count + 4).hex()
    first, end = int(random[-8:-4], 16), random[-4:]
    middles = [
        f"{random[at : at + 3]}-{_VARIANTS[random[at + 3]]}{random[at + 4 : at + 7]}-{random[at + 7 : at + 11]}"
        for at in range(0, 12 * count, 12)
    ]
    middles.sort()
    return [f"{start}{middle}{number & 0xFFFF:04x}{end}" for number, middle in enumerate(middles, first)]


_VARIANTS = {f"{digit:x}": "89ab"[digit % 4] for digit in range(16)}
"""The first digit of an id's fourth group, by a random one: the variant's bits 10, and two random ones."""


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else to_iso(moment)


def _failure_json(failure: Failure, *, tracebacks: bool) -> dict[str, Any]:
    written: dict[str, Any] = {"tenant": failure.tenant, "attempts": failure.attempts, "error": failure.error}
    if tracebacks:
        written["traceback"] = failure.traceback
    return written
