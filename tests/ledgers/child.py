"""A process beside the test's own, on the same ledger: `python -m tests.ledgers.child FILE WHAT [ARGUMENT]...`.

It says on a line of its own what it has done, then waits for its standard input to end.
"""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pinstripe.clock import SystemClock
from pinstripe.config import RetentionSettings
from pinstripe.ledger import NewRun, Settlement
from pinstripe.ledgers.sqlite.ledger import SQLiteLedger
from pinstripe.run import ExecutionStatus, Trigger, new_run_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

RETENTION = RetentionSettings(succeeded=timedelta(days=30), failed=timedelta(days=90), logs=timedelta(days=7))
SELECTION: dict[str, Any] = {"tenants": None, "exclude": [], "where": [], "force": False}


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def wait() -> None:
    sys.stdin.read()


async def create(ledger: SQLiteLedger) -> str:
    id_ = new_run_id(SystemClock().now())
    await ledger.create(NewRun(id_, "greet", Trigger.CODE, [], {}, SELECTION))
    return id_


async def run(ledger: SQLiteLedger) -> None:
    """Settle one execution of three, start one, and leave one queued."""
    id_ = await create(ledger)
    await ledger.add(id_, ["a", "b", "c"])
    await ledger.end_selection(id_)
    turn = await ledger.turn(id_, [], ["a"])
    (claimed,) = turn.claimed
    await ledger.turn(id_, [Settlement(claimed.id, claimed.epoch, ExecutionStatus.SUCCEEDED)], ["b"])
    say(id_)
    wait()


async def select(ledger: SQLiteLedger) -> None:
    """Stop amid a selection."""
    id_ = await create(ledger)
    await ledger.add(id_, ["a", "b"])
    say(id_)
    wait()


async def create_only(ledger: SQLiteLedger) -> None:
    """Stop right after the first transaction."""
    say(await create(ledger))
    wait()


async def fork(ledger: SQLiteLedger) -> None:
    """Have a child that inherits everything, and outlives this process."""
    id_ = await create(ledger)
    if os.fork() == 0:
        wait()
        os._exit(0)
    say(id_)
    wait()


async def hammer(ledger: SQLiteLedger, count: str, together: str) -> None:
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


async def hold(ledger: SQLiteLedger) -> None:
    """Keep the write lock until told to let go."""
    connection = ledger._store.writer._connection  # type: ignore[union-attr]  # noqa: SLF001 - as a shell on the file would
    connection.execute("begin immediate")
    say("holding")
    wait()
    connection.execute("commit")


async def main(path: str, what: str, *words: str) -> None:
    ledger = SQLiteLedger(Path(path), clock=SystemClock(), retention=RETENTION)
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
