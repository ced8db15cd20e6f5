from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.util import greenlet_spawn

from pinstripe.database.sqlite import sqlite_engine
from pinstripe.database.turns import Turns
from pinstripe.database.urls import SQLiteFile

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def test_who_came_first_is_next_and_a_cancelled_one_takes_nothing() -> None:
    turns = Turns(30)
    a, b, c, d = connections = [object() for _ in range(4)]
    order: list[int] = []

    async def write(connection: object) -> None:
        await greenlet_spawn(turns.take, connection)
        order.append(connections.index(connection))

    await write(a)
    await write(a)  # who has the turn needs no second one
    waiting = [asyncio.create_task(write(connection)) for connection in (b, c, d)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    turns.give_back(b)  # it wasn't this one's
    turns.give_back(a)
    turns.give_back(a)
    await waiting[1]
    assert order == [0, 0, 2]
    turns.give_back(c)
    await waiting[2]
    assert order == [0, 0, 2, 3]


async def test_who_waits_too_long_goes_on_without_a_turn() -> None:
    turns = Turns(0)
    first, second = object(), object()
    await greenlet_spawn(turns.take, first)
    await greenlet_spawn(turns.take, second)
    turns.give_back(second)
    turns.give_back(first)
    await greenlet_spawn(turns.take, second)


@pytest.mark.parametrize("end", ["commit", "rollback", "invalidate", "leave"])
async def test_a_turn_ends_with_its_transaction_however_that_ends(tmp_path: Path, end: str) -> None:
    with closing(sqlite3.connect(tmp_path / "app.db")) as connection_:
        connection_.execute("create table names (name text)")
    engine = sqlite_engine(SQLiteFile(tmp_path / "app.db"), 2)
    try:
        async with engine.connect() as connection:
            await connection.exec_driver_sql("begin immediate")
            await connection.execute(text("insert into names values ('x')"))
            if end != "leave":
                await getattr(connection, end)()
        async with asyncio.timeout(20), engine.begin() as connection:
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
            count = await connection.scalar(text("select count(*) from names"))
        assert count == (1 if end == "commit" else 0)
    finally:
        await engine.dispose()
