"""What is the PgQueuer engine's own: several transactions at once, connections that break, and poolers."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pinstripe.engine import NewTicket
from pinstripe.engines.pgqueuer import REANCHOR
from pinstripe.engines.pgqueuer_tables import SPAN, EngineTables, engine_settings
from tests.engines.offices import Chunk, PgQueuerOffice, UndoneError, heard_nothing

if TYPE_CHECKING:
    from pinstripe.engines.pgqueuer import PgQueuerEngine
    from tests.pgbouncer import PgBouncer
    from tests.postgres import Postgres

pytestmark = pytest.mark.anyio

PATIENCE = 30
"""Seconds that a test waits for news before it gives up."""

AT_ONCE = 0.01
"""Seconds to wait for what is not to come: the longer, the surer."""


@pytest.fixture
def office(pgqueuer_office: PgQueuerOffice) -> PgQueuerOffice:
    return pgqueuer_office


async def tickets(office: PgQueuerOffice) -> list[tuple[str, int]]:
    """Read the chunks and priorities of all tickets."""
    connection = await office.connect()
    rows = await connection.fetch(f"select dedupe_key, priority from {office.schema}_engine.pgqueuer order by id")
    await connection.close()
    return [tuple(row) for row in rows]


# Two transactions at once.


async def test_two_open_transactions_take_different_tickets(office: PgQueuerOffice) -> None:
    engine, other = await office.open(), await office.open()
    await office.put(engine, *(Chunk(n) for n in range(1, 11)))
    async with office.transaction() as one, office.transaction() as two:
        assert await office.take(one, engine, 3) == [1, 2, 3]
        assert await office.take(two, other, 3) == [4, 5, 6]
        assert await office.take(one, engine, 1) == [7]
    assert await office.claim(other, 10) == [8, 9, 10]


async def test_tickets_of_an_open_transaction_hold_nobody_up_and_come_back_in_their_place(
    office: PgQueuerOffice,
) -> None:
    engine, other = await office.open(), await office.open()
    await office.put(engine, Chunk(1), Chunk(2), Chunk(3))
    with suppress(UndoneError):
        async with office.transaction() as tx:
            assert await office.take(tx, engine, 2) == [1, 2]
            assert await office.claim(other, 10) == [3]
            raise UndoneError
    assert await office.claim(other, 10) == [1, 2]


async def test_a_hundred_that_take_at_once_take_each_ticket_once(office: PgQueuerOffice) -> None:
    engines = [await office.open(listens=False) for _ in range(10)]
    await office.put(engines[0], *(Chunk(n) for n in range(1, 301)))
    taken = await asyncio.gather(*(office.claim(engine, 4) for engine in engines for _ in range(10)))
    assert sorted(chunk for each in taken for chunk in each) == list(range(1, 301))


async def test_what_two_mint_at_once_has_one_ticket_and_locks_nobody_out(office: PgQueuerOffice) -> None:
    engines = [await office.open(listens=False) for _ in range(2)]
    chunks = [Chunk(n) for n in range(1, 101)]
    async with asyncio.timeout(PATIENCE):
        for _ in range(10):
            await asyncio.gather(office.mint(engines[0], *chunks), office.mint(engines[1], *reversed(chunks)))
    assert len(await tickets(office)) == 100


async def test_an_uncommitted_ticket_is_heard_of_by_nobody_and_taken_by_nobody(office: PgQueuerOffice) -> None:
    engine, other = await office.open(), await office.open()
    await office.put_away(engine, Chunk(1))
    async with office.transaction() as tx:
        await tx.connection.execute(f"update {office.schema}.chunks set tag = 0")
        await engine.mint(tx, [NewTicket(1, 1, 0)])
        await engine.announce(tx)
        assert not await other.wait(AT_ONCE)
        assert await office.look(other, 10) == []
    assert await other.wait(PATIENCE)
    assert await office.look(other, 10) == [1]


async def test_what_is_minted_as_somebody_takes_is_taken_with_its_chunk(
    office: PgQueuerOffice, postgres: Postgres, postgres_database: str
) -> None:
    """It isn't there yet for the statement that takes, which had begun before; for what that does, it is."""
    engine, other = await office.open(), await office.open()
    waiting = "select count(*) from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'"
    async with office.transaction() as tx:
        await tx.connection.execute(f"lock table {office.schema}_engine.pgqueuer")
        taking = asyncio.create_task(office.claim(other, 10))
        async with asyncio.timeout(PATIENCE):
            while not (await postgres.fetch(waiting, postgres_database))[0][0]:  # noqa: ASYNC110 - the server is asked
                await asyncio.sleep(0)
        await office.put_in(tx, Chunk(1))
        await engine.mint(tx, [NewTicket(1, 1, 0)])
    assert await taking == [1]


async def test_what_is_undone_was_never_minted_nor_told(office: PgQueuerOffice) -> None:
    engine, other = await office.open(), await office.open()
    with suppress(UndoneError):
        async with office.transaction() as tx:
            await engine.mint(tx, [NewTicket(1, 1, 0)])
            await engine.announce(tx)
            raise UndoneError
    assert await office.look(other, 10) == []
    await office.tell(engine)
    assert await other.wait(PATIENCE)
    assert await tickets(office) == []


async def test_minted_tickets_are_news_and_taken_ones_are_none(office: PgQueuerOffice) -> None:
    engine, other = await office.open(), await office.open()
    await office.put(engine, Chunk(1))
    assert await other.wait(PATIENCE)
    await heard_nothing(other)
    await office.claim(engine, 1)
    assert not await other.wait(AT_ONCE)


# Connections that break.


async def test_who_listens_goes_on_when_its_connection_is_ended(
    office: PgQueuerOffice, postgres: Postgres, postgres_database: str
) -> None:
    engine, other = await office.open(), await office.open()
    for _ in range(3):
        engine.lost = False
        await asyncio.to_thread(postgres.terminate_backends, postgres_database)
        await listens_again(engine)
        await heard_nothing(engine)
        await office.put(other, Chunk(1))
        assert await engine.wait(PATIENCE)
        assert await office.claim(other, 1) == [1]


async def listens_again(engine: PgQueuerEngine) -> None:
    """Wait until an engine has begun to listen anew: it may have missed something, and says so."""
    async with asyncio.timeout(PATIENCE):
        while not engine.lost:
            await engine.wait(PATIENCE)


async def test_who_listens_goes_on_after_a_restart_of_the_server(postgres_to_stop: Postgres) -> None:
    with postgres_to_stop.database() as name:
        office = PgQueuerOffice(postgres_to_stop.url(name, "app_owner"), "restarted")
        await office.install()
        engine = await office.open()
        await office.put(engine, Chunk(1), Chunk(2))
        engine.lost = False
        await asyncio.to_thread(postgres_to_stop.restart)
        await listens_again(engine)
        assert await office.look(engine, 10) == [1, 2]
        await heard_nothing(engine)
        await office.tell(engine)
        assert await engine.wait(PATIENCE)
        await office.close()


async def test_a_closed_engine_leaves_no_connection(
    office: PgQueuerOffice, postgres: Postgres, postgres_database: str
) -> None:
    async def connections() -> int:
        query = "select count(*) from pg_stat_activity where datname = $1"
        return int((await postgres.fetch(query, postgres_database))[0][0])

    engines = [await office.open() for _ in range(3)]
    assert await connections() >= 3
    async with asyncio.timeout(PATIENCE):
        for engine in engines:
            await engine.close()
        while await connections():  # noqa: ASYNC110 - the server ends them in its own time
            await asyncio.sleep(0)


# Poolers.


async def test_behind_a_pooler_tickets_are_carried_and_a_wait_is_short(
    pgbouncer: PgBouncer, postgres_database: str
) -> None:
    office = PgQueuerOffice(pgbouncer.url(postgres_database, "app_owner"), "pooled")
    office.pooled = True
    await office.install()
    engine, other = await office.open(), await office.open()
    await office.put(engine, *(Chunk(n) for n in range(1, 51)))
    assert await office.look(other, 2) == [1, 2]
    taken = await asyncio.gather(*(office.claim(each, 5) for each in [engine, other] * 5))
    assert sorted(chunk for each in taken for chunk in each) == list(range(1, 51))
    assert await engine.wait(PATIENCE)  # nothing is heard: whoever waits looks by itself
    await office.close()


# Several ledgers in one database.


async def test_ledgers_in_one_database_know_nothing_of_each_other(office: PgQueuerOffice) -> None:
    elsewhere = PgQueuerOffice(office.url, f"{office.schema}_too")
    await elsewhere.install()
    here, there = await office.open(), await elsewhere.open()
    await elsewhere.put(there, Chunk(1))
    assert await there.wait(PATIENCE)
    assert not await here.wait(AT_ONCE)
    assert await office.look(here, 1) == []
    assert await elsewhere.look(there, 1) == [1]
    await elsewhere.close()


async def test_what_the_environment_says_of_pgqueuer_is_not_for_this_one(
    office: PgQueuerOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = engine_settings("pinstripe")
    for name in type(before).model_fields:
        monkeypatch.setenv(name.upper(), "elsewhere")
        monkeypatch.setenv(f"PGQUEUER_{name.upper()}", "elsewhere")
    assert engine_settings("pinstripe") == before
    engine = await office.open()
    await office.put(engine, Chunk(1))
    assert await office.look(engine, 1) == [1]


# Places, and what is kept.


async def test_bands_lie_one_below_another_in_priorities_of_32_bits(office: PgQueuerOffice) -> None:
    connection = await office.connect()

    async def priority(band: int, place: int) -> int:
        query = f"select {office.schema}_engine.priority($1::smallint, $2)"
        return int(await connection.fetchval(query, band, place))

    for band in range(3):
        places = [await priority(band, place) for place in (-5, 0, 1, SPAN - 1, SPAN + 9)]
        assert places == sorted(places, reverse=True)
        assert places[0] == places[1]
        assert places[3] == places[4]
        assert -(2**31) <= places[-1] <= places[0] < 2**31
    assert await priority(0, SPAN) > await priority(1, 0)
    assert await priority(1, SPAN) > await priority(2, 0)
    await connection.close()


async def test_tags_that_have_grown_beyond_32_bits_keep_their_order(office: PgQueuerOffice) -> None:
    engine = await office.open()
    start = 2**40
    connection = await office.connect()
    await connection.execute(f"update {office.schema}.bands set served = {start} where band = 1")
    await connection.close()
    await office.put(engine, Chunk(1, tag=start + REANCHOR), Chunk(2, tag=start))
    engine.lost = False
    async with office.transaction() as tx:
        await engine.tidy(tx)
    assert engine.lost  # whoever sees that mints again
    await office.claim(engine, 2)
    await office.put(engine, Chunk(1, tag=start + REANCHOR), Chunk(2, tag=start), Chunk(3, tag=start + 1))
    assert await office.claim(engine, 10) == [2, 3, 1]


async def test_a_ticket_that_was_put_too_low_moves_up(office: PgQueuerOffice) -> None:
    engine = await office.open()
    await office.put(engine, Chunk(1, tag=9), Chunk(2, tag=5))
    async with office.transaction() as tx:
        await engine.mint(tx, [NewTicket(1, 1, 1), NewTicket(2, 1, 30)], anew=True)
    assert await office.claim(engine, 10) == [1, 2]


async def test_a_ticket_whose_chunk_is_gone_or_not_to_be_seen_yet_is_consumed(office: PgQueuerOffice) -> None:
    engine = await office.open()
    await office.mint(engine, Chunk(1, tag=1))
    await office.put(engine, Chunk(2, tag=2))
    await office.put_away(engine, Chunk(3))
    await office.mint(engine, Chunk(3, tag=3))
    async with office.transaction() as tx:
        taken = await engine.take(tx, 10)
    assert [None if ticket is None else ticket.chunk for ticket in taken] == [None, 2, None]
    assert await tickets(office) == []


async def test_a_ticket_is_taken_after_its_delay(office: PgQueuerOffice) -> None:
    engine = await office.open()
    await office.put(engine, Chunk(1, tag=2))
    async with office.transaction() as tx:
        await office.put_in(tx, Chunk(2, tag=1), Chunk(3))
        await engine.mint(tx, [NewTicket(2, 1, 1)], delay=timedelta(minutes=1))
        await engine.mint(tx, [NewTicket(3, 1, 0)], delay=timedelta(microseconds=1))
    assert await office.claim(engine, 10) == [3, 1]
    connection = await office.connect()
    await connection.execute(f"update {office.schema}_engine.pgqueuer set execute_after = now() - interval '1 s'")
    await connection.close()
    assert await office.claim(engine, 10) == [2]


async def test_nothing_is_kept_of_tickets_that_were_served(office: PgQueuerOffice) -> None:
    engine = await office.open()
    await office.put(engine, *(Chunk(n) for n in range(1, 101)))
    await office.claim(engine, 100)
    assert await tickets(office) == []
    connection = await office.connect()
    assert await connection.fetchval(f"select count(*) from {office.schema}_engine.pgqueuer_log") == 0
    await connection.close()


async def test_only_what_is_minted_is_told_of(office: PgQueuerOffice) -> None:
    engine = await office.open(listens=False)
    told: list[object] = []
    listener, other = await office.connect(), await office.connect()
    await listener.add_listener(engine.channel, lambda *said: told.append(said[-1]))
    await office.put(engine, Chunk(1), Chunk(2))
    await office.claim(engine, 2)
    ended = asyncio.Event()
    await listener.add_listener("the_end", lambda *_: ended.set())
    await other.execute("notify the_end")
    await asyncio.wait_for(ended.wait(), PATIENCE)
    assert len(told) == 1
    for connection in (listener, other):
        await connection.close()


async def test_an_upgrade_leaves_functions_and_triggers_as_they_are_to_be(office: PgQueuerOffice) -> None:
    engine, tables = await office.open(), EngineTables(office.schema)
    schema = tables.schema
    connection = await office.connect()
    await connection.execute(f"drop function {schema}.mint; drop function {schema}.take")
    await connection.execute(f"drop trigger keep_no_log on {schema}.pgqueuer_log")
    for _ in range(2):
        await tables.upgrade(connection)
        await tables.make_functions(connection)
    await connection.close()
    await office.put(engine, Chunk(2, tag=5), Chunk(1, tag=6))
    assert await office.claim(engine, 10) == [2, 1]
    connection = await office.connect()
    assert await connection.fetchval(f"select count(*) from {schema}.pgqueuer_log") == 0
    await connection.close()


async def test_a_chunk_number_of_any_size_is_carried(office: PgQueuerOffice) -> None:
    engine = await office.open()
    await office.put(engine, Chunk(2**62))
    assert await office.claim(engine, 1) == [2**62]


async def test_it_is_opened_and_closed_as_often_as_one_likes(office: PgQueuerOffice) -> None:
    engine = office.engine()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(engine.close)
        for _ in range(3):
            await engine.open()
            await engine.open()
            await heard_nothing(engine)
            await office.tell(engine)
            assert await engine.wait(PATIENCE)
            await engine.close()
            await engine.close()
