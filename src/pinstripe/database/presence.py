"""Whether a database has a table, asked at once and without SQLAlchemy, whose import takes longer than the answer."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from threading import Thread
from typing import TYPE_CHECKING

from pinstripe.database.urls import SQLiteFile, read_url
from pinstripe.errors import ConfigurationError, DatabaseUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from pinstripe.postgres_address import PostgresAddress

BUSY_SECONDS = 5.0
"""How long a locked SQLite file is waited for."""

_IN_SQLITE = "select exists (select 1 from sqlite_master where type in ('table', 'view') and name = ?)"

# The kinds: tables, partitioned and foreign ones, views, materialized ones
# (https://www.postgresql.org/docs/current/catalog-pg-class.html).
_IN_POSTGRES = """
    select exists (
        select from pg_catalog.pg_class join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace
        where nspname = current_schema() and relname = $1 and relkind in ('r', 'p', 'f', 'v', 'm')
    )
"""


def has_table_now(url: str, folder: Path, name: str) -> bool:
    """Tell whether the database at `url` has a table or view of exactly this name, in its default schema.

    A relative SQLite file is in `folder`; it is only read, and never made. Blocks until the answer is there.
    Raises `DatabaseUnavailable` where the file is missing or the server can't be reached or doesn't let in, and
    `ConfigurationError` for a URL that can't be one; neither shows the password.
    """
    address = read_url(url, folder, "database.url")
    if isinstance(address, SQLiteFile):
        return _in_sqlite(address.path, name)
    answers: list[bool] = []
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            answers.append(asyncio.run(_in_postgres(address, name)))
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that asked
            failures.append(error)

    thread = Thread(target=ask, name="pinstripe-presence", daemon=True)  # the caller's thread may have a loop running
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return answers[0]


def _in_sqlite(path: Path, name: str) -> bool:
    if not path.is_file():
        found = "a folder" if path.is_dir() else "something else" if path.exists() else "nothing"
        raise DatabaseUnavailable(
            f"expected a SQLite database at {path}, found {found}; its file is made by your application (by its "
            "migrations, say), never by pinstripe: make it, or mend `url` under [tool.pinstripe.database]"
        )
    try:
        # "rw" makes no database, and clears away the files beside it that even reading makes in WAL mode; "ro" can't.
        connecting = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS)
        with closing(connecting) as connection:
            connection.execute("pragma query_only = on")
            return bool(connection.execute(_IN_SQLITE, (name,)).fetchone()[0])
    except sqlite3.Error as error:
        raise DatabaseUnavailable(f"the SQLite database {path} can't be read: {error}") from error


async def _in_postgres(database: PostgresAddress, name: str) -> bool:
    import asyncpg

    try:
        connection = await asyncpg.connect(
            database.dsn, timeout=database.connect_timeout, server_settings=dict(database.server_settings)
        )
        try:
            return bool(await connection.fetchval(_IN_POSTGRES, name))
        finally:
            await connection.close()
    except asyncpg.exceptions.ClientConfigurationError as error:
        raise ConfigurationError(f"the URL of {database} can't be used: {error}") from error
    except TimeoutError as error:
        seconds = database.connect_timeout
        raise DatabaseUnavailable(f"{database} didn't answer within {seconds:g} seconds; is it there?") from error
    except asyncpg.PostgresError as error:
        raise DatabaseUnavailable(f"{database} refuses the connection: {error}") from error
    except (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise DatabaseUnavailable(f"{database} can't be reached: {error}; is the server running?") from error
