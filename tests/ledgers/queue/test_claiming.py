"""A turn starts what is next: by band, by fairness, no more than there are slots, and each for one process only."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pinstripe.priority import Priority
from pinstripe.run import Counts, RunStatus
from tests.ledgers.moves import select, start
from tests.ledgers.queue.moves import (
    RUNNING,
    again,
    claim,
    claim_one,
    counts,
    drain,
    ended,
    enqueue,
    enqueue_each,
    execution,
    runs_of,
    settle,
    state,
    tenants_of,
)

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger
    from tests.ledgers.conftest import HandClock
    from tests.ledgers.stores import Store

pytestmark = pytest.mark.anyio


async def test_there_is_nothing_to_start(worker: Ledger) -> None:
    taken = await worker.queue.turn([], 5)
    assert (taken.started, taken.next_due, taken.more, taken.lost) == ([], None, False, False)


async def test_claimed_means_started(worker: Ledger, clock: HandClock) -> None:
    run = await enqueue(worker, "a", "b")
    clock.advance(timedelta(hours=1))
    started = await claim_one(worker)
    found = await execution(worker, run, started.tenant)
    assert (found.status, found.attempts) == (RUNNING, 1)
    assert found.started_at is not None
    assert found.started_at - run.created_at >= timedelta(hours=1)
    listed = await worker.find_run(run.id)
    assert (listed.status, listed.started_at) == (RunStatus.RUNNING, found.started_at)
    assert listed.executions == Counts(2, queued=1, running=1)


async def test_at_most_as_many_start_as_there_are_slots(worker: Ledger) -> None:
    run = await enqueue(worker, *(f"t{n}" for n in range(10)))
    assert await claim(worker, 0) == []
    assert len(await claim(worker, 3)) == 3
    assert len(await claim(worker, 4)) == 4
    assert await counts(worker, run) == Counts(10, queued=3, running=7)
    assert len(await claim(worker, 9)) == 3
    assert await claim(worker, 9) == []


async def test_a_higher_band_goes_first_whenever_it_came(worker: Ledger) -> None:
    runs = [
        await enqueue(worker, "a", priority=priority)
        for priority in (Priority.BULK, Priority.DEFAULT, Priority.INTERACTIVE) * 3
    ]
    expected = [*runs[2::3], *runs[1::3], *runs[0::3]]
    assert runs_of([await claim_one(worker) for _ in runs]) == [run.id for run in expected]


async def test_a_turn_goes_through_the_bands_in_order(worker: Ledger) -> None:
    bulk = await enqueue(worker, "a", "b", "c", priority=Priority.BULK)
    urgent = await enqueue(worker, "d", "e", priority=Priority.INTERACTIVE)
    started = await claim(worker, 4)
    assert runs_of(started) == [urgent.id] * 2 + [bulk.id] * 2


async def test_a_low_band_starts_only_while_the_higher_have_nothing(worker: Ledger) -> None:
    await enqueue(worker, *(f"t{n}" for n in range(5)), priority=Priority.BULK)
    assert len(await claim(worker, 2)) == 2
    urgent = await enqueue(worker, *(f"u{n}" for n in range(3)), priority=Priority.INTERACTIVE)
    assert set(runs_of(await claim(worker, 3))) == {urgent.id}
    assert tenants_of(await claim(worker, 9)) == ["t2", "t3", "t4"]


async def test_those_of_one_flow_start_in_the_order_they_came(worker: Ledger) -> None:
    runs = await enqueue_each(worker, ["a"] * 30)
    runs += [await enqueue(worker, "a") for _ in range(30)]
    assert runs_of([await claim_one(worker) for _ in runs]) == [run.id for run in runs]


async def test_tenants_take_turns(worker: Ledger) -> None:
    await enqueue_each(worker, ["a"] * 4 + ["b"] * 4 + ["c"] * 4)
    order = [(await claim_one(worker)).tenant for _ in range(12)]
    assert [set(order[first : first + 3]) for first in (0, 3, 6, 9)] == [{"a", "b", "c"}] * 4


async def test_a_turn_of_many_slots_shares_as_turns_of_one_do(worker: Ledger) -> None:
    await enqueue_each(worker, ["a"] * 20 + ["b"] * 20)
    order = tenants_of(await claim(worker, 10))
    assert order.count("a") == order.count("b") == 5


async def test_a_fan_out_takes_turns_with_single_runs(worker: Ledger) -> None:
    fan_out = await enqueue(worker, *(f"t{n:03}" for n in range(100)))
    await enqueue_each(worker, ["single"] * 10)
    order = [(await claim_one(worker)).run.id == fan_out.id for _ in range(10)]
    assert order.count(True) == 5


async def test_jobs_without_tenants_take_turns_too(worker: Ledger) -> None:
    for job in ("clean_up", "report"):
        for _ in range(6):
            await enqueue(worker, job=job)
    jobs = [(await claim_one(worker)).run.job for _ in range(6)]
    assert jobs.count("clean_up") == jobs.count("report") == 3


async def test_an_execution_is_started_once_and_by_one_process(worker: Ledger, second: Ledger) -> None:
    runs = await enqueue_each(worker, (f"t{n % 7}" for n in range(60)))
    fan_out = await enqueue(worker, *(f"t{n}" for n in range(60)))

    async def work(ledger: Ledger) -> list[tuple[str, str]]:
        done = []
        while started := await claim(ledger, 3):
            assert {one.epoch for one in started} == {1}
            done += [(one.run.id, one.tenant) for one in started]
            await settle(ledger, *(ended(one) for one in started))
        return done

    both = await asyncio.gather(*(work(ledger) for ledger in (worker, second) * 3))
    served = [one for done in both for one in done]
    assert len(served) == len(set(served)) == 120
    assert {run for run, _ in served} == {fan_out.id, *(run.id for run in runs)}
    assert {(await worker.find_run(run.id)).status for run in [fan_out, *runs]} == {RunStatus.SUCCEEDED}


async def test_two_who_claim_the_last_one_at_once_do_not_both_get_it(worker: Ledger, second: Ledger) -> None:
    for _ in range(20):
        await enqueue(worker, "a")
        first, other = await asyncio.gather(claim(worker, 1), claim(second, 1))
        assert len(first) + len(other) == 1


async def test_a_turn_settles_before_it_claims(worker: Ledger) -> None:
    first, other = await enqueue_each(worker, ["a", "a"])
    started = await claim_one(worker)
    taken = await worker.queue.turn([ended(started)], 1)
    assert runs_of(taken.started) == [other.id]
    assert (await worker.find_run(first.id)).status == RunStatus.SUCCEEDED


async def test_a_new_start_has_a_new_epoch(worker: Ledger) -> None:
    await enqueue(worker, "a")
    epochs = []
    for _ in range(4):
        started = await claim_one(worker)
        epochs.append((started.epoch, started.attempt))
        await settle(worker, again(started))
    assert epochs == [(1, 1), (2, 2), (3, 3), (4, 4)]


async def test_nothing_of_a_cancelled_run_starts(worker: Ledger) -> None:
    cancelled = await enqueue(worker, "a", "b")
    kept = await enqueue(worker, "c")
    await worker.queue.cancel(cancelled.id, "not needed")
    assert runs_of(await drain(worker)) == [kept.id]


async def test_a_worker_claims_nothing_of_a_foreground_run(ledger: Ledger, second: Ledger) -> None:
    run = await select(ledger, ["a", "b"])
    assert await claim(second) == []
    assert set(await start(ledger, run.id, "a")) == {"a"}
    assert await claim(second) == []
    assert await counts(ledger, run) == Counts(2, queued=1, running=1)


async def test_who_was_taken_for_dead_starts_nothing_and_is_told(worker: Ledger, second: Ledger, store: Store) -> None:
    run = await enqueue(worker, "a")
    store.kill(worker)
    assert (await second.queue.sweep()).owners == 1
    taken = await worker.queue.turn([], 5)
    assert (taken.lost, taken.started) == (True, [])
    assert await state(second, run, "a") == "queued"
    await worker.queue.join(10)
    assert tenants_of(await claim(worker)) == ["a"]


async def test_the_next_due_is_told_whether_anything_started_or_not(worker: Ledger, clock: HandClock) -> None:
    moments = [clock.microseconds + hours * 3_600_000_000 for hours in (5, 2, 9)]
    for moment in moments:
        await enqueue(worker, "a", due_at=moment)
    await enqueue(worker, "b")
    taken = await worker.queue.turn([], 5)
    assert (tenants_of(taken.started), taken.next_due) == (["b"], moments[1])
    clock.advance(timedelta(hours=3))
    taken = await worker.queue.turn([], 5)
    assert (tenants_of(taken.started), taken.next_due) == (["a"], moments[0])


async def test_a_large_fan_out_is_started_to_its_end(worker: Ledger) -> None:
    tenants = [f"t{n:04}" for n in range(1_000)]
    run = await enqueue(worker, *tenants)
    started = await claim(worker, 5_000)
    assert tenants_of(started) == tenants
    await settle(worker, *(ended(one) for one in started))
    assert (await worker.find_run(run.id)).executions == Counts(1_000, succeeded=1_000)
