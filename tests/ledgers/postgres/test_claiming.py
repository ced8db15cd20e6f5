"""The claim on PostgreSQL, beside others who have a part of the same chunk, and results that come from the dead."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from pinstripe.ledgers.postgres.settling_works import settle_works
from pinstripe.ledgers.postgres.turn_edges import end_turn
from pinstripe.queue import Swept
from tests.ledgers.postgres.open_transactions import kept_open
from tests.ledgers.postgres.workers import Worker, join, kill
from tests.ledgers.queue.moves import again, claim, claim_one, ended, enqueue, settle, tenants_of

if TYPE_CHECKING:
    from pinstripe.ledgers.postgres.store import Store
    from pinstripe.ledgers.postgres.transaction import Transaction
    from tests.ledgers.postgres.conftest import Database

pytestmark = pytest.mark.anyio

STATES = "select tenant, state from executions order by tenant"


@pytest.fixture
async def worker(process: Store) -> Worker:
    return await join(process)


@pytest.fixture
async def second(neighbour: Store) -> Worker:
    return await join(neighbour)


def ids(database: Database, tenant: str) -> list[int]:
    return [id_ for (id_,) in database.fetch(f"select id from executions where tenant = '{tenant}'")]


RIPEN = "update {}.pgqueuer set execute_after = now() - interval '1 day'"
"""Lets the delay of all tickets be over."""


async def test_what_somebody_has_locked_is_left_and_looked_at_again_soon(
    worker: Worker, second: Worker, database: Database
) -> None:
    """Its chunk was thought to be empty, and went: nobody would have found it again."""
    await enqueue(worker.ledger, "a", "b", "c")
    assert await worker.queue.sweep() == Swept()  # from here on it knows of all tickets

    async def lock(tx: Transaction) -> None:
        assert await tx.rows("lock_queued", ids(database, "b"))

    async with kept_open(second.process, lock, undone=True):
        assert tenants_of(await claim(worker.ledger)) == ["a", "c"]
    assert await claim(worker.ledger) == []
    database.fetch(RIPEN.format(worker.process.engine.schema))
    assert tenants_of(await claim(worker.ledger)) == ["b"]
    assert database.fetch("select id from chunks") == []


async def test_nothing_is_left_of_what_was_locked_to_be_settled(
    worker: Worker, second: Worker, database: Database
) -> None:
    """As by a worker that was taken for dead, and has done it all the same."""
    await enqueue(worker.ledger, "a")
    one = await claim_one(worker.ledger)
    kill(database, worker)
    await second.queue.sweep()
    await second.queue.turn([], 0)  # it is ready again
    async with kept_open(worker.process, lambda tx: settle_works(tx, [ended(one)], 1)):
        assert await claim(second.ledger) == []
    database.fetch(RIPEN.format(worker.process.engine.schema))
    assert await claim(second.ledger) == []
    assert database.fetch("select id from chunks") == []


async def test_what_has_lost_its_ticket_gets_one_as_soon_as_that_may_be(worker: Worker, database: Database) -> None:
    """As where somebody has emptied the engine's tables, and the server was started anew."""
    await enqueue(worker.ledger, "a")
    await worker.queue.sweep()
    database.fetch(f"delete from {database.schema}_engine.pgqueuer")
    assert await claim(worker.ledger) == []
    worker.process.engine.lost = True
    await worker.queue.sweep()
    assert tenants_of(await claim(worker.ledger)) == ["a"]


async def test_what_is_being_cancelled_does_not_start(worker: Worker, second: Worker, database: Database) -> None:
    await enqueue(worker.ledger, "a", "b", "c")

    async def cancel(tx: Transaction) -> None:
        assert await tx.rows("end_ids", ids(database, "b"), "cancelled", "not needed", 1)

    async with kept_open(second.process, cancel):
        assert tenants_of(await claim(worker.ledger)) == ["a", "c"]
    assert await claim(worker.ledger) == []
    assert database.fetch(STATES) == [("a", "running"), ("b", "cancelled"), ("c", "running")]


async def test_who_was_taken_for_dead_does_not_queue_again_what_another_one_runs(
    worker: Worker, second: Worker, database: Database
) -> None:
    """It would run twice at once, with the second result being the one that counts."""
    await enqueue(worker.ledger, "a")
    one = await claim_one(worker.ledger)
    kill(database, worker)
    await second.queue.sweep()
    other = await claim_one(second.ledger)
    await settle(worker.ledger, again(one, counted=False))
    assert await claim(second.ledger) == []
    assert database.fetch(STATES) == [("a", "running")]
    await settle(second.ledger, ended(other))
    assert database.fetch(STATES) == [("a", "succeeded")]


async def test_how_far_a_band_was_served_never_goes_back(worker: Worker, database: Database) -> None:
    for served in (10, 5):
        await worker.process.write(partial(end_turn, now=1, served={1: served}))
    assert database.fetch("select served from bands where band = 1") == [(10,)]
