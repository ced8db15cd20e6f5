"""Who waits for a connection is next when there is room, also where whoever had it before never had one."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING

import pytest

from pinstripe.database.postgres import postgres_engine
from pinstripe.database.sqlite import sqlite_engine
from pinstripe.database.urls import SQLiteFile, read_url
from pinstripe.errors import DatabaseUnavailable
from tests.postgres import APP

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncEngine

    from tests.postgres import Postgres

pytestmark = pytest.mark.anyio


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of a database of each kind."""
    if request.param == "sqlite":
        with closing(sqlite3.connect(tmp_path / "app.db")) as connection:
            connection.execute("create table names (name text)")
        return f"sqlite:///{tmp_path / 'app.db'}"
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.url(request.getfixturevalue("postgres_database"), APP)


@asynccontextmanager
async def engine_at(url: str, folder: Path) -> AsyncIterator[AsyncEngine]:
    """Give an engine of one connection."""
    address = read_url(url, folder, "database.url")
    engine = sqlite_engine(address, 1) if isinstance(address, SQLiteFile) else postgres_engine(address, 1)
    try:
        yield engine
    finally:
        await engine.dispose()


async def ask(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return int((await connection.exec_driver_sql("select 3")).scalar_one())


# asyncpg itself complains, from a callback, of a connection that is cancelled while it is made.
@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_whoever_waits_is_next_when_one_is_cancelled_while_it_connects(url: str, tmp_path: Path) -> None:
    for moments in range(1, 12):
        async with engine_at(url, tmp_path) as engine, asyncio.timeout(20):
            first, *others = [asyncio.create_task(ask(engine)) for _ in range(3)]
            for _ in range(moments):
                await asyncio.sleep(0)
            first.cancel()
            assert await asyncio.gather(*others) == [3, 3]
            await asyncio.wait([first])
            assert await ask(engine) == 3


@pytest.mark.parametrize("url", ["sqlite", "postgresql"], indirect=True)
async def test_each_that_waits_hears_itself_that_there_is_no_database(url: str, tmp_path: Path) -> None:
    async with engine_at(f"{url}_elsewhere", tmp_path) as engine, asyncio.timeout(20):
        heard = await asyncio.gather(*(ask(engine) for _ in range(3)), return_exceptions=True)
        assert [type(each) for each in heard] == [DatabaseUnavailable] * 3
        assert not [each for each in heard if "in use" in str(each)]
