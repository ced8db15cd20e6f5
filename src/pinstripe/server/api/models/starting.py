"""What a caller gives to start, to preview and to retry a run."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, JsonValue

from pinstripe.priority import Priority
from pinstripe.server.api.models.fields import A_MOMENT, DURATION, Given, JobName, Json, TenantId, Told

MAX_TENANTS = 1_000
"""How many tenants a preview lists."""

Scalar = str | int | float | bool | None
A_TENANT = Annotated[TenantId, Field(min_length=1)]


class NewPreview(Given):
    """A job, its arguments, and for whom it is to run."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"job": "send_newsletter", "args": ["weekly"], "where": {"plan": "pro", "seats__ge": 5}}]
        }
    )

    job: Annotated[JobName, Field(min_length=1)]
    args: Annotated[list[Json], Field(description="The arguments of its `run` by position.")] = Field(
        default_factory=list
    )
    kwargs: Annotated[dict[str, Json], Field(description="The arguments of its `run` by name.")] = Field(
        default_factory=dict
    )
    tenants: Annotated[
        list[A_TENANT] | None,
        Field(description="Only these tenants; null, or left away, is all that the job's filter lets in."),
    ] = None
    exclude: Annotated[list[A_TENANT], Field(description="All but these tenants.")] = Field(default_factory=list)
    where: Annotated[
        dict[str, Scalar | list[Scalar]],
        Field(
            description="Narrower than the job's own filter: an attribute of tenants, alone (equal) or with one of "
            "`__ne`, `__lt`, `__gt`, `__le`, `__ge`, `__begins_with`, `__ends_with`, `__contains`, and a value, or a "
            "list of which any will do. All must hold.",
            examples=[{"plan": "pro", "seats__ge": 5}],
        ),
    ] = Field(default_factory=dict)


class NewRun(NewPreview):
    """A run to start: a job, its arguments, for whom it is, when it may start, and how urgent it is."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"job": "send_newsletter", "args": ["weekly"]},
                {"job": "send_newsletter", "tenants": ["acme"], "delay": "5m", "priority": "interactive"},
            ]
        }
    )

    at: Annotated[
        str | None,
        Field(
            description="Not before this time, ISO 8601 with its time zone; it doesn't go with `delay`.",
            examples=[A_MOMENT],
            json_schema_extra={"format": "date-time"},
        ),
    ] = None
    delay: Annotated[
        str | None,
        Field(
            description='Start it so late: `"30s"`, `"5m"`, `"1h30m"`, `"7d"`.',
            examples=["5m"],
            json_schema_extra=dict[str, JsonValue](DURATION),
        ),
    ] = None
    priority: Annotated[
        str | None,
        Field(
            description="How urgent it is; null, or left away, is by the job.",
            json_schema_extra={"enum": [*(str(one) for one in Priority), None]},
        ),
    ] = None


class Preview(Told):
    """What would run, of which nothing does."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"job": "send_newsletter", "args": ["weekly"], "kwargs": {}, "total": 2, "tenants": ["acme", "birch"]}
            ]
        }
    )

    job: JobName
    args: list[Json]
    kwargs: dict[str, Json]
    total: Annotated[int, Field(ge=0, description="For how many tenants; 1 for a job that is not multi-tenant.")]
    tenants: Annotated[list[TenantId], Field(max_length=MAX_TENANTS, description=f"The first {MAX_TENANTS:,} of them.")]


class NewRetry(Given):
    """What of a run to try again."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}, {"skipped": True}, {"tenants": ["acme"]}]})

    skipped: Annotated[bool, Field(description="Also what was skipped.")] = False
    tenants: Annotated[
        list[A_TENANT] | None,
        Field(min_length=1, description="Only these tenants of the run; null, or left away, is all of them."),
    ] = None


class Problem(Told):
    """What went wrong, as RFC 9457 has it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "/_pinstripe/api/#problem-unknown-job",
                    "title": "Unknown job",
                    "status": 422,
                    "detail": "there is no background job 'send_newsleter'; did you mean send_newsletter?",
                }
            ]
        }
    )

    type: Annotated[str, Field(description="Which problem it is; it never changes.")]
    title: Annotated[str, Field(description="The problem in a few words.")]
    status: Annotated[int, Field(ge=400, le=599, description="The HTTP status.")]
    detail: Annotated[str, Field(description="What was expected, what was found, and how to mend it.")]
    errors: Annotated[
        list[dict[str, Any]] | None,
        Field(description="What is wrong with which `field` of the request, each with a `message`."),
    ] = None
