"""Why one run waits is told: for a free worker, for what holds it, or for its selection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pinstripe.limits import Limits
from pinstripe.queue import Held, RunWaits
from tests.ledgers.moves import select, start
from tests.ledgers.queue.moves import SECOND, claim, die, enqueue, enqueue_selecting

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger
    from tests.ledgers.conftest import HandClock
    from tests.ledgers.stores import Store

pytestmark = pytest.mark.anyio


async def test_what_may_start_is_ready_until_it_does(worker: Ledger) -> None:
    run = await enqueue(worker, *"abcd")
    assert await worker.queue.waits(run.id) == RunWaits(ready=4)
    assert len(await claim(worker, 3)) == 3
    other = await enqueue(worker, *"ab")
    assert await worker.queue.waits(run.id) == RunWaits(ready=1)
    assert await worker.queue.waits(other.id) == RunWaits(ready=2)


async def test_what_is_held_is_told_with_the_next_due(worker: Ledger, clock: HandClock) -> None:
    due = clock.microseconds + 60 * SECOND
    later = await enqueue(worker, *"ab", due_at=due)
    limited = await enqueue(worker, *"abc", job="narrow", limits=Limits(total=1))
    await enqueue(worker, "c", due_at=due - SECOND)
    await claim(worker)
    assert await worker.queue.waits(later.id) == RunWaits(held={Held.DUE: 2}, next_due=due)
    assert await worker.queue.waits(limited.id) == RunWaits(held={Held.LIMIT: 2})


async def test_what_is_to_be_selected_waits_for_who_selects_it(worker: Ledger, second: Ledger, store: Store) -> None:
    run = await enqueue_selecting(worker)
    waits = await worker.queue.waits(run.id)
    assert (waits.selecting, waits.ready, waits.next_due is None) == (True, 0, False)
    assert await worker.queue.take_selection() is not None
    assert await worker.queue.waits(run.id) == RunWaits()
    await die(worker, store, second)
    assert (await second.queue.waits(run.id)).selecting


async def test_what_is_selected_later_says_when(worker: Ledger, clock: HandClock) -> None:
    due = clock.microseconds + 60 * SECOND
    run = await enqueue_selecting(worker, due_at=due)
    assert await worker.queue.waits(run.id) == RunWaits(next_due=due, selecting=True)


async def test_nothing_waits_of_what_is_finished_or_not_for_workers(worker: Ledger) -> None:
    run = await enqueue(worker, *"ab")
    await worker.queue.cancel(run.id, "no longer wanted")
    assert await worker.queue.waits(run.id) == RunWaits()
    by_hand = await select(worker, "ab")
    await start(worker, by_hand.id, "a")
    assert await worker.queue.waits(by_hand.id) == RunWaits()
    assert await worker.queue.waits("no such run") == RunWaits()
