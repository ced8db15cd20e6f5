"""Ending what is left of a run, page by page, so that nobody waits for long."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pinstripe.ledgers.postgres.settling import end_page
from pinstripe.run import ExecutionStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pinstripe.ledgers.postgres.store import Store

INTERRUPTED = {
    ExecutionStatus.RUNNING: (ExecutionStatus.CANCELLED, "interrupted"),
    ExecutionStatus.QUEUED: (ExecutionStatus.CANCELLED, "not started"),
}


async def end_open(
    store: Store, run: int, ends: Mapping[ExecutionStatus, tuple[ExecutionStatus, str]], *, patient: bool = False
) -> None:
    """Open executions of a run, from each state in `ends` → the state and the reason that it names there.

    `patient` is as for `Store.write`.
    """
    if not (await store.read(lambda tx: tx.row("counts", run), patient=patient))[1]:
        return  # the usual end of a run: nothing is open any more
    now = store.clock.now()
    after = await store.write(partial(end_page, run=run, after=None, ends=ends, now=now), patient=patient)
    while after is not None:
        after = await store.write(partial(end_page, run=run, after=after, ends=ends, now=now), patient=patient)


async def abandon(store: Store, run: int) -> None:
    """Close a run whose process is gone, or whose selection was interrupted."""
    await end_open(store, run, INTERRUPTED)
    now = store.clock.now()
    await store.write(lambda tx: tx.run("run_abandoned", run, now))
