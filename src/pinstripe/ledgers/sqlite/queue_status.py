"""What goes on in the queue, read from the ledger's file: for who looks, and changed by nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinstripe.ledgers import queue_status
from pinstripe.queue import LACKS_AGAIN, LACKS_JOB, MAX_LACKING, MAX_SHOWN, Held, QueueStatus, RunWaits

if TYPE_CHECKING:
    from pinstripe.ledgers.sqlite.store import Store
    from pinstripe.queue import Pause


def read_status(store: Store) -> QueueStatus:
    """Tell what goes on; raises `LedgerError` where the ledger is an earlier version's."""
    store.refuse_earlier()
    running = dict(store.rows("running_by_owner"))
    longest = store.rows("running_longest", {"most": MAX_SHOWN})
    counts = dict(store.rows("waiting_by_band"))
    oldest = {band: rows[0][0] for band in counts if (rows := store.rows("oldest_of_band", (band,)))}
    held = {Held(reason): count for reason, count in store.rows("held_counts")}
    selecting = store.rows("selecting_runs")
    due = store.rows("next_due", {"now": store.clock.now()})
    return QueueStatus(
        queue_status.read_processes(store.rows("processes"), running, longest),
        queue_status.read_waiting(counts, oldest),
        held,
        sum(running.values()),
        selecting[0][0] if selecting else 0,
        due[0][0] if due else None,
        read_pauses(store),
        dict(store.rows("lacking_jobs", _lacking(store))),
        dict(store.rows("lacking_runs")),
    )


def read_pauses(store: Store) -> list[Pause]:
    """Give all pauses, the oldest first."""
    return queue_status.read_pauses(store.rows("pauses"))


def read_waits(store: Store, run: str) -> RunWaits:
    """Tell what of a run waits for workers, and why."""
    found = store.rows("waiting_run", {"id": run})
    if not found:
        return RunWaits()
    number, selecting, due, lacks_job = found[0]
    ready = sum(each for (each,) in store.rows("ready_of_run", {"run": number}))
    held = {Held(reason): count for reason, count in store.rows("held_of_run", {"run": number})}
    lacking = 0
    if Held.DUE in held:
        ((due,),) = store.rows("due_of_run", {"run": number})
        ((lacking,),) = store.rows("lacking_of_run", {"run": number, **_lacking(store)})
    return RunWaits(ready, held, due, bool(selecting), lacking, bool(lacks_job))


def _lacking(store: Store) -> dict[str, int | str]:
    """Give what finds the executions that wait for a worker that has their job."""
    return {"until": store.clock.now() + LACKS_AGAIN * 1_000_000, "reason": LACKS_JOB, "most": MAX_LACKING}
