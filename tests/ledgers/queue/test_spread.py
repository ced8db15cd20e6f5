"""A fire with a spread: each tenant's execution starts at its own place in the window, and none is lost on the way."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.queue import Held
from pinstripe.run import Counts, RunStatus, Trigger
from pinstripe.schedule import offset
from tests.ledgers.queue.moves import (
    CANCELLED,
    QUEUED,
    SECOND,
    SKIPPED,
    claim,
    counts,
    die,
    drain,
    ended,
    enqueue,
    enqueue_selecting,
    execution,
    settle,
    state,
    tenants_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pinstripe.ledger import Ledger
    from pinstripe.queue import QueuedRun
    from pinstripe.run import Run
    from tests.ledgers.conftest import HandClock
    from tests.ledgers.stores import Store

pytestmark = pytest.mark.anyio

HOUR = 3_600 * SECOND
TENANTS = [f"t{n:02}" for n in range(40)]
BY_PLACE = sorted(TENANTS, key=lambda tenant: offset("greet", tenant, HOUR))


async def fire(ledger: Ledger, at: int, *, overlap: str | None = "skip", **given: Any) -> Run:
    """Enqueue what a fire of a schedule with a spread of an hour does."""
    return await enqueue_selecting(
        ledger, schedule="daily", scheduled_for=at, overlap=overlap, trigger=Trigger.SCHEDULE, spread=HOUR, **given
    )


async def begin(ledger: Ledger, tenants: Sequence[str] = TENANTS) -> QueuedRun:
    """Take a run, and add its tenants in two pages."""
    taken = await ledger.queue.take_selection()
    assert taken is not None
    half = len(tenants) // 2
    await ledger.queue.add(taken, tenants[:half])
    await ledger.queue.add(taken, tenants)
    return taken


async def select(ledger: Ledger, tenants: Sequence[str] = TENANTS) -> None:
    """Select a run's tenants."""
    await ledger.queue.end_selection(await begin(ledger, tenants))


def move_to(clock: HandClock, moment: int) -> None:
    clock.advance(timedelta(microseconds=moment - clock.microseconds))


async def test_each_starts_at_its_own_place_in_the_window(worker: Ledger, clock: HandClock) -> None:
    at = clock.microseconds
    run = await fire(worker, at)
    await select(worker)
    started = await claim(worker)
    for tenant in BY_PLACE[len(started) :]:
        due = at + offset("greet", tenant, HOUR)
        assert (await worker.queue.turn([], 1)).next_due == due
        assert (await execution(worker, run, tenant)).held == Held.DUE
        move_to(clock, due - 10_000)
        assert await claim(worker) == []
        move_to(clock, due)
        worker.beat()
        one, *others = await claim(worker)
        assert (one.tenant, others) == (tenant, [])
        started.append(one)
    assert tenants_of(started) == BY_PLACE
    assert started[0].run.total == len(TENANTS)
    await settle(worker, *(ended(one) for one in started))
    found = await worker.find_run(run.id)
    assert (found.status, found.executions) == (RunStatus.SUCCEEDED, Counts(40, succeeded=40))


async def test_a_selection_that_is_late_starts_those_at_once_whose_place_is_over(
    worker: Ledger, clock: HandClock
) -> None:
    at = clock.microseconds
    await fire(worker, at)
    clock.advance(timedelta(minutes=30))
    await select(worker)
    over = [tenant for tenant in BY_PLACE if offset("greet", tenant, HOUR) <= HOUR // 2]
    assert 0 < len(over) < len(TENANTS)
    assert sorted(tenants_of(await claim(worker))) == sorted(over)


async def test_none_starts_before_the_selection_has_ended(worker: Ledger, second: Ledger, clock: HandClock) -> None:
    run = await fire(worker, clock.microseconds)
    taken = await begin(worker)
    clock.advance(timedelta(minutes=30))
    for ledger in (worker, second):
        ledger.beat()
        assert await drain(ledger) == []
    await second.queue.sweep()
    assert await drain(second) == []
    await worker.queue.end_selection(taken)
    assert 0 < len(await drain(second)) < len(TENANTS)
    clock.advance(timedelta(minutes=30))
    await drain(worker)
    assert await counts(worker, run) == Counts(40, succeeded=40)


@pytest.mark.parametrize("minutes", [0, 30, 60])
async def test_what_a_dead_process_had_begun_is_selected_again(
    worker: Ledger, second: Ledger, store: Store, clock: HandClock, minutes: int
) -> None:
    run = await fire(worker, clock.microseconds)
    await begin(worker, TENANTS[:20])
    clock.advance(timedelta(minutes=minutes))
    second.beat()
    assert await claim(second) == []  # which sees what has become due
    await die(worker, store, second)
    await select(second)
    assert await counts(second, run) == Counts(40, queued=40)
    started = await drain(second)
    clock.advance(timedelta(minutes=60))
    started += await drain(second)
    assert sorted(tenants_of(started)) == TENANTS


async def test_what_waits_for_its_place_is_told(worker: Ledger, clock: HandClock) -> None:
    at = clock.microseconds
    run = await fire(worker, at)
    await select(worker, BY_PLACE[5:])
    waits = await worker.queue.waits(run.id)
    assert (waits.ready, waits.held, waits.selecting) == (0, {Held.DUE: 35}, False)
    assert waits.next_due == at + offset("greet", BY_PLACE[5], HOUR)
    status = await worker.queue.status()
    assert (status.held, status.next_due) == ({Held.DUE: 35}, waits.next_due)


async def test_an_unfinished_predecessor_is_seen_when_the_tenants_are_selected(
    worker: Ledger, clock: HandClock
) -> None:
    at = clock.microseconds
    await fire(worker, at)
    await select(worker, BY_PLACE[:20])
    second = await fire(worker, at + HOUR)
    await select(worker, BY_PLACE[10:30])
    assert await counts(worker, second) == Counts(20, queued=10, skipped=10)
    assert await state(worker, second, BY_PLACE[10]) is SKIPPED
    assert await state(worker, second, BY_PLACE[20]) is QUEUED


async def test_those_whose_place_is_over_start_beside_later_ones_that_are_skipped(
    worker: Ledger, clock: HandClock
) -> None:
    """A chunk has what is ready: whoever is skipped before its place has come was never in it."""
    await fire(worker, clock.microseconds)
    first, later = BY_PLACE[:4], BY_PLACE[-4:]
    await select(worker, later)
    run = await fire(worker, clock.microseconds - HOUR // 2)
    assert offset("greet", first[-1], HOUR) < HOUR // 2 < offset("greet", later[0], HOUR)
    await select(worker, [tenant for pair in zip(first, later, strict=True) for tenant in pair])
    assert sorted(tenants_of(await claim(worker))) == sorted(first)
    assert [await state(worker, run, tenant) for tenant in later] == [SKIPPED] * len(later)


async def test_one_that_waits_for_its_predecessor_is_due_at_its_place_all_the_same(
    worker: Ledger, clock: HandClock
) -> None:
    first = await enqueue(worker, BY_PLACE[-1], schedule="daily", scheduled_for=1, overlap="queue")
    (one,) = await claim(worker)
    at = clock.microseconds
    run = await fire(worker, at, overlap="queue")
    await select(worker, BY_PLACE[-1:])
    assert (await execution(worker, run, BY_PLACE[-1])).held == Held.OVERLAP
    assert await claim(worker, 9, [ended(one)]) == []
    assert (await worker.find_run(first.id)).finished
    assert (await execution(worker, run, BY_PLACE[-1])).held == Held.DUE
    move_to(clock, at + offset("greet", BY_PLACE[-1], HOUR))
    assert tenants_of(await claim(worker)) == BY_PLACE[-1:]


async def test_what_waits_for_its_place_can_be_cancelled(worker: Ledger, clock: HandClock) -> None:
    run = await fire(worker, clock.microseconds)
    await select(worker)
    started = await claim(worker)
    found = await worker.queue.cancel(run.id, "not needed")
    assert found.executions == Counts(40, running=len(started), cancelled=40 - len(started))
    await settle(worker, *(ended(one, CANCELLED) for one in started))
    assert (await worker.find_run(run.id)).status == RunStatus.CANCELLED
    clock.advance(timedelta(hours=1))
    assert await claim(worker) == []
    next_one = await fire(worker, clock.microseconds)
    await select(worker)
    assert (await counts(worker, next_one)).skipped == 0


async def test_a_selection_that_failed_cancels_what_was_to_be_due(worker: Ledger, clock: HandClock) -> None:
    run = await fire(worker, clock.microseconds)
    await worker.queue.end_selection(await begin(worker), error="no more tenants")
    clock.advance(timedelta(hours=1))
    assert await claim(worker) == []
    found = await worker.find_run(run.id)
    assert (found.status, found.executions) == (RunStatus.FAILED, Counts(40, cancelled=40))


async def test_who_is_paused_at_its_place_is_skipped(worker: Ledger, clock: HandClock) -> None:
    run = await fire(worker, clock.microseconds)
    await select(worker)
    await worker.queue.pause(None, BY_PLACE[-1])
    await drain(worker)
    clock.advance(timedelta(hours=1))
    await drain(worker)
    assert await counts(worker, run) == Counts(40, succeeded=39, skipped=1)
    assert await state(worker, run, BY_PLACE[-1]) is SKIPPED


async def test_a_paused_job_waits_at_its_place_and_is_resumed(worker: Ledger, clock: HandClock) -> None:
    run = await fire(worker, clock.microseconds)
    await select(worker)
    await worker.queue.pause("greet", None)
    clock.advance(timedelta(minutes=30))
    worker.beat()
    assert await claim(worker) == []
    waits = await worker.queue.waits(run.id)
    assert (waits.ready, sum(waits.held.values()), {*waits.held}) == (0, 40, {Held.DUE, Held.PAUSED})
    assert await worker.queue.resume("greet", None)
    assert len(await drain(worker)) == waits.held[Held.PAUSED]
    clock.advance(timedelta(minutes=30))
    await drain(worker)
    assert await counts(worker, run) == Counts(40, succeeded=40)


async def test_a_retry_is_for_those_who_were_not_done_and_not_for_those_who_wait(
    worker: Ledger, clock: HandClock
) -> None:
    run = await fire(worker, clock.microseconds)
    await select(worker)
    clock.advance(timedelta(minutes=30))
    worker.beat()
    done = {*tenants_of(await drain(worker))}
    assert await worker.retryable(run.id, skipped=True, after=None, limit=100) == []
    assert await worker.succeeded(run.id, TENANTS) == {*TENANTS}  # who waits needs no retry
    await worker.queue.cancel(run.id, "not needed")
    left = [tenant for tenant in TENANTS if tenant not in done]
    assert await worker.retryable(run.id, skipped=True, after=None, limit=100) == left
    retry = await enqueue_selecting(worker, retry_of=run.id, origin=run.id)
    await select(worker)
    assert sorted(tenants_of(await drain(worker))) == left  # at once
    assert await counts(worker, retry) == Counts(len(left), succeeded=len(left))


async def test_what_is_added_is_told_to_wait_before_the_selection_has_ended(worker: Ledger, clock: HandClock) -> None:
    at = clock.microseconds
    run = await fire(worker, at)
    await begin(worker, BY_PLACE[5:])
    waits = await worker.queue.waits(run.id)
    assert (waits.ready, waits.held) == (0, {Held.DUE: 35})
    assert waits.next_due == (await worker.queue.turn([], 1)).next_due == at + offset("greet", BY_PLACE[5], HOUR)


async def test_a_run_with_its_tenants_has_its_own_time(worker: Ledger, clock: HandClock) -> None:
    due = clock.microseconds + 60 * SECOND
    run = await enqueue(worker, schedule="daily", scheduled_for=clock.microseconds, spread=HOUR, due_at=due)
    assert (await worker.queue.waits(run.id)).next_due == due
    clock.advance(timedelta(minutes=1))
    assert len(await claim(worker)) == 1


async def test_a_large_run_is_spread_page_by_page(worker: Ledger, clock: HandClock) -> None:
    tenants = [f"t{n:04}" for n in range(2_500)]
    run = await fire(worker, clock.microseconds)
    taken = await worker.queue.take_selection()
    assert taken is not None
    for first in range(0, 2_500, 1_000):
        await worker.queue.add(taken, tenants[first : first + 1_000])
    await worker.queue.end_selection(taken)
    clock.advance(timedelta(hours=1))
    worker.beat()
    assert sorted(tenants_of(await drain(worker, 1_000))) == tenants
    assert (await worker.find_run(run.id)).status == RunStatus.SUCCEEDED
