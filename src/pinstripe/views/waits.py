"""Why something waits, in words: for its time, for a place, for a pause to end, or for a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinstripe.clock import to_datetime, to_microseconds
from pinstripe.queue import LACKS_JOB, Held
from pinstripe.views.text import moment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from pinstripe.project import Project
    from pinstripe.queue import Process
    from pinstripe.run import Execution, Run

NO_WORKER = "no worker is there; `pinstripe start-worker` starts one"

LACKING = ("waits for a worker that has its job", "wait for a worker that has their job")
"""How one, and how several are said to wait that no worker has begun, for the one that took them lacks their job."""

_WORDS: Mapping[Held, tuple[str, str]] = {
    Held.DUE: ("waits for its time", "wait for their time"),
    Held.LIMIT: ("waits for its job's limit", "wait for their job's limit"),
    Held.TENANT_LIMIT: ("waits for its job's limit per tenant", "wait for their job's limit per tenant"),
    Held.PAUSED: ("is paused", "are paused"),
    Held.OVERLAP: ("waits for an earlier fire", "wait for earlier fires"),
}


async def why(project: Project, run: Run) -> str | None:
    """Tell why what is left of a run waits; None where nothing of it waits for a worker, as in a run by hand."""
    if run.finished:
        return None
    queue = project.ledger.queue
    waits = await queue.waits(run.id)
    now = project.clock.now()
    parts = held_in_words(waits.held, waits.next_due, now, lacking=waits.lacking)
    if waits.lacks_job:
        parts.append("its tenants wait to be selected by a worker that has its job")
    elif waits.selecting and waits.next_due is not None and waits.next_due > now:
        parts.append(f"its tenants are selected at {moment(to_datetime(waits.next_due))}")
    elif waits.selecting:
        parts.append("its tenants wait to be selected")
    if waits.ready:
        parts.append(f"{waits.ready:,} {'is' if waits.ready == 1 else 'are'} queued")
    if not parts:
        return None
    status = await queue.status()
    if not has_worker(status.processes, now, project.settings.worker.lease):
        parts.append(NO_WORKER)
    return "; ".join(parts)


def held_in_words(held: Mapping[Held, int], next_due: int | None, now: int, *, lacking: int = 0) -> list[str]:
    """Write what is held by reason: `3 wait for their time, the next at 2026-11-21 20:00:00Z`.

    What is due already, by `now`, waits for a worker that sees it. Of those that wait for their time `lacking` do so
    only since the worker that took them lacks their job; when they are tried again says nothing of the others.
    """
    parts = []
    if lacking:
        parts.append(f"{lacking:,} {LACKING[0] if lacking == 1 else LACKING[1]}")
        held, next_due = {**held, Held.DUE: max(held.get(Held.DUE, 0) - lacking, 0)}, None
    for reason in Held:
        number = held.get(reason, 0)
        if number:
            one, many = _WORDS[reason]
            words = f"{number:,} {one if number == 1 else many}"
            if reason is Held.DUE and next_due is not None:
                words = _due(number, words, moment(to_datetime(next_due)), is_past=next_due <= now)
            parts.append(words)
    return parts


def _due(number: int, words: str, at: str, *, is_past: bool) -> str:
    if number == 1:
        return f"1 is due since {at}" if is_past else f"{words} at {at}"
    return f"{words}, the first since {at}" if is_past else f"{words}, the next at {at}"


def why_held(execution: Execution, now: int) -> str | None:
    """Write why one execution may not start yet, at `now` (microseconds UTC); None where it may, or did."""
    if execution.held is None:
        return None
    held = {Held(execution.held): 1}
    due = None if execution.due_at is None else to_microseconds(execution.due_at)
    is_lacking = execution.held == Held.DUE and (execution.error or "").startswith(LACKS_JOB)
    return of_one(held_in_words(held, due, now, lacking=int(is_lacking))[0])


def of_one(words: str) -> str:
    """Write the same where there is but one: `for its time at 2026-11-21 20:00:00Z`, `paused`, `queued`."""
    return words.removeprefix("1 waits ").removeprefix("1 is ")


def has_worker(processes: Sequence[Process], now: int, lease: timedelta) -> bool:
    """Tell whether any process takes work from the queue."""
    return any(
        process.concurrency is not None and not process.stopping and not is_silent(process, now, lease)
        for process in processes
    )


def count_bots(processes: Sequence[Process], now: int, lease: timedelta) -> int:
    """Count the processes that let schedules fire."""
    return sum(process.bot and not process.stopping and not is_silent(process, now, lease) for process in processes)


def is_silent(process: Process, now: int, lease: timedelta) -> bool:
    """Tell whether a process hasn't been heard of for a lease: it is dead, and nobody has cleaned up after it."""
    return now - process.beat > lease.total_seconds() * 1_000_000
