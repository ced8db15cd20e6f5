"""Which errors mean that the database itself can't be used, and what is to be said then."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from pinstripe.errors import DatabaseUnavailable
from pinstripe.postgres_outages import is_outage, reason
from pinstripe.setting_keys import hide_secrets

POOL_TIMEOUT = 30
"""How long an operation waits for a free connection, in seconds."""


def unavailable(error: BaseException, url: object) -> DatabaseUnavailable | None:
    """Give the error to raise where `error` says that the database can't be reached, opened, logged in to or written.

    None for any other error. `url` (a text, or `engine.url`) is for the message; its password is not shown.
    """
    if isinstance(error, DatabaseUnavailable):
        return error
    where = hide_secrets(str(url)).replace("+aiosqlite", "").replace("+asyncpg", "")
    where = where.removeprefix("sqlite:///")
    if isinstance(error, PoolTimeout):
        return DatabaseUnavailable(
            f"all connections to {where} were in use for {POOL_TIMEOUT} seconds; raise pool_size under "
            "[tool.pinstripe.database], run fewer jobs at once, or keep transactions short: inside transaction(), an "
            "operation of another workspace needs a connection besides"
        )
    if isinstance(error, DBAPIError):
        original = error.orig
        if isinstance(original, sqlite3.Error):
            return _sqlite(original, where)
        state = str(getattr(original, "sqlstate", None) or "")
        if error.connection_invalidated or is_outage(state):
            return DatabaseUnavailable(f"the connection to {where} is lost: {reason(original)}; {RETRY}")
    if isinstance(error, ConnectionError):
        return DatabaseUnavailable(f"the connection to {where} is lost: {reason(error)}; {RETRY}")
    return None


RETRY = "what was not committed is undone, and the next operation connects anew"


_WRITABLE = "the file and its folder (where SQLite keeps its journal) must be writable for this process's user"

_SQLITE = {
    sqlite3.SQLITE_CANTOPEN: f"it can't be opened; {_WRITABLE}",
    sqlite3.SQLITE_READONLY: f"it can be read only; {_WRITABLE}",
    sqlite3.SQLITE_PERM: f"its permissions forbid it; {_WRITABLE}",
    sqlite3.SQLITE_NOTADB: "it is no SQLite database",
    sqlite3.SQLITE_CORRUPT: "it is damaged; restore it from a copy",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write it",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_BUSY: "another connection kept it locked for {seconds} seconds; keep writing transactions short",
}
"""https://www.sqlite.org/rescode.html"""

BUSY_TIMEOUT = 5.0
"""How long SQLite waits for another connection's lock, in seconds."""


def _sqlite(error: sqlite3.Error, where: str) -> DatabaseUnavailable | None:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    said = _SQLITE.get(code & 0xFF)  # the low byte is the kind; the rest says more exactly
    if said is None:
        return None
    return DatabaseUnavailable(f"the SQLite database {where}: {said.format(seconds=int(BUSY_TIMEOUT))} ({error})")
