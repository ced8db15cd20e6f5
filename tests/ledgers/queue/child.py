"""A worker beside the test's own process, on the same ledger: `python -m tests.ledgers.queue.child ADDRESS NOW WHAT`.

Its clock begins at NOW. It says on a line of its own what it has done, then waits for its standard input to end.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

from tests.ledgers.child import Clock, say, wait
from tests.ledgers.queue.moves import claim, ended, enqueue, enqueue_selecting, settle, tenants_of
from tests.ledgers.stores import ledger_at

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pinstripe.ledger import Ledger
    from pinstripe.queue import Started


async def work(ledger: Ledger) -> None:
    """Start all that is ready, and settle it only if it lives so long."""
    started = await claim(ledger)
    say(*tenants_of(started))
    wait()
    await settle(ledger, *(ended(one, result='"late"') for one in started))


async def fork(ledger: Ledger) -> None:
    """Have a child that inherits everything, and outlives this process."""
    started = await claim(ledger)
    if os.fork() == 0:
        wait()
        os._exit(0)
    say(*tenants_of(started))
    wait()


async def select(ledger: Ledger) -> None:
    """Stop amid a selection."""
    run = await enqueue_selecting(ledger)
    taken = await ledger.queue.take_selection()
    assert taken is not None
    await ledger.queue.add(taken, ["a", "b"])
    say(run.id)
    wait()


async def hammer(ledger: Ledger) -> None:
    """Enqueue without end, some at once, and tell of each only after it was acknowledged."""

    async def one() -> None:
        say((await enqueue(ledger, "a", "b")).id)

    while True:
        await asyncio.gather(*(one() for _ in range(5)))


async def drain(ledger: Ledger) -> None:
    """Work without end, and tell of each execution only after its end was acknowledged."""
    started: list[Started] = []
    while True:
        over, started = started, (await ledger.queue.turn([ended(one) for one in started], 3)).started
        for one in over:
            say(one.id)


async def main(address: str, now: str, what: str) -> None:
    ledger = ledger_at(address, Clock(int(now)))
    await ledger.open()
    await ledger.queue.join(10)
    acts: dict[str, Callable[[Ledger], Awaitable[None]]] = {
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
