"""Retention: what the ledger keeps goes once its time has passed, in transactions so short that nobody waits for them.

Whole closed runs, the output of executions, of schedules what says nothing any more, tallies and the audit trail.
Processes that do this at the same time each remove something else: what one of them has locked the others leave to it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pinstripe.ledgers.retention import past

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pinstripe.clock import Clock
    from pinstripe.config import RetentionSettings
    from pinstripe.ledgers.postgres.transaction import Transaction
    from pinstripe.ledgers.retention import Past

T = TypeVar("T")

ROWS = 500
"""How many executions, or rows of another kind, one transaction removes at most: some 10 ms."""

PASS_TIME = 0.25
"""Seconds that one call takes at most: it is made at the end of a command, and the next one carries on."""


class Write(Protocol):
    """Runs a request in a transaction, as `Store.write` does."""

    def __call__(self, request: Callable[[Transaction], Awaitable[T]]) -> Awaitable[T]:
        """Run the request; give what it gave."""
        ...


async def prune(write: Write, settings: RetentionSettings, clock: Clock) -> int:
    """Remove what is past its time, for at most `PASS_TIME`; give how many runs went."""
    before = past(settings, clock.now())
    until = time.monotonic() + PASS_TIME
    pruned = 0
    while time.monotonic() < until:
        removed, finished = await write(lambda tx: _remove(tx, before))
        pruned += finished
        if not removed:
            break
    return pruned


async def _remove(tx: Transaction, before: Past) -> tuple[int, int]:
    """One transaction: some runs, a part of a large one, or something else. Gives how many rows and whole runs went."""
    run = await tx.value("next_pruned")
    if run is not None:
        return await _remove_part(tx, run)
    ends = {"succeeded": before.succeeded, "failed": before.failed, "cancelled": before.failed}
    for state, end in ends.items():
        rows = await tx.rows("old_runs", state, end, ROWS)
        if rows:
            return await _remove_runs(tx, rows)
    others: dict[str, Any] = {
        "old_logs": before.logs,
        "old_local_fires": before.local_time,
        "old_tallies": before.minute,
        "old_audit": before.audit,
    }
    if await tx.value("try_lock_schedules"):  # who has it may just bring one back
        others |= {"old_zones": before.gone, "old_schedules": before.gone}
    for name, value in others.items():
        removed = await tx.run(name, value, ROWS)
        if removed:
            return removed, 0
    return 0, 0


async def _remove_runs(tx: Transaction, rows: Any) -> tuple[int, int]:
    """Remove the first of some runs, as far as their executions fit in: each run is there whole, or not at all.

    One that doesn't fit leaves the screen whole, before its rows go.
    """
    fitting, executions = [], 0
    for n, total in rows:
        if executions + total > ROWS:
            break
        fitting.append(n)
        executions += total
    if not fitting:
        return await tx.run("mark_for_pruning", rows[0][0]), 0
    ids = [id_ for (id_,) in await tx.rows("prune_executions_of", fitting)]
    await tx.run("prune_logs", ids)
    pruned = await tx.run("prune_runs", fitting)
    return len(ids) + pruned, pruned


async def _remove_part(tx: Transaction, run: int) -> tuple[int, int]:
    """Remove some executions of a run that nothing shows any more, and with the last of them the run."""
    ids = [id_ for (id_,) in await tx.rows("prune_some_executions", run, ROWS)]
    await tx.run("prune_logs", ids)
    pruned = await tx.run("prune_runs", [run]) if len(ids) < ROWS else 0
    return len(ids) + pruned, pruned
