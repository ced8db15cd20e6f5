"""Applications that enqueue in their own transactions, each by another kind of connection."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import asyncpg
import psycopg
from psycopg.rows import dict_row
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from contextlib import AbstractAsyncContextManager

    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine


@asynccontextmanager
async def asyncpg_connection(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def asyncpg_with_settings(url: str) -> AsyncIterator[Any]:
    """Have it set up as nobody would expect it, in the strictest isolation."""
    connection = await asyncpg.connect(url, statement_cache_size=0)
    try:
        await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
        await connection.execute("set search_path = ''; set timezone = 'Asia/Kathmandu'; set datestyle = 'German'")
        async with connection.transaction(isolation="serializable"):
            yield connection
            assert await connection.fetchval("show search_path") == '""'
            assert await connection.fetchval("show timezone") == "Asia/Kathmandu"
            assert await connection.fetchval("show transaction_isolation") == "serializable"
    finally:
        await connection.close()


@asynccontextmanager
async def asyncpg_pool(url: str) -> AsyncIterator[Any]:
    async with (
        asyncpg.create_pool(url, min_size=1, max_size=1) as pool,
        pool.acquire() as connection,
        connection.transaction(),
    ):
        yield connection


@asynccontextmanager
async def psycopg_connection(url: str) -> AsyncIterator[Any]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        yield connection


@asynccontextmanager
async def psycopg_transaction(url: str) -> AsyncIterator[Any]:
    """Have one that commits each statement by itself but for a block, and gives rows of another kind."""
    opened = await psycopg.AsyncConnection.connect(url, autocommit=True, row_factory=dict_row)
    async with opened as connection, connection.transaction():
        yield connection


@asynccontextmanager
async def psycopg_pipeline(url: str) -> AsyncIterator[Any]:
    async with await psycopg.AsyncConnection.connect(url) as connection, connection.pipeline():
        yield connection


@asynccontextmanager
async def plain_psycopg(url: str) -> AsyncIterator[Any]:
    with psycopg.connect(url) as connection:
        yield connection


@asynccontextmanager
async def plain_psycopg_pipeline(url: str) -> AsyncIterator[Any]:
    with psycopg.connect(url, autocommit=True) as connection, connection.pipeline(), connection.transaction():
        yield connection


def session(driver: str, isolation: str | None = None) -> Any:
    """Give what opens SQLAlchemy's session."""

    @asynccontextmanager
    async def opened(url: str) -> AsyncIterator[Any]:
        async with engine(url, driver, isolation) as made, AsyncSession(made) as session:
            yield session
            await session.commit()

    return opened


def connection(driver: str) -> Any:
    """Give what opens SQLAlchemy's connection."""

    @asynccontextmanager
    async def opened(url: str) -> AsyncIterator[Any]:
        async with engine(url, driver) as made, made.connect() as connection:
            yield connection
            await connection.commit()

    return opened


@asynccontextmanager
async def plain_session(url: str) -> AsyncIterator[Any]:
    with plain_engine(url) as made, Session(made) as session:
        yield session
        session.commit()


@asynccontextmanager
async def plain_connection(url: str) -> AsyncIterator[Any]:
    with plain_engine(url) as made, made.connect().execution_options(isolation_level="SERIALIZABLE") as connection:
        yield connection
        connection.commit()


@asynccontextmanager
async def engine(url: str, driver: str, isolation: str | None = None) -> AsyncIterator[AsyncEngine]:
    """Make an engine, and end it."""
    options: dict[str, Any] = {} if isolation is None else {"isolation_level": isolation}
    made = create_async_engine(url.replace("postgresql:", f"postgresql+{driver}:"), **options)
    try:
        yield made
    finally:
        await made.dispose()


@contextmanager
def plain_engine(url: str) -> Iterator[Engine]:
    """Do the same without awaiting."""
    made = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    try:
        yield made
    finally:
        made.dispose()


KINDS: dict[str, Any] = {
    "asyncpg": asyncpg_connection,
    "asyncpg with settings": asyncpg_with_settings,
    "asyncpg's pool": asyncpg_pool,
    "psycopg": psycopg_connection,
    "psycopg's transaction": psycopg_transaction,
    "psycopg's pipeline": psycopg_pipeline,
    "session over asyncpg": session("asyncpg"),
    "session over psycopg": session("psycopg"),
    "session with a snapshot": session("psycopg", "REPEATABLE READ"),
    "connection over asyncpg": connection("asyncpg"),
    "connection over psycopg": connection("psycopg"),
    "plain psycopg": plain_psycopg,
    "plain psycopg's pipeline": plain_psycopg_pipeline,
    "plain session": plain_session,
    "plain connection": plain_connection,
}
"""What opens a connection of each kind, in a transaction that is committed at its end unless something is raised."""


class Undone(Exception):
    """Undoes a transaction."""


@asynccontextmanager
async def undone(opened: AbstractAsyncContextManager[Any]) -> AsyncIterator[Any]:
    """Enter a transaction, or a savepoint, which is rolled back at its end."""
    with suppress(Undone):
        async with opened as connection:
            yield connection
            raise Undone


@asynccontextmanager
async def savepoint(connection: Any) -> AsyncIterator[None]:
    """Make a savepoint, to which is gone back where something is raised."""
    nested = (getattr(connection, "begin_nested", None) or connection.transaction)()
    if hasattr(nested, "__aenter__"):
        async with nested:
            yield
    else:
        with nested:
            yield
