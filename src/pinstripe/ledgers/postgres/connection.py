"""Connections to the ledger's server: each with limits of time, so that a network that is half dead holds nobody."""

from __future__ import annotations

import socket
import ssl
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg

from pinstripe.errors import LedgerError
from pinstripe.postgres_outages import is_outage, reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pinstripe.postgres_address import PostgresAddress

COMMAND_TIMEOUT = 30.0
"""Seconds after which a statement that isn't answered counts as failed, and its connection as broken."""

CLOSE_TIMEOUT = 2.0
"""Seconds that a connection has to say good-bye."""

_SETTINGS = {
    # The server's side of the same: what a client that can't be heard any more has open is undone, and its locks go.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "25000",
    "statement_timeout": "25s",
    # As for a run of a key that is in another's long transaction; and longer than a broken connection keeps its locks.
    "lock_timeout": "20s",
    # Rows are found by index, whatever their values and however few: a plan is made once, and maybe for empty tables.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "jit": "off",  # to compile a statement takes longer than any of ours
    "timezone": "UTC",
    # Whatever the database's own is: who waits for a lock must see then what its holder has done.
    "default_transaction_isolation": "read committed",
}

LOST = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
"""What says that a connection is of no use any more; `is_lost` knows what else does."""


async def connect(address: PostgresAddress, idle: float, **options: Any) -> asyncpg.Connection:
    """Give a connection, on which a transaction that stands still is ended after `idle` seconds.

    `options` are asyncpg's. Behind a pooler that gives each transaction a connection of its own nothing is set: there
    `limits` says it anew in each transaction.
    """
    connection = await asyncpg.connect(
        address.dsn,
        timeout=address.connect_timeout,
        server_settings=dict(address.server_settings),
        command_timeout=COMMAND_TIMEOUT,
        **options,
    )
    try:
        if not options.get("statement_cache_size", 1):
            return connection
        await connection.execute(";".join(_set(name, value, local=False) for name, value in _all(idle)))
    except BaseException:
        connection.terminate()
        raise
    return connection


def limits(idle: float) -> str:
    """Give the statements that set for one transaction what `connect` sets for a connection."""
    return ";".join(_set(name, value, local=True) for name, value in _all(idle) if not name.startswith("tcp_"))


def _all(idle: float) -> list[tuple[str, str]]:
    return [*_SETTINGS.items(), ("idle_in_transaction_session_timeout", f"{max(1000, int(idle * 1000))}ms")]


def _set(name: str, value: str, *, local: bool) -> str:
    return f"set {'local ' if local else ''}{name} to '{value}'"


async def is_pooled(connection: asyncpg.Connection) -> bool:
    """Tell whether a pooler stands between: then the process that serves us is not the one that we connected to."""
    said: str = await connection.execute(f"select 1 where pg_backend_pid() = {int(connection.get_server_pid())}")
    return said.endswith(" 0")


def is_lost(error: BaseException) -> bool:
    """Tell whether an error means that the connection, or the server, is not to be had any more."""
    if isinstance(error, asyncpg.PostgresError):
        return is_outage(str(error.sqlstate or ""))
    return isinstance(error, LOST)


def is_away(error: BaseException, address: PostgresAddress) -> bool:
    """Tell whether who connects may find the server there later, though nobody changes the URL or the server's rules.

    A name that the network can't look up now is such a case, one that it doesn't know is none.
    """
    if isinstance(error, asyncpg.PostgresError):
        state = str(error.sqlstate or "")
        return is_outage(state) and not state.startswith("28") and state != "3D000"
    if isinstance(error, socket.gaierror):
        return error.errno == socket.EAI_AGAIN
    if isinstance(error, FileNotFoundError):  # the server makes its socket when it starts; the folder is there before
        return address.host.startswith("/") and Path(address.host).is_dir()
    if isinstance(error, asyncpg.InterfaceError):  # what is said of a connection that broke, when it is used once more
        return "connection is closed" in str(error)
    if isinstance(error, ssl.SSLError | PermissionError) or "SSL upgrade" in str(error):
        return False
    return isinstance(error, OSError | TimeoutError)


def is_conflict(error: BaseException) -> bool:
    """Tell whether a transaction failed for another one's sake only, and may be tried again.

    https://www.postgresql.org/docs/current/mvcc-serialization-failure-handling.html. A statement that was prepared
    before the schema changed is prepared anew the next time. Of a deadlock in its own statement PgQueuer says nothing,
    but the next one is told that the transaction has failed.
    """
    return isinstance(
        error,
        asyncpg.SerializationError
        | asyncpg.DeadlockDetectedError
        | asyncpg.InFailedSQLTransactionError
        | asyncpg.InvalidCachedStatementError,
    )


@contextmanager
def translated(shown: str) -> Iterator[None]:
    """Turn what PostgreSQL and the network complain about into a `LedgerError` that tells how to mend it.

    `shown` is the ledger's URL without its password.
    """
    try:
        yield
    except (asyncpg.PostgresError, *LOST) as error:
        what, remedy = _explain(error)
        raise LedgerError(f"the ledger {shown} {what}: {remedy} ({reason(error)})") from error


def _explain(error: BaseException) -> tuple[str, str]:
    """Tell what an error says of the ledger, and how it is mended."""
    if "SSL upgrade" in str(error):  # asyncpg has no class for it
        return _NO_TLS
    for kinds, what, remedy in _COMPLAINTS:
        if isinstance(error, kinds):
            return what, remedy
    return _LOST if is_lost(error) else _OTHER


_COMPLAINTS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str, str], ...] = (
    (
        asyncpg.InsufficientPrivilegeError,
        "may not be used by this user",
        "`pinstripe check` names the right that is lacking, and the statement that grants it",
    ),
    (
        (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.InvalidSchemaNameError),
        "is not a ledger of this version",
        "run a job or start a worker, which bring an earlier one up to date; or was something of its schema removed?",
    ),
    (asyncpg.DiskFullError, "has no space left", "make room on the server's disk"),
    (
        asyncpg.ReadOnlySQLTransactionError,
        "can only be read",
        "the setting `ledger` must name the primary server, not a replica of it",
    ),
    (
        (asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError),
        "did not answer in time",
        "is the server overloaded, or a table locked?",
    ),
    (asyncpg.TooManyConnectionsError, "takes no more connections", "raise max_connections there, or use a pooler"),
    (asyncpg.InvalidPasswordError, "lets nobody in by that name and password", "mend its URL"),
    (
        asyncpg.InvalidAuthorizationSpecificationError,
        "doesn't let this user in",
        "mend its URL, or the server's pg_hba.conf",
    ),
    (asyncpg.InvalidCatalogNameError, "is not there", "create the database, or mend its name in the URL"),
    (asyncpg.TargetServerAttributeNotMatched, "has no server of that kind", "look at target_session_attrs in its URL"),
    (
        FileNotFoundError,  # it doesn't say which
        "can't be reached",
        "is the server running, and is there what its URL names as files: the socket's folder, sslrootcert, sslcert?",
    ),
    (ssl.SSLError, "can't be reached over TLS", "look at sslmode and sslrootcert in its URL"),
    (asyncpg.exceptions.ClientConfigurationError, "can't be reached as its URL says", "mend its URL"),
)
"""What PostgreSQL, the network and asyncpg complain about, what that says of the ledger, and how it is mended."""

_NO_TLS = "can't be reached over TLS", "does the server speak it, and is it PostgreSQL? Look at sslmode in its URL"
_LOST = "can't be reached", "is the server running, and the URL's host and port right?"
_OTHER = "can't be used", "look at its log"
