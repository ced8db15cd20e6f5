"""Limits on PostgreSQL: whoever counts has the job to itself, and nobody else waits for that."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.ledgers.postgres import store as stores
from pinstripe.ledgers.postgres.settling_works import settle_works
from pinstripe.ledgers.postgres.slots import Candidate
from pinstripe.limits import Limits
from pinstripe.queue import Held
from tests.ledgers.postgres.open_transactions import kept_open, waits
from tests.ledgers.postgres.workers import Worker, join
from tests.ledgers.queue.moves import SECOND, claim, ended, enqueue, enqueue_each, settle, tenants_of

if TYPE_CHECKING:
    from pinstripe.ledgers.postgres.store import Store
    from pinstripe.ledgers.postgres.transaction import Transaction
    from pinstripe.queue import Started
    from tests.ledgers.conftest import HandClock
    from tests.ledgers.postgres.conftest import Database, NewProcess

pytestmark = pytest.mark.anyio

RUNNING = "select count(*) from executions where state = 'running' and job = 'narrow'"
RUNNING_EACH = f"select coalesce(max(each.count), 0) from ({RUNNING} group by tenant) each"
ONE = Limits(total=1)


@pytest.fixture
async def worker(process: Store) -> Worker:
    return await join(process)


@pytest.fixture
async def second(neighbour: Store) -> Worker:
    return await join(neighbour)


async def lock(worker: Worker, tx: Transaction) -> None:
    await worker.admission(tx).lock_limits(["narrow"])


@pytest.mark.parametrize(("limits", "counted"), [(Limits(total=3), RUNNING), (Limits(per_tenant=2), RUNNING_EACH)])
async def test_eight_who_claim_at_once_keep_a_limit(
    new_process: NewProcess, database: Database, limits: Limits, counted: str
) -> None:
    workers = [await join(await new_process()) for _ in range(8)]
    await enqueue_each(workers[0].ledger, "aabc" * 10, job="narrow", limits=limits)
    most = limits.total or limits.per_tenant or 0
    served = 0

    async def work(ledger: Any) -> None:
        nonlocal served
        started: list[Any] = []
        while served < 40:
            taken = await ledger.queue.turn([ended(one) for one in started], 3)
            served += len(started)
            started = taken.started
            assert database.fetch(counted) <= [(most,)]

    async with asyncio.timeout(60):
        await asyncio.gather(*(work(worker.ledger) for worker in workers))
    assert database.fetch("select state, count(*) from executions group by state") == [("succeeded", 40)]
    assert database.fetch("select count(*) from slots") == [(0,)]


async def test_who_counts_has_the_job_to_itself(worker: Worker, second: Worker, database: Database) -> None:
    await enqueue(worker.ledger, *"abc", job="narrow", limits=Limits(total=2))
    async with kept_open(worker.process, lambda tx: lock(worker, tx)):
        claiming = asyncio.create_task(claim(second.ledger))
        await waits(database, claiming)
        await enqueue(worker.ledger, "d", job="greet")
        assert tenants_of(await claim(worker.ledger)) == ["d"]
    assert tenants_of(await claiming) == ["a", "b"]


async def test_who_changes_limits_has_all_of_them_before_what_runs(
    worker: Worker, second: Worker, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "CONFLICTS", 0)  # a deadlock would be tried again
    await enqueue(worker.ledger, "a", job="free")
    await enqueue(worker.ledger, "a", job="narrow", limits=Limits(total=2))
    started = await claim(worker.ledger)

    async def settle_it(tx: Transaction) -> asyncio.Task[None]:
        await lock(worker, tx)
        changing = asyncio.create_task(second.queue.set_limits({"free": ONE, "narrow": ONE}))
        await waits(database, changing)
        await settle_works(tx, [ended(started[0])], worker.process.clock.now())
        return changing

    await (await worker.process.write(settle_it))
    assert database.fetch("select job, total from limits order by job") == [("free", 1), ("narrow", 1)]
    assert database.fetch("select job from slots") == [("narrow",)]


async def test_who_claims_has_limits_before_what_has_become_due(
    worker: Worker, second: Worker, database: Database, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "CONFLICTS", 0)
    await enqueue(worker.ledger, "a", job="narrow", limits=Limits(total=2))
    await enqueue(worker.ledger, "b", job="narrow", due_at=clock.now() + SECOND)
    clock.advance(timedelta(seconds=2))
    ids = [id_ for (id_,) in database.fetch("select id from executions where tenant = 'b'")]

    async def cancel(tx: Transaction) -> asyncio.Task[list[Started]]:
        await lock(worker, tx)
        claiming = asyncio.create_task(claim(second.ledger))
        await waits(database, claiming)
        await tx.rows("lock_queued", ids)
        return claiming

    assert tenants_of(await (await worker.process.write(cancel))) == ["a", "b"]


async def test_what_is_held_while_a_slot_is_given_back_is_let_go(
    worker: Worker, second: Worker, database: Database
) -> None:
    await enqueue_each(worker.ledger, "ab", job="narrow", limits=ONE)
    (a,) = await claim(worker.ledger, 1)
    id_, run = database.fetch("select id, run from executions where tenant = 'b'")[0]
    b = Candidate(id_, "narrow", "b", 1, "t:b", run, 1)

    async def hold(tx: Transaction) -> None:
        admission = second.admission(tx)
        assert await admission.take_slots([b]) == {id_: Held.LIMIT}
        await admission.hold_limited([b])

    async with kept_open(second.process, hold):
        settling = asyncio.create_task(settle(worker.ledger, ended(a)))
        await waits(database, settling)
    await settling
    assert tenants_of(await claim(second.ledger)) == ["b"]


async def test_a_slot_that_is_given_back_and_not_is_not_free(
    worker: Worker, second: Worker, database: Database
) -> None:
    await enqueue_each(worker.ledger, "ab", job="narrow", limits=ONE)
    (a,) = await claim(worker.ledger, 1)

    async def free(tx: Transaction) -> None:
        await worker.admission(tx).free_slots([a.id])

    async with kept_open(worker.process, free, undone=True):
        claiming = asyncio.create_task(claim(second.ledger))
        await waits(database, claiming)
    assert await claiming == []
    assert database.fetch("select held from executions where tenant = 'b'") == [("limit",)]


async def test_a_claim_that_is_undone_takes_no_slot(worker: Worker, second: Worker, database: Database) -> None:
    await enqueue_each(worker.ledger, "ab", job="narrow", limits=ONE)
    id_, run = database.fetch("select id, run from executions where tenant = 'a'")[0]
    a = Candidate(id_, "narrow", "a", 1, "t:a", run, 0)
    async with kept_open(worker.process, lambda tx: worker.admission(tx).take_slots([a]), undone=True):
        claiming = asyncio.create_task(claim(second.ledger, 1))
        await waits(database, claiming)
    assert len(await claiming) == 1


async def test_what_runs_without_a_slot_is_given_one(
    worker: Worker, second: Worker, database: Database, clock: HandClock
) -> None:
    """As what began to run just as its job got its limits."""
    await enqueue_each(worker.ledger, "ab", job="narrow", limits=ONE)
    assert len(await claim(worker.ledger, 1)) == 1
    database.fetch("delete from slots")
    clock.advance(timedelta(seconds=61))
    database.fetch("update owners set beat = beat + 61000000, expires_at = expires_at + 61000000")
    await second.queue.sweep()
    assert await claim(second.ledger) == []


async def test_a_limit_is_kept_whatever_isolation_the_database_has_by_default(
    worker: Worker, new_process: NewProcess, database: Database
) -> None:
    """Who waited for its turn to count then saw what there was before it began to wait."""
    strict = await new_process(url=f"{database.url}?options=-cdefault_transaction_isolation%3Drepeatable%5C%20read")
    second = await join(strict)
    await enqueue_each(worker.ledger, "ab", job="narrow", limits=ONE)
    ((id_, run),) = database.fetch("select id, run from executions where tenant = 'a'")

    async def take(tx: Transaction) -> None:
        assert len(await worker.process.engine.take(tx, 1)) == 1
        assert await worker.admission(tx).take_slots([Candidate(id_, "narrow", "a", 1, "t:a", run, 0)]) == {id_: None}
        assert await tx.rows("start_ids", [id_], worker.owner, 1)

    async with kept_open(worker.process, take):
        claiming = asyncio.create_task(claim(second.ledger))
        await waits(database, claiming)
    assert await claiming == []


async def test_who_looks_after_what_is_held_locks_nothing_without_need(worker: Worker, second: Worker) -> None:
    await enqueue_each(worker.ledger, "aabb", job="narrow", limits=Limits(total=1, per_tenant=1))
    assert len(await claim(worker.ledger)) == 1
    async with kept_open(worker.process, lambda tx: lock(worker, tx)):
        await second.process.write(lambda tx: second.admission(tx).admit_all_limited())


async def test_a_slot_that_is_used_again_as_it_is_looked_after_is_kept(
    worker: Worker, second: Worker, database: Database
) -> None:
    await enqueue_each(worker.ledger, "ab", job="narrow", limits=ONE)
    (a,) = await claim(worker.ledger)
    database.fetch(f"update executions set state = 'queued', held = 'limit', chunk = null where id = {a.id}")

    async def start(tx: Transaction) -> None:
        await lock(worker, tx)
        assert await tx.rows("start_ids", [a.id], worker.owner, 1)

    async with kept_open(worker.process, start):
        mending = asyncio.create_task(second.process.write(lambda tx: second.admission(tx).mend()))
        await waits(database, mending)
    await mending
    assert database.fetch("select execution from slots") == [(a.id,)]
    assert database.fetch("select held from executions where tenant = 'b'") == [("limit",)]


async def test_what_ends_as_it_is_looked_after_is_given_no_slot(
    worker: Worker, second: Worker, database: Database
) -> None:
    await enqueue_each(worker.ledger, "ab", job="narrow", limits=ONE)
    (a,) = await claim(worker.ledger, 1)
    database.fetch("delete from slots")
    async with kept_open(worker.process, lambda tx: settle_works(tx, [ended(a)], 1)):
        mending = asyncio.create_task(second.process.write(lambda tx: second.admission(tx).mend()))
        await waits(database, mending)
    await mending
    assert database.fetch("select execution from slots") == []
