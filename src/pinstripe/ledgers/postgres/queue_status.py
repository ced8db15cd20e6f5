"""What goes on in the queue, read from the ledger's tables: for who looks, and changed by nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinstripe.ledgers import queue_status
from pinstripe.queue import LACKS_AGAIN, LACKS_JOB, MAX_LACKING, MAX_SHOWN, Held, QueueStatus, RunWaits

if TYPE_CHECKING:
    from pinstripe.ledgers.postgres.store import Store
    from pinstripe.queue import Pause


async def read_status(store: Store) -> QueueStatus:
    """Tell what goes on."""
    running = dict(await store.rows("running_by_owner"))
    longest = await store.rows("running_longest", MAX_SHOWN) if running else []
    waiting = await store.rows("waiting_by_band")
    held = {Held(reason): count for reason, count in await store.rows("held_counts")}
    future = await store.rows("future_of_queue", store.clock.now())
    selecting, due = future[0] if future else (0, None)
    return QueueStatus(
        queue_status.read_processes(await store.rows("processes"), running, longest),
        queue_status.read_waiting(
            {band: ready for band, ready, _ in waiting}, {band: oldest for band, _, oldest in waiting}
        ),
        held,
        sum(running.values()),
        selecting,
        due,
        await read_pauses(store),
        dict(await store.rows("lacking_jobs", *_lacking(store))) if Held.DUE in held else {},
        dict(await store.rows("lacking_runs")) if selecting else {},
    )


async def read_pauses(store: Store) -> list[Pause]:
    """Give all pauses, the oldest first."""
    return queue_status.read_pauses(await store.rows("pauses"))


async def read_waits(store: Store, run: str) -> RunWaits:
    """Tell what of a run waits for workers, and why."""
    found = await store.rows("waiting_run", run)
    if not found:
        return RunWaits()
    number, selecting, due, ready, lacks_job = found[0]
    rows = await store.rows("held_of_run", number)
    held = {Held(reason): count for reason, count, _ in rows}
    lacking = 0
    if Held.DUE in held:
        due = next(first for reason, _, first in rows if reason == Held.DUE)
        ((lacking,),) = await store.rows("lacking_of_run", number, *_lacking(store))
    return RunWaits(ready, held, due, selecting, lacking, lacks_job)


def _lacking(store: Store) -> tuple[int, str, int]:
    """Give what finds the executions that wait for a worker that has their job."""
    return store.clock.now() + LACKS_AGAIN * 1_000_000, LACKS_JOB, MAX_LACKING
