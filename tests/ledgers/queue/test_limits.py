"""A job's limits hold over all workers, and hold nobody else back."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pinstripe.limits import Limits
from pinstripe.queue import Held
from pinstripe.run import RunStatus
from tests.ledgers.moves import select, start
from tests.ledgers.queue.moves import (
    CANCELLED,
    SECOND,
    again,
    claim,
    claim_one,
    counts,
    die,
    drain,
    ended,
    enqueue,
    enqueue_each,
    settle,
    tenants_of,
)

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger
    from tests.ledgers.conftest import HandClock
    from tests.ledgers.stores import Store

pytestmark = pytest.mark.anyio

TWO = Limits(total=2)
ONE_EACH = Limits(per_tenant=1)


async def test_no_more_run_at_once_than_the_total(worker: Ledger) -> None:
    run = await enqueue(worker, *"abcde", job="narrow", limits=TWO)
    first = await claim(worker)
    assert len(first) == 2
    assert await claim(worker) == []
    assert (await worker.queue.status()).held == {Held.LIMIT: 3}
    second = await claim(worker, 9, [ended(first[0])])
    assert len(second) == 1
    third = await claim(worker, 9, [ended(one) for one in [first[1], *second]])
    assert len(third) == 2
    await settle(worker, *(ended(one) for one in third))
    assert (await worker.find_run(run.id)).status == RunStatus.SUCCEEDED


async def test_no_more_run_at_once_for_a_tenant(worker: Ledger) -> None:
    await enqueue_each(worker, "aabbc", job="narrow", limits=ONE_EACH)
    first = await claim(worker)
    assert sorted(tenants_of(first)) == ["a", "b", "c"]
    assert (await worker.queue.status()).held == {Held.TENANT_LIMIT: 2}
    b = next(one for one in first if one.tenant == "b")
    assert tenants_of(await claim(worker, 9, [ended(b)])) == ["b"]
    assert await claim(worker) == []


async def test_both_limits_hold(worker: Ledger) -> None:
    limits = Limits(total=3, per_tenant=2)
    await enqueue_each(worker, "aaaabbbbcccc", job="narrow", limits=limits)
    started = await claim(worker)
    served = []
    while started:
        assert len(started) <= 3
        assert max(map(tenants_of(started).count, "abc")) <= 2
        served += tenants_of(started)
        started = await claim(worker, 9, [ended(one) for one in started])
    assert sorted(served) == sorted("aaaabbbbcccc")


async def test_limits_hold_over_all_workers(worker: Ledger, second: Ledger) -> None:
    await enqueue(worker, *(f"t{n:02}" for n in range(30)), job="narrow", limits=Limits(total=3))
    running: set[str] = set()
    served = 0

    async def work(ledger: Ledger) -> None:
        nonlocal served
        while served < 30:
            started = await claim(ledger, 2)
            running.update(tenants_of(started))
            assert len(running) <= 3
            await asyncio.sleep(0)
            running.difference_update(tenants_of(started))
            served += len(started)
            await settle(ledger, *(ended(one) for one in started))

    async with asyncio.timeout(30):
        await asyncio.gather(*(work(ledger) for ledger in (worker, second) * 2))
    assert served == 30


async def test_two_who_claim_at_once_keep_a_limit_together(worker: Ledger, second: Ledger) -> None:
    for _ in range(10):
        await enqueue_each(worker, "aaaa", job="narrow", limits=TWO)
        started = await asyncio.gather(claim(worker), claim(second))
        assert len(started[0]) + len(started[1]) == 2
        await asyncio.gather(*(settle(worker, ended(one)) for group in started for one in group))
        assert len(await drain(worker)) == 2


async def test_whoever_has_no_limit_goes_on(worker: Ledger) -> None:
    await enqueue_each(worker, ["a"] * 50, job="narrow", limits=TWO)
    await enqueue_each(worker, "abc")
    jobs = [one.run.job for one in await claim(worker)]
    assert (jobs.count("narrow"), jobs.count("greet")) == (2, 3)


async def test_a_capped_tenant_starves_nobody(worker: Ledger) -> None:
    await enqueue_each(worker, ["loud"] * 2_000, job="narrow", limits=ONE_EACH)
    (loud,) = await claim(worker, 1)
    await enqueue(worker, "quiet", job="narrow")
    assert tenants_of(await claim(worker, 1)) == ["quiet"]
    await enqueue_each(worker, ["quiet", "other"], job="narrow")
    assert tenants_of(await claim(worker, 1)) == ["other"]
    assert tenants_of(await claim(worker, 9, [ended(loud)])) == ["loud"]


async def test_held_back_they_keep_their_order(worker: Ledger) -> None:
    runs = await enqueue_each(worker, ["a"] * 12, job="narrow", limits=Limits(total=1))
    served = []
    started = await claim(worker)
    while started:
        served += [one.run.id for one in started]
        started = await claim(worker, 9, [ended(one) for one in started])
    assert served == [run.id for run in runs]


async def test_what_waits_for_its_next_attempt_takes_no_slot(worker: Ledger, clock: HandClock) -> None:
    await enqueue_each(worker, "ab", job="narrow", limits=Limits(total=1))
    a = await claim_one(worker)
    b = (await claim(worker, 9, [again(a, clock.microseconds + 60 * SECOND)]))[0]
    assert b.tenant != a.tenant
    clock.advance(timedelta(minutes=2))
    assert await claim(worker) == []
    assert tenants_of(await claim(worker, 9, [ended(b)])) == [a.tenant]


async def test_a_slot_is_free_again_when_its_run_was_cancelled(worker: Ledger) -> None:
    first, second, third = await enqueue_each(worker, "abc", job="narrow", limits=Limits(total=1))
    a = await claim_one(worker)
    assert await claim(worker) == []
    await worker.queue.cancel(first.id, "not needed")
    assert await claim(worker) == []  # it runs until it hears of it
    await settle(worker, ended(a, CANCELLED))
    await worker.queue.cancel(second.id, "not needed")  # it had the slot, and hasn't started
    started = await claim(worker)
    assert [one.run.id for one in started] == [third.id]


async def test_a_slot_of_a_dead_worker_is_free_again(worker: Ledger, second: Ledger, store: Store) -> None:
    await enqueue_each(worker, "abc", job="narrow", limits=TWO)
    assert len(await claim(worker)) == 2
    assert await claim(second) == []
    await die(worker, store, second)
    started = await claim(second)
    assert len(started) == 2
    assert len(await claim(second, 9, [ended(one) for one in started])) == 1


async def test_a_slot_of_a_dead_worker_whose_execution_failed_is_free_again(
    worker: Ledger, second: Ledger, store: Store
) -> None:
    await enqueue_each(worker, "abc", job="narrow", limits=Limits(total=1), crashes=0)
    assert len(await claim(worker)) == 1
    assert await claim(second) == []
    await die(worker, store, second)
    assert tenants_of(await drain(second)) == ["b", "c"]


async def test_a_late_result_frees_a_slot_once(worker: Ledger, second: Ledger, store: Store) -> None:
    await enqueue_each(worker, "abcde", job="narrow", limits=TWO)
    old = await claim(worker)
    await die(worker, store, second)
    await settle(worker, ended(old[0]), ended(old[0]))
    started = await claim(second)
    assert len(started) == 2
    await settle(worker, ended(old[0]), ended(old[1]))
    assert len(await claim(second)) == 0


async def test_a_slot_of_one_that_was_paused_before_it_started_is_anothers(worker: Ledger) -> None:
    await enqueue_each(worker, "abc", job="narrow", limits=Limits(total=1))
    a = await claim_one(worker)
    assert await claim(worker) == []
    await settle(worker, ended(a))  # which lets b go
    await worker.queue.pause(None, "b")
    assert tenants_of(await claim(worker)) == ["c"]


async def test_limits_may_change(worker: Ledger) -> None:
    await enqueue(worker, *"abcdefgh", job="narrow", limits=TWO)
    first = await claim(worker)
    await worker.queue.set_limits({"narrow": Limits(total=5)})
    await worker.queue.sweep()
    second = await claim(worker)
    assert (len(first), len(second)) == (2, 3)
    await worker.queue.set_limits({"narrow": Limits(total=1)})
    await worker.queue.sweep()
    started = await claim(worker, 9, [ended(one) for one in [*first, *second[:2]]])
    assert started == []
    assert len(await claim(worker, 9, [ended(second[2])])) == 1


async def test_limits_may_be_taken_away(worker: Ledger) -> None:
    await enqueue(worker, *"abcde", job="narrow", limits=TWO)
    assert len(await claim(worker)) == 2
    await worker.queue.set_limits({"narrow": None})
    await worker.queue.sweep()
    assert len(await claim(worker)) == 3


@pytest.mark.parametrize("limits", [None, Limits(total=2_000), Limits(per_tenant=2_000)])
async def test_all_that_a_tenants_limit_held_goes_when_that_is_taken_away(
    worker: Ledger, limits: Limits | None
) -> None:
    await enqueue_each(worker, ["a"] * 1_201, job="narrow", limits=ONE_EACH)
    assert len(await claim(worker)) == 1
    await worker.queue.set_limits({"narrow": limits})
    assert len(await claim(worker, 2_000)) == 1_200


async def test_who_is_held_without_need_is_found_among_any_number_of_tenants(worker: Ledger) -> None:
    first = [f"a{n:03}" for n in range(600)]
    await enqueue_each(worker, first, job="narrow", limits=ONE_EACH)
    await enqueue(worker, "z", job="other", limits=Limits(total=1, per_tenant=1))
    assert len(await claim(worker, 1_000)) == 601
    await enqueue_each(worker, first, job="narrow")
    (last,) = await enqueue_each(worker, ["z"], job="other")
    assert await claim(worker) == []
    await enqueue(worker, "y", job="other", limits=Limits(total=2, per_tenant=2))  # which says what limits are now
    await worker.queue.sweep()
    await worker.queue.sweep()
    assert last.id in [one.run.id for one in await claim(worker)]


async def test_limits_may_come_when_work_waits_and_runs_already(worker: Ledger) -> None:
    run = await enqueue(worker, *"abcdef", job="narrow")
    running = await claim(worker, 2)
    await worker.queue.set_limits({"narrow": Limits(total=3), "other": None})
    started = await claim(worker)
    assert len(started) == 1
    assert await claim(worker, 9, []) == []
    last = await claim(worker, 9, [ended(one) for one in [*running, *started]])
    assert len(last) == 3
    await settle(worker, *(ended(one) for one in last))
    assert (await counts(worker, run)).succeeded == 6


async def test_a_tenants_limit_may_change_to_a_total(worker: Ledger) -> None:
    await enqueue_each(worker, "aaabbb", job="narrow", limits=ONE_EACH)
    assert sorted(tenants_of(await claim(worker))) == ["a", "b"]
    await worker.queue.set_limits({"narrow": Limits(total=4)})
    await worker.queue.sweep()
    assert len(await claim(worker)) == 2


async def test_a_limit_is_its_jobs_alone(worker: Ledger) -> None:
    for job in ("narrow", "narrow_too"):
        await enqueue_each(worker, "abc", job=job, limits=Limits(total=1))
    assert sorted(one.run.job for one in await claim(worker)) == ["narrow", "narrow_too"]


async def test_a_foreground_run_takes_no_slot(worker: Ledger, second: Ledger) -> None:
    await worker.queue.set_limits({"narrow": TWO})
    run = await select(worker, "abcd", job="narrow")
    assert len(await start(worker, run.id, *"abcd")) == 4
    await enqueue_each(worker, "abc", job="narrow")
    assert len(await claim(second)) == 2
