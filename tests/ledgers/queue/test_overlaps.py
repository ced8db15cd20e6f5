"""A schedule's fire meets its unfinished predecessor: for each tenant alone, it is skipped, waits, or doesn't mind."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.queue import Held
from pinstripe.run import Counts, RunStatus, Trigger
from tests.ledgers.queue.moves import (
    CANCELLED,
    FAILED,
    QUEUED,
    SECOND,
    SKIPPED,
    SUCCEEDED,
    again,
    claim,
    claim_one,
    counts,
    die,
    drain,
    ended,
    enqueue,
    enqueue_selecting,
    execution,
    new_work,
    runs_of,
    settle,
    state,
    tenants_of,
)

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger
    from pinstripe.run import ExecutionStatus, Run
    from tests.ledgers.conftest import HandClock
    from tests.ledgers.stores import Store

pytestmark = pytest.mark.anyio


async def fire(
    ledger: Ledger, *tenants: str, overlap: str | None = "skip", schedule: str = "hourly", **given: Any
) -> Run:
    """Enqueue what a fire of a schedule does."""
    return await enqueue(
        ledger, *tenants, schedule=schedule, scheduled_for=1, overlap=overlap, trigger=Trigger.SCHEDULE, **given
    )


async def fire_all(ledger: Ledger, *each: list[str], overlap: str = "skip", **given: Any) -> list[Run]:
    """Enqueue fires of one schedule, each for its tenants, in one batch."""
    given = {"schedule": "hourly", "scheduled_for": 1, "overlap": overlap, "trigger": Trigger.SCHEDULE, **given}
    return await ledger.queue.enqueue([new_work(*tenants, **given) for tenants in each])


async def test_a_fire_is_skipped_while_its_predecessor_waits(worker: Ledger) -> None:
    first = await fire(worker, "a")
    second = await fire(worker, "a")
    assert (second.status, second.executions) == (RunStatus.SUCCEEDED, Counts(1, skipped=1))
    assert second.finished_at is not None
    skipped = await execution(worker, second, "a")
    assert (skipped.status, skipped.attempts) == (SKIPPED, 0)
    assert skipped.error is not None
    assert skipped.error.startswith("an earlier fire")
    assert "is unfinished" in skipped.error
    assert runs_of(await drain(worker)) == [first.id]


async def test_only_the_tenants_that_are_unfinished_are_skipped(worker: Ledger) -> None:
    await fire(worker, "a", "b", "c")
    started = await claim(worker)
    await settle(worker, *(ended(one) for one in started if one.tenant != "b"))
    second = await fire(worker, "a", "b", "c", "d")
    assert second.executions == Counts(4, queued=3, skipped=1)
    assert (await execution(worker, second, "b")).status is SKIPPED
    assert sorted(tenants_of(await drain(worker))) == ["a", "c", "d"]
    assert (await worker.find_run(second.id)).status == RunStatus.SUCCEEDED


async def test_a_job_without_tenants_does_not_overlap_either(worker: Ledger) -> None:
    first = await fire(worker)
    assert (await fire(worker)).executions == Counts(1, skipped=1)
    assert runs_of(await drain(worker)) == [first.id]
    assert (await fire(worker)).executions == Counts(1, queued=1)


async def test_another_schedule_job_or_tenant_is_no_predecessor(worker: Ledger) -> None:
    await fire(worker, "a")
    await fire(worker, "a", schedule="daily")
    await fire(worker, "a", job="bill")
    await fire(worker, "b")
    assert len(await claim(worker)) == 4


async def test_an_enqueued_run_is_never_skipped_nor_in_the_way(worker: Ledger) -> None:
    await enqueue(worker, "a")
    await fire(worker, "a")
    await enqueue(worker, "a")
    assert len(await claim(worker)) == 3


async def test_where_any_number_may_go_on_all_do(worker: Ledger) -> None:
    for _ in range(3):
        await fire(worker, "a", overlap=None)
    assert len(await claim(worker)) == 3


async def test_a_fire_that_is_queued_waits_for_its_predecessor(worker: Ledger) -> None:
    runs = [await fire(worker, "a", overlap="queue") for _ in range(4)]
    assert {run.executions for run in runs} == {Counts(1, queued=1)}
    started = await claim(worker)
    served = []
    while started:
        assert len(started) == 1
        held = (await worker.queue.status()).held.get(Held.OVERLAP, 0)
        served += runs_of(started)
        assert held == 4 - len(served)
        started = await claim(worker, 9, [ended(one) for one in started])
    assert served == [run.id for run in runs]


@pytest.mark.parametrize("final", [SUCCEEDED, FAILED, CANCELLED, SKIPPED])
async def test_a_final_state_lets_the_next_one_go(worker: Ledger, final: ExecutionStatus) -> None:
    await fire(worker, "a", overlap="queue")
    await fire(worker, "a", overlap="queue")
    one = await claim_one(worker)
    assert len(await claim(worker, 9, [ended(one, final, error="why")])) == 1


@pytest.mark.parametrize("overlap", ["skip", "queue"])
async def test_between_its_attempts_a_predecessor_is_unfinished(worker: Ledger, clock: HandClock, overlap: str) -> None:
    await fire(worker, "a", overlap=overlap)
    one = await claim_one(worker)
    await settle(worker, again(one, clock.microseconds + 60 * SECOND))
    second = await fire(worker, "a", overlap=overlap)
    assert await state(worker, second, "a") is (SKIPPED if overlap == "skip" else QUEUED)
    assert await claim(worker) == []
    clock.advance(timedelta(minutes=2))
    assert [started.id for started in await claim(worker)] == [one.id]


async def test_a_fire_that_is_due_later_is_unfinished_too(worker: Ledger, clock: HandClock) -> None:
    await fire(worker, "a", due_at=clock.microseconds + 60 * SECOND)
    assert (await fire(worker, "a")).executions == Counts(1, skipped=1)


async def test_of_two_processes_that_fire_at_once_one_goes_on(worker: Ledger, second: Ledger) -> None:
    for n in range(20):
        runs = await asyncio.gather(fire(worker, f"t{n}"), fire(second, f"t{n}"))
        assert sorted(run.executions for run in runs) == [Counts(1, skipped=1), Counts(1, queued=1)]
    assert len(await drain(worker)) == 20


async def test_of_two_that_are_queued_at_once_one_waits(worker: Ledger, second: Ledger) -> None:
    await asyncio.gather(*(fire(ledger, "a", overlap="queue") for ledger in (worker, second) * 3))
    started = await asyncio.gather(claim(worker), claim(second))
    assert len([*started[0], *started[1]]) == 1


async def test_those_of_one_batch_meet_each_other_in_their_order(worker: Ledger) -> None:
    first, second, third = await fire_all(worker, ["a"], ["a", "b"], ["b"], overlap="queue")
    assert [run.executions for run in (first, second, third)] == [Counts(n, queued=n) for n in (1, 2, 1)]
    started = await claim(worker)
    assert sorted((one.run.id, one.tenant) for one in started) == [(first.id, "a"), (second.id, "b")]
    assert await counts(worker, second) == Counts(2, queued=1, running=1)
    assert [await counts(worker, run) for run in (first, third)] == [Counts(1, running=1), Counts(1, queued=1)]
    started = await claim(worker, 9, [ended(one) for one in started])
    assert sorted((one.run.id, one.tenant) for one in started) == [(second.id, "a"), (third.id, "b")]


async def test_of_one_batch_the_first_goes_on(worker: Ledger) -> None:
    runs = await fire_all(worker, ["a"], ["a", "b"], ["a", "b", "c", "d"], ["a"], [""], [""])
    assert [run.executions for run in runs] == [
        *(Counts(1, queued=1), Counts(2, queued=1, skipped=1), Counts(4, queued=2, skipped=2)),
        *(Counts(1, skipped=1), Counts(1, queued=1), Counts(1, skipped=1)),
    ]
    assert [run.status for run in runs] == [RunStatus.QUEUED] * 3 + [
        *(RunStatus.SUCCEEDED, RunStatus.QUEUED, RunStatus.SUCCEEDED),
    ]
    assert [await worker.find_run(run.id) for run in runs] == runs
    status = await worker.queue.status()
    assert (sum(band.ready for band in status.waiting), status.held) == (5, {})
    one_by_one = [*(await claim(worker, 2)), *(await claim(worker, 2)), *(await claim(worker, 2))]
    assert sorted(tenants_of(one_by_one)) == ["", "a", "b", "c", "d"]
    await settle(worker, *(ended(one) for one in one_by_one))
    assert {(await worker.find_run(run.id)).status for run in runs} == {RunStatus.SUCCEEDED}


@pytest.mark.parametrize("overlap", ["skip", "queue"])
async def test_a_batch_meets_what_was_there_before(worker: Ledger, clock: HandClock, overlap: str) -> None:
    await fire(worker, "a")
    due = clock.microseconds + 60 * SECOND
    (run,) = await fire_all(worker, ["a", "b"], overlap=overlap, due_at=due)
    assert await state(worker, run, "a") is (SKIPPED if overlap == "skip" else QUEUED)
    assert (await worker.queue.waits(run.id)).held.get(Held.OVERLAP, 0) == (overlap == "queue")
    assert tenants_of(await drain(worker)) == ["a"]
    clock.advance(timedelta(minutes=1))
    assert tenants_of(await drain(worker)) == (["b"] if overlap == "skip" else ["a", "b"])


async def test_after_a_crash_the_guard_stays_with_its_execution(worker: Ledger, second: Ledger, store: Store) -> None:
    first = await fire(worker, "a")
    await claim_one(worker)
    await die(worker, store, second)
    assert (await fire(second, "a")).executions == Counts(1, skipped=1)
    assert runs_of(await drain(second)) == [first.id]
    third = await fire(second, "a")
    assert runs_of(await drain(second)) == [third.id]


async def test_a_crash_that_fails_it_lets_the_next_one_go(worker: Ledger, second: Ledger, store: Store) -> None:
    await fire(worker, "a", overlap="queue", crashes=0)
    next_one = await fire(worker, "a", overlap="queue")
    await claim_one(worker)
    await die(worker, store, second)
    assert runs_of(await drain(second)) == [next_one.id]


async def test_a_late_result_lets_the_next_one_go_once(worker: Ledger, second: Ledger, store: Store) -> None:
    runs = [await fire(worker, "a", overlap="queue") for _ in range(3)]
    old = await claim_one(worker)
    await die(worker, store, second)
    await settle(worker, ended(old))
    (next_one,) = await claim(second)
    assert next_one.run.id == runs[1].id
    await settle(worker, ended(old))
    assert await claim(second) == []
    assert runs_of(await claim(second, 9, [ended(next_one)])) == [runs[2].id]


async def test_what_was_cancelled_lets_the_next_one_go(worker: Ledger) -> None:
    first, second, third = [await fire(worker, "a", overlap="queue") for _ in range(3)]
    await worker.queue.cancel(second.id, "not needed")  # it waits behind the first
    await worker.queue.cancel(first.id, "not needed")
    assert runs_of(await claim(worker)) == [third.id]


async def test_what_is_skipped_for_a_pause_lets_the_next_one_go(worker: Ledger) -> None:
    first = await fire(worker, "a", overlap="queue")
    await worker.queue.pause(None, "a")
    assert await claim(worker) == []
    assert await state(worker, first, "a") is SKIPPED
    await worker.queue.resume(None, "a")
    second = await fire(worker, "a", overlap="queue")
    assert runs_of(await claim(worker)) == [second.id]


@pytest.mark.parametrize("overlap", ["skip", "queue"])
async def test_a_selected_fire_meets_its_predecessor_too(worker: Ledger, overlap: str) -> None:
    runs = []
    for tenants in (["a", "b"], ["b", "c"]):
        runs.append(await enqueue_selecting(worker, schedule="hourly", scheduled_for=1, overlap=overlap))
        taken = await worker.queue.take_selection()
        assert taken is not None
        assert await worker.queue.add(taken, tenants) == 2
        assert await worker.queue.add(taken, tenants) == 0
        await worker.queue.end_selection(taken)
    started = await claim(worker)
    assert sorted(tenants_of(started)) == ["a", "b", "c"]
    assert await state(worker, runs[1], "b") is (SKIPPED if overlap == "skip" else QUEUED)
    after = await claim(worker, 9, [ended(one) for one in started])
    assert tenants_of(after) == ([] if overlap == "skip" else ["b"])
    await settle(worker, *(ended(one) for one in after))
    assert {(await worker.find_run(run.id)).status for run in runs} == {RunStatus.SUCCEEDED}


async def test_a_predecessor_may_end_amid_the_selection_of_the_next(worker: Ledger) -> None:
    await fire(worker, "a", overlap="queue")
    first = await claim_one(worker)
    run = await enqueue_selecting(worker, schedule="hourly", scheduled_for=1, overlap="queue")
    taken = await worker.queue.take_selection()
    assert taken is not None
    await worker.queue.add(taken, ["a", "b"])
    assert await claim(worker, 9, [ended(first)]) == []  # none starts before the selection is complete
    await worker.queue.add(taken, ["b", "c"])
    await worker.queue.end_selection(taken)
    assert sorted(tenants_of(await drain(worker))) == ["a", "b", "c"]
    assert (await worker.find_run(run.id)).status == RunStatus.SUCCEEDED


async def test_a_predecessor_that_ends_makes_nothing_due(worker: Ledger, clock: HandClock) -> None:
    await fire(worker, "a", overlap="queue")
    first = await claim_one(worker)
    due = clock.microseconds + 300 * SECOND
    run = await fire(worker, "a", overlap="queue", due_at=due)
    assert await claim(worker, 9, [ended(first)]) == []
    assert (await worker.queue.turn([], 1)).next_due == due
    clock.advance(timedelta(minutes=6))
    assert runs_of(await claim(worker)) == [run.id]


async def test_a_selection_that_failed_is_in_nobodys_way(worker: Ledger) -> None:
    await enqueue_selecting(worker, schedule="hourly", scheduled_for=1, overlap="skip")
    taken = await worker.queue.take_selection()
    assert taken is not None
    await worker.queue.add(taken, ["a"])
    await worker.queue.end_selection(taken, error="no tenants")
    assert (await fire(worker, "a")).executions == Counts(1, queued=1)
