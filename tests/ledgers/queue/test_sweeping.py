"""A sweep gives back what dead workers ran, blames nobody for it, and leaves what isn't theirs alone."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pinstripe.errors import LedgerError
from pinstripe.limits import Limits
from pinstripe.priority import Priority
from pinstripe.queue import Swept
from pinstripe.run import Counts, RunStatus
from tests.ledgers.moves import new_run, select, start
from tests.ledgers.queue.moves import (
    FAILED,
    SECOND,
    SUCCEEDED,
    claim,
    claim_one,
    counts,
    die,
    drain,
    ended,
    enqueue,
    enqueue_each,
    execution,
    settle,
    state,
    tenants_of,
)

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger
    from tests.ledgers.conftest import HandClock
    from tests.ledgers.stores import Store

pytestmark = pytest.mark.anyio


async def test_what_a_dead_worker_ran_runs_again_alone(worker: Ledger, second: Ledger, store: Store) -> None:
    run = await enqueue(worker, "a", "b", "c")
    first = await claim(worker, 2)
    store.kill(worker)
    assert await second.queue.sweep() == Swept(owners=1, rescued=2)
    assert await counts(second, run) == Counts(3, queued=3)
    assert not (await second.find_run(run.id)).finished
    started = {one.tenant: one for one in await claim(second)}
    assert {tenant: one.solo for tenant, one in started.items()} == {"a": True, "b": True, "c": False}
    assert {(one.attempt, one.crashes) for one in started.values()} == {(1, 0)}
    assert {started[one.tenant].epoch for one in first} == {2}
    await settle(second, *(ended(one) for one in started.values()))
    found = await second.find_run(run.id)
    assert (found.status, found.executions) == (RunStatus.SUCCEEDED, Counts(3, succeeded=3))


async def test_what_a_dead_worker_had_settled_stays(worker: Ledger, second: Ledger, store: Store) -> None:
    run = await enqueue(worker, "a", "b")
    one, other = await claim(worker)
    await settle(worker, ended(one))
    await die(worker, store, second)
    assert tenants_of(await drain(second)) == [other.tenant]
    assert await counts(second, run) == Counts(2, succeeded=2)


async def test_what_may_not_be_repeated_has_failed(worker: Ledger, second: Ledger, store: Store) -> None:
    run = await enqueue(worker, "a", "b", crashes=0)
    other = await enqueue(worker, "c")
    await claim(worker)
    store.kill(worker)
    assert await second.queue.sweep() == Swept(owners=1, rescued=1, failed=2)
    found = await second.find_run(run.id)
    assert (found.status, found.executions) == (RunStatus.FAILED, Counts(2, failed=2))
    failed = await execution(second, run, "a")
    assert failed.error
    assert failed.finished_at is not None
    assert [one.run.id for one in await drain(second)] == [other.id]


async def test_what_had_not_started_may_be_started(worker: Ledger, second: Ledger, store: Store) -> None:
    run = await enqueue(worker, "a", "b", crashes=0)
    one = await claim_one(worker)
    await die(worker, store, second)
    assert await state(second, run, one.tenant) is FAILED
    assert len(await drain(second)) == 1
    assert await counts(second, run) == Counts(2, succeeded=1, failed=1)


async def test_an_end_by_intent_is_no_crash(worker: Ledger, second: Ledger, store: Store) -> None:
    await enqueue(worker, "a", "b")
    assert len(await claim(worker)) == 2
    await worker.queue.stopping()
    store.kill(worker)
    assert await second.queue.sweep() == Swept(owners=1, rescued=2)
    assert {(one.solo, one.crashes, one.attempt) for one in await claim(second)} == {(False, 0, 1)}


async def test_a_restart_of_the_machine_is_no_crash(worker: Ledger, second: Ledger, store: Store) -> None:
    await enqueue(worker, "a", "b")
    assert len(await claim(worker)) == 2
    store.reboot(worker)
    assert (await second.queue.sweep()).rescued == 2
    assert {(one.solo, one.crashes, one.attempt) for one in await claim(second)} == {(False, 0, 1)}


async def test_a_sweep_leaves_the_living_alone(worker: Ledger, second: Ledger) -> None:
    run = await enqueue(worker, "a", "b")
    await claim_one(worker)
    await claim_one(second)
    for ledger in (worker, second):
        assert await ledger.queue.sweep() == Swept()
    assert await counts(worker, run) == Counts(2, running=2)


async def test_a_second_sweep_finds_nothing(worker: Ledger, second: Ledger, store: Store) -> None:
    run = await enqueue(worker, "a", "b", "c")
    await claim(worker)
    await die(worker, store, second)
    before = await counts(second, run)
    for _ in range(2):
        assert await second.queue.sweep() == Swept()
        assert await counts(second, run) == before


async def test_two_who_sweep_at_once_give_back_once(worker: Ledger, second: Ledger, store: Store) -> None:
    third = store.ledger()
    await third.open()
    for _ in range(5):
        run = await enqueue(second, *(f"t{n}" for n in range(20)), crashes=2)
        fragile = await enqueue(second, *(f"t{n}" for n in range(20)), crashes=0)
        await worker.queue.join(10)
        assert len(await claim(worker)) == 40
        store.kill(worker)
        swept = await asyncio.gather(second.queue.sweep(), third.queue.sweep())
        assert sum(one.rescued for one in swept) == sum(one.failed for one in swept) == 20
        assert await counts(second, run) == Counts(20, queued=20)
        assert await counts(second, fragile) == Counts(20, failed=20)
        assert (await worker.queue.turn([], 1)).lost
        assert len(await drain(second)) == 20
        assert await counts(second, run) == Counts(20, succeeded=20)


async def test_a_dead_foreground_run_is_not_given_to_workers(ledger: Ledger, second: Ledger, store: Store) -> None:
    run = await select(ledger, ["a", "b"])
    await start(ledger, run.id, "a")
    store.kill(ledger)
    for _ in range(2):
        await second.queue.sweep()
        assert await claim(second) == []
    await second.rescue()
    found = await second.find_run(run.id)
    assert (found.status, found.executions) == (RunStatus.CANCELLED, Counts(2, cancelled=2))
    reasons = [(await execution(second, run, tenant)).error for tenant in "ab"]
    assert reasons == ["interrupted", "not started"]


@pytest.mark.parametrize("sweep_first", [True, False])
async def test_a_worker_dies_with_a_foreground_run_of_its_own(
    worker: Ledger, second: Ledger, store: Store, sweep_first: bool
) -> None:
    queued = await enqueue(worker, "a", "b")
    one, _ = await claim(worker)
    nested = await select(worker, ["x", "y"], parent=queued.id)
    await start(worker, nested.id, "x")
    store.kill(worker)
    for step in ("sweep", "rescue") if sweep_first else ("rescue", "sweep"):
        await (second.queue.sweep() if step == "sweep" else second.rescue())
    assert (await second.find_run(nested.id)).executions == Counts(2, cancelled=2)
    assert await counts(second, queued) == Counts(2, queued=2)
    again = await claim(second)
    assert {(found.solo, found.attempt) for found in again} == {(True, 1)}
    assert one.id in {found.id for found in again}


async def test_a_process_that_looks_only_gives_back_too(worker: Ledger, store: Store) -> None:
    run = await enqueue(worker, "a")
    await claim_one(worker)
    store.kill(worker)
    looking = store.ledger()
    await looking.open(write=False)
    await looking.rescue()
    later = store.ledger()
    await later.open()
    await later.queue.join(1)
    await later.queue.sweep()
    assert [one.run.id for one in await drain(later)] == [run.id]


async def test_a_ledger_that_is_closed_leaves_nothing_running(worker: Ledger, second: Ledger) -> None:
    run = await enqueue(worker, "a", "b")
    one, other = await claim(worker)
    await settle(worker, ended(one))
    await worker.close()
    await second.queue.sweep()
    assert tenants_of(await drain(second)) == [other.tenant]
    assert await state(second, run, one.tenant) is SUCCEEDED
    assert len((await second.queue.status()).processes) == 1


async def test_a_worker_that_ran_nothing_is_forgotten(worker: Ledger, second: Ledger, store: Store) -> None:
    store.kill(worker)
    assert (await second.queue.sweep()).rescued == 0
    assert len((await second.queue.status()).processes) == 1


async def test_who_has_not_beaten_for_a_lease_is_dead(worker: Ledger, second: Ledger, clock: HandClock) -> None:
    run = await enqueue(worker, "a")
    one = await claim_one(worker)
    for _ in range(3):
        assert await second.queue.sweep() == Swept()
        clock.advance(timedelta(seconds=50))
        worker.beat()
        second.beat()
    assert await second.queue.sweep() == Swept()
    clock.advance(timedelta(seconds=61))
    second.beat()
    assert (await second.queue.sweep()).rescued == 1
    assert (await worker.queue.turn([], 1)).lost
    assert tenants_of(await claim(second)) == ["a"]
    await settle(worker, ended(one, FAILED))
    assert await counts(second, run) == Counts(1, running=1)


async def test_a_lost_worker_selects_no_more(worker: Ledger, second: Ledger, store: Store) -> None:
    await enqueue(worker, tenants=None)
    taken = await worker.queue.take_selection()
    assert taken is not None
    await die(worker, store, second)
    with pytest.raises(LedgerError):
        await worker.queue.add(taken, ["a"])


async def test_a_dead_workers_many_are_all_given_back(worker: Ledger, second: Ledger, store: Store) -> None:
    runs = await enqueue_each(worker, [f"t{n}" for n in range(1_500)])
    assert len(await claim(worker, 1_500)) == 1_500
    store.kill(worker)
    assert await second.queue.sweep() == Swept(owners=1, rescued=1_500)
    assert len(await drain(second, 1_500)) == 1_500
    assert {(await second.find_run(run.id)).status for run in runs[::100]} == {RunStatus.SUCCEEDED}


async def test_what_is_due_is_admitted_whether_or_not_anybody_has_a_slot(worker: Ledger, clock: HandClock) -> None:
    due = clock.microseconds + 60 * SECOND
    await enqueue_each(worker, ["loud"] * 1_200, due_at=due, priority=Priority.BULK)
    await enqueue(worker, "urgent", due_at=due + 1, priority=Priority.INTERACTIVE)
    clock.advance(timedelta(minutes=2))
    worker.beat()
    await worker.queue.sweep()
    assert tenants_of(await claim(worker, 1)) == ["urgent"]


async def test_who_was_taken_for_dead_goes_on_as_one_however_often_it_finds_out(
    worker: Ledger, second: Ledger, store: Store
) -> None:
    """Each request that found the row gone took a new number, and took from the others the one that they had got."""
    await die(worker, store, second)
    with store.locked():  # so that all of them are on their way together
        creating = [asyncio.create_task(worker.create(new_run())) for _ in range(3)]
        turning = asyncio.create_task(worker.queue.turn([], 1))
        await asyncio.sleep(0)
    runs = await asyncio.gather(*creating)
    assert (await turning).lost
    for run in runs:
        await worker.add(run.id, ["a"])
        await worker.end_selection(run.id)
        assert len(await start(worker, run.id, "a")) == 1
    assert len((await second.queue.status()).processes) == 2
    assert [one.concurrency for one in (await second.queue.status()).processes].count(None) == 0


async def test_what_runs_alone_does_so_after_an_end_by_intent_too(worker: Ledger, second: Ledger, store: Store) -> None:
    await enqueue(worker, "a")
    await claim_one(worker)
    await die(worker, store, second)
    assert (await claim_one(second)).solo
    third = store.ledger()
    await third.open()
    await third.queue.join(1)
    await second.queue.stopping()
    await die(second, store, third)
    assert (await claim_one(third)).solo


async def test_what_nobody_has_any_more_is_found(
    worker: Ledger, second: Ledger, store: Store, clock: HandClock
) -> None:
    """Slots, guards and executions whose holder has gone by an accident, as where rows were removed by hand."""
    await second.queue.set_limits({"narrow": Limits(total=1)})
    first = await enqueue(worker, "a", job="narrow", schedule="hourly", scheduled_for=1, overlap="queue")
    await claim_one(worker)
    await enqueue(worker, "b", job="narrow")
    await enqueue(worker, "a", job="narrow", schedule="hourly", scheduled_for=2, overlap="queue")
    assert await claim(worker) == []
    store.execute(f"delete from executions where run = (select n from runs where id = '{first.id}')")
    clock.advance(timedelta(minutes=2))
    second.beat()
    await second.queue.sweep()
    assert sorted(tenants_of(await drain(second))) == ["a", "b"]


async def test_what_runs_for_an_owner_without_a_row_runs_again(worker: Ledger, second: Ledger, store: Store) -> None:
    await enqueue(worker, "a")
    await claim_one(worker)
    store.execute("delete from owners where id = (select owner from executions)")
    assert (await second.queue.sweep()).rescued == 1
    assert (await claim_one(second)).solo
