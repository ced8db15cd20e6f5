"""Programs of tests whose process must be limited in what it may write: `python -m tests.ledgers.sqlite.programs`."""

from __future__ import annotations

import asyncio
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pinstripe.clock import SystemClock
from pinstripe.errors import LedgerError
from pinstripe.ledgers.sqlite.ledger import SQLiteLedger
from tests.ledgers.child import create, say
from tests.ledgers.stores import RETENTION

if TYPE_CHECKING:
    from collections.abc import Callable


async def fill(folder: Path, make_room: Callable[[], None]) -> None:
    """Write until nothing more goes in, look at what is there, make room, and go on."""
    ledger = SQLiteLedger(folder / "ledger.db", clock=SystemClock(), retention=RETENTION)
    await ledger.open()
    run = await create(ledger)
    added = 0
    try:
        while True:
            added += await ledger.add(run, [f"tenant-{added + n:07}" for n in range(200)])
    except LedgerError as error:
        say(error)
    say(added, (await ledger.find_run(run)).executions.total)
    make_room()
    more = await ledger.add(run, ["one more"])
    selected = await ledger.end_selection(run)
    say(added + more, selected.executions.total, len(await ledger.queued_tenants(run, after=None, limit=10**6)))
    await ledger.close()


def main(how: str, folder: Path) -> None:
    if how == "limited":
        soft, hard = 600 * 1_024, resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        asyncio.run(fill(folder, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))))
    else:
        (folder / "in the way").write_bytes(b"x" * 400_000)
        asyncio.run(fill(folder, (folder / "in the way").unlink))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
