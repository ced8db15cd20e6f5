"""A reader of the application's database over SQLAlchemy's own engine, as sources of tenants are given one."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import MetaData, Select, Table
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from pinstripe.config import DatabaseSettings
from pinstripe.database.catalog import Catalog, Entry, reflected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from sqlalchemy.ext.asyncio import AsyncEngine


__all__ = ["EngineReader", "new_engine", "settings"]


def settings(models: str | None = None) -> DatabaseSettings:
    """Give the settings of a database that isolates nothing."""
    return DatabaseSettings(
        url=None,
        models=models,
        isolation="none",
        tenant_column="tenant_id",
        shared_tables=(),
        row_security="auto",
        tenant_schema="{id}",
        tenant_url=None,
        open_databases=20,
        pool_size=5,
    )


class EngineReader:
    """Reads with a session of its own for each statement, and counts them."""

    def __init__(self, engine: AsyncEngine, entries: Iterable[Entry]) -> None:
        """Take the `engine`, and the tables that it can be asked for."""
        self.engine = engine
        self.catalog = Catalog(entries, settings(), "none")
        self.statements: list[Select[Any]] = []

    @property
    def dialect(self) -> str:
        """The name of its dialect."""
        return self.engine.dialect.name

    async def entry(self, table: str | type) -> Entry:
        """Give the table."""
        return self.catalog.find(table)

    async def rows(self, statement: Select[Any]) -> list[Any]:
        """Give all rows of a statement: instances where it selects a class."""
        self.statements.append(statement)
        async with AsyncSession(self.engine) as session:
            result = await session.execute(statement)
            first = statement.column_descriptions[0]
            return list(result.scalars().unique() if first["expr"] is first.get("entity") else result)


@asynccontextmanager
async def new_engine(url: str) -> AsyncIterator[AsyncEngine]:
    """Give an engine of one connection."""
    url = url.replace("postgresql://", "postgresql+asyncpg://").replace("sqlite://", "sqlite+aiosqlite://")
    engine = create_async_engine(url, pool_size=1, max_overflow=0, pool_timeout=5)
    try:
        yield engine
    finally:
        await engine.dispose()


async def reflect_tables(engine: AsyncEngine) -> list[Entry]:
    """Read the tables from the database itself, as SQLAlchemy does."""
    metadata = MetaData()
    async with engine.connect() as connection:
        await connection.run_sync(metadata.reflect)
    return list(reflected(metadata, settings(), "none"))


def entry_of(entity: Any) -> Entry:
    """Give the entry of a mapped class or a table."""
    table = entity if isinstance(entity, Table) else entity.__table__
    return Entry(table.name, entity, table, None, "shared")
