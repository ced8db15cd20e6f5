"""Times as the database keeps them: UTC, as text that sorts as the times do."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """Give the time, in UTC."""
    return datetime.now(UTC)


def written(moment: datetime) -> str:
    """Write an aware `moment` as the database has it: `2026-11-21T20:00:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
