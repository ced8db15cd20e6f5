"""A run's end is asked for: what waits is cancelled, and who runs the others hears of it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pinstripe.errors import UnknownRun
from pinstripe.queue import Swept
from pinstripe.run import Counts, RunStatus
from tests.ledgers.moves import ended as ended_here
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
    enqueue_selecting,
    execution,
    runs_of,
    settle,
)

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger
    from tests.ledgers.conftest import HandClock
    from tests.ledgers.stores import Store

pytestmark = pytest.mark.anyio


async def test_what_waits_is_cancelled_with_the_reason(worker: Ledger) -> None:
    run = await enqueue(worker, "a", "b")
    found = await worker.queue.cancel(run.id, "cancelled by anna")
    assert (found.id, found.status, found.executions) == (run.id, RunStatus.CANCELLED, Counts(2, cancelled=2))
    assert found.finished_at is not None
    one = await execution(worker, run, "a")
    assert (one.status, one.error, one.attempts) == (CANCELLED, "cancelled by anna", 0)
    assert await drain(worker) == []


async def test_what_is_cancelled_waits_no_more(worker: Ledger) -> None:
    run = await enqueue(worker, "a", "b")
    kept = await enqueue(worker, "c")
    await worker.queue.cancel(run.id, "not needed")
    assert sum(one.ready for one in (await worker.queue.status()).waiting) == 1
    assert runs_of(await claim(worker, 1)) == [kept.id]
    assert sum(one.ready for one in (await worker.queue.status()).waiting) == 0


async def test_a_run_is_cancelled_by_the_end_of_its_id(worker: Ledger) -> None:
    run = await enqueue(worker, "a")
    assert (await worker.queue.cancel(run.id[-12:], "why")).id == run.id
    last = await enqueue(worker, "a")
    assert (await worker.queue.cancel("last", "why")).id == last.id


async def test_no_run_is_no_run_to_cancel(worker: Ledger) -> None:
    with pytest.raises(UnknownRun):
        await worker.queue.cancel("0" * 36, "why")


async def test_what_runs_hears_of_it(worker: Ledger, other: Ledger) -> None:
    run = await enqueue(worker, "a", "b")
    kept = await enqueue(worker, "c")
    one, two = await claim(worker, 2)
    if one.run.id != two.run.id:  # turns are shared: the fan-out's first, and the single one
        two = next(found for found in await claim(worker) if found.run.id == run.id)
    ids = [run.id, kept.id]
    assert await worker.queue.cancelled(ids) == {}
    found = await other.queue.cancel(run.id, "not needed")
    assert (found.status, found.executions) == (RunStatus.RUNNING, Counts(2, running=2))
    assert await worker.queue.cancelled(ids) == {run.id: "not needed"}
    assert await worker.queue.cancelled([kept.id]) == {}
    assert await worker.queue.cancelled([]) == {}
    mine = [started for started in (one, two) if started.run.id == run.id]
    await settle(worker, *(ended(started, CANCELLED, error="not needed") for started in mine))
    assert (await worker.find_run(run.id)).executions.cancelled == len(mine)


async def test_what_ended_all_the_same_has_its_end(worker: Ledger) -> None:
    run = await enqueue(worker, "a", "b", "c")
    one = await claim_one(worker)
    await worker.queue.cancel(run.id, "not needed")
    await settle(worker, ended(one, result="1"))
    found = await worker.find_run(run.id)
    assert (found.status, found.executions) == (RunStatus.CANCELLED, Counts(3, succeeded=1, cancelled=2))


async def test_a_finished_run_stays_as_it_is(worker: Ledger) -> None:
    run = await enqueue(worker, "a")
    await drain(worker)
    before = await worker.find_run(run.id)
    assert await worker.queue.cancel(run.id, "too late") == before
    assert await worker.find_run(run.id) == before
    assert await worker.queue.cancelled([run.id]) == {}


async def test_the_first_reason_is_kept(worker: Ledger) -> None:
    run = await enqueue(worker, "a", "b")
    await claim_one(worker)
    await worker.queue.cancel(run.id, "first")
    await worker.queue.cancel(run.id, "second")
    assert await worker.queue.cancelled([run.id]) == {run.id: "first"}


async def test_what_would_run_again_does_not(worker: Ledger, clock: HandClock) -> None:
    run = await enqueue(worker, "a", "b", "c")
    started = await claim(worker)
    await worker.queue.cancel(run.id, "not needed")
    due = clock.microseconds + 60 * SECOND
    await settle(worker, again(started[0]), again(started[1], due), again(started[2], crash=True))
    clock.advance(timedelta(minutes=2))
    assert await drain(worker) == []
    await worker.queue.sweep()
    found = await worker.find_run(run.id)
    assert (found.status, found.executions) == (RunStatus.CANCELLED, Counts(3, cancelled=3))


async def test_what_a_dead_worker_ran_of_it_is_cancelled(worker: Ledger, second: Ledger, store: Store) -> None:
    run = await enqueue(worker, "a", "b")
    await claim(worker)
    await second.queue.cancel(run.id, "not needed")
    await die(worker, store, second)
    await second.queue.sweep()
    assert await drain(second) == []
    found = await second.find_run(run.id)
    assert (found.status, found.executions) == (RunStatus.CANCELLED, Counts(2, cancelled=2))


async def test_what_is_held_is_cancelled_too(worker: Ledger, clock: HandClock) -> None:
    later = await enqueue(worker, "a", due_at=clock.microseconds + 60 * SECOND)
    await worker.queue.pause("bill", None)
    paused = await enqueue(worker, "a", "b", job="bill")
    assert await claim(worker) == []
    for run in (later, paused):
        assert (await worker.queue.cancel(run.id, "not needed")).status == RunStatus.CANCELLED
    clock.advance(timedelta(minutes=2))
    await worker.queue.resume("bill", None)
    assert await claim(worker) == []
    assert (await worker.queue.status()).held == {}
    assert (await worker.queue.turn([], 1)).next_due is None


async def test_a_large_run_is_cancelled_whole(worker: Ledger) -> None:
    await enqueue(worker, tenants=None)
    taken = await worker.queue.take_selection()
    assert taken is not None
    for first in range(0, 6_000, 1_000):
        await worker.queue.add(taken, [f"t{n:05}" for n in range(first, first + 1_000)])
    run = await worker.queue.end_selection(taken)
    one = await claim_one(worker)
    await worker.queue.cancel(run.id, "not needed")
    assert await claim(worker) == []
    while (await worker.queue.sweep()).cancelled:
        pass
    assert await counts(worker, run) == Counts(6_000, running=1, cancelled=5_999)
    await settle(worker, ended(one, CANCELLED, error="not needed"))
    assert (await worker.find_run(run.id)).status == RunStatus.CANCELLED
    assert await worker.queue.sweep() == Swept()


async def test_a_foreground_run_hears_of_it_too(ledger: Ledger, other: Ledger) -> None:
    run = await select(ledger, ["a", "b"])
    claimed = await start(ledger, run.id, "a")
    found = await other.queue.cancel(run.id, "not needed")
    assert (found.executions.running, found.finished) == (1, False)
    assert await ledger.queue.cancelled([run.id]) == {run.id: "not needed"}
    await ledger.turn(run.id, [ended_here(claimed["a"], CANCELLED, error="not needed")], [])
    found = await ledger.end(run.id, CANCELLED, "not started")
    assert (found.status, found.executions) == (RunStatus.CANCELLED, Counts(2, cancelled=2))


@pytest.mark.parametrize("tenants", [[], ["a", "b"]])
async def test_what_somebody_began_to_cancel_is_cancelled_by_a_sweep(
    worker: Ledger, second: Ledger, store: Store, tenants: list[str]
) -> None:
    """Whoever asked for the end was killed before anything of the run was cancelled."""
    selecting = await enqueue_selecting(worker)
    taken = await worker.queue.take_selection()
    assert taken is not None
    await worker.queue.add(taken, tenants)
    whole = await enqueue(worker, "a", "b")
    store.execute("update runs set stop = 'not needed'")
    await second.queue.sweep()
    for run, total in ((selecting, len(tenants)), (whole, 2)):
        found = await second.find_run(run.id)
        assert (found.status, found.executions) == (RunStatus.CANCELLED, Counts(total, cancelled=total))
    assert await drain(second) == []
