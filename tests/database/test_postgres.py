from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from pinstripe.database.outages import unavailable
from pinstripe.database.postgres import IDLE, leaves_state, postgres_engine
from pinstripe.database.urls import read_url
from pinstripe.errors import ConfigurationError, DatabaseUnavailable
from pinstripe.postgres_address import PostgresAddress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.ext.asyncio import AsyncEngine

    from tests.postgres import Postgres

pytestmark = pytest.mark.anyio


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def opened(url: str, folder: Path, pool_size: int = 1, clock: Clock | None = None) -> AsyncIterator[AsyncEngine]:
    database = read_url(url, folder, "database.url")
    assert isinstance(database, PostgresAddress)
    engine = postgres_engine(database, pool_size, monotonic=clock or Clock())
    try:
        yield engine
    finally:
        await engine.dispose()


@pytest.fixture
def url(postgres: Postgres, postgres_database: str) -> str:
    return postgres.url(postgres_database, "app")


async def scalar(engine: AsyncEngine, sql: str) -> object:
    async with engine.begin() as connection:
        return await connection.scalar(text(sql))


async def pid(engine: AsyncEngine) -> object:
    return await scalar(engine, "select pg_backend_pid()")


async def test_a_connection_says_whose_it_is(url: str, tmp_path: Path) -> None:
    async with opened(url, tmp_path) as engine:
        assert await scalar(engine, "show application_name") == "pinstripe"
    async with opened(f"{url}?application_name=billing&options=-csearch_path%3Dx", tmp_path) as engine:
        assert await scalar(engine, "show application_name") == "billing"
        assert await scalar(engine, "show search_path") == "x"


@pytest.mark.parametrize(
    ("said", "asked", "clean"),
    [
        ("set search_path to other", "show search_path", '"$user", public'),
        ("SET pinstripe.tenant = 'a'", "select current_setting('pinstripe.tenant', true)", None),
        ("/* x */ -- y\n set statement_timeout = 77", "show statement_timeout", "0"),
        ("select set_config('pinstripe.tenant', 'a', false)", "select current_setting('pinstripe.tenant', true)", None),
        ("select pg_advisory_lock(7)", "select count(*) from pg_locks where locktype = 'advisory'", 0),
        ("create temp table t (id int)", "select to_regclass('t')::text", None),
        ("create table pg_temp.t (id int)", "select to_regclass('t')::text", None),
        ("select 1 as id into temp t", "select to_regclass('t')::text", None),
        ("listen news", "select count(*) from pg_listening_channels()", 0),
        ("prepare p as select 1", "select count(*) from pg_prepared_statements where name = 'p'", 0),
        ("do $$ begin set search_path to other; end $$", "show search_path", '"$user", public'),
    ],
)
async def test_nothing_is_left_for_the_next(url: str, tmp_path: Path, said: str, asked: str, clean: object) -> None:
    async with opened(url, tmp_path, pool_size=1) as engine:
        await scalar(engine, "select 1")
        async with engine.begin() as connection:
            await connection.exec_driver_sql(said)
        assert await scalar(engine, asked) == clean


async def test_what_lasts_for_a_transaction_costs_no_connection(url: str, tmp_path: Path) -> None:
    async with opened(url, tmp_path) as engine:
        async with engine.begin() as connection:
            before = await connection.scalar(text("select pg_backend_pid()"))
            await connection.execute(text("set local statement_timeout = 77"))
            await connection.execute(
                select(
                    func.set_config("pinstripe.tenant", "a", text("true")), func.set_config("x.y", "b", text("true"))
                )
            )
            async with connection.begin_nested():
                await connection.execute(text("select 1"))
            assert await connection.scalar(text("show pinstripe.tenant")) == "a"
        assert await pid(engine) == before
        assert await scalar(engine, "select coalesce(current_setting('pinstripe.tenant', true), '')") == ""


@pytest.mark.parametrize(
    ("statement", "leaves"),
    [
        ("select 1", False),
        ("(select 1) union (select 2)", False),
        ("  WITH a AS (select 1) select * from a", False),
        ("update users set name = $1 where id = $2", False),
        ("insert into users (name) values ($1) on conflict do update set name = $1", False),
        ("SAVEPOINT sa_savepoint_1", False),
        ("set transaction isolation level serializable", False),
        ("select set_config('pinstripe.tenant', $1, true), set_config('pinstripe.unscoped', $2::VARCHAR, true)", False),
        ("select set_config($1::VARCHAR, $2::VARCHAR, true) AS set_config_1", False),
        ("select set_config('pinstripe.tenant', $1, $2)", True),
        ("select set_config('a.b', 'x', true), set_config('a.c', 'y', false)", True),
        ("select set_config('a.b', (select 'x, true)'), false)", True),
        ("select pg_try_advisory_lock_shared(1)", True),
        ("select pg_catalog.set_config('a.b', 'x', false)", True),
        ("select \"set_config\"('a.b', 'x', false)", True),
        ("reset all", True),
        ("discard temp", True),
        ("declare c cursor with hold for select 1", True),
        ("call p()", True),
        ("", True),
    ],
)
def test_which_statements_leave_something(statement: str, leaves: bool) -> None:
    assert leaves_state(statement) is leaves


async def test_a_connection_that_was_idle_is_asked_before_it_is_used(
    postgres: Postgres, postgres_database: str, url: str, tmp_path: Path
) -> None:
    clock = Clock()
    async with opened(url, tmp_path, pool_size=3, clock=clock) as engine:

        async def use() -> object:
            async with engine.connect() as connection:
                answer = await connection.scalar(text("select pg_backend_pid()"))
                await asyncio.wait_for(together.wait(), 30)
                return answer

        together = asyncio.Barrier(3)
        pids = set(await asyncio.gather(use(), use(), use()))
        postgres.terminate_backends(postgres_database)
        clock.now += IDLE + 1
        again = set(await asyncio.gather(use(), use(), use()))
        assert len(again) == 3
        assert not again & pids


async def test_a_connection_in_use_is_not_asked(url: str, tmp_path: Path) -> None:
    clock = Clock()
    async with opened(url, tmp_path, clock=clock) as engine:
        asked: list[object] = []

        def ping(connection: DBAPIConnection) -> bool:
            asked.append(connection)
            return True

        engine.dialect.do_ping = ping  # type: ignore[assignment,method-assign]
        assert await pid(engine) == await pid(engine)
        assert not asked
        clock.now += IDLE + 1
        await pid(engine)
        assert len(asked) == 1


async def test_a_session_that_the_server_ended_is_an_outage_and_the_next_works(
    postgres: Postgres, postgres_database: str, url: str, tmp_path: Path
) -> None:
    async with opened(url, tmp_path) as engine:
        async with engine.connect() as connection:
            await connection.execute(text("select 1"))
            postgres.terminate_backends(postgres_database)
            with pytest.raises(DBAPIError) as raised:
                await connection.execute(text("select 1"))
        outage = unavailable(raised.value, engine.url)
        assert outage is not None
        assert "the connection to postgresql://app@" in str(outage)
        assert await scalar(engine, "select 1") == 1


async def test_a_server_that_goes_and_comes_back(postgres_to_stop: Postgres, tmp_path: Path) -> None:
    with postgres_to_stop.database() as name:
        async with opened(postgres_to_stop.url(name, "app"), tmp_path) as engine:
            await scalar(engine, "select 1")
            with postgres_to_stop.stopped():
                with pytest.raises((DBAPIError, DatabaseUnavailable)) as raised:
                    await scalar(engine, "select 1")
                assert unavailable(raised.value, engine.url)
                with pytest.raises(DatabaseUnavailable, match="can't be reached"):
                    await scalar(engine, "select 1")
            assert await scalar(engine, "select 1") == 1


@pytest.mark.parametrize("wrong", ["port", "password", "database", "role"])
async def test_a_database_that_cant_be_had(
    postgres: Postgres, postgres_database: str, wrong: str, tmp_path: Path
) -> None:
    host = f"127.0.0.1:{postgres.port}"
    url, said = {
        "port": (f"postgresql://app:app@127.0.0.1:1/{postgres_database}", "can't be reached"),
        "password": (f"postgresql://app:s3cret@{host}/{postgres_database}", "password authentication failed"),
        "database": (f"postgresql://app:app@{host}/nowhere", '"nowhere" does not exist'),
        "role": (f"postgresql://nobody:s3cret@{host}/{postgres_database}", "nobody"),
    }[wrong]
    async with opened(url, tmp_path) as engine:
        with pytest.raises(DatabaseUnavailable) as raised:
            await scalar(engine, "select 1")
    assert said in str(raised.value)
    assert "s3cret" not in str(raised.value)
    assert str(read_url(url, tmp_path, "")) in str(raised.value)


async def test_a_server_that_doesnt_answer_is_given_up(tmp_path: Path) -> None:
    calls: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: calls.append(writer), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with opened(f"postgresql://app@127.0.0.1:{port}/app?connect_timeout=1", tmp_path) as engine:
        with pytest.raises(DatabaseUnavailable, match="didn't answer within 1 seconds"):
            await scalar(engine, "select 1")
    server.close()
    for call in calls:
        call.close()
        await call.wait_closed()


async def test_a_url_that_the_driver_refuses(tmp_path: Path) -> None:
    url = "postgresql://app@127.0.0.1:1/app?sslmode=verify-full&sslrootcert=/nowhere.crt"
    async with opened(url, tmp_path) as engine:
        with pytest.raises((ConfigurationError, DatabaseUnavailable), match=r"nowhere|can't be"):
            await scalar(engine, "select 1")


async def test_a_full_pool_says_so(url: str, tmp_path: Path) -> None:
    async with opened(url, tmp_path) as engine:
        engine.sync_engine.pool._timeout = 0  # type: ignore[attr-defined]  # noqa: SLF001 - 30 seconds are for jobs
        async with engine.connect():
            with pytest.raises(PoolTimeout) as raised:
                await scalar(engine, "select 1")
        assert "raise pool_size" in str(unavailable(raised.value, engine.url))


async def test_values_are_not_in_the_message_of_an_error(url: str, tmp_path: Path) -> None:
    async with opened(url, tmp_path) as engine, engine.connect() as connection:
        with pytest.raises(ProgrammingError) as raised:
            await connection.execute(text("select cast(:value as text) from nowhere"), {"value": "s3cret"})
    assert "s3cret" not in str(raised.value)
    assert "app:app" not in f"{engine!r} {engine.url.render_as_string(hide_password=False)}"
