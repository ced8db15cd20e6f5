"""What the connections of a process to its ledger withstand, and that they leave nothing."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pinstripe.engines import pgqueuer
from pinstripe.errors import LedgerError
from pinstripe.ledgers.postgres import connection as connecting
from pinstripe.ledgers.postgres import store as storing
from pinstripe.ledgers.postgres.database_clock import DatabaseClock
from pinstripe.ledgers.postgres.heart import Heart
from tests.ledgers.conftest import HandClock

if TYPE_CHECKING:
    from pinstripe.ledgers.postgres.store import Store
    from pinstripe.ledgers.postgres.transaction import Transaction
    from tests.ledgers.postgres.conftest import Database, NewProcess
    from tests.ledgers.postgres.network import Network

pytestmark = pytest.mark.anyio

CYCLES = int(os.environ.get("PINSTRIPE_TEST_CYCLES", "10"))
"""How often a worker connects and disconnects; by hand, thousands of times."""

LIMIT = 0.2
"""Seconds that a test gives a statement, where a deployment gives it half a minute."""


def open_files() -> int:
    gc.collect()
    return len([*Path("/proc/self/fd").iterdir()])


async def live(store: Store) -> None:
    """Open what a worker has open, use it, and close it."""
    heart = Heart(store)
    await store.open(write=True)
    await store.engine.open()
    await store.register()
    heart.beat()
    await store.close()
    heart.close()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="nothing tells here what is open")
async def test_a_process_that_comes_and_goes_leaves_nothing(process: Store, database: Database) -> None:
    await process.close()
    await live(process)
    connected, opened = database.connected(), open_files()
    for _ in range(CYCLES):
        await live(process)
    assert len(database.connected()) <= len(connected) + 3, "but for the last one's, which may be on their way out"
    assert open_files() <= opened
    assert database.owners() == []


async def test_connections_that_are_broken_again_and_again_leave_nothing(process: Store, database: Database) -> None:
    heart = Heart(process)
    await process.engine.open()
    await process.register()
    heart.beat()
    connected = database.connected()
    for _ in range(5):
        database.cut()
        await process.write(lambda tx: tx.value("now"))
        heart.beat()
        while not await process.engine.wait(5.0) or process.engine._deaf:  # noqa: SLF001 - it listens again
            pass
        assert len(database.connected()) <= len(connected)
        assert not database.connected() & connected
    heart.close()


async def test_a_network_that_is_half_dead_holds_nobody_for_longer_than_the_limit(
    network: Network, through_network: str, new_process: NewProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections that stay, and bring nothing: a write, a read, who listens, and who closes."""
    monkeypatch.setattr(connecting, "COMMAND_TIMEOUT", LIMIT)
    monkeypatch.setattr(connecting, "CLOSE_TIMEOUT", LIMIT)
    monkeypatch.setattr(storing, "LEAVE_TIMEOUT", LIMIT)
    monkeypatch.setattr(pgqueuer, "PING_EVERY", LIMIT)
    monkeypatch.setattr(pgqueuer, "PING_TIMEOUT", LIMIT)
    process = await new_process(url=f"{through_network}?connect_timeout=1")
    await process.engine.open()
    await process.register()
    assert await process.engine.wait(5.0)

    async def ask(tx: Transaction) -> None:
        await tx.value("now")

    with network.dead():
        began = time.monotonic()
        assert await process.engine.wait(10.0), "whoever waits hears that the connection is gone"
        for request in (process.write(ask), process.read(ask), process.rows("now")):
            with pytest.raises(LedgerError, match=r"can't be reached|did not answer"):
                await request
        await process.close()  # its row goes with its lease
        assert time.monotonic() - began < 4 * 4 * (1 + 2 * LIMIT)
    await process.open(write=True)
    await process.write(ask)
    await process.engine.open()
    assert await process.engine.wait(5.0)


async def test_who_has_no_heart_hears_the_database_s_time_all_the_same(new_process: NewProcess) -> None:
    """As an application that only enqueues, on a machine that sleeps now and then."""
    hand = HandClock()
    clock = DatabaseClock(hand)
    process = await new_process(clock)
    hand.jump(timedelta(hours=1))

    async def ask(tx: Transaction) -> int:
        return abs(int(await tx.value("now")) - clock.now())

    assert clock.is_stale
    assert await process.write(ask) < 60_000_000
    assert not clock.is_stale


async def test_a_write_whose_commit_was_not_heard_of_is_done_once(
    network: Network, through_network: str, new_process: NewProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "COMMAND_TIMEOUT", LIMIT)
    process = await new_process(url=through_network)
    seen: list[bool] = []

    async def write(tx: Transaction) -> int:
        seen.append(tx.again)
        if not tx.again:
            asyncio.get_running_loop().call_later(2 * LIMIT, network.mend)
            await tx.value("now")
            network.stop()
        return len(seen)

    assert await process.write(write) == 2
    assert seen == [False, True]


async def test_a_connection_that_leads_to_a_replica_is_given_up(process: Store) -> None:
    """After a failover a name leads to the old primary for a while; whoever reached it there stayed there for ever."""

    async def follow_no_more(tx: Transaction) -> None:
        await tx.connection.execute("set session characteristics as transaction read only")

    await process.write(follow_no_more)
    with pytest.raises(LedgerError, match="can only be read"):
        await process.register()
    assert await process.register() > 0


async def test_of_two_that_wait_for_one_another_one_is_tried_again(process: Store, new_process: NewProcess) -> None:
    """The server ends one of them after a second: whoever asked for it needn't know."""
    other = await new_process()
    first, second = await process.register(), await other.register()
    locked: list[int] = []
    both = asyncio.Event()

    async def lock(tx: Transaction, *owners: int) -> None:
        for owner in owners:
            await tx.run("expire_owner", owner)
            locked.append(owner)
            if len(locked) > 1:
                both.set()
            await both.wait()

    await asyncio.gather(
        process.write(lambda tx: lock(tx, first, second)), other.write(lambda tx: lock(tx, second, first))
    )
    assert len(locked) == 5, "four times, and what one of them had done before it was ended"


async def test_who_stands_still_in_a_transaction_holds_nobody_for_long(new_process: NewProcess) -> None:
    """A process that was stopped, or whose event loop is blocked, kept what it had locked for as long."""
    still, other = await new_process(lease=4.0), await new_process()
    number = await still.register()
    holds, goes_on = asyncio.Event(), asyncio.Event()
    seen: list[bool] = []

    async def stand_still(tx: Transaction) -> None:
        seen.append(tx.again)
        await tx.run("expire_owner", number)
        holds.set()
        await goes_on.wait()
        await tx.value("now")

    standing = asyncio.create_task(still.write(stand_still))
    await holds.wait()
    await other.write(lambda tx: tx.run("expire_owner", number))
    goes_on.set()
    await standing
    assert seen == [False, False]
