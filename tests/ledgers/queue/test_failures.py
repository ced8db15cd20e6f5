"""The failures that a simpler queue had, each with the sentence that tells it. Processes and signals are real."""

from __future__ import annotations

import asyncio
import signal
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest

from pinstripe.errors import LedgerError, UnknownRun
from pinstripe.ledger import RunFilter
from pinstripe.limits import Limits
from pinstripe.queue import Held, Swept
from pinstripe.run import Counts, RunStatus
from tests.ledgers import processes
from tests.ledgers.moves import select, start
from tests.ledgers.queue.moves import (
    CANCELLED,
    FAILED,
    RUNNING,
    SKIPPED,
    claim,
    claim_one,
    counts,
    drain,
    ended,
    enqueue,
    enqueue_each,
    enqueue_selecting,
    execution,
    new_work,
    settle,
    state,
    tenants_of,
)

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger
    from tests.ledgers.conftest import HandClock
    from tests.ledgers.stores import Store

pytestmark = pytest.mark.anyio

child = partial(processes.child, module="tests.ledgers.queue.child")

YEAR = timedelta(days=365)


async def test_workers_leave_a_foreground_run_to_its_process(worker: Ledger, store: Store, clock: HandClock) -> None:
    """A sweep made a foreground run's waiting rows ready, as soon as its process had been stopped for a minute."""
    with processes.child(store, "run") as process:
        run = process.line()
        process.send(signal.SIGSTOP)
        process.wait_until_stopped()
        for step in (timedelta(), timedelta(minutes=2), YEAR):
            clock.advance(step)
            worker.beat()
            assert await worker.queue.sweep() == Swept()
            assert await claim(worker) == []
        assert (await worker.find_run(run)).executions == Counts(3, queued=1, running=1, succeeded=1)
        process.kill()
    await worker.queue.sweep()
    assert await claim(worker) == []
    await worker.rescue()
    assert (await worker.find_run(run)).executions == Counts(3, succeeded=1, cancelled=2)


async def test_a_crash_blames_no_innocent(worker: Ledger, store: Store) -> None:
    """All that a worker had claimed was blamed for its death, and soon failed beside the one that had caused it."""
    run = await enqueue(worker, *"abc")
    for _ in range(5):
        with child(store, "work") as process:
            assert process.line() == "a b c"
            process.kill()
        assert await worker.queue.sweep() == Swept(owners=1, rescued=3)
    started = await claim(worker)
    assert [(one.solo, one.crashes, one.attempt, one.epoch) for one in started] == [(True, 0, 1, 6)] * 3
    await settle(worker, *(ended(one) for one in started))
    assert (await worker.find_run(run.id)).status == RunStatus.SUCCEEDED


async def test_a_slow_selection_keeps_nobody_waiting(worker: Ledger, second: Ledger) -> None:
    """Tenants were streamed inside a transaction, which kept the write lock for as long as their source was slow."""
    run = await enqueue_selecting(worker)
    taken = await worker.queue.take_selection()
    assert taken is not None
    for page in (["a", "b"], ["b", "c"]):
        await worker.queue.add(taken, page)
        meanwhile = await enqueue(second, "x")
        assert tenants_of(await drain(second)) == ["x"]
        assert (await second.find_run(meanwhile.id)).finished
    await worker.queue.end_selection(taken)
    assert await counts(second, run) == Counts(3, queued=3)


async def test_a_killed_selection_is_begun_again_and_complete(worker: Ledger, store: Store, clock: HandClock) -> None:
    """A selection that was cut off looked like one that had found only these tenants."""
    with child(store, "select") as process:
        run = process.line()
        clock.microseconds = int((await worker.find_run(run)).created_at.timestamp() + 1) * 1_000_000
        assert await worker.queue.take_selection() is None
        process.kill()
    await worker.queue.sweep()
    taken = await worker.queue.take_selection()
    assert taken is not None
    assert await worker.queue.add(taken, ["a", "b", "c"]) == 1
    await worker.queue.end_selection(taken)
    assert sorted(tenants_of(await drain(worker))) == ["a", "b", "c"]


async def test_what_may_not_start_is_not_looked_at_again_and_again(worker: Ledger) -> None:
    """Tickets that limits or pauses refused came back at once, and kept those behind them from their turn."""
    await enqueue_each(worker, ["a"] * 300, job="narrow", limits=Limits(total=1))
    await enqueue_each(worker, ["a"] * 300, job="narrow_each", limits=Limits(per_tenant=1))
    await worker.queue.pause("still", None)
    await enqueue_each(worker, ["a"] * 300, job="still")
    first = await claim(worker)
    assert sorted(one.run.job for one in first) == ["narrow", "narrow_each"]
    status = await worker.queue.status()
    assert status.held == {Held.LIMIT: 299, Held.TENANT_LIMIT: 299, Held.PAUSED: 300}
    assert sum(band.ready for band in status.waiting) == 0
    await enqueue(worker, "a")
    assert len((await worker.queue.turn([], 1)).started) == 1
    await settle(worker, *(ended(one) for one in first))  # which lets go two, and no more
    assert sum(band.ready for band in (await worker.queue.status()).waiting) == 2


async def test_a_run_is_closed_by_whoever_settles_its_last(worker: Ledger, second: Ledger) -> None:
    """Two workers settled the last two executions at once, each saw the other's still running, and neither closed."""
    for _ in range(50):
        run = await enqueue(worker, "a", "b")
        one, other = await claim_one(worker), await claim_one(second)
        await asyncio.gather(settle(worker, ended(one, FAILED, error="no")), settle(second, ended(other)))
        found = await worker.find_run(run.id)
        assert (found.status, found.executions) == (RunStatus.FAILED, Counts(2, succeeded=1, failed=1))
        assert found.finished_at is not None


async def test_enqueueing_in_any_order_locks_nobody_out(worker: Ledger, second: Ledger) -> None:
    """One transaction enqueued for A and then B, another for B and then A, and each waited for the other's tag."""
    orders = ["ab", "ba"] * 25

    async def put(ledger: Ledger, tenants: str) -> None:
        await ledger.queue.enqueue([new_work(tenant) for tenant in tenants])

    async with asyncio.timeout(30):
        await asyncio.gather(*(put((worker, second)[n % 2], tenants) for n, tenants in enumerate(orders)))
    assert sorted(tenants_of(await drain(worker))) == ["a"] * 50 + ["b"] * 50


async def test_of_fires_that_race_one_starts(worker: Ledger, second: Ledger) -> None:
    """Between the look for a predecessor and the start, another fire had started for the same tenant."""

    async def fire(ledger: Ledger) -> None:
        await enqueue(ledger, "a", schedule="hourly", scheduled_for=1, overlap="skip")
        running.extend(await claim(ledger, 1))

    for _ in range(20):
        running: list[object] = []
        await asyncio.gather(*(fire(ledger) for ledger in (worker, second) * 2))
        assert len(running) == 1
        assert (await worker.queue.status()).running == 1
        await settle(worker, *(ended(one) for one in running))  # type: ignore[arg-type]
        assert await drain(worker) == []


async def test_a_cancelled_run_is_heard_of_and_starts_no_more(worker: Ledger, second: Ledger) -> None:
    """A run went on for as long as it had executions, though its end had been asked for."""
    run = await enqueue(worker, *(f"t{n:04}" for n in range(1_000)))
    started = await claim(worker, 3)
    await second.queue.cancel(run.id, "not needed")
    assert await worker.queue.cancelled([run.id]) == {run.id: "not needed"}
    assert await claim(worker) == await claim(second) == []
    while (await second.queue.sweep()).cancelled:
        pass
    assert await counts(worker, run) == Counts(1_000, running=3, cancelled=997)
    await settle(worker, *(ended(one, CANCELLED, error="not needed") for one in started))
    assert (await worker.find_run(run.id)).status == RunStatus.CANCELLED


async def test_a_zombie_starts_nothing(worker: Ledger, store: Store, clock: HandClock) -> None:
    """A worker that had been stopped for long went on to claim, though its row was gone and its work was others'."""
    run = await enqueue(worker, *"abc")
    with child(store, "work") as process:
        assert process.line() == "a b c"
        process.send(signal.SIGSTOP)
        process.wait_until_stopped()
        assert await worker.queue.sweep() == Swept()
        clock.advance(timedelta(seconds=61))
        worker.beat()
        assert await worker.queue.sweep() == Swept(owners=1, rescued=3)
        started = await claim(worker, 2)
        await settle(worker, ended(started[0], result='"in time"'))
        process.send(signal.SIGCONT)
        assert process.release() == 0  # it settles all three
    outcomes = [await execution(worker, run, tenant) for tenant in "abc"]
    assert [(one.status, one.result) for one in outcomes] == [
        ("succeeded", "in time"),
        (RUNNING, None),
        ("succeeded", "late"),  # nobody had started it again
    ]
    assert await claim(worker) == []


@pytest.mark.parametrize("jump", [YEAR, -YEAR])
async def test_a_clock_that_is_set_kills_no_worker(
    worker: Ledger, store: Store, clock: HandClock, jump: timedelta
) -> None:
    """A clock that jumped made living workers look dead, and dead ones alive."""
    await enqueue(worker, "a")
    with child(store, "work") as process:
        assert process.line() == "a"
        for _ in range(2):
            clock.jump(jump)
            assert await worker.queue.sweep() == Swept()
        process.kill()
        assert await worker.queue.sweep() == Swept(owners=1, rescued=1)


async def test_what_was_acknowledged_is_there_after_a_kill(worker: Ledger, store: Store) -> None:
    """Somebody had been told that a run was enqueued whose transaction was still open, and was then undone."""
    with child(store, "hammer") as process:
        heard = [process.line() for _ in range(200)]
        process.kill()
        assert process.process.stdout is not None
        heard += [line.strip() for line in process.process.stdout if line.endswith("\n")]
    kept = {run.id: run.executions for run in await worker.list_runs(RunFilter(limit=100_000))}
    assert set(heard) <= set(kept)
    assert set(kept.values()) == {Counts(2, queued=2)}
    assert len(await drain(worker, 1_000)) == 2 * len(kept)


async def test_what_was_settled_is_settled_after_a_kill(worker: Ledger, store: Store) -> None:
    """What had been acknowledged as finished ran again after a crash."""
    runs = await enqueue_each(worker, [f"t{n % 5}" for n in range(2_000)])
    with child(store, "drain") as process:
        heard = {process.line() for _ in range(100)}
        process.kill()
        assert process.process.stdout is not None
        heard |= {line.strip() for line in process.process.stdout if line.endswith("\n")}
    await worker.queue.sweep()
    again = {str(one.id) for one in await drain(worker, 1_000)}
    assert not heard & again
    assert len(again) < 2_000
    assert {run.status for run in await worker.list_runs(RunFilter(limit=5_000))} == {RunStatus.SUCCEEDED}
    assert len(runs) == len(await worker.list_runs(RunFilter(limit=5_000)))


async def test_a_request_that_fails_undoes_no_other(worker: Ledger, second: Ledger) -> None:
    """Requests that were committed together were undone together, because one of them had failed."""
    kept = await enqueue(worker, "a")
    await enqueue_selecting(worker)
    taken = await worker.queue.take_selection()
    assert taken is not None
    acts = [
        act
        for n in range(30)
        for act in (
            enqueue(worker, f"t{n}"),
            enqueue(worker, "b", id=kept.id),
            second.queue.add(taken, ["x"]),
            worker.queue.add(taken, [f"s{n}"]),
        )
    ]
    done = await asyncio.gather(*acts, return_exceptions=True)
    assert [isinstance(one, BaseException) for one in done] == [False, True, True, False] * 30
    assert {type(one) for one in done if isinstance(one, BaseException)} == {LedgerError}
    run = await worker.queue.end_selection(taken)
    assert run.executions == Counts(30, queued=30)
    assert sorted(tenants_of(await drain(worker))) == sorted(["a", *(f"{x}{n}" for x in "ts" for n in range(30))])


async def test_retention_takes_whole_closed_runs_only(worker: Ledger, clock: HandClock) -> None:
    """What was pruned row by row looked like what had never run, and what still waited could be pruned with it."""
    over = await enqueue(worker, "a", "b", key="k")
    await drain(worker)
    failed = await enqueue(worker, "a", "b")
    one, other = await claim(worker)
    await settle(worker, ended(one, FAILED, error="no"), ended(other, SKIPPED))
    half = await enqueue(worker, "a", "b")
    one, going_on = await claim(worker)
    await settle(worker, ended(one))
    later = await enqueue(worker, "a", due_at=clock.microseconds + 10 * YEAR // timedelta(microseconds=1))
    await worker.queue.pause("still", None)
    still = await enqueue(worker, "a", job="still")
    selecting = await enqueue_selecting(worker, due_at=clock.microseconds + 10 * YEAR // timedelta(microseconds=1))
    open_ = {half.id, later.id, still.id, selecting.id}

    async def left() -> set[str]:
        return {run.id for run in await worker.list_runs(RunFilter())}

    clock.advance(timedelta(days=31))
    assert (await worker.prune(), await left()) == (1, open_ | {failed.id})
    with pytest.raises(UnknownRun, match="retention has passed"):
        await worker.queue.cancel(over.id, "too late")
    assert (await enqueue(worker, "z", key="k")).id != over.id
    clock.advance(timedelta(days=60))
    await worker.prune()
    assert failed.id not in await left()
    assert open_ <= await left()
    clock.advance(YEAR)
    worker.beat()
    await worker.prune()
    assert open_ <= await left()
    assert await counts(worker, half) == Counts(2, running=1, succeeded=1)
    await settle(worker, ended(going_on))
    assert await state(worker, half, going_on.tenant) == "succeeded"


async def test_a_foreground_run_and_the_queue_share_a_tenant(worker: Ledger, second: Ledger) -> None:
    """A run by hand waited for a slot of the queue that only its own end could free."""
    await enqueue_each(second, ["a", "a"], job="narrow", limits=Limits(total=1, per_tenant=1))
    held = await claim_one(second)
    run = await select(worker, ["a"], job="narrow")
    assert set(await start(worker, run.id, "a")) == {"a"}
    assert tenants_of(await claim(second, 9, [ended(held)])) == ["a"]
