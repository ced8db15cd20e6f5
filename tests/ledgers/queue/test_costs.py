"""What a queue does again and again costs no more where much is paused, cancelled or to be selected.

It is counted in the steps that SQLite takes, which are the same on every machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pinstripe.limits import Limits
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
