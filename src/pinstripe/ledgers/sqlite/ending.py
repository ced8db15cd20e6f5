"""Ending what is left of a run, page by page, so that other processes get their turn in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pinstripe.ledgers.sqlite import settling
from pinstripe.ledgers.sqlite.statements import statement
from pinstripe.run import ExecutionStatus

if TYPE_CHECKING:
    from pinstripe.ledgers.sqlite.store import Store

INLINE = 400
"""How many executions a turn may move on the event loop's own thread: about 2 ms; more goes to the writer's."""

INTERRUPTED = {
    ExecutionStatus.RUNNING: (ExecutionStatus.CANCELLED, "interrupted"),
    ExecutionStatus.QUEUED: (ExecutionStatus.CANCELLED, "not started"),
}


async def end_open(store: Store, run: int, ends: dict[ExecutionStatus, tuple[ExecutionStatus, str]]) -> None:
    """Open executions of a run, from each state in `ends` → the state and the reason that it names there."""
    counted: list[Any] = store.read(lambda tx: tx.execute(statement("counts"), {"run": run}).fetchall())
    left = counted[0][1]
    if not left:
        return  # the usual end of a run: nothing is open any more
    now = store.clock.now()
    after: str | None = None
    while True:
        page = after
        after = await store.write(lambda tx: settling.end_page(tx, run, page, ends, now), long=left > INLINE)  # noqa: B023
        if after is None:
            return


async def abandon(store: Store, run: int) -> None:
    """Close a run whose process is gone, or whose selection was interrupted."""
    await end_open(store, run, INTERRUPTED)
    values = {"run": run, "now": store.clock.now()}
    await store.write(lambda tx: tx.execute(statement("run_abandoned"), values))
