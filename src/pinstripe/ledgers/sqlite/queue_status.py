"""What goes on in the queue, read from the ledger's file: for who looks, and changed by nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinstripe.priority import Priority
from pinstripe.queue import Held, Pause, Process, QueueStatus, RunWaits, Waiting

if TYPE_CHECKING:
    from pinstripe.ledgers.sqlite.store import Store


def read_status(store: Store) -> QueueStatus:
    """Tell what goes on."""
    running = dict(store.rows("running_by_owner"))
    processes = [
        Process(id_, host, pid, version, beat, started_at, running.get(id_, 0), concurrency, bool(stopping), bool(bot))
        for id_, host, pid, version, beat, started_at, concurrency, stopping, bot in store.rows("processes")
    ]
    counts = dict(store.rows("waiting_by_band"))
    waiting = []
    for priority in Priority:
        oldest = store.rows("oldest_of_band", (priority.band,)) if priority.band in counts else []
        waiting.append(Waiting(priority, counts.get(priority.band, 0), oldest[0][0] if oldest else None))
    held = {Held(reason): count for reason, count in store.rows("held_counts")}
    selecting = store.rows("selecting_runs")
    due = store.rows("next_due", {"now": store.clock.now()})
    return QueueStatus(
        processes,
        waiting,
        held,
        sum(running.values()),
        selecting[0][0] if selecting else 0,
        due[0][0] if due else None,
        read_pauses(store),
    )


def read_pauses(store: Store) -> list[Pause]:
    """Give all pauses, the oldest first."""
    return [Pause(job or None, tenant or None, since) for job, tenant, since in store.rows("pauses")]


def read_waits(store: Store, run: str) -> RunWaits:
    """Tell what of a run waits for workers, and why."""
    found = store.rows("waiting_run", {"id": run})
    if not found:
        return RunWaits()
    number, selecting, due = found[0]
    ready = sum(each for (each,) in store.rows("ready_of_run", {"run": number}))
    held = {Held(reason): count for reason, count in store.rows("held_of_run", {"run": number})}
    if Held.DUE in held:
        ((due,),) = store.rows("due_of_run", {"run": number})
    return RunWaits(ready, held, due, bool(selecting))
