"""What is paused doesn't start, whoever else goes on; what is resumed does."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pinstripe.limits import Limits
from pinstripe.queue import Held
from pinstripe.run import Counts, RunStatus
from tests.ledgers.queue.moves import (
    SECOND,
    again,
    claim,
    claim_one,
    counts,
    drain,
    ended,
    enqueue,
    enqueue_each,
    enqueue_selecting,
    execution,
    settle,
    tenants_of,
)

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger
    from tests.ledgers.conftest import HandClock

pytestmark = pytest.mark.anyio

HELD = [("greet", None, "bill:b"), (None, "b", "greet:a"), ("greet", "a", "bill:b greet:b"), (None, None, "")]


@pytest.mark.parametrize(("job", "tenant", "goes_on"), [(*held[:2], held[2]) for held in HELD])
async def test_a_pause_holds_what_it_names(worker: Ledger, job: str | None, tenant: str | None, goes_on: str) -> None:
    assert await worker.queue.pause(job, tenant)
    await enqueue(worker, "a", job="greet")
    await enqueue(worker, "b", job="greet")
    await enqueue(worker, "b", job="bill")
    started = sorted(f"{one.run.job}:{one.tenant}" for one in await drain(worker))
    assert started == goes_on.split()
    if job or tenant:  # while everything is paused nobody looks at each of them
        assert (await worker.queue.status()).held == {Held.PAUSED: 3 - len(started)}
    assert await worker.queue.resume(job, tenant)
    assert len(await drain(worker)) == 3 - len(started)


@pytest.mark.parametrize(("job", "tenant"), [held[:2] for held in HELD])
async def test_a_pause_is_made_once_and_ended_once(
    worker: Ledger, other: Ledger, clock: HandClock, job: str | None, tenant: str | None
) -> None:
    before = clock.microseconds
    assert await worker.queue.pause(job, tenant)
    assert not await other.queue.pause(job, tenant)
    (pause,) = await other.queue.pauses()
    assert (pause.job, pause.tenant) == (job, tenant)
    assert before <= pause.since <= clock.microseconds
    assert (await other.queue.status()).pauses == [pause]
    assert await other.queue.resume(job, tenant)
    assert not await worker.queue.resume(job, tenant)
    assert await worker.queue.pauses() == []


async def test_what_is_ready_when_the_pause_comes_waits_too(worker: Ledger) -> None:
    run = await enqueue(worker, "a", "b", "c")
    one = await claim_one(worker)
    await worker.queue.pause("greet", None)
    assert await claim(worker) == []
    await settle(worker, ended(one))  # what runs goes on
    assert await counts(worker, run) == Counts(3, queued=2, succeeded=1)
    await worker.queue.resume("greet", None)
    assert len(await drain(worker)) == 2
    assert (await worker.find_run(run.id)).status == RunStatus.SUCCEEDED


async def test_another_pause_still_holds_what_one_has_let_go(worker: Ledger) -> None:
    await enqueue(worker, "a")
    for job, tenant in ((None, "a"), ("greet", "a"), ("greet", None), (None, None)):
        await worker.queue.pause(job, tenant)
    for job, tenant in (("greet", None), (None, "a"), (None, None)):
        assert await claim(worker) == []
        await worker.queue.resume(job, tenant)
    assert await claim(worker) == []
    await worker.queue.resume("greet", "a")
    assert tenants_of(await claim(worker)) == ["a"]


async def test_a_resume_of_another_pause_lets_nothing_go(worker: Ledger) -> None:
    await enqueue(worker, "a")
    await worker.queue.pause("greet", None)
    for job, tenant in (("greet", "a"), (None, "a"), (None, None), ("bill", None)):
        assert not await worker.queue.resume(job, tenant)
        assert await claim(worker) == []


async def test_a_paused_tenant_of_a_fan_out_is_skipped(worker: Ledger) -> None:
    await worker.queue.pause(None, "b")
    run = await enqueue(worker, "a", "b", "c")
    assert sorted(tenants_of(await drain(worker))) == ["a", "c"]
    found = await execution(worker, run, "b")
    assert (found.status, found.attempts) == ("skipped", 0)
    assert found.error is not None
    assert found.error.startswith("paused")
    listed = await worker.find_run(run.id)
    assert (listed.status, listed.executions) == (RunStatus.SUCCEEDED, Counts(3, succeeded=2, skipped=1))


async def test_a_fan_out_whose_tenants_are_all_paused_is_closed(worker: Ledger) -> None:
    run = await enqueue(worker, "a", "b")
    await worker.queue.pause(None, "a")
    await worker.queue.pause(None, "b")
    assert await drain(worker) == []
    found = await worker.find_run(run.id)
    assert (found.status, found.executions) == (RunStatus.SUCCEEDED, Counts(2, skipped=2))
    assert found.finished_at is not None


async def test_a_paused_tenant_of_a_schedule_is_skipped(worker: Ledger, clock: HandClock) -> None:
    await worker.queue.pause(None, "a")
    run = await enqueue(worker, "a", schedule="hourly", scheduled_for=clock.microseconds, overlap="skip")
    assert await drain(worker) == []
    found = await worker.find_run(run.id)
    assert (found.status, found.executions) == (RunStatus.SUCCEEDED, Counts(1, skipped=1))
    await worker.queue.resume(None, "a")
    await enqueue(worker, "a", schedule="hourly", scheduled_for=clock.microseconds, overlap="skip")
    assert len(await drain(worker)) == 1  # the skipped one isn't in its way


async def test_a_fan_out_of_a_paused_job_waits(worker: Ledger) -> None:
    await worker.queue.pause("greet", None)
    run = await enqueue(worker, "a", "b")
    assert await drain(worker) == []
    assert await counts(worker, run) == Counts(2, queued=2)
    await worker.queue.resume("greet", None)
    assert len(await drain(worker)) == 2


async def test_a_pause_takes_nobodys_turn(worker: Ledger) -> None:
    await enqueue_each(worker, ["loud"] * 1_000)
    await worker.queue.pause(None, "loud")
    await enqueue(worker, "quiet")
    assert tenants_of(await claim(worker, 1)) == ["quiet"]


async def test_what_becomes_due_while_paused_waits(worker: Ledger, clock: HandClock) -> None:
    await enqueue(worker, "a", due_at=clock.microseconds + 60 * SECOND)
    await worker.queue.pause(None, "a")
    clock.advance(timedelta(minutes=2))
    assert await claim(worker) == []
    await worker.queue.resume(None, "a")
    assert tenants_of(await claim(worker)) == ["a"]


async def test_a_retry_waits_for_the_resume(worker: Ledger) -> None:
    await enqueue(worker, "a")
    one = await claim_one(worker)
    await worker.queue.pause("greet", None)
    await settle(worker, again(one))
    assert await claim(worker) == []
    await worker.queue.resume("greet", None)
    assert (await claim_one(worker)).attempt == 2


async def test_what_is_paused_takes_no_slot_of_a_limit(worker: Ledger) -> None:
    await enqueue_each(worker, "aab", job="narrow", limits=Limits(total=1))
    one = await claim_one(worker)
    assert (one.tenant, await claim(worker)) == ("a", [])
    await worker.queue.pause(None, "a")
    started = await claim(worker, 9, [ended(one)])
    assert tenants_of(started) == ["b"]
    await worker.queue.resume(None, "a")
    assert await claim(worker) == []
    assert tenants_of(await claim(worker, 9, [ended(started[0])])) == ["a"]


async def test_a_resumed_backlog_keeps_its_limit(worker: Ledger) -> None:
    await worker.queue.pause("narrow", None)
    await enqueue_each(worker, ["a"] * 5, job="narrow", limits=Limits(total=2))
    assert await claim(worker) == []
    await worker.queue.resume("narrow", None)
    assert len(await claim(worker)) == 2


async def test_a_selection_is_made_while_paused_and_waits(worker: Ledger) -> None:
    await worker.queue.pause("greet", None)
    await enqueue_selecting(worker)
    taken = await worker.queue.take_selection()
    if taken is not None:  # whether it is selected now or then, nothing of it starts
        await worker.queue.add(taken, ["a"])
        await worker.queue.end_selection(taken)
    assert await claim(worker) == []
    await worker.queue.resume("greet", None)
    if taken is None:
        taken = await worker.queue.take_selection()
        assert taken is not None
        await worker.queue.add(taken, ["a"])
        await worker.queue.end_selection(taken)
    assert tenants_of(await claim(worker)) == ["a"]


async def test_what_is_paused_can_be_cancelled(worker: Ledger) -> None:
    run = await enqueue(worker, "a")
    await worker.queue.pause("greet", None)
    assert await claim(worker) == []
    assert (await worker.queue.cancel(run.id, "not needed")).status == RunStatus.CANCELLED
    await worker.queue.resume("greet", None)
    assert await claim(worker) == []
    assert (await worker.queue.status()).held == {}
