"""A PostgreSQL database with tenant tables, whose row-level security is made, inspected, broken and mended."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, ForeignKey, Integer, MetaData, NullPool, Table, Text, make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from pinstripe.database.catalog import Catalog, Entry, reflected
from pinstripe.database.policies import SET_SCOPE, UNSCOPED
from pinstripe.database.row_security import Enabled, enable_row_security, inspect_row_security
from tests.database.settings import database_settings
from tests.postgres import APP, OWNER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncConnection

    from pinstripe.database.catalog import Isolation
    from tests.postgres import Postgres

FOLDER = Path(__file__).parent
"""A folder without any `pyproject.toml`."""

SCHEMA = """
    create table notes (id serial primary key, tenant_id text not null, body text, unique (tenant_id, body));
    create table pages (id serial primary key, tenant_id text not null, note_id int references notes);
    create table plans (id serial primary key, name text);
    insert into notes (tenant_id, body) values ('acme', 'of acme'), ('globex', 'of globex');
    insert into plans (name) values ('pro')
"""


def tables_of_notes() -> MetaData:
    """Give the tables of `SCHEMA`."""
    metadata = MetaData()
    Table(
        "notes",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("tenant_id", Text, nullable=False),
        Column("body", Text),
    )
    Table(
        "pages",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("tenant_id", Text, nullable=False),
        Column("note_id", ForeignKey("notes.id")),
    )
    Table("plans", metadata, Column("id", Integer, primary_key=True), Column("name", Text))
    return metadata


def table(name: str, column: str = "tenant_id", schema: str | None = None) -> MetaData:
    """Give one tenant table."""
    metadata = MetaData()
    Table(name, metadata, Column("id", Integer, primary_key=True), Column(column, Text), schema=schema)
    return metadata


def catalog_of(metadata: MetaData, isolation: Isolation = "rows", **changes: Any) -> Catalog:
    """Give the catalog of tables; `changes` are of the settings."""
    shared = ["plans"] if "plans" in metadata.tables else []
    return reflected(metadata, database_settings(FOLDER, **{"shared_tables": shared, **changes}), isolation)


def catalog_of_classes() -> Catalog:
    """Give the catalog of a class and one that inherits from it, in a table of its own without the tenant column."""

    class Base(DeclarativeBase):
        pass

    class Person(Base):
        __tablename__ = "people"
        id: Mapped[int] = mapped_column(primary_key=True)
        tenant_id: Mapped[str]

    class Employee(Person):
        __tablename__ = "Staff"
        id: Mapped[int] = mapped_column(ForeignKey("people.id"), primary_key=True)

    tenant = Person.__table__.c.tenant_id
    entries = [Entry(table.name, table, table, tenant, "tenant") for table in Base.metadata.sorted_tables]
    return Catalog(entries, database_settings(FOLDER, isolation="rows"), "rows")


@dataclass(frozen=True)
class Guarded:
    """A database, and ways to work in it as one role or another."""

    postgres: Postgres
    name: str

    async def execute(self, sql: str, user: str | None = OWNER) -> None:
        """Execute statements as a role; as the superuser for None."""
        await self.postgres.execute(sql, database=self.name, user=user)

    @asynccontextmanager
    async def connect(self, user: str | None = APP, password: str | None = None) -> AsyncIterator[AsyncConnection]:
        """Give a connection as a role, without a tenant."""
        url = make_url(self.postgres.url(self.name, user, password)).set(drivername="postgresql+asyncpg")
        engine = create_async_engine(url, poolclass=NullPool)
        try:
            async with engine.connect() as connection:
                yield connection
        finally:
            await engine.dispose()

    @asynccontextmanager
    async def transaction(self, tenant: str | None, user: str | None = APP) -> AsyncIterator[AsyncConnection]:
        """Give a transaction for a tenant, or for all; it is rolled back."""
        async with self.connect(user) as connection, connection.begin() as transaction:
            await set_scope(connection, tenant)
            yield connection
            if transaction.is_active:
                await transaction.rollback()

    async def inspect(self, catalog: Catalog, user: str | None = APP, password: str | None = None) -> bool:
        """Inspect row-level security as a role finds it."""
        async with self.connect(user, password) as connection:
            return await inspect_row_security(connection, catalog)

    async def enable(self, catalog: Catalog, user: str | None = OWNER) -> Enabled:
        """Put row-level security on."""
        async with self.connect(user) as connection, connection.begin():
            return await enable_row_security(connection, catalog)


async def set_scope(connection: AsyncConnection, tenant: str | None) -> None:
    """Say whose rows the transaction reaches, as the session does; None is all."""
    await connection.exec_driver_sql(SET_SCOPE, (tenant or "", UNSCOPED if tenant is None else ""))


async def values(connection: AsyncConnection, sql: str) -> list[Any]:
    """Give the first column of a statement's rows."""
    return list((await connection.exec_driver_sql(sql)).scalars())


def remedy(message: object) -> str:
    """Give the SQL that a message says."""
    return "\n".join(re.findall(r"^    (.*;)$", str(message), re.MULTILINE))
