"""What the verdict reads a ledger by: the same statements in SQLite and PostgreSQL, without any of Pinstripe's code."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, Protocol

import apsw
import psycopg

if TYPE_CHECKING:
    from pathlib import Path

SHOWN = 5
"""How many of what is wrong are shown."""


class Unreachable(Exception):
    """The ledger can't be read now."""


class Reading(Protocol):
    """One ledger."""

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Give the rows of a query; raises `Unreachable` where its server is down."""
        ...

    def unsound(self) -> str | None:
        """Say what is wrong with the database itself; None where nothing is."""
        ...


class SQLite:
    """A ledger in a file."""

    def __init__(self, path: Path) -> None:
        """Take the file."""
        self._path = path

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Give the rows of a query."""
        with closing(apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
            connection.set_busy_timeout(10_000)
            return [tuple(row) for row in connection.execute(sql)]

    def unsound(self) -> str | None:
        """Say what SQLite finds wrong with the file."""
        found = self.rows("pragma integrity_check")
        return None if found == [("ok",)] else str(found[:SHOWN])


class PostgreSQL:
    """A ledger in a database, in the schema that it has by default."""

    def __init__(self, url: str) -> None:
        """Take the database's URL."""
        self._url = url

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Give the rows of a query; raises `Unreachable` where the server is down."""
        try:
            with psycopg.connect(self._url, options="-c search_path=pinstripe", connect_timeout=5) as connection:
                return list(connection.execute(sql.encode()))
        except psycopg.OperationalError as error:
            raise Unreachable(str(error)) from error

    def unsound(self) -> str | None:
        """Say which transactions were left open, as a process leaves them that is stopped for good."""
        found = self.rows(
            "select pid, application_name, xact_start::text, left(query, 60) from pg_stat_activity"
            " where datname = current_database() and state like 'idle in transaction%'"
            " and xact_start < now() - interval '30 s'"
        )
        return f"open transactions: {found[:SHOWN]}" if found else None
