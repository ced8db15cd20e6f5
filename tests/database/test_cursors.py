from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiosqlite
import pytest

from pinstripe.database import cursors
from pinstripe.database.cursors import OneWayCursor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

NUMBERS = "with recursive n(i) as (select 1 union all select i + 1 from n where i < {}) select i from n"


class Counted(aiosqlite.Connection):
    ways = 0

    async def _execute(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        self.ways += 1
        return await super()._execute(fn, *args, **kwargs)  # type: ignore[no-untyped-call]


@asynccontextmanager
async def connected() -> AsyncIterator[Counted]:
    connection = Counted(lambda: sqlite3.connect(":memory:", isolation_level=None), 64)
    async with connection:
        yield connection


def numbers(rows: Any) -> list[int]:
    return [number for (number,) in rows]


async def test_a_query_and_a_change_take_one_way_each() -> None:
    async with connected() as connection:
        async with OneWayCursor(connection) as cursor:
            await cursor.execute("create table t (i integer primary key, j)")
            await cursor.execute("insert into t (j) values (?), (?) returning i", (7, 8))
            assert cursor.description[0][0] == "i"
            assert numbers(await cursor.fetchall()) == [1, 2]
            assert (cursor.rowcount, cursor.lastrowid) == (2, 2)
            await cursor.execute("update t set j = :j", {"j": 9})
            assert cursor.rowcount == 2
            await cursor.execute("select j from t")
            assert numbers(await cursor.fetchall()) == [9, 9]

        assert connection.ways == 4


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 20, 25])
@pytest.mark.parametrize("size", [1, 3, 10, 40])
async def test_rows_come_once_each_however_they_are_fetched(
    monkeypatch: pytest.MonkeyPatch, count: int, size: int
) -> None:
    monkeypatch.setattr(cursors, "AT_ONCE", 10)
    query = NUMBERS.format(count) if count else "select 1 where false"
    expected = list(range(1, count + 1))
    async with connected() as connection:
        cursor = OneWayCursor(connection)
        await cursor.execute(query)
        assert numbers(await cursor.fetchall()) == expected
        assert await cursor.fetchall() == []

        await cursor.execute(query)
        found = []
        while rows := await cursor.fetchmany(size):
            assert len(rows) <= size
            found += numbers(rows)
        assert found == expected

        await cursor.execute(query)
        found = numbers(await cursor.fetchmany(size)) + numbers([row async for row in cursor])
        assert found == expected

        await cursor.execute(query)
        first = await cursor.fetchone()
        assert numbers([first] if first else []) + numbers(await cursor.fetchall()) == expected
        await cursor.close()


@pytest.mark.parametrize("end", ["close", "execute", "executemany"])
async def test_a_statement_that_is_left_in_the_middle_is_ended(monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    monkeypatch.setattr(cursors, "AT_ONCE", 10)
    async with connected() as connection:
        await connection.executescript(f"create table t as {NUMBERS.format(100)}; create table u (i)")
        cursor = OneWayCursor(connection)
        await cursor.execute("select i from t")
        assert len(await cursor.fetchmany(3)) == 3
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            await connection.execute("drop table t")
        if end == "close":
            await cursor.close()
        elif end == "execute":
            await cursor.execute("select 1")
        else:
            await cursor.executemany("insert into u values (?)", [(1,), (2,)])
            assert cursor.rowcount == 2
        await connection.execute("drop table t")


async def test_an_error_is_the_statements_own_and_the_cursor_goes_on() -> None:
    async with connected() as connection, OneWayCursor(connection) as cursor:
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            await cursor.execute("select * from absent")
        with pytest.raises(sqlite3.OperationalError, match="malformed JSON"):
            await cursor.execute("select json(column1) from (values ('1'), ('{'))")
        await cursor.execute("select 1")
        assert numbers(await cursor.fetchall()) == [1]
