"""Pauses, as they are set, ended and told."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from pinstripe.server.api.models.fields import A_MOMENT, Given, JobName, Moment, TenantId, Told


class NewPause(Given):
    """What to pause: a `job`, a `tenant`, the job for the tenant with both, or `everything`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"job": "send_newsletter"}, {"tenant": "acme"}, {"everything": True}],
        }
    )

    job: JobName | None = None
    tenant: Annotated[TenantId | None, Field(min_length=1)] = None
    everything: Annotated[bool, Field(description="All jobs for all tenants; it goes with neither of the others.")] = (
        False
    )


class Pause(Told):
    """What is paused: a `job`, a `tenant`, the one for the other; with neither, everything."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"job": None, "tenant": "acme", "since": A_MOMENT}]})

    job: JobName | None
    tenant: TenantId | None
    since: Moment


class Changed(Told):
    """What was to be paused or resumed, and whether that changed anything."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"job": None, "tenant": "acme", "changed": True}]})

    job: JobName | None
    tenant: TenantId | None
    changed: Annotated[bool, Field(description="False where it was paused, or not, already.")]
