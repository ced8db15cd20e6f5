"""What the fork of a dead process keeps locked is no life: its lock file is not all that tells of one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pinstripe.clock import to_microseconds
from pinstripe.queue import Swept
from pinstripe.run import RunStatus
from tests.ledgers.processes import child
from tests.ledgers.queue.moves import claim, enqueue, tenants_of

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger
    from tests.ledgers.conftest import HandClock
    from tests.ledgers.stores import Store

pytestmark = pytest.mark.anyio


async def test_a_child_that_keeps_the_lock_of_a_dead_parent(ledger: Ledger, store: Store, clock: HandClock) -> None:
    """A forked child may keep a dead owner's lock: so `beat` counts too."""
    with child(store, "fork") as process:
        run = process.line()
        clock.microseconds = to_microseconds((await ledger.find_run(run)).created_at)  # it beat just after that
        process.kill()
        clock.advance(timedelta(seconds=30))
        assert await ledger.rescue() == 0
        clock.advance(timedelta(seconds=29))
        assert await ledger.rescue() == 0
        clock.advance(timedelta(seconds=20))
        assert await ledger.rescue() == 1
        assert (await ledger.find_run(run)).status == RunStatus.CANCELLED


async def test_a_lock_that_a_child_has_kept_is_no_life(worker: Ledger, store: Store, clock: HandClock) -> None:
    """A fork of a dead worker kept its lock file locked, so that its executions ran for ever."""
    await enqueue(worker, "a")
    with child(store, "fork", module="tests.ledgers.queue.child") as process:
        assert process.line() == "a"
        process.kill()
        assert await worker.queue.sweep() == Swept()
        clock.advance(timedelta(seconds=61))
        worker.beat()
        assert await worker.queue.sweep() == Swept(owners=1, rescued=1)
    assert tenants_of(await claim(worker)) == ["a"]
