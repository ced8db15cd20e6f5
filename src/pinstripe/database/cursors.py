"""A cursor that goes to its connection's thread once for a statement, and not for each thing to be done with it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Self, cast

import aiosqlite

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable

AT_ONCE = 1_000
"""How many rows come along with a statement: more than most have, and not too many to hold."""


class OneWayCursor(aiosqlite.Cursor):
    """Makes the cursor, executes the statement and brings the first rows, all in one go.

    The way to a thread and back takes longer than most statements do, and aiosqlite goes it four times for a query: to
    make the cursor, to execute, to fetch and to close. What has given all its rows needs no closing.
    """

    def __init__(self, connection: aiosqlite.Connection) -> None:
        """Take the connection; nothing is asked of its thread yet."""
        super().__init__(connection, cast("sqlite3.Cursor", None))  # it is made with the first statement
        self._rows: deque[Any] = deque()
        self._has_more = False

    async def execute(self, sql: str, parameters: Iterable[Any] | None = None) -> Self:
        """Execute a statement, and have its first rows at hand."""
        await self.close()
        self._cursor, rows = await self._ask(_execute, self._conn._conn, sql, parameters or ())  # noqa: SLF001 - as aiosqlite's own
        self._rows.extend(rows)
        self._has_more = len(rows) == AT_ONCE
        return self

    async def executemany(self, sql: str, parameters: Iterable[Iterable[Any]]) -> Self:
        """Execute a statement, which gives no rows, for each of the parameters."""
        await self.close()
        self._cursor = await self._ask(self._conn._conn.executemany, sql, parameters)  # noqa: SLF001 - as above
        return self

    async def fetchone(self) -> Any:
        """Give the next row, or None."""
        rows = await self.fetchmany(1)
        return rows[0] if rows else None

    async def fetchmany(self, size: int | None = None) -> list[Any]:
        """Give the next `size` rows, or as many as there are."""
        size = self.arraysize if size is None else size
        if self._has_more and len(self._rows) < size:
            missing = max(AT_ONCE, size)
            rows = await self._ask(self._cursor.fetchmany, missing)
            self._rows.extend(rows)
            self._has_more = len(rows) == missing
        return [self._rows.popleft() for _ in range(min(size, len(self._rows)))]

    async def fetchall(self) -> list[Any]:
        """Give all the other rows."""
        if self._has_more:
            self._rows.extend(await self._ask(self._cursor.fetchall))
            self._has_more = False
        rows = list(self._rows)
        self._rows.clear()
        return rows

    async def close(self) -> None:
        """End the statement, if it hasn't come to its end by itself."""
        self._rows.clear()
        if self._has_more:
            self._has_more = False
            await super().close()

    async def _ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await self._execute(function, *arguments)  # type: ignore[no-untyped-call]


def _execute(connection: sqlite3.Connection, sql: str, parameters: Any) -> tuple[sqlite3.Cursor, list[Any]]:
    cursor = connection.execute(sql, parameters)
    return cursor, cursor.fetchmany(AT_ONCE) if cursor.description else []
