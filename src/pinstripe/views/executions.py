"""A run's work for one tenant, as JSON and in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pinstripe.clock import to_iso
from pinstripe.run import ExecutionStatus
from pinstripe.views.text import moment

if TYPE_CHECKING:
    from pinstripe.run import Execution


def execution_json(execution: Execution) -> dict[str, Any]:
    """Give an execution as JSON values: the fields of `Execution`, in their order."""
    return {
        "run": execution.run,
        "job": execution.job,
        "tenant": execution.tenant,
        "status": str(execution.status),
        "attempts": execution.attempts,
        "held": execution.held,
        "due_at": None if execution.due_at is None else to_iso(execution.due_at),
        "error": execution.error,
        "traceback": execution.traceback,
        "result": execution.result,
        "started_at": None if execution.started_at is None else to_iso(execution.started_at),
        "finished_at": None if execution.finished_at is None else to_iso(execution.finished_at),
        "log": execution.log,
    }


def attempts_in_words(execution: Execution) -> str | None:
    """Write how many attempts there were, and when the next one is; None where it has not been tried yet."""
    if not execution.attempts:
        return None
    again = execution.status == ExecutionStatus.QUEUED and execution.due_at is not None
    return f"{execution.attempts:,}" + (f", the next at {moment(execution.due_at)}" if again else "")
