"""What a queue does again and again costs no more where much is paused, cancelled or to be selected.

It is counted in the steps that SQLite takes, which are the same on every machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw
import pytest

from pinstripe.limits import Limits
from pinstripe.queue import Held
from tests.ledgers.queue.moves import SECOND, claim, drain, enqueue, enqueue_each, enqueue_selecting, new_work

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from pinstripe.ledger import Ledger
    from tests.ledgers.conftest import HandClock

pytestmark = pytest.mark.anyio

MANY = 3_000
MOST = 3_000
"""Steps that a move over a queue without a backlog takes at most."""


async def steps(ledger: Ledger, move: Awaitable[object]) -> int:
    """Count the steps of SQLite in a move, to a hundred."""
    counted = 0

    def step() -> bool:
        nonlocal counted
        counted += 100
        return False

    store = ledger._store  # type: ignore[attr-defined]  # noqa: SLF001 - nothing public has the connections
    for connection in (store.writer._connection, store.reader):  # noqa: SLF001
        connection.set_progress_handler(step, 100)
    await move
    for connection in (store.writer._connection, store.reader):  # noqa: SLF001
        connection.set_progress_handler(None)
    return counted


async def test_a_sweep_does_not_look_at_all_that_is_paused(worker: Ledger) -> None:
    for pause in (("still", None), (None, "a"), (None, "b")):
        await worker.queue.pause(*pause)
    await enqueue_each(worker, [f"t{n}" for n in range(MANY)], job="still")
    await enqueue_each(worker, ["a", "b"] * (MANY // 2))
    assert await claim(worker) == []
    await worker.queue.sweep()
    assert await steps(worker, worker.queue.sweep()) < MOST
    await enqueue(worker, "c")
    await worker.queue.pause(None, "c")
    assert await claim(worker) == []
    await worker.queue.resume(None, "c")
    assert len(await claim(worker)) == 1


async def test_a_sweep_does_not_look_at_all_that_a_limit_holds(worker: Ledger) -> None:
    await enqueue_each(worker, [f"t{n}" for n in range(MANY)], job="narrow", limits=Limits(total=1))
    await enqueue_each(worker, ["a"] * MANY, job="narrow_each", limits=Limits(per_tenant=1))
    assert len(await claim(worker)) == 2
    for _ in range(MANY // 1_000 + 1):  # it forgets so many flows at a time
        await worker.queue.sweep()
    assert await steps(worker, worker.queue.sweep()) < MOST


async def test_a_sweep_does_not_look_at_what_has_ended_of_a_cancelled_run(worker: Ledger) -> None:
    run = await enqueue_selecting(worker)
    taken = await worker.queue.take_selection()
    assert taken is not None
    await worker.queue.add(taken, [f"t{n:04}" for n in range(MANY)])
    await worker.queue.end_selection(taken)
    assert len(await claim(worker, 2)) == 2
    await worker.queue.cancel(run.id, "not needed")
    assert await steps(worker, worker.queue.sweep()) < MOST


async def test_one_run_is_asked_of_and_cancelled_without_a_look_at_the_others(worker: Ledger) -> None:
    await enqueue_each(worker, [f"t{n}" for n in range(MANY)])
    run = await enqueue(worker, "a", "b")
    assert await steps(worker, worker.queue.waits(run.id)) < MOST
    assert (await worker.queue.waits(run.id)).ready == 2
    assert await steps(worker, worker.queue.cancel(run.id, "not needed")) < MOST


async def test_the_next_selection_is_found_without_a_look_at_the_others(worker: Ledger, clock: HandClock) -> None:
    later = clock.microseconds + 300 * SECOND
    await worker.queue.enqueue(
        [new_work(tenants=None, due_at=due) for _ in range(MANY) for due in (None, later)],
    )
    assert await steps(worker, worker.queue.take_selection()) < MOST
    assert await steps(worker, worker.queue.turn([], 1)) < MOST
    assert await drain(worker) == []


async def test_no_selection_is_looked_for_among_those_that_are_due_later(worker: Ledger, clock: HandClock) -> None:
    later = clock.microseconds + 300 * SECOND
    await worker.queue.enqueue([new_work(tenants=None, due_at=later) for _ in range(MANY)])
    assert await steps(worker, worker.queue.take_selection()) < MOST


async def test_the_guards_of_a_batch_are_looked_at_all_at_once(worker: Ledger) -> None:
    made: list[str] = []
    connection = worker._store.writer._connection  # type: ignore[attr-defined]  # noqa: SLF001 - as above
    connection.trace_v2(apsw.SQLITE_TRACE_STMT, lambda event: made.append(event["sql"]))
    looks = []
    for _ in range(2):  # all of the first batch are in the way of those of the second
        works = [
            new_work(f"t{n}", schedule="hourly", scheduled_for=1, overlap=overlap)
            for n, overlap in enumerate(["skip", "queue"] * 50)
        ]
        made.clear()
        await worker.queue.enqueue(works)
        looks.append([sql for sql in made if "guards" in sql and sql.startswith("select")])
    connection.trace_v2(0, None)
    assert [len(each) for each in looks] == [0, 1]
    assert (await worker.queue.status()).held == {Held.OVERLAP: 50}


async def test_a_spread_run_is_due_without_a_look_at_those_who_are_due_later(worker: Ledger, clock: HandClock) -> None:
    at = clock.microseconds
    await enqueue_selecting(worker, schedule="daily", scheduled_for=at, spread=3_600 * SECOND)
    taken = await worker.queue.take_selection()
    assert taken is not None
    await worker.queue.add(taken, [f"t{n:04}" for n in range(MANY)])
    assert await steps(worker, worker.queue.end_selection(taken)) < MOST
    await drain(worker)
    assert await steps(worker, worker.queue.turn([], 1)) < MOST
    assert await steps(worker, worker.queue.sweep()) < MOST
    assert (await worker.queue.status()).held[Held.DUE] > MANY * 0.9


async def test_a_jobs_limit_costs_the_others_next_to_nothing(worker: Ledger) -> None:
    costs = []
    for limits in ({}, {"narrow": Limits(total=1)}):
        await worker.queue.set_limits(limits)
        await enqueue_each(worker, [f"t{n}" for n in range(200)])
        costs.append(await steps(worker, worker.queue.turn([], 200)))
        await drain(worker)
    assert costs[1] < costs[0] * 1.25
