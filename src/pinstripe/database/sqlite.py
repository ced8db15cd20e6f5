"""Engines for SQLite files that the application has made; none is ever made here."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from pinstripe.errors import DatabaseUnavailable

from .outages import BUSY_TIMEOUT, POOL_TIMEOUT

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.ext.asyncio import AsyncEngine
    from sqlalchemy.pool import ConnectionPoolEntry, PoolResetState

    from .urls import SQLiteFile

FileIdentity = tuple[int, int]
"""A file's device and inode: the same for every path that leads to it."""


def sqlite_engine(file: SQLiteFile, pool_size: int) -> AsyncEngine:
    """Make an engine of at most `pool_size` connections to `file`, each with a thread of its own.

    The connections begin no transaction of themselves: whoever uses them says BEGIN. LIKE tells small letters from
    capitals, as on PostgreSQL; foreign keys are held; nothing can be attached, since another tenant's file might be.
    The journal mode is the application's. Connecting raises `DatabaseUnavailable` where there is no such file.
    """
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(file.path)),
        poolclass=AsyncAdaptedQueuePool,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT,
        pool_reset_on_return=None,
        hide_parameters=True,
    )
    path = file.path

    def connect(_: object, record: ConnectionPoolEntry, arguments: list[Any], options: dict[str, Any]) -> None:
        record.info[_FILE] = file_identity(path)
        arguments[:] = [f"{path.as_uri()}?mode=rw"]  # "rw" opens what there is, and makes nothing
        options.update(uri=True, timeout=BUSY_TIMEOUT, isolation_level=None, factory=_Connection)

    def checkout(_connection: object, record: ConnectionPoolEntry, _proxy: object) -> None:
        # A file that was removed or replaced lives on for those who have it open: they would read and write a ghost.
        if record.info.get(_FILE) != find_identity(path):
            raise DisconnectionError

    event.listen(engine.sync_engine, "do_connect", connect)
    event.listen(engine.sync_engine, "checkout", checkout)
    event.listen(engine.sync_engine, "reset", _reset)
    return engine


def find_identity(path: Path) -> FileIdentity | None:
    """Give what tells the file at `path` from others; None where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - at each operation, and twice as quick as by `Path`
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def file_identity(path: Path) -> FileIdentity:
    """Give what tells the file at `path` from others; raises `DatabaseUnavailable` where there is none."""
    identity = find_identity(path)
    if identity is None or not path.is_file():
        found = "a folder" if path.is_dir() else "something else" if path.exists() else "nothing"
        raise DatabaseUnavailable(
            f"expected a SQLite database at {path}, found {found}; its file is made by your application (by its "
            "migrations, say), never by pinstripe: make it, or mend the setting"
        )
    return identity


def check_letters(file: SQLiteFile) -> None:
    """See that `file` is there letter for letter, since some file systems take `Acme.db` for `acme.db`.

    Raises `DatabaseUnavailable` where it is not: it is another tenant's.
    """
    path = file.path
    for _ in range(file.chosen):
        other = path.with_name(path.name.swapcase())
        # Only where both spellings lead to one file are the folder's entries needed, which may be many.
        are_one = other != path and find_identity(other) == find_identity(path)
        if are_one and path.name not in {entry.name for entry in path.parent.iterdir()}:
            raise DatabaseUnavailable(
                f"expected {path.name!r} in {path.parent}, found a name that differs in small and capital letters, "
                "which this file system takes for the same; it belongs to another tenant"
            )
        path = path.parent


_FILE = "pinstripe: the file's device and inode"

_PRAGMAS = (
    "pragma foreign_keys = on",
    "pragma case_sensitive_like = on",
    "pragma schema_version",  # reads the file's head: what is no database is found now, and not in a job's first query
)


class _Connection(sqlite3.Connection):
    """A connection that is set up by its own thread, in one go."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        try:
            self.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
            for pragma in _PRAGMAS:
                self.execute(pragma).close()
        except BaseException:
            self.close()
            raise


def _reset(connection: DBAPIConnection, _record: object, state: PoolResetState) -> None:
    """Undo what is left of a transaction; where there is none, the way to the connection's thread is saved."""
    if state.asyncio_safe and not state.terminate_only and connection.driver_connection.in_transaction:
        connection.rollback()
