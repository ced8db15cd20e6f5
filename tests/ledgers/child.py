"""A process beside the test's own, on the same ledger: `python -m tests.ledgers.child ADDRESS NOW WHAT [ARGUMENT]...`.

Its clock begins at NOW. It says on a line of its own what it has done, then waits for its standard input to end.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from pinstripe.ledger import NewRun, Settlement
from pinstripe.run import ExecutionStatus, Trigger, new_run_id
from tests.ledgers.stores import ledger_at

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pinstripe.ledger import Ledger

SELECTION: dict[str, Any] = {"tenants": None, "exclude": [], "where": [], "force": False}


class Clock:
    """A clock that began somewhere else than the machine's."""

    def __init__(self, begun: int) -> None:
        self._ahead = begun - time.monotonic_ns() // 1_000

    def now(self) -> int:
        return self._ahead + time.monotonic_ns() // 1_000

    def monotonic(self) -> float:
        return time.monotonic()


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def wait() -> None:
    sys.stdin.read()


async def create(ledger: Ledger) -> str:
    id_ = new_run_id(time.time_ns() // 1_000)
    await ledger.create(NewRun(id_, "greet", Trigger.CODE, [], {}, SELECTION))
    return id_


async def run(ledger: Ledger) -> None:
    """Settle one execution of three, start one, and leave one queued."""
    id_ = await create(ledger)
    await ledger.add(id_, ["a", "b", "c"])
    await ledger.end_selection(id_)
    turn = await ledger.turn(id_, [], ["a"])
    (claimed,) = turn.claimed
    await ledger.turn(id_, [Settlement(claimed.id, claimed.epoch, ExecutionStatus.SUCCEEDED)], ["b"])
    say(id_)
    wait()


async def select(ledger: Ledger) -> None:
    """Stop amid a selection."""
    id_ = await create(ledger)
    await ledger.add(id_, ["a", "b"])
    say(id_)
    wait()


async def create_only(ledger: Ledger) -> None:
    """Stop right after the first transaction."""
    say(await create(ledger))
    wait()


async def fork(ledger: Ledger) -> None:
    """Have a child that inherits everything, and outlives this process."""
    id_ = await create(ledger)
    if os.fork() == 0:
        wait()
        os._exit(0)
    say(id_)
    wait()


async def hammer(ledger: Ledger, count: str, together: str) -> None:
    """Carry out many small runs, some of them at once, and tell each only after it was acknowledged."""

    async def one() -> None:
        id_ = await create(ledger)
        await ledger.add(id_, ["a", "b", "c"])
        await ledger.end_selection(id_)
        turn = await ledger.turn(id_, [], ["a", "b", "c"])
        settlements = [Settlement(claimed.id, claimed.epoch, ExecutionStatus.SUCCEEDED) for claimed in turn.claimed]
        await ledger.turn(id_, settlements, [])
        say(id_)

    for _ in range(int(count)):
        await asyncio.gather(*(one() for _ in range(int(together))))
    say("done")


async def hold(ledger: Ledger) -> None:
    """Keep the write lock until told to let go."""
    connection = ledger._store.writer._connection  # type: ignore[attr-defined]  # noqa: SLF001 - as a shell on the file would
    connection.execute("begin immediate")
    say("holding")
    wait()
    connection.execute("commit")


async def main(address: str, now: str, what: str, *words: str) -> None:
    ledger = ledger_at(address, Clock(int(now)))
    await ledger.open()
    acts: dict[str, Callable[..., Awaitable[None]]] = {
        "run": run,
        "select": select,
        "create": create_only,
        "fork": fork,
        "hammer": hammer,
        "hold": hold,
    }
    await acts[what](ledger, *words)
    await ledger.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
