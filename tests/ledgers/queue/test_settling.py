"""A settlement counts once, for the start that it belongs to, and the last one closes the run."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.ledger import Settlement
from pinstripe.run import Counts, RunStatus
from tests.ledgers.moves import recount
from tests.ledgers.queue.moves import (
    CANCELLED,
    FAILED,
    RUNNING,
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
    enqueue_each,
    execution,
    settle,
    state,
)

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger
    from pinstripe.run import ExecutionStatus
    from tests.ledgers.conftest import HandClock
    from tests.ledgers.stores import Store

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kept", [{}, {"error": "why", "log": "said\n"}])
@pytest.mark.parametrize("status", [SUCCEEDED, FAILED, CANCELLED, SKIPPED])
async def test_each_end_is_kept_and_counted(worker: Ledger, status: ExecutionStatus, kept: dict[str, str]) -> None:
    run = await enqueue(worker, "a", "b")
    one, other = await claim(worker)
    await settle(worker, ended(one, status, **kept))
    found = await execution(worker, run, one.tenant)
    assert (found.status, found.error, found.log) == (status, kept.get("error"), kept.get("log"))
    assert (found.attempts, found.finished_at is not None) == (1, True)
    listed = await worker.find_run(run.id)
    assert (listed.status, listed.executions.running, listed.executions.done) == (RunStatus.RUNNING, 1, 1)
    await settle(worker, ended(other))
    assert await counts(worker, run) == await recount(worker, run.id, ["a", "b"])


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ([SUCCEEDED, SUCCEEDED], RunStatus.SUCCEEDED),
        ([SUCCEEDED, SKIPPED], RunStatus.SUCCEEDED),
        ([SUCCEEDED, CANCELLED], RunStatus.CANCELLED),
        ([CANCELLED, FAILED], RunStatus.FAILED),
        ([FAILED, SUCCEEDED], RunStatus.FAILED),
    ],
)
@pytest.mark.parametrize("together", [True, False])
async def test_the_last_one_closes_the_run(
    worker: Ledger, clock: HandClock, outcomes: list[ExecutionStatus], status: RunStatus, together: bool
) -> None:
    run = await enqueue(worker, "a", "b")
    settlements = [ended(one, outcome) for one, outcome in zip(await claim(worker), outcomes, strict=True)]
    clock.advance(timedelta(hours=1))
    if together:
        await settle(worker, *settlements)
    else:
        await settle(worker, settlements[0])
        assert not (await worker.find_run(run.id)).finished
        await settle(worker, settlements[1])
    found = await worker.find_run(run.id)
    assert (found.status, found.executions.done) == (status, 2)
    assert found.finished_at is not None
    assert found.started_at is not None
    assert found.finished_at - found.started_at >= timedelta(hours=1)


async def test_one_turn_settles_for_many_runs(worker: Ledger) -> None:
    runs = await enqueue_each(worker, [f"t{n}" for n in range(150)])
    fan_out = await enqueue(worker, *(f"t{n}" for n in range(50)))
    started = await claim(worker, 200)
    statuses = [FAILED if n % 3 == 0 else SUCCEEDED for n in range(200)]
    await settle(worker, *(ended(one, status) for one, status in zip(started, statuses, strict=True)))
    found = [await worker.find_run(run.id) for run in [*runs, fan_out]]
    assert all(run.finished for run in found)
    assert sum(run.executions.failed for run in found) == statuses.count(FAILED)
    assert sum(run.executions.succeeded for run in found) == statuses.count(SUCCEEDED)


async def test_two_who_settle_the_last_ones_at_once_close_the_run(worker: Ledger, second: Ledger) -> None:
    for _ in range(20):
        run = await enqueue(worker, "a", "b")
        one, other = await claim_one(worker), await claim_one(second)
        await asyncio.gather(settle(worker, ended(one)), settle(second, ended(other)))
        found = await worker.find_run(run.id)
        assert (found.status, found.executions) == (RunStatus.SUCCEEDED, Counts(2, succeeded=2))


async def test_what_an_attempt_left_is_kept(worker: Ledger) -> None:
    run = await enqueue(worker, "a", "b")
    a, b = sorted(await claim(worker), key=lambda one: one.tenant)
    failure = {"error": "ValueError: 🦓", "traceback": "Traceback …", "log": "first\nsecond\n"}
    await settle(worker, ended(a, FAILED, **failure), ended(b, result='{"sent": [3, null]}', log="fine\n"))
    found = await execution(worker, run, "a")
    assert {name: getattr(found, name) for name in failure} == failure
    found = await execution(worker, run, "b")
    assert (found.error, found.traceback, found.result, found.log) == (None, None, {"sent": [3, None]}, "fine\n")
    (listed,) = (await worker.find_run(run.id)).failures
    assert (listed.tenant, listed.attempts, listed.error, listed.traceback) == (
        "a",
        1,
        "ValueError: 🦓",
        "Traceback …",
    )


async def test_a_run_of_one_has_its_result(worker: Ledger) -> None:
    run = await enqueue(worker)
    await settle(worker, ended(await claim_one(worker), result="[1]"))
    assert (await worker.find_run(run.id)).result == [1]


async def test_what_is_settled_again_stays_as_it_was(worker: Ledger) -> None:
    run = await enqueue(worker, "a", "b")
    one, _ = await claim(worker)
    await settle(worker, ended(one), ended(one))
    late = [ended(one, FAILED, error="late", log="late"), ended(one, CANCELLED), again(one), again(one, crash=True)]
    await settle(worker, *late)
    found = await execution(worker, run, one.tenant)
    assert (found.status, found.error, found.log, found.attempts) == (SUCCEEDED, None, None, 1)
    assert await counts(worker, run) == Counts(2, running=1, succeeded=1)
    assert await claim(worker) == []


@pytest.mark.parametrize("kept", [{}, {"error": "late", "log": "late"}])
async def test_a_settlement_is_fenced_by_its_epoch(worker: Ledger, kept: dict[str, Any]) -> None:
    run = await enqueue(worker, "a")
    one = await claim_one(worker)
    for epoch in (one.epoch - 1, one.epoch + 1):
        for status in (SUCCEEDED, FAILED):
            await settle(worker, Settlement(one.id, epoch, status, run=one.run.n, **kept))
        await settle(worker, again(one._replace(epoch=epoch)))
    found = await execution(worker, run, "a")
    assert (found.status, found.error, found.log) == (RUNNING, None, None)
    assert await counts(worker, run) == Counts(1, running=1)


async def test_what_never_started_is_not_settled(worker: Ledger) -> None:
    run = await enqueue(worker, "a", "b")
    one = await claim_one(worker)
    for status in (SUCCEEDED, FAILED, CANCELLED):
        await settle(worker, Settlement(one.id + 1, 0, status, run=one.run.n), Settlement(one.id + 1, 0, status, "no"))
    assert await counts(worker, run) == Counts(2, queued=1, running=1)
    assert len(await drain(worker)) == 1


async def test_a_late_result_is_dropped_once_another_has_started_it(
    worker: Ledger, second: Ledger, store: Store
) -> None:
    run = await enqueue(worker, "a")
    old = await claim_one(worker)
    await die(worker, store, second)
    new = await claim_one(second)
    assert (new.id, new.epoch) == (old.id, old.epoch + 1)
    await settle(worker, ended(old, FAILED, error="late", log="late"))
    assert await counts(second, run) == Counts(1, running=1)
    await settle(second, ended(new, result="1", log="new"))
    await settle(worker, ended(old, FAILED, error="later", log="later"))
    found = await execution(second, run, "a")
    assert (found.status, found.error, found.log, found.result) == (SUCCEEDED, None, "new", 1)
    assert (await second.find_run(run.id)).status == RunStatus.SUCCEEDED


async def test_a_late_result_counts_while_nobody_has_started_it_again(
    worker: Ledger, second: Ledger, store: Store
) -> None:
    run = await enqueue(worker, "a", "b")
    one, other = await claim(worker)
    await die(worker, store, second)
    assert await counts(second, run) == Counts(2, queued=2)
    await settle(worker, ended(one, result="1"), ended(other, FAILED, error="no", log="said"))
    assert await counts(second, run) == Counts(2, succeeded=1, failed=1)
    assert (await second.find_run(run.id)).status == RunStatus.FAILED
    assert await drain(second) == []
    assert (await second.queue.status()).running == 0


async def test_a_finished_execution_never_runs_again(worker: Ledger, second: Ledger, store: Store) -> None:
    run = await enqueue(worker, "a")
    await settle(worker, ended(await claim_one(worker)))
    await die(worker, store, second)
    assert await drain(second) == []
    assert await state(second, run, "a") is SUCCEEDED


async def test_a_settlement_that_is_late_in_the_same_turn_counts_once(worker: Ledger) -> None:
    run = await enqueue(worker, "a", "b", "c")
    started = await claim(worker)
    await settle(worker, *(ended(one, status) for one in started for status in (SUCCEEDED, FAILED, SKIPPED)))
    found = await counts(worker, run)
    assert (found.total, found.done) == (3, 3)
    assert found == await recount(worker, run.id, "abc")
