"""What is enqueued in an application's transaction is a part of it, whatever its connection is made by."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import urldefrag

import asyncpg
import psycopg
import pytest

from pinstripe.errors import InvalidArguments, LedgerError
from pinstripe.ledger import RunFilter
from pinstripe.ledgers.postgres.callers import OWN
from pinstripe.ledgers.postgres.queue import PostgresQueue
from tests.ledgers.postgres.applications import (
    KINDS,
    asyncpg_connection,
    plain_psycopg,
    psycopg_connection,
    savepoint,
    session,
    undone,
)
from tests.ledgers.queue.moves import claim, enqueue, new_work
from tests.postgres import APP, Postgres

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger
    from pinstripe.run import Run
    from tests.ledgers.postgres.conftest import Database, NewProcess
    from tests.ledgers.stores import Store
    from tests.pgbouncer import PgBouncer

pytestmark = pytest.mark.anyio


@pytest.fixture
def url(store: Store) -> str:
    """Give the URL by which the application reaches the database of the ledger."""
    return urldefrag(store.address).url


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Any:
    """Give what opens a connection of each kind in a transaction."""
    return KINDS[request.param]


async def put(ledger: Ledger, connection: object, *tenants: str, **given: Any) -> Run:
    """Enqueue one run on a connection."""
    (run,) = await ledger.queue.enqueue([new_work(*tenants, **given)], connection)
    return run


async def tenants_of_claim(ledger: Ledger) -> list[str]:
    return sorted(started.tenant for started in await claim(ledger))


async def test_it_is_there_with_the_commit_and_not_before(worker: Ledger, second: Ledger, url: str, kind: Any) -> None:
    async with kind(url) as connection:
        run = await put(second, connection, "a", "b")
        later = await put(second, connection, "c", due_at=2**60)
        (picked,) = await second.queue.enqueue([new_work(job="picks", tenants=None)], connection)
        assert (run.status, run.executions.queued, picked.selecting) == ("queued", 2, True)
        assert await worker.list_runs(RunFilter()) == []
        assert await claim(worker) == []
        assert await worker.queue.take_selection() is None
    assert {each.id for each in await worker.list_runs(RunFilter())} == {run.id, later.id, picked.id}
    assert await worker.find_run(run.id) == run
    assert await tenants_of_claim(worker) == ["a", "b"]
    taken = await worker.queue.take_selection()
    assert taken is not None
    assert taken.id == picked.id


async def test_who_waits_for_work_hears_of_it_with_the_commit(worker: Ledger, url: str, kind: Any) -> None:
    while await worker.queue.wait(0):
        pass
    async with kind(url) as connection:
        await put(worker, connection, "a")
        assert not await worker.queue.wait(0)
    assert await worker.queue.wait(10)


async def test_a_rollback_takes_it_along(worker: Ledger, url: str, kind: Any) -> None:
    async with undone(kind(url)) as connection:
        await put(worker, connection, "a", key="k")
    assert await worker.list_runs(RunFilter()) == []
    assert await claim(worker) == []
    assert (await enqueue(worker, "a", key="k")).status == "queued"  # its key is free again


async def test_so_does_that_of_a_savepoint_alone(worker: Ledger, url: str, kind: Any) -> None:
    async with kind(url) as connection:
        kept = await put(worker, connection, "a")
        async with undone(savepoint(connection)):
            await put(worker, connection, "b")
        async with savepoint(connection):
            also = await put(worker, connection, "c")
    assert {run.id for run in await worker.list_runs(RunFilter())} == {kept.id, also.id}
    assert await tenants_of_claim(worker) == ["a", "c"]


async def test_a_key_gives_the_run_that_has_it(ledger: Ledger, url: str, kind: Any) -> None:
    known = await enqueue(ledger, "a", key="k")
    async with kind(url) as connection:
        assert await put(ledger, connection, "b", key="k") == known
        new = await put(ledger, connection, "b", key="own")
        assert await put(ledger, connection, "c", key="own") == new
    assert len(await ledger.list_runs(RunFilter())) == 2


async def test_what_can_not_be_enqueued_leaves_the_transaction_as_it_was(ledger: Ledger, url: str, kind: Any) -> None:
    async with kind(url) as connection:
        kept = await put(ledger, connection, "a")
        with pytest.raises(LedgerError, match="the ledger doesn't know that schedule"):
            await put(ledger, connection, tenants=None, schedule="nightly", local_time="2026-09-21T03:00:00")
        also = await put(ledger, connection, "b")
    assert {run.id for run in await ledger.list_runs(RunFilter())} == {kept.id, also.id}


async def test_a_second_transaction_with_the_same_key_waits_for_the_first(ledger: Ledger, url: str) -> None:
    async with asyncpg_connection(url) as connection:
        first = await put(ledger, connection, "a", key="k")
        second = asyncio.create_task(enqueue(ledger, "a", key="k"))
        other = await asyncpg.connect(url)
        while not await other.fetchval("select exists (select from pg_locks where not granted)"):  # noqa: ASYNC110 - nothing tells that
            await asyncio.sleep(0)
        await other.close()
        assert not second.done()
    assert (await second).id == first.id


async def test_a_cancelled_call_leaves_nothing_in_the_transaction(ledger: Ledger, url: str) -> None:
    async with asyncpg_connection(url) as holder:
        await put(ledger, holder, "a", key="k")
        for opened in (asyncpg_connection, psycopg_connection):
            async with opened(url) as connection:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await put(ledger, connection, "b", key="k")
                kept = await put(ledger, connection, "c")
            assert await ledger.find_run(kept.id) == kept
    assert len(await ledger.list_runs(RunFilter())) == 3


async def test_a_cancelled_call_of_a_plain_connection_ends_its_statement(ledger: Ledger, url: str) -> None:
    async with asyncpg_connection(url) as holder:
        await put(ledger, holder, "a", key="k")
        with pytest.raises(TimeoutError):
            async with plain_psycopg(url) as connection, asyncio.timeout(0.1):
                await put(ledger, connection, "b", key="k")
    assert len(await ledger.list_runs(RunFilter())) == 1


# What is refused.


async def test_a_connection_of_another_kind_is_refused(ledger: Ledger) -> None:
    with pytest.raises(InvalidArguments, match=r"expected the connection or session .*, or Django's .*; got str$"):
        await put(ledger, "postgresql://app@localhost/shop")


async def test_a_connection_without_a_transaction_is_refused(ledger: Ledger, url: str) -> None:
    connection = await asyncpg.connect(url)
    with pytest.raises(InvalidArguments, match="expected a connection in a transaction"):
        await put(ledger, connection)
    await connection.close()
    with pytest.raises(asyncpg.InterfaceError, match="connection is closed"):
        await put(ledger, connection)
    alone = await psycopg.AsyncConnection.connect(url, autocommit=True)
    with pytest.raises(InvalidArguments, match="on which each statement is committed by itself; begin one"):
        await put(ledger, alone)
    await alone.close()
    with pytest.raises(psycopg.OperationalError, match="the connection is closed"):
        await put(ledger, alone)
    assert await ledger.list_runs(RunFilter()) == []


async def test_a_connection_to_another_database_is_refused(ledger: Ledger, postgres: Postgres) -> None:
    with postgres.database() as name:
        async with asyncpg_connection(postgres.url(name)) as connection:
            with pytest.raises(InvalidArguments, match=rf"since only there .* one that leads to the database {name}$"):
                await put(ledger, connection)
            assert await connection.fetchval("select 1") == 1


async def test_a_connection_to_another_server_is_refused(ledger: Ledger, url: str) -> None:
    other = Postgres.start_private()
    try:
        name = url.rpartition("/")[2]
        other.execute_now(f'create database "{name}"')
        async with psycopg_connection(other.url(name)) as connection:
            with pytest.raises(InvalidArguments, match=r"got one that leads to another server$"):
                await put(ledger, connection)
    finally:
        other.close()


async def test_what_the_database_says_of_a_broken_transaction_comes_through(ledger: Ledger, url: str) -> None:
    async with undone(asyncpg_connection(url)) as connection:
        with pytest.raises(asyncpg.DivisionByZeroError):
            await connection.execute("select 1 / 0")
        with pytest.raises(asyncpg.InFailedSQLTransactionError):
            await put(ledger, connection)
    async with undone(psycopg_connection(url)) as connection:
        with pytest.raises(psycopg.errors.DivisionByZero):
            await connection.execute("select 1 / 0")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            await put(ledger, connection)


@pytest.mark.parametrize("opened", [asyncpg_connection, psycopg_connection, plain_psycopg])
async def test_who_has_no_right_is_told_which_he_needs(
    ledger: Ledger, url: str, postgres: Postgres, opened: Any
) -> None:
    database, schema = url.rpartition("/")[2], ledger._store.schema.name  # type: ignore[attr-defined]  # noqa: SLF001
    schemas = f"{schema}, {schema}_engine"
    owner = {"database": database, "user": "app_owner"}
    await postgres.execute(f"revoke usage on schema {schemas} from {APP}", **owner)
    await postgres.execute(f"revoke all on all tables in schema {schemas} from {APP}", **owner)
    await postgres.execute(f"revoke all on all sequences in schema {schemas} from {APP}", **owner)
    await postgres.execute(f"revoke all on all functions in schema {schema}_engine from public", **owner)
    async with opened(postgres.url(database, APP)) as connection:
        with pytest.raises(
            LedgerError, match=r"may not be written by app, .* to have said `grant usage on schema"
        ) as caught:
            await put(ledger, connection, "a")
    await postgres.execute(str(caught.value).split("`")[1], **owner)
    async with opened(postgres.url(database, APP)) as connection:
        await put(ledger, connection, "a", "b", key="k")
        await put(ledger, connection, tenants=None)
    assert len(await ledger.list_runs(RunFilter())) == 2


async def test_a_server_that_was_started_anew_is_the_same_one(ledger: Ledger, url: str) -> None:
    async with asyncpg_connection(url) as connection:
        await put(ledger, connection)
    store: Any = ledger._store  # type: ignore[attr-defined]  # noqa: SLF001 - what it remembers
    OWN[store] = OWN[store]._replace(started=1)
    async with asyncpg_connection(url) as connection:
        await put(ledger, connection)
    assert OWN[store].started > 1


# Through a pooler.


async def test_the_application_may_go_through_a_pooler(ledger: Ledger, url: str, pgbouncer: PgBouncer) -> None:
    pooled = pgbouncer.url(url.rpartition("/")[2], "app_owner")
    connection = await asyncpg.connect(pooled, statement_cache_size=0)
    async with connection.transaction():
        await put(ledger, connection, "a")
    await connection.close()
    for opened in (psycopg_connection, plain_psycopg):
        async with opened(pooled) as connection:
            await put(ledger, connection, "b", "c")
    assert len(await ledger.list_runs(RunFilter())) == 3


async def test_so_may_the_ledger(new_process: NewProcess, database: Database, pgbouncer: PgBouncer) -> None:
    store = await new_process(url=pgbouncer.url(database.url.rpartition("/")[2], "app_owner"))
    assert store.is_pooled
    queue = PostgresQueue(store)
    for opened in (asyncpg_connection, session("asyncpg", "SERIALIZABLE")):
        async with opened(database.url) as connection:
            await queue.enqueue([new_work("a")], connection)
    assert database.fetch("select count(*) from runs") == [(2,)]
