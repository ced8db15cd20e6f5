"""A worker beside the test's own process, on the same ledger: `python -m tests.ledgers.queue.child FILE WHAT`.

It says on a line of its own what it has done, then waits for its standard input to end.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pinstripe.clock import SystemClock
from pinstripe.ledgers.sqlite.ledger import SQLiteLedger
from tests.ledgers.child import RETENTION, say, wait
from tests.ledgers.queue.moves import claim, ended, enqueue, enqueue_selecting, settle, tenants_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pinstripe.queue import Started


async def work(ledger: SQLiteLedger) -> None:
    """Start all that is ready, and settle it only if it lives so long."""
    started = await claim(ledger)
    say(*tenants_of(started))
    wait()
    await settle(ledger, *(ended(one, result='"late"') for one in started))


async def fork(ledger: SQLiteLedger) -> None:
    """Have a child that inherits everything, and outlives this process."""
    started = await claim(ledger)
    if os.fork() == 0:
        wait()
        os._exit(0)
    say(*tenants_of(started))
    wait()


async def select(ledger: SQLiteLedger) -> None:
    """Stop amid a selection."""
    run = await enqueue_selecting(ledger)
    taken = await ledger.queue.take_selection()
    assert taken is not None
    await ledger.queue.add(taken, ["a", "b"])
    say(run.id)
    wait()


async def hammer(ledger: SQLiteLedger) -> None:
    """Enqueue without end, some at once, and tell of each only after it was acknowledged."""

    async def one() -> None:
        say((await enqueue(ledger, "a", "b")).id)

    while True:
        await asyncio.gather(*(one() for _ in range(5)))


async def drain(ledger: SQLiteLedger) -> None:
    """Work without end, and tell of each execution only after its end was acknowledged."""
    started: list[Started] = []
    while True:
        over, started = started, (await ledger.queue.turn([ended(one) for one in started], 3)).started
        for one in over:
            say(one.id)


async def main(path: str, what: str) -> None:
    ledger = SQLiteLedger(Path(path), clock=SystemClock(), retention=RETENTION)
    await ledger.open()
    await ledger.queue.join(10)
    acts: dict[str, Callable[[SQLiteLedger], Awaitable[None]]] = {
        "work": work,
        "fork": fork,
        "select": select,
        "hammer": hammer,
        "drain": drain,
    }
    await acts[what](ledger)
    await ledger.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
