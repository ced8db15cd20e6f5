"""Selections on PostgreSQL: in chunks that nobody sees, beside others who cancel, fire and settle at that moment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import make_url

from pinstripe.errors import LedgerError
from pinstripe.ledgers.postgres import selecting
from pinstripe.ledgers.postgres.chunks import CHUNK
from pinstripe.ledgers.postgres.fires import PostgresFires
from pinstripe.ledgers.postgres.queue import PostgresQueue
from tests.ledgers.conftest import START
from tests.ledgers.postgres.open_transactions import kept_open, waits
from tests.ledgers.queue.moves import ended, new_work
from tests.ledgers.schedules import known

if TYPE_CHECKING:
    from pinstripe.ledgers.postgres.store import Store
    from pinstripe.ledgers.postgres.transaction import Transaction
    from pinstripe.queue import QueuedRun
    from tests.ledgers.postgres.commits import Commits, Cut
    from tests.ledgers.postgres.conftest import Database, NewProcess

pytestmark = pytest.mark.anyio

SIZES = "select count(x.id) from chunks c left join executions x on x.chunk = c.id group by c.id order by c.id"


@pytest.fixture
async def queue(process: Store) -> PostgresQueue:
    return await joined(process)


@pytest.fixture
async def others(neighbour: Store) -> PostgresQueue:
    return await joined(neighbour)


async def joined(store: Store) -> PostgresQueue:
    queue = PostgresQueue(store)
    await queue.join(10)
    return queue


async def begin(queue: PostgresQueue, **given: Any) -> QueuedRun:
    """Enqueue a run whose tenants are to be selected, and begin with that."""
    await queue.enqueue([new_work(tenants=None, **given)])
    run = await queue.take_selection()
    assert run is not None
    return run


async def begin_fire(queue: PostgresQueue, process: Store, **given: Any) -> QueuedRun:
    """The same of a run of a schedule."""
    await PostgresFires(process).register([known(zone=None)], keep=(), now=START)
    return await begin(queue, schedule="a", scheduled_for=START, **given)


def tenants(many: int, first: int = 0) -> list[str]:
    return [f"{n:05}" for n in range(first, first + many)]


async def test_nobody_sees_the_chunks_before_the_selection_ends(queue: PostgresQueue, database: Database) -> None:
    run = await begin(queue)
    assert await queue.add(run, tenants(2 * CHUNK + 1)) == 2 * CHUNK + 1
    assert await queue.add(run, tenants(CHUNK, first=CHUNK + 50)) == CHUNK - 1
    assert database.fetch(SIZES) == [(CHUNK,), (CHUNK,), (1,), (49,)]
    assert database.fetch("select count(tag), sum(until) from chunks") == [(0, 2 * CHUNK + 50)]
    assert (await queue.turn([], 10)).started == []
    await queue.end_selection(run)
    shown = database.fetch("select tag, until, flow from chunks order by id")
    assert shown == [(0, 50, "r:1"), (50, 100, "r:1"), (100, 101, "r:1"), (101, 150, "r:1")]
    assert [each.tenant for each in (await queue.turn([], 60)).started] == tenants(60)


async def test_a_selection_that_is_begun_again_fills_chunks_with_whom_it_adds(
    queue: PostgresQueue, database: Database
) -> None:
    run = await begin(queue)
    await queue.add(run, tenants(CHUNK)[::2])
    assert await queue.add(run, tenants(2 * CHUNK) * 2) == CHUNK + CHUNK // 2
    assert database.fetch(SIZES) == [(CHUNK // 2,), (CHUNK,), (CHUNK // 2,)]
    assert database.fetch("select total, open from runs") == [(2 * CHUNK, 2 * CHUNK)]


async def test_a_cancellation_waits_for_the_page_and_finds_all_of_it(
    queue: PostgresQueue, others: PostgresQueue, process: Store, database: Database
) -> None:
    run = await begin(queue)
    owner = process.ours().id or 0
    async with kept_open(process, lambda tx: selecting.add_page(tx, owner, run, tenants(3), START)):
        cancelling = asyncio.create_task(others.cancel(run.id, "enough"))
        await waits(database, cancelling)
    assert (await cancelling).executions.cancelled == 3
    with pytest.raises(LedgerError, match="not this process's to select any more"):
        await queue.add(run, ["d"])
    assert database.fetch("select count(*) from chunks") == [(0,)]


async def test_a_page_that_waits_for_a_cancellation_adds_nothing(
    queue: PostgresQueue, process: Store, neighbour: Store, database: Database
) -> None:
    run = await begin(queue)
    async with kept_open(neighbour, lambda tx: tx.run("stop_run", run.n, "enough")):
        adding = asyncio.create_task(queue.add(run, tenants(3)))
        await waits(database, adding)
    with pytest.raises(LedgerError, match="not this process's to select any more"):
        await adding
    assert database.fetch("select count(*) from executions") == [(0,)]


async def test_two_zones_that_note_the_same_tenants_at_once_give_each_to_one(
    queue: PostgresQueue, others: PostgresQueue, process: Store, database: Database
) -> None:
    east = await begin_fire(queue, process, local_time="09:00")
    west = await begin_fire(others, process, local_time="09:00")
    some = tenants(30)
    owner = process.ours().id or 0
    async with kept_open(process, lambda tx: selecting.add_page(tx, owner, east, some[10:20], START)):
        adding = asyncio.create_task(others.add(west, some[::-1]))
        await waits(database, adding)
    assert await adding == 20
    assert database.fetch("select count(*), count(distinct tenant) from executions") == [(30, 30)]


async def test_many_pages_of_two_zones_at_once_wait_in_no_circle(
    queue: PostgresQueue, others: PostgresQueue, process: Store, database: Database
) -> None:
    east = await begin_fire(queue, process, local_time="09:00", overlap="skip")
    west = await begin_fire(others, process, local_time="09:00", overlap="skip")
    some = tenants(200)
    pages = [(queue, east, some), (others, west, some[::-1])]
    added = await asyncio.gather(*(each.add(run, page) for each, run, page in pages))
    assert sum(added) == 200
    assert database.fetch("select count(*), count(distinct tenant) from guards") == [(200, 200)]


@pytest.mark.parametrize("overlap", ["skip", "queue"])
async def test_who_meets_an_unfinished_predecessor_is_in_no_chunk(
    queue: PostgresQueue, process: Store, database: Database, overlap: str
) -> None:
    first = await begin_fire(queue, process, overlap=overlap)
    await queue.add(first, tenants(2))
    await queue.end_selection(first)
    second = await begin_fire(queue, process, overlap=overlap)
    assert await queue.add(second, tenants(5)) == 5
    skipped = 2 if overlap == "skip" else 0
    counted = database.fetch(f"select total, open, skipped from runs where n = {second.n}")
    assert counted == [(5, 5 - skipped, skipped)]
    states = "select state, held, count(chunk) from executions where run = {} group by 1, 2 order by 3"
    held = ("skipped", None, 0) if skipped else ("queued", "overlap", 0)
    assert database.fetch(states.format(second.n)) == [held, ("queued", None, 3)]


async def test_what_becomes_ready_as_its_selection_ends_is_shown(
    queue: PostgresQueue, others: PostgresQueue, process: Store, neighbour: Store, database: Database
) -> None:
    """Its predecessor ends at that moment, and hands over the guard."""
    first = await begin_fire(queue, process, overlap="queue")
    await queue.add(first, ["a"])
    await queue.end_selection(first)
    (one,) = (await queue.turn([], 1)).started
    second = await begin_fire(others, process, overlap="queue")
    await others.add(second, ["a", "b"])

    async def end(tx: Transaction) -> None:
        await selecting.check_selector(tx, neighbour.ours().id or 0, second)
        await selecting.show_chunks(tx, neighbour.engine, second, START)
        await tx.run("selection_ended", second.n, None, START)

    async with kept_open(neighbour, end):
        settling = asyncio.create_task(queue.turn([ended(one)], 0))
        await waits(database, settling)
    await settling
    assert database.fetch("select count(*) from chunks where tag is null") == [(0,)]
    assert sorted(each.tenant for each in (await others.turn([], 10)).started) == ["a", "b"]


async def test_who_hands_a_guard_to_a_run_does_not_wait_for_its_next_page(
    queue: PostgresQueue, others: PostgresQueue, process: Store, neighbour: Store, database: Database
) -> None:
    """Who adds that page may wait for just this guard."""
    first = await begin_fire(queue, process, overlap="queue")
    await queue.add(first, ["a"])
    await queue.end_selection(first)
    (one,) = (await queue.turn([], 1)).started
    second = await begin_fire(others, process, overlap="queue")
    await others.add(second, ["a"])
    owner = neighbour.ours().id or 0
    async with kept_open(neighbour, lambda tx: selecting.add_page(tx, owner, second, ["b"], START)):
        await queue.turn([ended(one)], 0)
    await others.end_selection(second)
    assert sorted(each.tenant for each in (await others.turn([], 10)).started) == ["a", "b"]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_page_whose_commit_is_cut_is_added_once(
    commits: Commits, database: Database, new_process: NewProcess, when: Cut
) -> None:
    url = make_url(database.url).set(drivername="postgresql", host="127.0.0.1", port=commits.port)
    store = await new_process(url=url.render_as_string(hide_password=False))
    queue = await joined(store)
    run = await begin_fire(queue, store, local_time="09:00", overlap="skip")
    commits.cuts = [when]
    assert await queue.add(run, tenants(CHUNK + 1)) == CHUNK + 1
    commits.cuts = [when]
    assert (await queue.end_selection(run)).executions.queued == CHUNK + 1
    assert commits.cuts == []
    assert database.fetch(SIZES) == [(CHUNK,), (1,)]
    assert database.fetch("select total, open, skipped, selected from runs") == [(CHUNK + 1, CHUNK + 1, 0, True)]
