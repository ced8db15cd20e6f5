from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError, OperationalError

from pinstripe.database.sqlite import check_letters, file_identity, leaves_state, sqlite_engine
from pinstripe.database.urls import SQLiteFile
from pinstripe.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncEngine

pytestmark = pytest.mark.anyio


@pytest.fixture
def file(tmp_path: Path) -> SQLiteFile:
    """A database as an application makes it, in a folder whose name needs quoting in a URI."""
    path = tmp_path / "a folder?#%" / "app.db"
    path.parent.mkdir()
    make(path)
    return SQLiteFile(path)


def make(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "create table posts (id integer primary key, title text);"
            "create table comments (id integer primary key, post integer references posts);"
            "insert into posts (title) values ('Hello');"
        )


@asynccontextmanager
async def opened(file: SQLiteFile, pool_size: int = 5) -> AsyncIterator[AsyncEngine]:
    engine = sqlite_engine(file, pool_size)
    try:
        yield engine
    finally:
        await engine.dispose()


async def scalar(engine: AsyncEngine, sql: str) -> object:
    async with engine.connect() as connection:
        return await connection.scalar(text(sql))


async def write(engine: AsyncEngine, sql: str, begin: str = "begin immediate") -> None:
    async with engine.begin() as connection:
        await connection.exec_driver_sql(begin)
        await connection.execute(text(sql))


async def test_it_reads_and_writes_what_there_is(file: SQLiteFile) -> None:
    async with opened(file) as engine:
        await write(engine, "insert into posts (title) values ('Bye')")
        assert await scalar(engine, "select count(*) from posts") == 2


async def test_no_file_is_made_by_a_typo(file: SQLiteFile) -> None:
    wrong = file.path.with_name("ap.db")
    async with opened(SQLiteFile(wrong)) as engine:
        with pytest.raises(DatabaseUnavailable) as raised:
            await scalar(engine, "select 1")
    assert str(wrong) in str(raised.value)
    assert "made by your application" in str(raised.value)
    assert not wrong.exists()


async def test_a_folder_is_no_database(file: SQLiteFile) -> None:
    async with opened(SQLiteFile(file.path.parent)) as engine:
        with pytest.raises(DatabaseUnavailable, match="found a folder"):
            await scalar(engine, "select 1")


async def test_like_tells_small_letters_from_capitals_as_postgresql_does(file: SQLiteFile) -> None:
    async with opened(file) as engine:
        assert await scalar(engine, "select 'Hello' like 'hello'") == 0


async def test_foreign_keys_are_held(file: SQLiteFile) -> None:
    async with opened(file) as engine:
        with pytest.raises(IntegrityError):
            await write(engine, "insert into comments (post) values (404)")


async def test_nothing_can_be_attached(file: SQLiteFile) -> None:
    other = file.path.with_name("other.db")
    make(other)
    async with opened(file) as engine:
        with pytest.raises(OperationalError, match="too many attached databases"):
            await scalar(engine, f"attach database '{other}' as other")


@pytest.mark.parametrize("mode", ["delete", "wal"])
async def test_the_journal_mode_stays_the_applications(file: SQLiteFile, mode: str) -> None:
    with closing(sqlite3.connect(file.path)) as connection:
        connection.execute(f"pragma journal_mode = {mode}")
    async with opened(file) as engine:
        assert await scalar(engine, "pragma journal_mode") == mode
        await write(engine, "insert into posts (title) values ('Bye')")
    with closing(sqlite3.connect(file.path)) as connection:
        assert connection.execute("pragma journal_mode").fetchone() == (mode,)


async def test_no_transaction_begins_of_itself(file: SQLiteFile) -> None:
    async with opened(file) as engine, engine.connect() as connection:
        await connection.execute(text("insert into posts (title) values ('Bye')"))
        await connection.rollback()
        assert await connection.scalar(text("select count(*) from posts")) == 2


async def test_a_connection_comes_back_without_a_transaction(file: SQLiteFile) -> None:
    async with opened(file, pool_size=1) as engine:
        async with engine.connect() as connection:
            await connection.exec_driver_sql("begin immediate")
            await connection.execute(text("delete from posts"))
            await connection.commit()
            # Behind SQLAlchemy's back, as a job may that has the driver's connection.
            raw = await connection.get_raw_connection()
            await raw.driver_connection.execute("begin immediate")  # type: ignore[union-attr]
            await raw.driver_connection.execute("insert into posts (title) values ('left')")  # type: ignore[union-attr]
        assert await scalar(engine, "select count(*) from posts") == 0
        await write(engine, "insert into posts (title) values ('next')")


async def test_a_cancelled_wait_for_the_lock_leaves_the_connection_clean(file: SQLiteFile) -> None:
    async with opened(file, pool_size=1) as engine:
        await scalar(engine, "select 1")
        with closing(sqlite3.connect(file.path, isolation_level=None)) as other:
            other.execute("begin immediate")
            has_begun = asyncio.Event()
            event.listen(engine.sync_engine, "before_cursor_execute", lambda *_: has_begun.set())
            task = asyncio.create_task(write(engine, "delete from posts"))
            await has_begun.wait()
            task.cancel()
            other.execute("rollback")
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await scalar(engine, "select count(*) from posts") == 1
        await write(engine, "insert into posts (title) values ('next')")


@pytest.mark.parametrize("mode", ["delete", "wal"])
async def test_twenty_who_write_at_once_all_get_through(file: SQLiteFile, mode: str) -> None:
    with closing(sqlite3.connect(file.path)) as connection:
        connection.execute(f"pragma journal_mode = {mode}")
    async with opened(file, 5) as engine, opened(file, 5) as another:

        async def many(engine: AsyncEngine) -> None:
            for _ in range(5):
                await write(engine, "insert into posts (title) values ('x')")

        await asyncio.gather(*(many(one) for one in (engine, another) * 10))
        assert await scalar(engine, "select count(*) from posts") == 101


async def test_a_file_that_was_removed_is_not_written_on(file: SQLiteFile) -> None:
    async with opened(file) as engine:
        await scalar(engine, "select 1")
        file.path.unlink()
        with pytest.raises(DatabaseUnavailable, match="found nothing"):
            await write(engine, "delete from posts")
        make(file.path)
        assert await scalar(engine, "select count(*) from posts") == 1


async def test_a_file_that_was_replaced_is_read_anew(file: SQLiteFile) -> None:
    async with opened(file) as engine:
        await write(engine, "insert into posts (title) values ('old')")
        restored = file.path.with_name("restored.db")
        make(restored)
        restored.replace(file.path)
        assert await scalar(engine, "select count(*) from posts") == 1


async def test_every_thread_ends_with_the_engine(file: SQLiteFile) -> None:
    before = set(threading.enumerate())
    async with opened(file) as engine:
        await asyncio.gather(*(scalar(engine, "select 1") for _ in range(5)))
        mine = set(threading.enumerate()) - before
        assert mine
        wrong = sqlite_engine(SQLiteFile(file.path.with_name("wrong.db")), 1)
        with pytest.raises(DatabaseUnavailable):
            await scalar(wrong, "select 1")
        await wrong.dispose()
    for thread in mine:
        thread.join(10)
    assert not set(threading.enumerate()) - before


def test_a_process_ends_although_an_engine_was_not_closed(file: SQLiteFile) -> None:
    async def forget() -> AsyncEngine:
        engine = sqlite_engine(file, 1)
        await scalar(engine, "select 1")
        return engine

    before = set(threading.enumerate())
    engine = asyncio.run(forget())
    assert all(thread.daemon for thread in set(threading.enumerate()) - before)
    asyncio.run(engine.dispose())


async def test_values_are_not_in_the_message_of_an_error(file: SQLiteFile) -> None:
    async with opened(file) as engine, engine.connect() as connection:
        with pytest.raises(OperationalError) as raised:
            await connection.execute(text("select :value from nowhere"), {"value": "s3cret"})
    assert "s3cret" not in str(raised.value)


def test_a_file_has_one_identity_by_whatever_path(file: SQLiteFile) -> None:
    link = file.path.with_name("link.db")
    link.symlink_to(file.path)
    assert file_identity(link) == file_identity(file.path)


def test_a_name_is_taken_letter_for_letter(file: SQLiteFile) -> None:
    check_letters(SQLiteFile(file.path, chosen=2))
    # Where both spellings lead to one file, as where capitals don't count, the folder tells which is right.
    os.link(file.path, file.path.with_name("APP.DB"))
    check_letters(SQLiteFile(file.path, chosen=1))
    check_letters(SQLiteFile(file.path.with_name("APP.DB"), chosen=1))


@pytest.mark.parametrize(
    ("statement", "leaves"),
    [
        ("pragma query_only = on", True),
        ("PRAGMA case_sensitive_like(off)", True),
        ("/* a */ pragma main.synchronous=off -- b", True),
        ("create temp table posts as select 1", True),
        ("create temporary view posts as select 1", True),
        ('create table "temp".posts (id)', True),
        ("insert into temp . posts values (1)", True),
        ("pragma query_only", False),
        ("PRAGMA main.foreign_keys;", False),
        ('PRAGMA main.table_xinfo("posts")', False),
        ('PRAGMA temp.table_info("posts")', False),
        ("pragma foreign_key_list(posts)", False),
        ("select title from posts where title = 'pragma'", False),
        ("create table temperatures (id)", False),
        ("select temp from posts", False),
    ],
)
def test_what_outlives_a_transaction_is_told_by_its_text(statement: str, leaves: bool) -> None:
    assert leaves_state(statement) is leaves


async def test_a_connection_on_which_something_was_left_is_not_used_again(file: SQLiteFile) -> None:
    async with opened(file, pool_size=1) as engine:
        for statement in ("pragma query_only = on", "create temp table posts as select 1 as id, 'another' as title"):
            async with engine.connect() as connection:
                await connection.execute(text(statement))
            assert await scalar(engine, "select group_concat(title) from posts") == "Hello"
            assert await scalar(engine, "pragma query_only") == 0
        async with engine.connect() as connection:
            before = (await connection.get_raw_connection()).driver_connection
        async with engine.connect() as connection:
            assert (await connection.get_raw_connection()).driver_connection is before
