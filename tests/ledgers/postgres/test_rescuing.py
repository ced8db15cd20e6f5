"""The rescue on PostgreSQL: it comes before or after what a process does that it takes for dead, and never amid it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from pinstripe.ledgers.postgres.rescuing import give_back
from pinstripe.limits import Limits
from pinstripe.queue import Swept
from tests.ledgers.postgres.open_transactions import kept_open, waits
from tests.ledgers.postgres.workers import Worker, join, kill
from tests.ledgers.queue.moves import claim, claim_one, ended, enqueue, settle, tenants_of

if TYPE_CHECKING:
    from pinstripe.ledgers.postgres.store import Store
    from pinstripe.ledgers.postgres.transaction import Transaction
    from tests.ledgers.postgres.conftest import Database, NewProcess

pytestmark = pytest.mark.anyio

STATES = "select state, count(*) from executions group by state order by state"


@pytest.fixture
async def worker(process: Store) -> Worker:
    return await join(process)


@pytest.fixture
async def second(neighbour: Store) -> Worker:
    return await join(neighbour)


async def lock_dead(tx: Transaction, database: Database, dead: int) -> None:
    """Do what each page of a burial does first."""
    ((beat,),) = database.fetch(f"select beat from owners where id = {dead}")
    assert await tx.row("lock_dead_owner", dead, beat) is not None


async def test_who_is_being_buried_is_left_to_the_one_who_does(
    worker: Worker, second: Worker, new_process: NewProcess, database: Database
) -> None:
    third = await join(await new_process())
    await enqueue(worker.ledger, "a", "b")
    await claim(worker.ledger)
    kill(database, worker)
    async with kept_open(second.process, lambda tx: lock_dead(tx, database, worker.owner)):
        assert await third.queue.sweep() == Swept()
    assert await third.queue.sweep() == Swept(owners=1, rescued=2)
    assert await second.queue.sweep() == Swept()


async def test_a_claim_under_way_comes_before_the_burial(worker: Worker, second: Worker, database: Database) -> None:
    await enqueue(worker.ledger, "a")
    kill(database, worker)
    ids = [id_ for (id_,) in database.fetch("select id from executions")]

    async def start(tx: Transaction) -> None:
        assert (await tx.row("begin_turn", 0, worker.owner))[0]
        await tx.rows("start_ids", ids, worker.owner, worker.process.clock.now())

    async with kept_open(worker.process, start):
        assert await second.queue.sweep() == Swept()
    assert await second.queue.sweep() == Swept(owners=1, rescued=1)
    assert tenants_of(await claim(second.ledger)) == ["a"]


async def test_who_is_buried_as_it_claims_is_lost(worker: Worker, second: Worker, database: Database) -> None:
    await enqueue(worker.ledger, "a", "b")
    one = await claim_one(worker.ledger)
    first = worker.owner
    kill(database, worker)

    async def bury(tx: Transaction) -> None:
        await lock_dead(tx, database, first)
        await give_back(tx, second.process, first, crashed=True)
        assert await tx.run("delete_owner", first) == 1

    async with kept_open(second.process, bury):
        turning = asyncio.create_task(worker.queue.turn([], 5))
        await waits(database, turning)
    assert (await turning).lost
    assert worker.owner != first
    assert database.fetch(STATES) == [("queued", 2)]
    await settle(worker.ledger, ended(one))  # it was done all the same
    assert len(await claim(worker.ledger)) == 1


@pytest.mark.parametrize("limits", [None, Limits(total=5)])
async def test_a_slot_goes_to_the_next_where_what_was_given_back_was_done_all_the_same(
    worker: Worker, second: Worker, database: Database, limits: Limits | None
) -> None:
    await enqueue(worker.ledger, "a", limits=limits)
    one = await claim_one(worker.ledger)
    kill(database, worker)
    assert (await second.queue.sweep()).rescued == 1
    await second.queue.turn([], 0)  # it is ready again
    await enqueue(second.ledger, "a", limits=limits)
    assert (await worker.queue.turn([], 0)).lost
    taken = await worker.queue.turn([ended(one)], 1)
    while taken.more and not taken.started:
        taken = await worker.queue.turn([], 1)
    assert len(taken.started) == 1


async def test_who_has_beaten_since_is_not_dead(worker: Worker, database: Database) -> None:
    ((beat,),) = database.fetch(f"select beat from owners where id = {worker.owner}")
    database.fetch("update owners set beat = beat + 1")
    assert await worker.process.rows("lock_dead_owner", worker.owner, beat) == []


async def test_a_machine_that_was_booted_since_is_no_crash_for_those_who_look_from_elsewhere(
    worker: Worker, second: Worker, new_process: NewProcess, database: Database
) -> None:
    third = await join(await new_process())
    await enqueue(worker.ledger, "a")
    await claim(worker.ledger)
    database.fetch("update owners set host = 'another machine', boot_id = 'its first boot'")
    database.fetch(f"update owners set boot_id = 'its second boot' where id = {second.owner}")
    database.fetch(f"update owners set expires_at = 0 where id = {worker.owner}")
    assert (await third.queue.sweep()).rescued == 1
    assert not (await claim_one(third.ledger)).solo


async def test_what_is_started_as_its_run_is_cancelled_is_left_to_who_started_it(
    worker: Worker, second: Worker, database: Database
) -> None:
    run = await enqueue(worker.ledger, "a", "b", "c")
    ((id_,),) = database.fetch("select id from executions where tenant = 'b'")

    async def start(tx: Transaction) -> None:
        await tx.rows("start_ids", [id_], worker.owner, worker.process.clock.now())

    async with kept_open(worker.process, start):
        cancelling = asyncio.create_task(second.queue.cancel(run.id, "not needed"))
        await waits(database, cancelling)
    await cancelling
    assert database.fetch(STATES) == [("cancelled", 2), ("running", 1)]
