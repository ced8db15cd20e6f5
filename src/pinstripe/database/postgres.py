"""Engines for PostgreSQL whose connections carry nothing from one user to the next."""

from __future__ import annotations

import re
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import create_async_engine

from pinstripe.errors import ConfigurationError, DatabaseUnavailable
from pinstripe.postgres_outages import reason

from .outages import POOL_TIMEOUT
from .pools import PlacePool

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.ext.asyncio import AsyncEngine
    from sqlalchemy.pool import ConnectionPoolEntry, PoolResetState

    from pinstripe.postgres_address import PostgresAddress

IDLE = 5.0
"""After how many seconds without use a connection is asked whether it still lives, before it is used again."""


def postgres_engine(
    database: PostgresAddress, pool_size: int, *, monotonic: Callable[[], float] = time.monotonic
) -> AsyncEngine:
    """Make an engine of at most `pool_size` connections to `database`.

    Connecting raises `DatabaseUnavailable` where the server can't be reached or doesn't let in. A connection on which
    something was said that outlives its transaction (SET, LISTEN, a temporary table, an advisory lock) is closed when
    it is given back, and never used again.
    """
    engine = create_async_engine(
        URL.create(
            "postgresql+asyncpg",
            username=database.user,
            host=database.host or None,
            port=database.port,
            database=database.name,
        ),
        async_creator=lambda *_arguments, **_options: _connect(database),
        poolclass=PlacePool,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT,
        pool_use_lifo=True,
        hide_parameters=True,
    )
    leaves = lru_cache(maxsize=2000)(leaves_state)

    def execute(connection: Connection, _cursor: object, statement: str, *_rest: object) -> None:
        if leaves(statement):
            connection.info[_MARKED] = True

    def checkin(_connection: object, record: ConnectionPoolEntry) -> None:
        record.info[_IDLE_SINCE] = monotonic()

    def checkout(connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object) -> None:
        since = record.info.get(_IDLE_SINCE)
        if since is not None and not _lives(connection, engine, ask=monotonic() - since > IDLE):
            raise DisconnectionError

    event.listen(engine.sync_engine, "before_cursor_execute", execute)
    event.listen(engine.sync_engine, "reset", _reset)
    event.listen(engine.sync_engine, "checkin", checkin)
    event.listen(engine.sync_engine, "checkout", checkout)
    return engine


def leaves_state(statement: str) -> bool:
    """Tell whether `statement` may leave something on its connection that outlives its transaction.

    By its text, and rather too often than too seldom: whatever is not known to leave nothing does. A function of the
    application's that sets something for the session itself can't be seen.
    """
    bare = _COMMENTS.sub(" ", statement)
    found = _FIRST_WORD.match(bare)
    word = found[1].lower() if found else ""
    if word == "set":
        return _LOCAL.match(bare) is None
    if word not in _HARMLESS:
        return True
    if not _SUSPICIOUS.search(statement):
        return False
    # A variable that is set for the transaction alone is what our own sessions say at its beginning.
    return _SUSPICIOUS.search(_SET_CONFIG_LOCALLY.sub(" ", statement)) is not None


_COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_FIRST_WORD = re.compile(r"[\s(]*([A-Za-z]+)")
_LOCAL = re.compile(r"\s*set\s+(local|transaction|constraints)\s", re.IGNORECASE)
_HARMLESS = frozenset(
    (
        *("select", "values", "table", "with", "insert", "update", "delete", "merge", "lock", "show"),
        *("begin", "start", "commit", "end", "rollback", "savepoint", "release"),
    )
)
_SUSPICIOUS = re.compile(
    r"set_config(?!_\d)|advisory_lock|pg_temp|\binto\s+(temp|temporary|local|global)\b|dblink|pg_reload|lo_open|setseed",
    re.IGNORECASE,
)
_SET_CONFIG_LOCALLY = re.compile(
    r"set_config\s*\(\s*(?:'[\w.]+'|\$\d+(?:::\w+)?)\s*,\s*(?:'[^']*'|\$\d+(?:::\w+)?)\s*,\s*true\s*\)", re.IGNORECASE
)

_MARKED = "pinstripe: something may be left on it"
_IDLE_SINCE = "pinstripe: idle since"


def _reset(_connection: object, record: ConnectionPoolEntry | None, state: PoolResetState) -> None:
    if record is not None and state.asyncio_safe and record.info.get(_MARKED):
        record.invalidate()


def _lives(connection: DBAPIConnection, engine: AsyncEngine, *, ask: bool) -> bool:
    if connection.driver_connection.is_closed():
        return False
    try:
        return not ask or engine.dialect.do_ping(connection)
    except Exception:  # noqa: BLE001 - whatever a connection answers that is no answer, another one is made
        return False


async def _connect(database: PostgresAddress) -> Any:
    import asyncpg

    try:
        return await asyncpg.connect(
            database.dsn, timeout=database.connect_timeout, server_settings=dict(database.server_settings)
        )
    except asyncpg.exceptions.ClientConfigurationError as error:
        raise ConfigurationError(f"the URL of {database} can't be used: {reason(error)}") from error
    except TimeoutError as error:
        seconds = database.connect_timeout
        raise DatabaseUnavailable(f"{database} didn't answer within {seconds:g} seconds; is it there?") from error
    except asyncpg.PostgresError as error:
        raise DatabaseUnavailable(f"{database} refuses the connection: {reason(error)}") from error
    except (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise DatabaseUnavailable(f"{database} can't be reached: {reason(error)}; is the server running?") from error
