from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url

from pinstripe.errors import LedgerError
from pinstripe.ledgers.postgres import heart as heart_of_ledger
from pinstripe.ledgers.postgres.database_clock import DatabaseClock
from pinstripe.ledgers.postgres.heart import LIMIT, Heart
from pinstripe.ledgers.postgres.owners import LEASE
from tests.ledgers.conftest import START, HandClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pinstripe.ledgers.postgres.store import Store
    from pinstripe.ledgers.postgres.transaction import Transaction
    from tests.ledgers.postgres.conftest import Database, NewProcess
    from tests.ledgers.postgres.network import Network
    from tests.pgbouncer import PgBouncer

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)


@contextmanager
def beating(store: Store) -> Iterator[Heart]:
    heart = Heart(store)
    try:
        yield heart
    finally:
        heart.close()


@pytest.fixture
def heart(process: Store) -> Iterator[Heart]:
    with beating(process) as heart:
        yield heart


async def test_a_beat_holds_for_a_lease(process: Store, heart: Heart, database: Database, clock: HandClock) -> None:
    heart.beat()
    assert database.owners() == []
    await process.register()
    clock.advance(HOUR)
    heart.beat()
    told = clock.microseconds
    assert database.owners("beat, expires_at") == [(told, told + LEASE * 1_000_000)]


async def test_it_beats_while_the_event_loop_is_blocked(
    process: Store, heart: Heart, database: Database, clock: HandClock
) -> None:
    await process.register()
    for step in range(3):
        clock.advance(HOUR)
        thread = threading.Thread(target=heart.beat)
        thread.start()
        thread.join()
        assert database.owners("beat") == [clock.microseconds], step


async def test_whoever_beats_at_the_same_time_takes_turns(process: Store, heart: Heart, database: Database) -> None:
    await process.register()
    threads = [threading.Thread(target=heart.beat) for _ in range(5)]
    for thread in threads:
        thread.start()
    heart.beat()
    for thread in threads:
        thread.join()
    assert database.owners("beat") == [process.clock.now() - 1_000]


async def test_a_row_that_is_gone_stays_so(process: Store, heart: Heart, database: Database) -> None:
    await process.register()
    database.fetch("delete from owners")
    heart.beat()
    assert database.owners() == []


async def test_who_holds_its_row_does_not_hold_up_its_beat(
    process: Store, heart: Heart, database: Database, clock: HandClock
) -> None:
    """A job may block the event loop while a claim of its process is open."""
    number = await process.register()
    await process.write(lambda tx: tx.run("join_owner", number, 1))

    async def claim(tx: Transaction) -> None:
        assert await tx.value("begin_turn", clock.now(), number)
        heart.beat()

    await process.write(claim)
    assert database.owners("beat") == [clock.microseconds]


async def test_a_connection_that_broke_between_two_beats_is_made_anew(
    process: Store, heart: Heart, database: Database, clock: HandClock
) -> None:
    await process.register()
    for _ in range(3):
        heart.beat()
        database.cut()
    clock.advance(HOUR)
    heart.beat()
    assert database.owners("beat") == [clock.microseconds]
    assert process.trouble_at == clock.seconds


async def test_a_server_that_is_gone_is_told_without_a_secret_and_beaten_for_again(
    network: Network, through_network: str, database: Database, new_process: NewProcess, clock: HandClock
) -> None:
    process = await new_process(url=through_network)
    await process.register()
    with beating(process) as heart:
        heart.beat()
        with network.refusing():
            clock.advance(HOUR)
            for _ in range(2):
                with pytest.raises(LedgerError, match="can't be reached") as raised:
                    heart.beat()
                assert f":{make_url(database.url).password}@" not in str(raised.value)
            assert process.trouble_at == clock.seconds
        heart.beat()
        assert database.owners("beat") == [clock.microseconds]


async def test_the_clock_follows_the_database_s(new_process: NewProcess, database: Database) -> None:
    hand = HandClock()
    clock = DatabaseClock(hand)
    process = await new_process(clock)
    await process.register()
    with beating(process) as heart:
        hand.advance(-HOUR)  # as a machine that slept for an hour
        heart.beat()
    ((beat, apart),) = database.owners("beat, abs(extract(epoch from clock_timestamp()) * 1000000 - beat)")
    assert beat != START
    assert apart < 60_000_000


async def test_through_a_pooler(
    pgbouncer: PgBouncer, database: Database, new_process: NewProcess, clock: HandClock
) -> None:
    url = make_url(database.url).set(drivername="postgresql", host="127.0.0.1", port=pgbouncer.port)
    process = await new_process(url=url.render_as_string(hide_password=False))
    assert process.is_pooled
    await process.register()
    with beating(process) as heart:
        for _ in range(5):
            clock.advance(HOUR)
            heart.beat()
            assert database.owners("beat") == [clock.microseconds]


async def test_a_network_that_is_half_dead_holds_a_beat_for_no_longer_than_its_limit(
    network: Network, through_network: str, database: Database, new_process: NewProcess, clock: HandClock
) -> None:
    """First on a connection that was there before, then on one that can't be made."""
    process = await new_process(url=through_network, lease=1.5)
    assert Heart(process).limit == 0.125
    await process.register()
    with beating(process) as heart:
        heart.beat()
        beaten = clock.microseconds
        with network.dead():
            for _ in range(2):
                with pytest.raises(LedgerError, match="can't be reached"):
                    heart.beat()
        assert database.owners("beat") == [beaten]
        clock.advance(HOUR)
        heart.beat()
        assert database.owners("beat") == [clock.microseconds]


async def test_a_beat_that_is_on_its_way_ends_when_the_heart_is_closed(
    network: Network, through_network: str, new_process: NewProcess
) -> None:
    process = await new_process(url=through_network, lease=24 * 3_600.0)
    await process.register()
    with beating(process) as heart, network.dead():
        assert heart.limit == LIMIT
        beat = threading.Thread(target=heart.beat)
        beat.start()
        await asyncio.to_thread(heart.close)
        beat.join()


async def test_it_is_closed_also_where_its_connection_is_broken_or_silent(
    network: Network, through_network: str, new_process: NewProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heart_of_ledger, "CLOSE_LIMIT", 0.1)
    process = await new_process(url=through_network)
    await process.register()
    with beating(process) as heart:
        heart.beat()
        with network.dead():
            heart.close()
        heart.beat()
        with network.refusing():
            heart.close()


async def test_nobody_beats_for_a_ledger_that_is_closed(process: Store, heart: Heart, database: Database) -> None:
    await process.register()
    heart.beat()
    connected = database.connected()
    heart.close()
    assert len(database.connected()) == len(connected) - 1
    heart.close()
    await process.close()
    heart.beat()
    assert not database.connected() - connected
