"""Which connections are taken, and what is said of all others; what is done on them is tested by `test_callers.py`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from pinstripe.errors import InvalidArguments
from pinstripe.ledgers.postgres.lending import lend
from tests.ledgers.postgres.applications import KINDS, asyncpg_connection

if TYPE_CHECKING:
    from pinstripe.ledgers.postgres.lending import Lent
    from tests.postgres import Postgres

pytestmark = pytest.mark.anyio


async def look(lent: Lent) -> tuple[Any, ...]:
    """Give what a connection says, in each of the ways in which it is used."""
    sql = "select n, $2::text as word from unnest($1::bigint[]) as n where n > $3"
    rows = await lent.fetch(sql, [1, 2, None, 2**40], "näh", 1)
    said = await lent.execute("update pg_temp.t set x = x + 1")
    return lent.holds, [(n, word) for n, word in rows], dict(rows[0]), rows[0][0], said


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "asyncpg with settings"])
async def test_all_kinds_say_the_same(kind: str, postgres: Postgres, postgres_database: str) -> None:
    async with KINDS[kind](postgres.url(postgres_database)) as connection:
        await lend(connection, lambda lent: lent.execute("create temp table t(x int)"))
        await lend(connection, lambda lent: lent.execute("insert into pg_temp.t values (1), (2)"))
        first = {"n": 2, "word": "näh"}
        assert await lend(connection, look) == (True, [(2, "näh"), (2**40, "näh")], first, 2, "UPDATE 2")
        assert await lend(connection, lambda lent: lent.beside(asyncio.sleep(0, "meanwhile"))) == "meanwhile"


async def test_json_is_not_made_of_json(postgres: Postgres, postgres_database: str) -> None:
    async with KINDS["asyncpg with settings"](postgres.url(postgres_database)) as connection:
        sql = "select (unnest($1::JSONB[]))::text"
        assert [tuple(row) for row in await lend(connection, lambda lent: lent.fetch(sql, ["null"]))] == [("null",)]


async def test_a_driver_of_another_database_is_named(postgres: Postgres) -> None:
    engine, plain = create_async_engine("sqlite+aiosqlite://"), create_engine("sqlite://")
    async with AsyncSession(engine) as session:
        with pytest.raises(
            InvalidArguments, match=r"; got sqlalchemy\.ext\.asyncio\.session\.AsyncSession over aiosqlite$"
        ):
            await lend(session, look)
    with Session(plain) as given, pytest.raises(InvalidArguments, match=r"orm\.session\.Session over pysqlite$"):
        await lend(given, look)
    for wrong in (engine, plain, None, postgres):
        with pytest.raises(InvalidArguments, match=rf"; got [\w.]*{type(wrong).__name__}$"):
            await lend(wrong, look)
    await engine.dispose()
    plain.dispose()


async def test_whether_there_is_a_transaction_is_told(postgres: Postgres, postgres_database: str) -> None:
    async def holds(lent: Lent) -> bool:
        return lent.holds

    url = postgres.url(postgres_database)
    with psycopg.connect(url, autocommit=True) as connection:
        assert not await lend(connection, holds)
        with connection.transaction():
            assert await lend(connection, holds)
    async with asyncpg_connection(url) as given:
        assert await lend(given, holds)


async def test_in_a_thread_nothing_else_is_awaited(postgres: Postgres, postgres_database: str) -> None:
    async def wait(lent: Lent) -> None:
        await asyncio.sleep(0)

    connection = psycopg.connect(postgres.url(postgres_database))
    with connection, pytest.raises(RuntimeError, match="something else than the connection was awaited"):
        await lend(connection, wait)
