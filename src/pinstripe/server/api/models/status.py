"""What goes on, as the API tells it: the object that `pinstripe status --json` prints."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pinstripe.priority import Priority
from pinstripe.server.api.models.fields import JobName, Moment, RunId, TenantId, Told
from pinstripe.server.api.models.pauses import Pause


class Ledger(Told):
    """Whether the ledger is made, and what keeps it from being made where it isn't."""

    made: bool
    trouble: str | None


class RunningExecution(Told):
    """What a process runs."""

    job: JobName
    tenant: TenantId | None
    run: RunId
    started_at: Moment | None


class Process(Told):
    """A process of the ledger: a worker, a bot, a server or a command."""

    host: str
    pid: int
    code_version: str
    running: Annotated[int, Field(ge=0, description="How many executions it runs.")]
    concurrency: Annotated[int | None, Field(description="How many it may run; null where it is no worker.")]
    bot: Annotated[bool, Field(description="Whether it lets schedules fire.")]
    stopping: Annotated[bool, Field(description="Whether it is about to end.")]
    started_at: Moment | None
    heard_at: Annotated[Moment | None, Field(description="When it last said that it lives.")]
    executions: Annotated[list[RunningExecution], Field(description="Those that it has run for longest.")]


class Line(Told):
    """What waits with one priority."""

    priority: Priority
    ready: Annotated[int, Field(ge=0)]
    oldest_at: Annotated[Moment | None, Field(description="Since when the oldest of it waits.")]


class HeldCounts(Told):
    """How many queued executions may not start yet, by reason."""

    due: Annotated[int, Field(ge=0)]
    limit: Annotated[int, Field(ge=0)]
    tenant_limit: Annotated[int, Field(ge=0)]
    paused: Annotated[int, Field(ge=0)]
    overlap: Annotated[int, Field(ge=0)]


class Lacking(Told):
    """What of a job waits for a worker whose code has it."""

    job: JobName
    waiting: Annotated[int, Field(ge=0)]
    selecting: Annotated[int, Field(ge=0)]


class Schedules(Told):
    """How many schedules there are, and who lets them fire."""

    total: Annotated[int, Field(ge=0)]
    next_fire_at: Moment | None
    bots: Annotated[int, Field(ge=0)]


class Overdue(Told):
    """What a schedule should have let run by now, and didn't."""

    job: JobName
    schedule: str
    tenant: TenantId | None
    due_at: Moment | None
    run: RunId | None
    reason: str


class Status(Told):
    """What goes on: who works, what waits and why, what is paused, what should have run."""

    ledger: Ledger
    processes: list[Process]
    queue: Annotated[list[Line], Field(description="What is ready, by priority.")]
    held: HeldCounts
    lacking: list[Lacking]
    running: Annotated[int, Field(ge=0)]
    selecting: Annotated[int, Field(ge=0, description="How many runs select their tenants.")]
    next_due_at: Moment | None
    pauses: list[Pause]
    schedules: Schedules
    overdue: list[Overdue]
