"""Runs, as the API tells them."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, JsonValue

from pinstripe.run import MAX_FAILURES, RunStatus, Trigger
from pinstripe.server.api.models.fields import A_MOMENT, A_RUN, JobName, Json, Moment, RunId, TenantId, Told

A_COUNTED_RUN: dict[str, JsonValue] = {
    "id": A_RUN,
    "job": "send_newsletter",
    "status": "failed",
    "trigger": "api",
    "args": ["weekly"],
    "kwargs": {},
    "selecting": False,
    "retry_of": None,
    "parent": None,
    "scheduled_for": None,
    "error": None,
    "result": None,
    "created_at": A_MOMENT,
    "started_at": "2026-11-21T20:00:00.004211Z",
    "finished_at": "2026-11-21T20:00:01.731077Z",
    "executions": {
        "total": 3,
        "queued": 0,
        "running": 0,
        "succeeded": 2,
        "failed": 1,
        "cancelled": 0,
        "skipped": 0,
    },
}
A_WHOLE_RUN: dict[str, JsonValue] = {
    **A_COUNTED_RUN,
    "failures": [
        {
            "tenant": "acme",
            "attempts": 1,
            "error": "ValueError: bad address",
            "traceback": "Traceback (most recent call last):\n  …\nValueError: bad address\n",
        }
    ],
}
A_QUEUED_RUN: dict[str, JsonValue] = {
    **A_COUNTED_RUN,
    "status": "queued",
    "selecting": True,
    "started_at": None,
    "finished_at": None,
    "executions": dict.fromkeys(["total", "queued", "running", "succeeded", "failed", "cancelled", "skipped"], 0),
    "failures": [],
}


class Counts(Told):
    """How many executions of a run are in which state."""

    total: Annotated[int, Field(ge=0)]
    queued: Annotated[int, Field(ge=0)]
    running: Annotated[int, Field(ge=0)]
    succeeded: Annotated[int, Field(ge=0)]
    failed: Annotated[int, Field(ge=0)]
    cancelled: Annotated[int, Field(ge=0)]
    skipped: Annotated[int, Field(ge=0)]


class Failure(Told):
    """A failed execution."""

    tenant: Annotated[TenantId | None, Field(description="Its tenant; null in a job that is not multi-tenant.")]
    attempts: Annotated[int, Field(ge=0, description="How many attempts there were.")]
    error: Annotated[str, Field(description="The error of the last attempt.")]
    traceback: Annotated[str | None, Field(description="Where the error was raised, as Python tells it.")]


class ListedRun(Told):
    """A run, as a list has it: with its counts, and without its failures."""

    model_config = ConfigDict(json_schema_extra={"examples": [A_COUNTED_RUN]})

    id: RunId
    job: JobName
    status: RunStatus
    trigger: Annotated[Trigger, Field(description="What started it: `api` is also the dashboard.")]
    args: Annotated[list[Json], Field(description='Arguments by position; `"***"` stands for a redacted one.')]
    kwargs: Annotated[dict[str, Json], Field(description='Arguments by name; `"***"` stands for a redacted one.')]
    selecting: Annotated[bool, Field(description="Whether not all of its tenants are selected yet.")]
    retry_of: Annotated[RunId | None, Field(description="The run that it retries.")]
    parent: Annotated[RunId | None, Field(description="The run whose job started it.")]
    scheduled_for: Annotated[Moment | None, Field(description="When its schedule let it start.")]
    error: Annotated[str | None, Field(description="Its own error, such as that of the tenant source.")]
    result: Annotated[Json, Field(description="What the job returned, in a run of one execution.")]
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    executions: Counts


class Run(ListedRun):
    """One invocation of a job: the object that `pinstripe show-run --json` prints."""

    model_config = ConfigDict(json_schema_extra={"examples": [A_WHOLE_RUN]})

    failures: Annotated[
        list[Failure],
        Field(
            max_length=MAX_FAILURES,
            description=f"At most {MAX_FAILURES:,} failed executions, by tenant; `executions.failed` is the count.",
        ),
    ]
