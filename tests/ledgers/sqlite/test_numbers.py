"""Numbers that SQLite gives again, once those that had them are removed, belong to the new ones alone."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.ledgers.queue.moves import RUNNING, again, claim_one, die, ended, enqueue, settle, state

if TYPE_CHECKING:
    from collections.abc import Callable

    from pinstripe.ledger import Ledger, Settlement
    from pinstripe.queue import Started
    from tests.ledgers.conftest import HandClock
    from tests.ledgers.stores import Store

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("end", [ended, again, partial(ended, result="1")])
async def test_a_result_that_comes_after_its_run_was_removed_is_nobody_elses(
    worker: Ledger, second: Ledger, store: Store, clock: HandClock, end: Callable[[Started], Settlement]
) -> None:
    """An execution's number is given again, once that of the last one has been removed."""
    await enqueue(worker, "a")
    old = await claim_one(worker)
    await die(worker, store, second)
    await settle(second, ended(await claim_one(second)))
    clock.advance(timedelta(days=31))
    second.beat()
    assert await second.prune() == 1
    run = await enqueue(second, "b")
    new = await claim_one(second)
    assert (new.id, new.epoch) == (old.id, old.epoch)
    await settle(worker, end(old))
    assert await state(second, run, "b") is RUNNING
