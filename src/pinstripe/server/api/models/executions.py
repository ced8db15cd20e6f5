"""Executions, as the API tells them."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, JsonValue

from pinstripe.queue import Held
from pinstripe.run import ExecutionStatus
from pinstripe.server.api.models.fields import A_RUN, JobName, Json, Moment, RunId, TenantId, Told

A_LISTED_EXECUTION: dict[str, JsonValue] = {
    "run": A_RUN,
    "job": "send_newsletter",
    "tenant": "acme",
    "status": "failed",
    "attempts": 1,
    "held": None,
    "due_at": None,
    "error": "ValueError: bad address",
    "started_at": "2026-11-21T20:00:00.004211Z",
    "finished_at": "2026-11-21T20:00:00.090112Z",
}


class ListedExecution(Told):
    """A run's work for one tenant, as a list has it: without its traceback, its result and its log."""

    model_config = ConfigDict(json_schema_extra={"examples": [A_LISTED_EXECUTION]})

    run: RunId
    job: JobName
    tenant: Annotated[TenantId | None, Field(description="Its tenant; null in a job that is not multi-tenant.")]
    status: ExecutionStatus
    attempts: Annotated[int, Field(ge=0, description="How many attempts there were.")]
    held: Annotated[Held | None, Field(description="Why a queued one may not start yet.")]
    due_at: Annotated[Moment | None, Field(description="When one that waits for its time may start.")]
    error: Annotated[
        str | None,
        Field(description="The error of a failed one, the reason of a cancelled or skipped one; cut in a list."),
    ]
    started_at: Moment | None
    finished_at: Moment | None


class Execution(ListedExecution):
    """A run's work for one tenant: the object that `pinstripe show-run --tenant --json` prints."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **A_LISTED_EXECUTION,
                    "traceback": "Traceback (most recent call last):\n  …\nValueError: bad address\n",
                    "result": None,
                    "log": "sending to 3 subscribers\n",
                }
            ]
        }
    )

    traceback: Annotated[str | None, Field(description="Where the error was raised, as Python tells it.")]
    result: Annotated[Json, Field(description="What the job returned.")]
    log: Annotated[str | None, Field(description="What it printed and logged; null where nothing is kept.")]
