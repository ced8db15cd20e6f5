"""Jobs, as the API tells them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from pinstripe.priority import Priority
from pinstripe.server.api.models.fields import A_MOMENT, JobName, Json, Moment, Told
from pinstripe.server.api.models.runs import ListedRun


class LoadProblem(Told):
    """Why a job's file can't be loaded."""

    line: Annotated[int | None, Field(description="The line of the file, where that is known.")]
    reason: str


class Schedule(Told):
    """When a job runs by itself."""

    cron: Annotated[str, Field(description="Its cron line.", examples=["0 9 * * 1"])]
    name: str | None
    time_zone: Annotated[str | None, Field(description="`tenant` is each tenant's own; null is the project's.")]
    args: list[Json]
    kwargs: dict[str, Json]
    words: Annotated[str, Field(description="The cron line in words.")]
    next_fire: Moment | None
    zone: Annotated[str, Field(description="The time zone that `next_fire` is by.")]


class Limits(Told):
    """How many executions may go on at once, over all workers; null is no limit."""

    total: int | None
    per_tenant: int | None


class Job(Told):
    """A background job: what `pinstripe list-background-jobs --json` prints of it, and how it is run.

    One that can't be loaded has `job`, `file`, `problem` and `last_run` alone.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "job": "send_newsletter",
                    "file": "lib/background_jobs/send_newsletter.py",
                    "problem": None,
                    "summary": "Send the hourly newsletter to every subscriber.",
                    "multi_tenant": True,
                    "filter": "active=True",
                    "schedules": [
                        {
                            "cron": "0 * * * *",
                            "name": None,
                            "time_zone": None,
                            "args": [],
                            "kwargs": {},
                            "words": "every hour",
                            "next_fire": A_MOMENT,
                            "zone": "UTC",
                        }
                    ],
                    "last_run": None,
                    "timeout": 30.0,
                    "retries": 3,
                    "limits": {"total": 10, "per_tenant": None},
                    "priority": None,
                    "redact": [],
                    "parameters": {
                        "type": "object",
                        "properties": {"segment": {"type": "string", "default": "all"}},
                        "required": [],
                        "additionalProperties": False,
                    },
                }
            ]
        }
    )

    job: JobName
    file: Annotated[str | None, Field(description="Its file, from the project's folder; null for one of code's own.")]
    problem: Annotated[LoadProblem | None, Field(description="Why it can't be loaded; null where it can.")]
    summary: Annotated[str, Field(description="The first line of its docstring.")] = ""
    multi_tenant: Annotated[bool, Field(description="Whether it runs once for each matching tenant.")] = False
    filter: Annotated[str | None, Field(description="The filter by which it chooses its tenants, in words.")] = None
    schedules: list[Schedule] = Field(default_factory=list)
    last_run: Annotated[ListedRun | None, Field(description="Its newest run; null for who is confined to tenants.")]
    timeout: Annotated[float | None, Field(description="Seconds that an attempt may take; null is no limit.")] = None
    retries: Annotated[int, Field(ge=0, description="How often a failed execution is tried again by itself.")] = 0
    limits: Limits | None = None
    priority: Annotated[Priority | None, Field(description="How urgent its runs are; null where it doesn't say.")] = (
        None
    )
    redact: Annotated[list[str], Field(description="The arguments that are never shown.")] = Field(default_factory=list)
    parameters: Annotated[
        dict[str, Any] | None,
        Field(
            description="A JSON Schema of the arguments of `run` by name; null where an annotation has none. One with "
            "`x-position-only` can only be given in `args`, and `x-more-positions` is of all further ones there."
        ),
    ] = None
