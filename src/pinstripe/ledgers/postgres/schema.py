"""The ledger's schema: made by migrations, looked at by every command, changed only by those that write.

Expand now, contract later: a migration adds what new code needs and older code doesn't mind, and names as `min_code`
the oldest code that may go on beside it.
"""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import asyncpg

from pinstripe.errors import LedgerError
from pinstripe.ledgers.postgres.statements import in_schema

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

CODE = 2
"""What this code's version of the schema is called; a ledger that asks for a later one is refused."""

LONGEST_MIGRATION = 3600.0
"""Seconds that a migration may take, or be waited for."""

LOCK_TIMEOUT = "5s"
"""How long a migration waits for a table that is in use: who comes after it waits too."""

_MIGRATIONS = Path(__file__).parent / "migrations"

_IS_MADE = """
select exists (select from pg_catalog.pg_tables where schemaname = $1 and tablename = 'schema_version'),
  exists (select from pg_catalog.pg_tables where schemaname = $1)
"""

_HAS_SCHEMA = "select exists (select from pg_catalog.pg_namespace where nspname = $1)"

_VERSION = "select version, min_code from pinstripe.schema_version"

_TABLE = """
create table pinstripe.schema_version(
  version integer not null,     -- the newest migration that was applied
  min_code integer not null,    -- the oldest code that may still use this schema
  engine text not null          -- the newest version of the engine that has looked after its own tables
)
"""

_FIRST = "insert into pinstripe.schema_version(version, min_code, engine) values (0, 0, $1)"
_APPLIED = "update pinstripe.schema_version set version = $1"
_ENGINE = "select engine from pinstripe.schema_version"
_UPGRADED = "update pinstripe.schema_version set engine = $1"

_LOCK = "select pg_advisory_xact_lock(hashtextextended('pinstripe ' || $1, 0))"


class Installed(Protocol):
    """What keeps tables of its own beside the ledger's, and looks after those itself."""

    @property
    def version(self) -> str:
        """The version of it that this process has, such as `1.6.0`."""
        ...

    @property
    def schema(self) -> str:
        """The name of the schema that they are in."""
        ...

    async def install(self, connection: asyncpg.Connection) -> None:
        """Make its tables in its schema, which is there, in the transaction of the connection."""
        ...

    async def upgrade(self, connection: asyncpg.Connection) -> None:
        """Bring its tables up to date; the connection is in no transaction."""
        ...

    async def make_functions(self, connection: asyncpg.Connection) -> None:
        """Make its functions anew, in the transaction of the connection."""
        ...


class Schema:
    """The schema of one ledger, looked at on a connection that is in a transaction."""

    def __init__(self, name: str, shown: str, migrations: Path = _MIGRATIONS) -> None:
        """Take the schema's `name` and the ledger's URL without its password; `migrations` is the folder of those."""
        self.name = name
        self._shown = shown
        self._files = sorted(migrations.glob("*.sql"))

    async def is_made(self, connection: asyncpg.Connection) -> bool:
        """Tell whether it is there; raises `LedgerError` where a schema of that name is somebody else's."""
        row = await connection.fetchrow(_IS_MADE, self.name)
        made, taken = bool(row[0]), bool(row[1])
        if taken and not made:
            raise LedgerError(
                f"the schema {self.name} of {self._shown} has tables of its own and is not a ledger: name another one "
                "in the setting `ledger_schema`"
            )
        return made

    async def pending(self, connection: asyncpg.Connection) -> Sequence[Path]:
        """Give the migrations that are still to be applied; the schema is made."""
        version = await self._version(connection)
        return [file for file in self._files if _number(file) > version]

    async def migrate(self, connection: asyncpg.Connection, engine: Installed, *, pooled: bool = False) -> None:
        """Bring it up to date, and what the `engine` keeps, one process after the other; two reads where it already is.

        Raises `LedgerError` where a table that has to change is in use for too long, and where the engine's can't be
        changed since a pooler stands between: that needs a session of its own.
        """
        async with connection.transaction(isolation="read_committed"):
            if await self.is_made(connection) and not await self.pending(connection):
                known = await connection.fetchval(in_schema(_ENGINE, self.name))
                if not is_newer(engine.version, known):
                    return
        async with self._alone(connection):
            if not await self.is_made(connection):
                for schema in (self.name, engine.schema):
                    if not await connection.fetchval(_HAS_SCHEMA, schema):  # else to ask for it needs a right
                        await connection.execute(f"create schema {schema}")
                await connection.execute(in_schema(_TABLE, self.name))
                await engine.install(connection)
                await connection.execute(in_schema(_FIRST, self.name), engine.version)
            for file in await self.pending(connection):
                sql = in_schema(file.read_text(encoding="utf-8"), self.name)
                await connection.execute(sql, timeout=LONGEST_MIGRATION)
                await connection.execute(in_schema(_APPLIED, self.name), _number(file))
            known = await connection.fetchval(in_schema(_ENGINE, self.name))
        if is_newer(engine.version, known):
            if pooled:
                raise LedgerError(
                    f"the ledger {self._shown} has tables of PgQueuer {known}, and this is {engine.version}: they "
                    "can't be brought up to date through a pooler; start a worker once with PINSTRIPE_LEDGER set to a "
                    "URL that leads directly to the server"
                )
            try:
                await self._upgrade(connection, engine)
            except asyncpg.InsufficientPrivilegeError as error:
                raise LedgerError(
                    f"the ledger {self._shown} has tables of PgQueuer {known}, and this is {engine.version}: only "
                    "who owns them can bring them up to date; start a worker once as the user who has made them "
                    f"({error})"
                ) from error

    async def _upgrade(self, connection: asyncpg.Connection, engine: Installed) -> None:
        await engine.upgrade(connection)
        async with self._alone(connection):
            if is_newer(engine.version, await connection.fetchval(in_schema(_ENGINE, self.name))):
                await engine.make_functions(connection)
                await connection.execute(in_schema(_UPGRADED, self.name), engine.version)

    @asynccontextmanager
    async def _alone(self, connection: asyncpg.Connection) -> AsyncIterator[None]:
        """Be the one process that changes this schema, in a transaction that waits for no table for long."""
        async with connection.transaction(isolation="read_committed"):
            await connection.execute("set local lock_timeout to 0; set local statement_timeout to 0")
            await connection.execute(_LOCK, self.name, timeout=LONGEST_MIGRATION)
            await connection.execute(f"set local lock_timeout to '{LOCK_TIMEOUT}'")
            yield

    async def _version(self, connection: asyncpg.Connection) -> int:
        row = await connection.fetchrow(in_schema(_VERSION, self.name))
        version, min_code = row if row is not None else (0, 0)
        if min_code > CODE:
            raise LedgerError(
                f"the ledger {self._shown} was made by a newer Pinstripe (its schema is {version} and needs at least "
                f"{min_code}; this one knows {CODE}): update Pinstripe here, or name another one in `ledger_schema`"
            )
        return int(version)


def _number(file: Path) -> int:
    return int(file.name.partition("_")[0])


def is_newer(version: str, known: str) -> bool:
    """Tell whether a `version` comes after the one that is known; both are numbers with dots between.

    The edition behind a `+` decides: functions of a later one are not to be lost to an earlier one's.
    """
    return _parts(version) > _parts(known)


def _parts(version: str) -> list[int]:
    numbers, _, edition = version.partition("+")
    return [int(edition or 0), *(int(part) for part in re.findall(r"\d+", numbers)[:4])]
