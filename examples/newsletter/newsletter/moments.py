"""Times as the database keeps them: UTC, as text that sorts as the times do."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Dialect, Text, TypeDecorator


def now() -> datetime:
    """Give the time, in UTC."""
    return datetime.now(UTC)


def written(moment: datetime) -> str:
    """Write an aware `moment` as the database has it: `2026-11-21T20:00:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Moment(TypeDecorator[datetime]):
    """The type of a column that holds times: aware in Python, whole seconds."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's
        """Write a time for the database."""
        return None if value is None else written(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - as above
        """Read a time from the database."""
        return None if value is None else datetime.fromisoformat(value)
