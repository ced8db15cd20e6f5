"""Applications whose tenants have schemas or databases of their own, each with one note of number 1."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pinstripe.database.access import DatabaseAccess
from pinstripe.database.tenant_schemas import TenantSchemas
from pinstripe.database.urls import SQLiteFile, tenant_url
from pinstripe.tenants import Tenant
from tests.database.cases import notes_of_databases, notes_of_schemas
from tests.database.settings import database_settings
from tests.postgres import APP, OWNER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pinstripe.database.service import Database
    from tests.postgres import Postgres

Kind = Literal["schemas", "databases"]

KINDS: tuple[Kind, ...] = ("schemas", "databases")

FILES = "sqlite:///tenants/{id}.db"


@dataclass(frozen=True)
class Separate:
    """The service of such an application."""

    kind: Kind
    folder: Path
    access: DatabaseAccess
    postgres: Postgres | None = None
    database: str = ""

    @property
    def note(self) -> type[Any]:
        """The mapped class."""
        return notes_of_schemas.Note if self.kind == "schemas" else notes_of_databases.Note

    def make(self, tenant: str) -> None:
        """Make what a tenant has, as its application would; raises what the service says to such an id."""
        body = f"{tenant}-note".replace("'", "''")
        if self.kind == "schemas":
            assert self.postgres is not None
            name = TenantSchemas("{id}").name(Tenant(tenant)).replace('"', '""')
            self.postgres.execute_now(
                f'create schema "{name}"; create table "{name}".notes (id int primary key, body text not null);'
                f"insert into \"{name}\".notes values (1, '{body}')",
                database=self.database,
                user=OWNER,
            )
            return
        address = tenant_url(FILES, Tenant(tenant), self.folder)
        assert isinstance(address, SQLiteFile)
        address.path.parent.mkdir(exist_ok=True)
        with closing(sqlite3.connect(address.path, isolation_level=None)) as connection:
            connection.execute("create table notes (id integer primary key, body text not null)")
            connection.execute(f"insert into notes values (1, '{body}')")

    def settings(self) -> str:
        """Give the section of a project's file."""
        return "\n[tool.pinstripe.database]\n" + "\n".join(
            f"{name} = {value!r}" for name, value in settings_of(self.kind, self.postgres, self.database).items()
        )

    @asynccontextmanager
    async def workspace(self, tenant: str) -> AsyncIterator[Database]:
        """Give the database of a workspace."""
        work = self.access.open(Tenant(tenant))
        try:
            yield work.database
        finally:
            await work.close()


def settings_of(kind: Kind, postgres: Postgres | None, database: str) -> dict[str, Any]:
    """Give the settings of such a project."""
    if kind == "databases":
        return {"tenant_url": FILES, "models": notes_of_databases.__name__, "isolation": kind, "open_databases": 2}
    assert postgres is not None
    url = postgres.url(database, APP)
    return {"url": url, "models": notes_of_schemas.__name__, "isolation": kind, "pool_size": 2}


@asynccontextmanager
async def separate_at(kind: Kind, folder: Path, postgres: Postgres | None, database: str) -> AsyncIterator[Separate]:
    """Open the service of an application without any tenant yet."""
    access = DatabaseAccess(database_settings(folder, **settings_of(kind, postgres, database)), folder, kind)
    try:
        yield Separate(kind, folder, access, postgres, database)
    finally:
        await access.close()
