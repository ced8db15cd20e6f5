"""Guards on PostgreSQL: a fire that is held is forgotten by nobody, whoever gives its guard back at that moment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.ledgers.postgres.enqueueing import Enqueueing
from pinstripe.ledgers.postgres.guards import free_guards, take_guards
from pinstripe.run import Trigger
from tests.ledgers.postgres.open_transactions import kept_open, waits
from tests.ledgers.postgres.workers import Worker, join
from tests.ledgers.queue.moves import claim, claim_one, ended, new_work, runs_of, settle

if TYPE_CHECKING:
    from pinstripe.ledgers.postgres.store import Store
    from pinstripe.ledgers.postgres.transaction import Transaction
    from pinstripe.queue import NewWork
    from pinstripe.run import Run
    from tests.ledgers.postgres.conftest import Database, NewProcess

pytestmark = pytest.mark.anyio


@pytest.fixture
async def worker(process: Store) -> Worker:
    return await join(process)


@pytest.fixture
async def second(neighbour: Store) -> Worker:
    return await join(neighbour)


def new_fire(*tenants: str, overlap: str = "queue") -> NewWork:
    return new_work(*tenants, schedule="hourly", scheduled_for=1, overlap=overlap, trigger=Trigger.SCHEDULE)


async def fire(worker: Worker, *tenants: str, overlap: str = "queue") -> Run:
    (run,) = await worker.queue.enqueue([new_fire(*tenants, overlap=overlap)])
    assert run is not None
    found: Run = run
    return found


async def put(worker: Worker, tx: Transaction, work: NewWork) -> None:
    await Enqueueing(tx, worker.process.engine, worker.process.clock.now()).put([work])


async def test_a_fire_that_is_held_as_its_predecessor_ends_goes_next(
    worker: Worker, second: Worker, database: Database
) -> None:
    await fire(worker, "a")
    first = await claim_one(worker.ledger)
    work = new_fire("a")
    async with kept_open(second.process, lambda tx: put(second, tx, work)):
        settling = asyncio.create_task(settle(worker.ledger, ended(first)))
        await waits(database, settling)
    await settling
    assert runs_of(await claim(worker.ledger)) == [work.run.id]


@pytest.mark.parametrize("undone", [False, True])
async def test_a_fire_waits_for_a_predecessor_that_ends(
    worker: Worker, second: Worker, database: Database, undone: bool
) -> None:
    await fire(worker, "a")
    first = await claim_one(worker.ledger)

    async def give_back(tx: Transaction) -> None:
        await free_guards(tx, worker.admission(tx), [first.id])

    async with kept_open(worker.process, give_back, undone=undone):
        firing = asyncio.create_task(fire(second, "a"))
        await waits(database, firing)
    held = (await firing).id
    assert runs_of(await claim(second.ledger)) == ([] if undone else [held])


async def test_a_guard_that_is_handed_over_is_no_others(worker: Worker, second: Worker, database: Database) -> None:
    await fire(worker, "a")
    first = await claim_one(worker.ledger)
    waiting = await fire(worker, "a")

    async def give_back(tx: Transaction) -> None:
        await free_guards(tx, worker.admission(tx), [first.id])

    async with kept_open(worker.process, give_back):
        firing = asyncio.create_task(fire(second, "a"))
        await waits(database, firing)
    last = await firing
    (one,) = await claim(second.ledger)
    assert one.run.id == waiting.id
    assert runs_of(await claim(second.ledger, 9, [ended(one)])) == [last.id]


async def test_what_is_given_back_amid_many_is_taken_all_the_same(
    worker: Worker, second: Worker, database: Database
) -> None:
    """Those that were in the way are gone when they are to be locked, and so it is tried again."""
    await fire(worker, "a", "b", "c")
    started = {one.tenant: one for one in await claim(worker.ledger)}

    async def give_back(tx: Transaction) -> None:
        await free_guards(tx, worker.admission(tx), [started["b"].id])

    got: list[set[int]] = []

    async def take(tx: Transaction) -> None:
        rows = [("greet", "hourly", tenant, place) for place, tenant in enumerate("abcd", 1_000)]
        got.append(await take_guards(tx, rows))

    async with kept_open(worker.process, give_back):
        taking = asyncio.create_task(second.process.write(take))
        await waits(database, taking)
    await taking
    assert got == [{1_000, 1_002}]


async def test_of_one_batch_the_lowest_gets_it(worker: Worker) -> None:
    rows = [("greet", "hourly", tenant, id_) for id_, tenant in [(5, "a"), (3, "a"), (4, "b"), (9, "b"), (7, "a")]]
    assert await worker.process.write(lambda tx: take_guards(tx, rows)) == {5, 7, 9}


async def test_nobody_is_forgotten_where_all_fire_and_settle_at_once(
    new_process: NewProcess, database: Database
) -> None:
    workers = [await join(await new_process()) for _ in range(4)]
    tenants = "abcde"
    served = 0

    async def work(worker: Worker, place: int) -> None:
        nonlocal served
        started: list[Any] = []
        for _ in range(8):
            await fire(worker, *(tenants if place % 2 else tenants[::-1]))
            taken = await worker.queue.turn([ended(one) for one in started], 3)
            served, started = served + len(started), taken.started
        while served < 4 * 8 * len(tenants):
            taken = await worker.queue.turn([ended(one) for one in started], 3)
            served, started = served + len(started), taken.started

    async with asyncio.timeout(60):
        await asyncio.gather(*(work(worker, place) for place, worker in enumerate(workers)))
    assert database.fetch("select distinct state from executions") == [("succeeded",)]
    assert database.fetch("select count(*) from guards") == [(0,)]
