"""What is settled as queued runs again: when it is due, its attempt counted or not, its crashes up to a limit."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pinstripe.queue import MAX_CRASHES, Held
from pinstripe.run import Counts, RunStatus
from tests.ledgers.queue.moves import (
    FAILED,
    QUEUED,
    SECOND,
    SUCCEEDED,
    again,
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


async def test_what_is_to_run_again_waits_until_it_is_due(worker: Ledger, clock: HandClock) -> None:
    run = await enqueue(worker, "a", "b")
    one, other = await claim(worker)
    due = clock.microseconds + 60 * SECOND
    await settle(worker, again(one, due, error="ValueError: not yet"), ended(other))
    assert await counts(worker, run) == Counts(2, queued=1, succeeded=1)
    assert not (await worker.find_run(run.id)).finished
    taken = await worker.queue.turn([], 9)
    assert (taken.started, taken.next_due) == ([], due)
    assert (await worker.queue.status()).held == {Held.DUE: 1}
    clock.advance(timedelta(minutes=1))
    second = await claim_one(worker)
    assert (second.id, second.tenant, second.attempt, second.epoch) == (one.id, one.tenant, 2, 2)
    await settle(worker, ended(second))
    assert (await worker.find_run(run.id)).status == RunStatus.SUCCEEDED


async def test_without_a_time_it_runs_again_at_once(worker: Ledger) -> None:
    await enqueue(worker, "a")
    taken = await worker.queue.turn([again(await claim_one(worker))], 1)
    assert [(one.tenant, one.attempt) for one in taken.started] == [("a", 2)]


async def test_what_runs_again_queues_up_behind_others(worker: Ledger) -> None:
    await enqueue_each(worker, ["a", "b", "c"])
    first = await claim_one(worker)
    await settle(worker, again(first))
    order = [(await claim_one(worker)).tenant for _ in range(3)]
    assert order[2] == first.tenant


async def test_an_attempt_that_does_not_count_is_made_again(worker: Ledger) -> None:
    run = await enqueue(worker, "a")
    one = await claim_one(worker)
    await settle(worker, again(one, counted=False))
    assert (await execution(worker, run, "a")).attempts == 0
    one = await claim_one(worker)
    assert (one.attempt, one.epoch) == (1, 2)
    await settle(worker, again(one))
    one = await claim_one(worker)
    assert (one.attempt, one.epoch) == (2, 3)
    await settle(worker, ended(one))
    assert (await execution(worker, run, "a")).attempts == 2


async def test_the_error_of_an_earlier_attempt_is_not_that_of_the_last(worker: Ledger) -> None:
    run = await enqueue(worker, "a")
    await settle(worker, again(await claim_one(worker), error="ValueError: no", traceback="Traceback …"))
    await settle(worker, ended(await claim_one(worker), result="1", log="fine\n"))
    found = await execution(worker, run, "a")
    assert (found.status, found.error, found.traceback) == (SUCCEEDED, None, None)
    assert (found.result, found.log) == (1, "fine\n")
    assert (await worker.find_run(run.id)).failures == ()


async def test_another_process_may_make_the_next_attempt(worker: Ledger, second: Ledger) -> None:
    run = await enqueue(worker, "a")
    one = await claim_one(worker)
    await settle(worker, again(one))
    next_one = await claim_one(second)
    await settle(worker, ended(one, FAILED, error="late"))
    assert await state(second, run, "a") == "running"
    await settle(second, ended(next_one))
    assert await state(worker, run, "a") is SUCCEEDED


async def test_a_crash_of_its_own_process_is_counted_up_to_its_limit(worker: Ledger) -> None:
    run = await enqueue(worker, "a")
    for crashes in range(MAX_CRASHES):
        one = await claim_one(worker)
        assert (one.crashes, one.attempt) == (crashes, 1)
        await settle(worker, again(one, crash=True, counted=False, error="its process died"))
        assert await state(worker, run, "a") is QUEUED
    one = await claim_one(worker)
    assert (one.crashes, one.solo) == (MAX_CRASHES, True)
    await settle(worker, again(one, crash=True, counted=False, error="its process died"))
    found = await execution(worker, run, "a")
    assert (found.status, found.error) == (FAILED, "its process died")
    assert (await worker.find_run(run.id)).status == RunStatus.FAILED
    assert await drain(worker) == []


@pytest.mark.parametrize("crashes", [0, 1, 4])
async def test_a_job_says_how_many_crashes_it_survives(worker: Ledger, crashes: int) -> None:
    run = await enqueue(worker, "a", "b", crashes=crashes)
    for _ in range(crashes + 1):
        started = await claim(worker)
        assert tenants_of(started) == ["a", "b"]
        await settle(worker, *(again(one, crash=True, error="it died") for one in started))
    assert await counts(worker, run) == Counts(2, failed=2)


async def test_only_its_own_crashes_are_counted(worker: Ledger) -> None:
    await enqueue(worker, "a")
    for crash in (False, True, False, True):
        await settle(worker, again(await claim_one(worker), crash=crash))
    one = await claim_one(worker)
    assert (one.crashes, one.solo, one.attempt) == (2, True, 5)


async def test_what_crashed_runs_alone_from_then_on(worker: Ledger) -> None:
    await enqueue(worker, "a")
    await settle(worker, again(await claim_one(worker), crash=True))
    one = await claim_one(worker)
    assert one.solo
    await settle(worker, again(one))
    assert (await claim_one(worker)).solo


async def test_a_worker_that_dies_with_a_lone_execution_blames_nobody(
    worker: Ledger, second: Ledger, store: Store
) -> None:
    run = await enqueue(worker, "a")
    for _ in range(2 * MAX_CRASHES):
        one = await claim_one(worker)
        assert (one.crashes, one.attempt) == (0, 1)
        await die(worker, store, second)
        assert (await worker.queue.turn([], 1)).lost
        await worker.queue.join(10)
    await settle(second, ended(await claim_one(second)))
    assert (await worker.find_run(run.id)).status == RunStatus.SUCCEEDED


async def test_what_was_given_back_and_has_crashed_for_the_last_time_has_failed(
    worker: Ledger, second: Ledger, store: Store
) -> None:
    run = await enqueue(worker, "a", crashes=1)
    await settle(worker, again(await claim_one(worker), crash=True))
    started = await claim_one(worker)
    await die(worker, store, second)
    assert await state(second, run, "a") is QUEUED
    await settle(second, again(started, crash=True))
    found = await execution(second, run, "a")
    assert (found.status, found.error) == (FAILED, "its process died")
    assert (await second.find_run(run.id)).finished


@pytest.mark.parametrize("kept", [{}, {"log": "said"}], ids=["plain", "with output"])
async def test_what_was_given_back_and_is_done_all_the_same_counts_its_attempt(
    worker: Ledger, second: Ledger, store: Store, kept: dict[str, str]
) -> None:
    """As of a worker whose network was cut for longer than its lease, which has gone on meanwhile."""
    run = await enqueue(worker, "a")
    started = await claim_one(worker)
    await settle(worker, again(started))
    started = await claim_one(worker)
    await die(worker, store, second)
    assert (await execution(second, run, "a")).attempts == 1
    await settle(second, ended(started, SUCCEEDED, **kept))
    found = await execution(second, run, "a")
    assert (found.status, found.attempts) == (SUCCEEDED, 2)
