"""What goes on is told: processes, what waits and why, what runs; and who waits for work hears of it."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pinstripe.limits import Limits
from pinstripe.priority import Priority
from pinstripe.queue import LACKS_AGAIN, LACKS_JOB, MAX_SHOWN, Held, RunningExecution
from tests.ledgers.moves import select, start
from tests.ledgers.queue.moves import (
    RUNNING,
    SECOND,
    again,
    claim,
    claim_one,
    die,
    drain,
    ended,
    enqueue,
    enqueue_each,
    enqueue_selecting,
    settle,
    state,
)

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger
    from tests.ledgers.conftest import HandClock
    from tests.ledgers.stores import Store

pytestmark = pytest.mark.anyio


async def waiting(ledger: Ledger) -> dict[Priority, int]:
    found = (await ledger.queue.status()).waiting
    return {one.priority: one.ready for one in found if one.ready}


async def test_nothing_goes_on(ledger: Ledger) -> None:
    status = await ledger.queue.status()
    assert (status.processes, status.held, status.running, status.selecting) == ([], {}, 0, 0)
    assert (status.next_due, status.pauses, await waiting(ledger)) == (None, [], {})


async def test_each_process_is_told(worker: Ledger, other: Ledger, clock: HandClock) -> None:
    await other.queue.join(3)
    await enqueue(worker, *"abc")
    await claim(worker, 2)
    first, second = (await worker.queue.status()).processes
    assert {first.pid, second.pid} == {os.getpid()}
    assert (first.running, first.concurrency, first.stopping) == (2, 10, False)
    assert (second.running, second.concurrency, second.stopping) == (0, 3, False)
    assert first.id != second.id
    assert first.host == second.host != ""
    for process in (first, second):
        assert process.started_at is not None
        assert max(process.started_at, process.beat) <= clock.microseconds
    clock.advance(timedelta(minutes=5))
    worker.beat()
    beaten, silent = (await worker.queue.status()).processes
    assert beaten.beat - first.beat >= 300 * SECOND
    assert silent.beat == second.beat


async def test_each_process_is_told_with_what_it_has_run_for_longest(
    worker: Ledger, second: Ledger, clock: HandClock
) -> None:
    runs = []
    for tenant in "abcdefg":
        clock.advance(timedelta(seconds=1))
        runs.append(await enqueue(worker, tenant))
        await claim_one(worker)
    last = clock.microseconds
    await enqueue(second, job="sweep")
    clock.advance(timedelta(minutes=1))
    await claim_one(second)
    one, other = (await worker.queue.status()).processes
    assert one.running == 7
    assert [(each.job, each.tenant, each.run) for each in one.executions] == [
        ("greet", tenant, run.id) for tenant, run in zip("abcdefg", runs, strict=True)
    ][:MAX_SHOWN]
    starts = [each.started_at for each in one.executions]
    assert starts == sorted(starts)
    assert max(starts) < last
    (alone,) = other.executions
    assert alone == RunningExecution("sweep", None, alone.run, alone.started_at)
    assert last < alone.started_at <= clock.microseconds


async def test_what_has_ended_is_run_by_nobody(worker: Ledger, clock: HandClock) -> None:
    await enqueue(worker, "a")
    one = await claim_one(worker)
    await settle(worker, ended(one))
    assert [process.executions for process in (await worker.queue.status()).processes] == [()]


async def test_what_waits_for_a_worker_that_has_its_job_is_counted(worker: Ledger, clock: HandClock) -> None:
    due = clock.microseconds + LACKS_AGAIN * SECOND
    lacked = await enqueue(worker, *"abc")
    other = await enqueue(worker, *"ab", job="sweep")
    error = f"{LACKS_JOB}: unknown job"
    for one in await claim(worker):
        told = error if one.tenant != "c" else "ValueError: it failed"
        await settle(worker, again(one, due, error=told, counted=False))
    await enqueue(worker, "a", due_at=due)
    assert (await worker.queue.status()).lacking == {"greet": 2, "sweep": 2}
    assert (await worker.queue.waits(lacked.id)).lacking == 2
    assert (await worker.queue.waits(other.id)).lacking == 2
    clock.advance(timedelta(seconds=LACKS_AGAIN))
    assert len(await claim(worker)) == 6
    assert (await worker.queue.status()).lacking == {}
    assert (await worker.queue.waits(lacked.id)).lacking == 0


async def test_a_process_that_is_no_worker_has_no_concurrency(ledger: Ledger) -> None:
    run = await select(ledger, "ab")
    await start(ledger, run.id, "a")
    (process,) = (await ledger.queue.status()).processes
    assert (process.concurrency, process.running) == (None, 1)
    assert (await ledger.queue.status()).running == 1


async def test_a_process_that_lets_schedules_fire_is_told(worker: Ledger, other: Ledger) -> None:
    await other.fires.join()
    assert [(one.concurrency, one.bot) for one in (await worker.queue.status()).processes] == [
        (10, False),
        (None, True),
    ]
    await worker.fires.join()
    first, second = (await worker.queue.status()).processes
    assert (first.concurrency, first.bot, second.bot) == (10, True, True)
    assert second.started_at is not None


async def test_joining_again_changes_nothing_but_its_concurrency(worker: Ledger) -> None:
    await worker.queue.join(7)
    (process,) = (await worker.queue.status()).processes
    assert process.concurrency == 7


async def test_what_waits_is_told_by_band(worker: Ledger, clock: HandClock) -> None:
    clock.advance(timedelta(minutes=1))
    before = clock.microseconds
    await enqueue_each(worker, "abc")
    await enqueue(worker, *"abcd", priority=Priority.BULK)
    assert await waiting(worker) == {Priority.DEFAULT: 3, Priority.BULK: 4}
    oldest = {one.priority: one.oldest for one in (await worker.queue.status()).waiting}[Priority.BULK]
    assert oldest is not None
    assert before <= oldest <= clock.microseconds
    await claim(worker, 5)
    assert await waiting(worker) == {Priority.BULK: 2}
    assert (await worker.queue.status()).running == 5
    await drain(worker)
    assert (await waiting(worker), (await worker.queue.status()).running) == ({}, 5)


async def test_what_is_held_is_told_by_reason(worker: Ledger, clock: HandClock) -> None:
    due = clock.microseconds + 60 * SECOND
    await enqueue_each(worker, "ab", due_at=due)
    await enqueue_each(worker, "aaa", job="narrow", limits=Limits(total=1))
    await enqueue_each(worker, "aa", job="narrow_each", limits=Limits(per_tenant=1))
    await worker.queue.pause("still", None)
    await enqueue(worker, *"abcd", job="still")
    for _ in range(2):
        await enqueue(worker, "a", job="hourly", schedule="hourly", scheduled_for=1, overlap="queue")
    await enqueue_selecting(worker)
    assert len(await claim(worker)) == 3
    status = await worker.queue.status()
    assert status.held == {Held.DUE: 2, Held.LIMIT: 2, Held.TENANT_LIMIT: 1, Held.PAUSED: 4, Held.OVERLAP: 1}
    assert (status.running, status.selecting, status.next_due) == (3, 1, due)
    assert await waiting(worker) == {}


async def test_a_selection_is_told_until_its_end(worker: Ledger) -> None:
    await enqueue_selecting(worker)
    taken = await worker.queue.take_selection()
    assert taken is not None
    await worker.queue.add(taken, ["a", "b"])
    assert ((await worker.queue.status()).selecting, await waiting(worker)) == (1, {})
    await worker.queue.end_selection(taken)
    assert (await worker.queue.status()).selecting == 0
    assert sum((await waiting(worker)).values()) == 2


async def test_who_stops_says_so(worker: Ledger, second: Ledger) -> None:
    await worker.queue.stopping()
    assert [process.stopping for process in (await second.queue.status()).processes] == [True, False]
    await enqueue(second, "a")
    one = await claim_one(second)
    await settle(second, ended(one))


async def test_a_process_may_say_that_another_stops(worker: Ledger, other: Ledger) -> None:
    await other.queue.stopping(2**22 + 1)  # no process has that number
    assert [process.stopping for process in (await other.queue.status()).processes] == [False]
    await other.queue.stopping(os.getpid())
    assert [process.stopping for process in (await other.queue.status()).processes] == [True]


async def test_who_stops_is_still_alive(worker: Ledger, second: Ledger) -> None:
    run = await enqueue(worker, "a")
    one = await claim_one(worker)
    await worker.queue.stopping()
    assert (await second.queue.sweep()).rescued == 0
    assert await state(second, run, "a") is RUNNING
    await settle(worker, ended(one))
    assert (await second.find_run(run.id)).finished


async def test_a_status_may_be_asked_for_without_writing(worker: Ledger, store: Store) -> None:
    await enqueue_each(worker, "ab")
    looking = store.ledger()
    await looking.open(write=False)
    assert await waiting(looking) == {Priority.DEFAULT: 2}
    assert await looking.queue.pauses() == []


async def test_a_ledger_that_is_not_there_has_nothing_going_on(store: Store) -> None:
    looking = store.ledger()
    await looking.open(write=False)
    status = await looking.queue.status()
    assert (status.processes, status.running, status.selecting, status.held) == ([], 0, 0, {})
    assert await looking.queue.pauses() == []


async def test_who_waits_hears_of_new_work(worker: Ledger, other: Ledger) -> None:
    while await worker.queue.wait(0):  # what came before
        pass
    for ledger in (worker, other):
        hearing = asyncio.ensure_future(worker.queue.wait(60))
        await enqueue(ledger, "a")
        async with asyncio.timeout(30):
            assert await hearing
        while await worker.queue.wait(0):
            pass


async def test_what_came_before_the_wait_is_heard(worker: Ledger, other: Ledger) -> None:
    while await worker.queue.wait(0):
        pass
    await enqueue(other, "a")
    async with asyncio.timeout(30):
        assert await worker.queue.wait(60)


async def test_who_waits_for_nothing_waits_no_longer_than_it_says(worker: Ledger) -> None:
    while await worker.queue.wait(0):
        pass
    assert not await worker.queue.wait(0.01)


async def test_a_wait_can_be_ended_from_here(worker: Ledger) -> None:
    while await worker.queue.wait(0):
        pass
    hearing = asyncio.ensure_future(worker.queue.wait(60))
    worker.queue.wake()
    async with asyncio.timeout(30):
        assert await hearing


async def test_who_waits_hears_of_what_others_free(worker: Ledger, second: Ledger, store: Store) -> None:
    await enqueue_each(worker, "ab", job="narrow", limits=Limits(total=1))
    one = await claim_one(worker)
    assert await claim(second) == []
    while await second.queue.wait(0):
        pass
    await settle(worker, ended(one))
    async with asyncio.timeout(30):
        assert await second.queue.wait(60)
    assert len(await claim(second)) == 1
    await die(second, store, worker)
