"""The connection to the application's SQLite file: one for the process, used in a thread of its own."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from newsletter.places import check_database

Value = str | int | None
T = TypeVar("T")


class Store:
    """Reads and writes the database, one statement after another, without blocking the event loop.

    One connection in one thread, since SQLite has one writer at a time anyway: waiting here, in a queue, is quicker and
    fairer than several connections that find the file locked and ask again.
    """

    def __init__(self, path: Path) -> None:
        """Open the database at `path`. Raises `FileNotFoundError` when there is none."""
        check_database(path)
        self.path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="newsletter-store")
        try:
            self._connection = self._thread.submit(_connect, path).result()
        except BaseException:
            self._thread.shutdown()
            raise

    async def read(self, sql: str, parameters: Sequence[Value] = ()) -> list[sqlite3.Row]:
        """Give the rows of a query."""
        return await self._call(lambda: self._connection.execute(sql, parameters).fetchall())

    async def write(self, sql: str, parameters: Sequence[Value] = ()) -> int:
        """Execute a statement that changes rows, and commit it; give how many rows it changed."""
        return await self._call(lambda: self._connection.execute(sql, parameters).rowcount)

    def close(self) -> None:
        """Finish what was begun, and close the connection."""
        self._thread.submit(self._connection.close).result()
        self._thread.shutdown()

    async def _call(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)  # None: each statement is a transaction
    connection.row_factory = sqlite3.Row
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = normal")
    connection.execute("pragma foreign_keys = on")
    return connection
