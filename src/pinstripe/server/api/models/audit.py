"""The audit trail, as the API tells it."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from pinstripe.actor import Door
from pinstripe.history import Action
from pinstripe.server.api.models.fields import A_MOMENT, A_RUN, JobName, Moment, RunId, TenantId, Told


class AuditEntry(Told):
    """Who did what."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "at": A_MOMENT,
                    "door": "api",
                    "name": "deploy",
                    "action": "start",
                    "job": "send_newsletter",
                    "tenant": None,
                    "run": A_RUN,
                    "detail": None,
                    "outcome": "done",
                }
            ]
        }
    )

    at: Moment
    door: Annotated[Door, Field(description="By which way they came in.")]
    name: Annotated[str, Field(description="A token's, a login's, or a user's of the operating system.")]
    action: Action
    job: JobName | None
    tenant: TenantId | None
    run: RunId | None
    detail: Annotated[str | None, Field(description="More in one line, without arguments.")]
    outcome: Annotated[str | None, Field(description="What came of it; null where whoever did it hasn't told.")]
