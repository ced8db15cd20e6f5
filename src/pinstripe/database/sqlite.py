"""Engines for SQLite files that the application has made; none is ever made here."""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import aiosqlite
from sqlalchemy import URL, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import create_async_engine

from pinstripe.errors import DatabaseUnavailable

from .cursors import OneWayCursor
from .outages import BUSY_TIMEOUT, POOL_TIMEOUT
from .pools import PlacePool
from .turns import Turns

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection
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
    The journal mode is the application's. A connection on which something was said that outlives its transaction (a
    pragma, a temporary table) is closed when it is given back. Connecting raises `DatabaseUnavailable` where there is
    no such file.
    """
    path = file.path
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(file.path)),
        async_creator=lambda *_arguments, **_options: _connect(path),
        poolclass=PlacePool,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT,
        pool_reset_on_return=None,
        hide_parameters=True,
    )

    def checkout(connection: DBAPIConnection, _record: object, _proxy: object) -> None:
        # A file that was removed or replaced lives on for those who have it open: they would read and write a ghost.
        if connection.driver_connection.file != find_identity(path):
            raise DisconnectionError

    event.listen(engine.sync_engine, "checkout", checkout)
    _end_transactions(engine, Turns(POOL_TIMEOUT))
    return engine


def leaves_state(statement: str) -> bool:
    """Tell whether `statement` may leave something on its connection that outlives its transaction, by its text."""
    bare = _COMMENTS.sub(" ", statement)
    if _PRAGMA.match(bare):
        return _READING.match(bare) is None
    return _TEMPORARY.search(bare) is not None


_COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_PRAGMA = re.compile(r"\s*pragma\b", re.IGNORECASE)
_READING = re.compile(
    r"\s*pragma\s+(\S+\.)?(\w+\s*;?\s*$|(table_(x?info|list)|index_(x?info|list)|foreign_key_(list|check))\s*\()",
    re.IGNORECASE,
)
"""What only asks: a pragma without a value, or one that tells of a table."""
_TEMPORARY = re.compile(r"\btemp\W*\.|\s*create\s+temp(orary)?\b", re.IGNORECASE)

_MARKED = "pinstripe: something may be left on it"


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
            "migrations, say), never by pinstripe: make it, or mend `url` (or `tenant_url`) under "
            "[tool.pinstripe.database]"
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


async def _connect(path: Path) -> aiosqlite.Connection:
    """Connect; whoever is cancelled meanwhile leaves neither a connection nor a thread."""
    connecting = asyncio.ensure_future(_connected(path))
    try:
        return await asyncio.shield(connecting)
    except asyncio.CancelledError:
        with suppress(sqlite3.Error):
            await (await connecting).close()
        raise


async def _connected(path: Path) -> aiosqlite.Connection:
    def connector() -> sqlite3.Connection:
        # "rw" opens what there is, and makes nothing.
        uri = f"{path.as_uri()}?mode=rw"
        return sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT, isolation_level=None, factory=_Connection)

    connection = _Threaded(connector, iter_chunk_size=64)
    connection.file = file_identity(path)
    connection._thread.daemon = True  # noqa: SLF001 - as SQLAlchemy does: a forgotten engine holds no process up
    try:
        return await connection
    except sqlite3.Error:
        if connection.stopped is not None:
            await connection.stopped  # or the thread would report its end to a loop that may be closed by then
        raise


class _Threaded(aiosqlite.Connection):
    """A connection with its thread: it tells which file it has open, and when the thread has stopped."""

    file: FileIdentity
    stopped: asyncio.Future[None] | None = None

    def cursor(self) -> OneWayCursor:  # type: ignore[override]  # entered alike
        return OneWayCursor(self)

    def stop(self) -> asyncio.Future[None] | None:
        self.stopped = super().stop()
        return self.stopped


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

    def close(self) -> None:
        # A statement that was broken off in the middle would keep the transaction, and its lock, alive until somebody
        # collects its cursor.
        if self.in_transaction:
            self.rollback()
        super().close()


def _clean(connection: DBAPIConnection, record: ConnectionPoolEntry | None) -> None:
    """Let nothing of its last user be left on a connection, or let it go."""
    if connection.driver_connection.in_transaction:
        connection.rollback()
    if record is not None and record.info.get(_MARKED):
        record.invalidate()


def _end_transactions(engine: AsyncEngine, turns: Turns) -> None:
    """Let whoever writes wait for his turn, and end what has begun, without a needless way to a connection's thread."""
    leaves = lru_cache(maxsize=2000)(leaves_state)

    def execute(connection: Connection, _cursor: object, statement: str, *_rest: object) -> None:
        if statement[:15].upper() == "BEGIN IMMEDIATE":
            turns.take(connection.connection.driver_connection)
        elif leaves(statement):
            connection.info[_MARKED] = True

    dialect: Any = engine.dialect
    do_commit, do_rollback = dialect.do_commit, dialect.do_rollback

    def commit(connection: Any) -> None:
        try:
            if connection.driver_connection.in_transaction:  # a single query is in none
                do_commit(connection)
        finally:
            turns.give_back(connection.driver_connection)

    def rollback(connection: Any) -> None:
        try:
            do_rollback(connection)
        finally:
            turns.give_back(connection.driver_connection)

    def reset(connection: DBAPIConnection, record: ConnectionPoolEntry | None, state: PoolResetState) -> None:
        try:
            if state.asyncio_safe and not state.terminate_only:
                _clean(connection, record)
        finally:
            turns.give_back(connection.driver_connection)

    def close(connection: DBAPIConnection, _record: object) -> None:
        turns.give_back(connection.driver_connection)

    dialect.do_commit, dialect.do_rollback = commit, rollback
    event.listen(engine.sync_engine, "before_cursor_execute", execute)
    event.listen(engine.sync_engine, "reset", reset)
    event.listen(engine.sync_engine, "close", close)
