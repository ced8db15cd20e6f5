"""A worker selects a run's tenants in pages, and nothing of it starts before all are in."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pinstripe.errors import LedgerError
from pinstripe.limits import Limits
from pinstripe.priority import Priority
from pinstripe.run import Counts, RunStatus
from tests.ledgers.queue.moves import (
    SECOND,
    claim,
    counts,
    die,
    drain,
    ended,
    enqueue,
    enqueue_each,
    enqueue_selecting,
    execution,
    runs_of,
    settle,
    tenants_of,
)

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger
    from pinstripe.queue import QueuedRun
    from tests.ledgers.conftest import HandClock
    from tests.ledgers.stores import Store

pytestmark = pytest.mark.anyio


async def take(ledger: Ledger) -> QueuedRun:
    taken = await ledger.queue.take_selection()
    assert taken is not None
    return taken


async def test_a_selection_is_taken_by_one(worker: Ledger, second: Ledger) -> None:
    runs = [await enqueue_selecting(worker) for _ in range(5)]
    taken = await asyncio.gather(*(ledger.queue.take_selection() for ledger in (worker, second) * 5))
    assert sorted(run.id for run in taken if run is not None) == sorted(run.id for run in runs)


async def test_there_is_nothing_to_select(worker: Ledger) -> None:
    await enqueue(worker, "a")
    assert await worker.queue.take_selection() is None


async def test_nothing_starts_before_the_end_of_the_selection(worker: Ledger, second: Ledger) -> None:
    run = await enqueue_selecting(worker, priority=Priority.INTERACTIVE)
    taken = await take(worker)
    assert (taken.id, taken.total) == (run.id, 0)
    assert await worker.queue.add(taken, ["a", "b"]) == 2
    for ledger in (worker, second):
        assert await claim(ledger) == []
    found = await worker.find_run(run.id)
    assert (found.selecting, found.status, found.executions) == (True, RunStatus.QUEUED, Counts(2, queued=2))
    ended_ = await worker.queue.end_selection(taken)
    assert (ended_.selecting, ended_.status, ended_.executions) == (False, RunStatus.QUEUED, Counts(2, queued=2))
    started = await claim(second)
    assert sorted(tenants_of(started)) == ["a", "b"]
    assert {one.run.total for one in started} == {2}
    await settle(second, *(ended(one) for one in started))
    assert (await worker.find_run(run.id)).status == RunStatus.SUCCEEDED


async def test_tenants_are_added_once_each(worker: Ledger) -> None:
    run = await enqueue_selecting(worker)
    taken = await take(worker)
    assert await worker.queue.add(taken, ["a", "b", "a"]) == 2
    assert await worker.queue.add(taken, ["b", "c"]) == 1
    assert await worker.queue.add(taken, ["c"]) == 0
    assert await worker.queue.add(taken, []) == 0
    await worker.queue.end_selection(taken)
    assert await counts(worker, run) == Counts(3, queued=3)
    assert sorted(tenants_of(await drain(worker))) == ["a", "b", "c"]


async def test_a_selection_of_nobody_is_a_success(worker: Ledger) -> None:
    await enqueue_selecting(worker)
    run = await worker.queue.end_selection(await take(worker))
    assert (run.status, run.selecting, run.executions) == (RunStatus.SUCCEEDED, False, Counts())
    assert run.finished_at is not None
    assert await worker.queue.take_selection() is None


async def test_a_selection_of_one_is_served_as_its_tenants(worker: Ledger) -> None:
    await enqueue_each(worker, ["a"] * 5)
    run = await enqueue_selecting(worker)
    taken = await take(worker)
    await worker.queue.add(taken, ["a"])
    await worker.queue.end_selection(taken)
    assert runs_of(await drain(worker, 1))[-1] == run.id


async def test_a_selection_of_many_pages_is_whole(worker: Ledger) -> None:
    run = await enqueue_selecting(worker)
    taken = await take(worker)
    tenants = [f"t{n:05}" for n in range(4_500)]
    for first in range(0, 4_500, 1_000):
        page = tenants[first : first + 1_000]
        assert await worker.queue.add(taken, page) == len(page)
        assert await claim(worker) == []
    await worker.queue.end_selection(taken)
    assert tenants_of(await drain(worker, 1_000)) == tenants
    found = await worker.find_run(run.id)
    assert (found.status, found.executions) == (RunStatus.SUCCEEDED, Counts(4_500, succeeded=4_500))


async def test_what_a_dead_process_had_begun_is_begun_again(worker: Ledger, second: Ledger, store: Store) -> None:
    run = await enqueue_selecting(worker)
    first = await take(worker)
    await worker.queue.add(first, ["a", "b"])
    assert await second.queue.take_selection() is None
    await die(worker, store, second)
    again = await take(second)
    assert (again.id, again.n) == (run.id, first.n)
    assert await second.queue.add(again, ["a", "b", "c"]) == 1
    with pytest.raises(LedgerError):
        await worker.queue.add(first, ["d"])
    await second.queue.end_selection(again)
    assert sorted(tenants_of(await drain(second))) == ["a", "b", "c"]
    assert await counts(second, run) == Counts(3, succeeded=3)


async def test_who_was_taken_for_dead_does_not_end_a_selection(worker: Ledger, second: Ledger, store: Store) -> None:
    run = await enqueue_selecting(worker)
    first = await take(worker)
    await worker.queue.add(first, ["a"])
    await die(worker, store, second)
    again = await take(second)
    for error in (None, "its source failed"):
        try:
            found = await worker.queue.end_selection(first, error=error)
        except LedgerError:
            found = await worker.find_run(run.id)
        assert (found.selecting, found.status) == (True, RunStatus.QUEUED)
    await second.queue.add(again, ["b"])
    await second.queue.end_selection(again)
    assert sorted(tenants_of(await drain(second))) == ["a", "b"]


async def test_who_was_taken_for_dead_does_not_give_back_a_selection(
    worker: Ledger, second: Ledger, store: Store
) -> None:
    await enqueue_selecting(worker)
    first = await take(worker)
    await die(worker, store, second)
    again = await take(second)
    await worker.queue.leave_selection(first)
    assert await worker.queue.take_selection() is None
    assert await second.queue.add(again, ["a"]) == 1
    await second.queue.end_selection(again)
    assert tenants_of(await drain(second)) == ["a"]


async def test_a_selection_that_is_given_back_is_anybodys(worker: Ledger, second: Ledger) -> None:
    run = await enqueue_selecting(worker)
    first = await take(worker)
    await worker.queue.add(first, ["a"])
    await worker.queue.leave_selection(first)
    with pytest.raises(LedgerError):
        await worker.queue.add(first, ["b"])
    again = await take(second)
    assert again.id == run.id
    await second.queue.add(again, ["a", "b"])
    await second.queue.end_selection(again)
    assert sorted(tenants_of(await drain(second))) == ["a", "b"]


async def test_a_selection_whose_source_failed_is_a_failed_run(worker: Ledger) -> None:
    run = await enqueue_selecting(worker)
    taken = await take(worker)
    await worker.queue.add(taken, ["a", "b"])
    failed = await worker.queue.end_selection(taken, error="OSError: no tenants")
    assert (failed.id, failed.status, failed.error) == (run.id, RunStatus.FAILED, "OSError: no tenants")
    assert (failed.executions, failed.selecting) == (Counts(2, cancelled=2), False)
    assert failed.finished_at is not None
    assert not (await worker.selected_by(run.id)).complete
    assert (await execution(worker, run, "a")).attempts == 0
    assert await drain(worker) == []
    assert await worker.queue.take_selection() is None


async def test_a_selection_that_fails_is_not_begun_again_half_cancelled(
    worker: Ledger, second: Ledger, store: Store
) -> None:
    run = await enqueue_selecting(worker)
    taken = await take(worker)
    await worker.queue.add(taken, [f"t{n:04}" for n in range(1_200)])
    with store.refusing("t0700"), pytest.raises(LedgerError):
        await worker.queue.end_selection(taken, error="OSError: no tenants")
    await worker.queue.leave_selection(taken)
    assert await second.queue.take_selection() is None
    await die(worker, store, second)
    assert await second.queue.take_selection() is None
    found = await second.find_run(run.id)
    assert (found.status, found.error) == (RunStatus.FAILED, "OSError: no tenants")
    assert found.executions == Counts(1_200, cancelled=1_200)


async def test_a_selection_is_due_at_its_time(worker: Ledger, clock: HandClock) -> None:
    due = clock.microseconds + 300 * SECOND
    await enqueue_selecting(worker, due_at=due)
    assert await worker.queue.take_selection() is None
    assert (await worker.queue.turn([], 1)).next_due == due
    clock.advance(timedelta(minutes=6))
    taken = await take(worker)
    await worker.queue.add(taken, ["a"])
    await worker.queue.end_selection(taken)
    assert tenants_of(await claim(worker)) == ["a"]


async def test_a_clock_that_is_set_back_delays_no_selection_that_was_due_at_once(
    worker: Ledger, clock: HandClock
) -> None:
    later = await enqueue_selecting(worker, due_at=clock.microseconds + 60 * SECOND)
    at_once = await enqueue_selecting(worker)
    clock.jump(timedelta(hours=-1))
    assert (await take(worker)).id == at_once.id
    assert await worker.queue.take_selection() is None
    clock.jump(timedelta(hours=1, minutes=1))
    assert (await take(worker)).id == later.id


async def test_a_cancelled_selection_goes_no_further(worker: Ledger, second: Ledger) -> None:
    run = await enqueue_selecting(worker)
    taken = await take(worker)
    await worker.queue.add(taken, ["a"])
    await second.queue.cancel(run.id, "not needed")
    assert await worker.queue.cancelled([run.id]) in ({}, {run.id: "not needed"})
    with pytest.raises(LedgerError):
        await worker.queue.add(taken, ["b"])
    found = await worker.queue.end_selection(taken)
    assert (found.status, found.executions) == (RunStatus.CANCELLED, Counts(1, cancelled=1))
    assert await drain(second) == []
    assert await second.queue.take_selection() is None


async def test_a_cancelled_selection_is_not_taken(worker: Ledger) -> None:
    run = await enqueue_selecting(worker)
    await worker.queue.cancel(run.id, "not needed")
    found = await worker.find_run(run.id)
    assert (found.status, found.selecting, found.executions) == (RunStatus.CANCELLED, False, Counts())
    assert await worker.queue.take_selection() is None


async def test_the_urgent_selection_is_made_first(worker: Ledger) -> None:
    bulk = await enqueue_selecting(worker, priority=Priority.BULK)
    urgent = await enqueue_selecting(worker, priority=Priority.INTERACTIVE)
    assert [(await take(worker)).id for _ in range(2)] == [urgent.id, bulk.id]


async def test_limits_hold_for_what_was_selected(worker: Ledger) -> None:
    await enqueue_selecting(worker, job="narrow", limits=Limits(total=1))
    taken = await take(worker)
    await worker.queue.add(taken, ["a", "b", "c"])
    await worker.queue.end_selection(taken)
    assert len(await claim(worker)) == 1


async def test_why_a_run_is_not_selected_is_kept_until_somebody_else_takes_it(worker: Ledger, second: Ledger) -> None:
    run = await enqueue_selecting(worker)
    taken = await worker.queue.take_selection()
    assert taken is not None
    await worker.queue.note_selection(taken, "waits for a worker that has the job")
    assert (await worker.find_run(run.id)).error == "waits for a worker that has the job"
    assert not (await worker.find_run(run.id)).finished
    assert (await worker.queue.waits(run.id)).lacks_job
    assert (await worker.queue.status()).lacking_runs == {"greet": 1}
    await worker.queue.leave_selection(taken)
    assert (await worker.queue.waits(run.id)).lacks_job
    other = await second.queue.take_selection()
    assert other is not None
    assert not (await worker.queue.waits(run.id)).lacks_job
    await worker.queue.note_selection(taken, "too late")
    await second.queue.add(other, ["a"])
    ended = await second.queue.end_selection(other)
    assert (ended.error, (await worker.queue.status()).lacking_runs) == (None, {})
    await drain(second)
    assert (await second.find_run(run.id)).status == "succeeded"


async def test_a_run_that_nobody_could_select_is_cancelled_and_has_not_failed(worker: Ledger) -> None:
    run = await enqueue_selecting(worker)
    taken = await worker.queue.take_selection()
    assert taken is not None
    await worker.queue.note_selection(taken, "waits for a worker that has the job")
    ended = await worker.queue.cancel(run.id, "no longer wanted")
    assert (ended.status, ended.error) == ("cancelled", None)
    await worker.queue.note_selection(taken, "too late")
    assert (await worker.find_run(run.id)).error is None


async def test_a_selection_that_failed_has_its_own_error(worker: Ledger) -> None:
    run = await enqueue_selecting(worker)
    taken = await worker.queue.take_selection()
    assert taken is not None
    await worker.queue.note_selection(taken, "waits for a worker that has the job")
    await worker.queue.end_selection(taken, error="the source is broken")
    found = await worker.find_run(run.id)
    assert (found.status, found.error) == ("failed", "the source is broken")
    assert not (await worker.queue.waits(run.id)).lacks_job
