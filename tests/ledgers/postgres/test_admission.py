"""Admission on PostgreSQL: many at a time in few statements, by several at once, and into no chunk that nobody sees."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.ledgers.postgres.admission import PAGE, Admission
from pinstripe.ledgers.postgres.chunks import CHUNK
from pinstripe.ledgers.postgres.transaction import Transaction
from pinstripe.limits import Limits
from tests.ledgers.postgres.open_transactions import kept_open, waits
from tests.ledgers.postgres.workers import Counted, Worker, join
from tests.ledgers.queue.moves import SECOND, claim, ended, enqueue, enqueue_each, enqueue_selecting, settle, tenants_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pinstripe.ledgers.postgres.store import Store
    from tests.ledgers.conftest import HandClock
    from tests.ledgers.postgres.conftest import Database

pytestmark = pytest.mark.anyio

CHUNKS = "select flow, tag, until from chunks order by flow, tag"
HELD = "select held, count(*) from executions where state = 'queued' group by held order by held"


@pytest.fixture
async def worker(process: Store) -> Worker:
    return await join(process)


@pytest.fixture
async def second(neighbour: Store) -> Worker:
    return await join(neighbour)


async def round_trips(worker: Worker, request: Callable[[Admission], Awaitable[Any]]) -> int:
    """Have an admission do something in a transaction; give how many statements that took."""

    async def count(tx: Transaction) -> int:
        counted = Counted(tx.connection)
        inside = Transaction(counted, worker.process.statement)
        await request(worker.admission(inside))
        return counted.many

    return await worker.process.write(count)


async def enqueue_for_later(worker: Worker, clock: HandClock, *tenants: str, **given: Any) -> None:
    """Enqueue a run for each tenant that is due in a minute, and let that come."""
    await enqueue_each(worker.ledger, tenants, due_at=clock.microseconds + 60 * SECOND, **given)
    clock.advance(timedelta(minutes=2))


async def test_a_page_of_runs_is_made_ready_in_few_statements(
    worker: Worker, database: Database, clock: HandClock
) -> None:
    await enqueue_for_later(worker, clock, *(f"t{n}" for n in range(PAGE)))
    assert await round_trips(worker, lambda admission: admission.admit_due()) <= 8
    assert database.fetch(HELD) == [(None, PAGE)]
    assert len(await claim(worker.ledger, PAGE)) == PAGE


async def test_those_of_one_flow_follow_each_other(worker: Worker, database: Database, clock: HandClock) -> None:
    await enqueue_for_later(worker, clock, *"aaba")
    await worker.process.write(lambda tx: worker.admission(tx).admit_due())
    assert database.fetch(CHUNKS) == [("t:a", 0, 1), ("t:a", 1, 2), ("t:a", 2, 3), ("t:b", 0, 1)]


async def test_those_of_one_run_are_in_chunks_that_follow_each_other(
    worker: Worker, database: Database, clock: HandClock
) -> None:
    tenants = [f"t{n:03}" for n in range(2 * CHUNK + 3)]
    await enqueue(worker.ledger, *tenants, due_at=clock.microseconds + 60 * SECOND)
    clock.advance(timedelta(minutes=2))
    await worker.process.write(lambda tx: worker.admission(tx).admit_due())
    assert [row[1:] for row in database.fetch(CHUNKS)] == [(0, CHUNK), (CHUNK, 2 * CHUNK), (2 * CHUNK, 2 * CHUNK + 3)]
    assert tenants_of(await claim(worker.ledger, 200)) == tenants


async def test_what_one_admits_another_leaves_to_it(
    worker: Worker, second: Worker, database: Database, clock: HandClock
) -> None:
    await enqueue_for_later(worker, clock, *"abc")
    async with kept_open(worker.process, lambda tx: worker.admission(tx).admit_due()):
        assert not await second.process.write(lambda tx: second.admission(tx).admit_due())
    assert database.fetch("select count(*) from chunks") == [(3,)]
    assert sorted(tenants_of(await claim(second.ledger))) == ["a", "b", "c"]


async def test_all_that_limits_let_go_at_once_goes_in_few_statements(worker: Worker, database: Database) -> None:
    await enqueue_each(worker.ledger, ["a"] * 60, job="narrow", limits=Limits(total=20))
    started = await claim(worker.ledger)
    assert database.fetch(HELD) == [("limit", 40)]
    database.fetch("update executions set state = 'succeeded' where state = 'running'")
    ids = [one.id for one in started]
    assert await round_trips(worker, lambda admission: admission.free_slots(ids)) <= 13
    assert database.fetch(HELD) == [("limit", 20), (None, 20)]
    tags = [tag for _, tag, _ in database.fetch(CHUNKS)]
    assert tags == [*range(tags[0], tags[0] + 20)]


async def test_who_was_let_go_in_front_is_followed_by_who_is_next(worker: Worker, database: Database) -> None:
    await enqueue_each(worker.ledger, ["a"] * 6, job="narrow", limits=Limits(total=2))
    started = await claim(worker.ledger)
    for one in started:
        await worker.queue.turn([ended(one)], 0)
    first, second = [tag for _, tag, _ in database.fetch(CHUNKS)]
    assert second == first + 1


async def test_only_what_no_pause_holds_any_more_is_resumed(worker: Worker, database: Database) -> None:
    await enqueue_each(worker.ledger, "abc", job="greet")
    await enqueue_each(worker.ledger, "abc", job="bill")
    for job, tenant in [("bill", None), (None, "a"), ("greet", "b"), (None, "c")]:
        await worker.queue.pause(job, tenant)
    assert await claim(worker.ledger) == []
    await worker.queue.resume(None, "c")
    assert tenants_of(await claim(worker.ledger)) == ["c"]
    await worker.queue.resume("bill", None)
    assert sorted(tenants_of(await claim(worker.ledger))) == ["b", "c"]
    await worker.queue.resume(None, "a")
    assert sorted(tenants_of(await claim(worker.ledger))) == ["a", "a"]
    assert database.fetch(HELD) == [("paused", 1)]


async def test_all_that_a_pause_held_is_resumed(worker: Worker, database: Database) -> None:
    await enqueue_each(worker.ledger, [f"t{n}" for n in range(PAGE + 50)])
    await worker.queue.pause(None, None)
    await claim(worker.ledger, 2 * PAGE)
    assert database.fetch(HELD) == [("paused", PAGE + 50)]
    await worker.queue.resume(None, None)
    assert database.fetch(HELD) == [(None, PAGE + 50)]


async def test_what_is_admitted_as_its_runs_selection_ends_is_seen(
    worker: Worker, second: Worker, database: Database, clock: HandClock
) -> None:
    await enqueue_selecting(worker.ledger, schedule="hourly", scheduled_for=clock.microseconds, spread=60 * SECOND)
    run = await worker.queue.take_selection()
    assert run is not None
    await worker.queue.add(run, [f"t{n}" for n in range(20)])
    clock.advance(timedelta(minutes=2))
    async with kept_open(second.process, lambda tx: second.admission(tx).admit_due()):
        ending = asyncio.create_task(worker.queue.end_selection(run))
        await waits(database, ending)
    await ending
    assert database.fetch("select count(*) from chunks where tag is null") == [(0,)]
    assert len(await claim(worker.ledger)) == 20


async def test_what_becomes_due_as_a_selection_ends_is_seen(
    worker: Worker, second: Worker, database: Database, clock: HandClock
) -> None:
    await enqueue_selecting(worker.ledger, schedule="hourly", scheduled_for=clock.microseconds, spread=60 * SECOND)
    run = await worker.queue.take_selection()
    assert run is not None
    await worker.queue.add(run, [f"t{n}" for n in range(20)])
    clock.advance(timedelta(minutes=2))

    async def end(tx: Transaction) -> None:
        await tx.row("lock_selected", run.n, worker.owner)
        await tx.run("set_flow", run.n, f"r:{run.n}")
        await tx.run("selection_ended", run.n, None, worker.process.clock.now())

    async with kept_open(worker.process, end):
        admitting = asyncio.create_task(second.process.write(lambda tx: second.admission(tx).admit_due()))
        await waits(database, admitting)
    await admitting
    assert database.fetch("select count(*) from chunks where tag is null") == [(0,)]
    assert len(await claim(worker.ledger)) == 20


async def test_who_has_seen_a_selection_end_keeps_nobody_from_counting(
    worker: Worker, second: Worker, database: Database
) -> None:
    await enqueue_selecting(worker.ledger)
    run = await worker.queue.take_selection()
    assert run is not None
    await worker.queue.add(run, ["a", "b"])
    await worker.queue.end_selection(run)
    async with kept_open(second.process, lambda tx: tx.rows("flows_of_selecting", [run.n])):
        first, other = await claim(worker.ledger)
        await settle(worker.ledger, ended(first))
    await settle(worker.ledger, ended(other))
    assert database.fetch("select state, succeeded from runs") == [("succeeded", 2)]


async def test_where_nothing_is_to_be_done_a_sweep_finds_that_in_one_look(worker: Worker) -> None:
    await enqueue_each(worker.ledger, "ab")
    await worker.queue.sweep()
    values = worker.owner, worker.process.clock.now(), "this machine", "its boot"
    (needs,) = await worker.process.rows("sweep_needs", *values)
    assert [*needs] == [False] * 7
