"""An application whose rows say whose they are: every name holds its tenant's id, so that a leak shows itself."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from pinstripe.database.access import DatabaseAccess
from pinstripe.database.policies import protection
from pinstripe.tenants import Tenant
from tests.database.settings import database_settings
from tests.postgres import APP, OWNER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncEngine
    from sqlalchemy.pool import QueuePool

    from pinstripe.database.service import Database
    from tests.postgres import Postgres

Kind = Literal["sqlite", "postgresql", "guarded"]
"""Which database: "guarded" is PostgreSQL with row-level security."""

KINDS: tuple[Kind, ...] = ("sqlite", "postgresql", "guarded")

TENANTS = ("acme", "globex", "initech")

SCHEMA = """
    create table users (id {key}, tenant_id text not null, name text not null, value int not null default 0,
        unique (tenant_id, name));
    create table posts (id {key}, tenant_id text not null, title text not null,
        user_id int not null references users);
    create table plans (id {key}, name text not null unique);
    insert into plans (name) values ('pro');
"""


@dataclass(frozen=True)
class Place:
    """Where the application's data is, and a way to it beside the service."""

    kind: Kind
    url: str
    folder: Path
    postgres: Postgres | None = None
    database: str = ""

    @property
    def file(self) -> Path:
        """The file of SQLite."""
        return self.folder / "app.db"

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        """Execute statements as somebody who may do everything; give the rows of the last."""
        if self.postgres is not None:
            return self.postgres.execute_now(sql, database=self.database)
        with closing(sqlite3.connect(self.file, isolation_level=None, timeout=30)) as connection:
            *before, last = [each for each in sql.split(";") if each.strip()]
            for each in before:
                connection.execute(each)
            return connection.execute(last).fetchall()

    def names(self, tenant: str) -> list[str]:
        """Give the names of a tenant's users, as the database has them."""
        return [name for (name,) in self.execute(f"select name from users where tenant_id = '{tenant}' order by name")]

    def settled_names(self, tenant: str) -> list[str]:
        """Give the same once nobody is writing any more: the server may still be at what a cancelled client sent."""
        wait = "begin immediate;" if self.postgres is None else "lock table users in share row exclusive mode;"
        return [
            name
            for (name,) in self.execute(f"{wait} select name from users where tenant_id = '{tenant}' order by name")
        ]

    def fill(self, tenants: Iterable[str] = TENANTS, *, users: int = 3) -> None:
        """Give each of these tenants some users with a post each."""
        self.execute(filling(tenants, users))

    def settings(self, **values: object) -> str:
        """Give the section of a project's file; `values` as TOML writes them."""
        given = {"url": f'"{self.url}"', "models": f'"{MODELS}"', "shared_tables": '["plans"]'} | values
        return "\n[tool.pinstripe.database]\n" + "\n".join(f"{name} = {value}" for name, value in given.items())


MODELS = "tests.database.cases.models"


def filling(tenants: Iterable[str] = TENANTS, users: int = 3) -> str:
    """Write what gives each of these tenants some users with a post each."""
    return ";".join(
        f"insert into users (tenant_id, name, value) values ('{tenant}', '{tenant}-{number}', {number});"
        "insert into posts (tenant_id, title, user_id) select tenant_id, name || '-post', id"
        f" from users where name = '{tenant}-{number}'"
        for tenant in tenants
        for number in range(users)
    )


def make_place(kind: Kind, folder: Path, postgres: Postgres | None = None, database: str = "") -> Place:
    """Make the tables, without any tenant's rows."""
    if kind == "sqlite":
        place = Place(kind, f"sqlite:///{folder / 'app.db'}", folder)
        with closing(sqlite3.connect(place.file)) as connection:
            connection.execute("pragma journal_mode = wal")
            connection.executescript(SCHEMA.format(key="integer primary key"))
        return place
    assert postgres is not None
    postgres.execute_now(postgres_schema(kind), database=database, user=OWNER)
    return postgres_place(kind, folder, postgres, database)


def postgres_schema(kind: Kind) -> str:
    """Write what makes the tables in PostgreSQL."""
    schema = SCHEMA.format(key="serial primary key")
    if kind == "guarded":
        schema += ";".join([*protection("users", "tenant_id"), *protection("posts", "tenant_id")])
    return schema


def postgres_place(kind: Kind, folder: Path, postgres: Postgres, database: str) -> Place:
    """Give the place whose tables are in a database of PostgreSQL."""
    return Place(kind, postgres.url(database, APP), folder, postgres, database)


@dataclass(frozen=True)
class Application:
    """The service over a place, as one process has it."""

    place: Place
    access: DatabaseAccess

    @asynccontextmanager
    async def workspace(self, tenant: str | None) -> AsyncIterator[Database]:
        """Give the database of a workspace of that tenant."""
        work = self.access.open(None if tenant is None else Tenant(tenant))
        try:
            yield work.database
        finally:
            await work.close()

    async def engine(self) -> AsyncEngine:
        """Give the engine that all workspaces share."""
        return await engine_of(self.access)

    async def is_calm(self) -> bool:
        """Tell whether every connection was given back, and carries nothing of anybody."""
        engine = await self.engine()
        pool = cast("QueuePool", engine.pool)
        if pool.checkedout():
            return False
        if self.place.kind == "sqlite":
            return True
        connections = [await engine.connect() for _ in range(pool.size())]
        try:
            states = [(await each.exec_driver_sql(_STATE)).one() for each in connections]
        finally:
            for each in connections:
                await each.close()
        return all(tuple(state) == ("", "", '"$user", public') for state in states)


_STATE = (
    "select coalesce(current_setting('pinstripe.tenant', true), ''),"
    " coalesce(current_setting('pinstripe.unscoped', true), ''), current_setting('search_path')"
)


async def lose(database: Database, error: BaseException) -> None:
    """Write in a transaction, and raise `error` in it."""
    async with database.transaction():
        await database.users.insert(name="lost")
        raise error


async def engine_of(access: DatabaseAccess) -> AsyncEngine:
    """Give the engine that workspaces of all tenants share."""
    return (await access.means(None, unscoped=True)).binding.engine


@asynccontextmanager
async def application_at(place: Place, **values: object) -> AsyncIterator[Application]:
    """Open the service with these settings."""
    given = {"url": place.url, "models": MODELS, "shared_tables": ["plans"], "pool_size": 3, **values}
    access = DatabaseAccess(database_settings(place.folder, **given), place.folder, "rows")
    try:
        yield Application(place, access)
    finally:
        await access.close()
