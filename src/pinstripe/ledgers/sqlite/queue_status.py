"""What goes on in the queue, read from the ledger's file: for who looks, and changed by nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinstripe.priority import Priority
from pinstripe.queue import (
    LACKS_AGAIN,
    LACKS_JOB,
    MAX_LACKING,
    MAX_SHOWN,
    Held,
    Pause,
    Process,
    QueueStatus,
    RunningExecution,
    RunWaits,
    Waiting,
)

if TYPE_CHECKING:
    from pinstripe.ledgers.sqlite.store import Store


def read_status(store: Store) -> QueueStatus:
    """Tell what goes on."""
    running = dict(store.rows("running_by_owner"))
    longest: dict[int, list[RunningExecution]] = {}
    for owner, job, tenant, run, since in store.rows("running_longest", {"most": MAX_SHOWN}):
        longest.setdefault(owner, []).append(RunningExecution(job, tenant or None, run, since))
    processes = [
        Process(
            id_,
            host,
            pid,
            version,
            beat,
            started_at,
            running.get(id_, 0),
            concurrency,
            bool(stopping),
            bool(bot),
            tuple(longest.get(id_, ())),
        )
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
        dict(store.rows("lacking_jobs", _lacking(store))),
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
    lacking = 0
    if Held.DUE in held:
        ((due,),) = store.rows("due_of_run", {"run": number})
        ((lacking,),) = store.rows("lacking_of_run", {"run": number, **_lacking(store)})
    return RunWaits(ready, held, due, bool(selecting), lacking)


def _lacking(store: Store) -> dict[str, int | str]:
    """Give what finds the executions that wait for a worker that has their job."""
    return {"until": store.clock.now() + LACKS_AGAIN * 1_000_000, "reason": LACKS_JOB, "most": MAX_LACKING}
