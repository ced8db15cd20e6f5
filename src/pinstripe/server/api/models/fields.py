"""Fields that many shapes have."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

A_RUN = "0199f3a2-5c1e-7d43-9a6b-1f3a9c0753e1"
"""The id of the run in examples."""

A_MOMENT = "2026-11-21T20:00:00.000000Z"

Moment = Annotated[
    datetime,
    Field(description="A time in UTC, ISO 8601 with microseconds.", examples=[A_MOMENT]),
]
RunId = Annotated[str, Field(description="A run's id, a UUIDv7.", examples=[A_RUN])]
JobName = Annotated[
    str, Field(description="A job's name, as `send_newsletter` or `billing/close_month`.", examples=["send_newsletter"])
]
TenantId = Annotated[str, Field(description="A tenant's id.", examples=["acme"])]
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
DURATION = {
    "pattern": "^" + "".join(rf"(?:{_NUMBER}{unit})?" for unit in ("d", "h", "m", "s", "ms")) + "$",
    "minLength": 2,
}
"""How durations are written, as a JSON Schema tells it."""

Json = Annotated[Any, Field(description="Any JSON value.")]


class Given(BaseModel):
    """What a caller gives: each key must be a known one, and each value of the very type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Told(BaseModel):
    """What a caller is told. Keys may be added to it in later versions."""
