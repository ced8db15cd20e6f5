"""Retention: what the ledger keeps goes once its time has passed, in transactions so short that nobody waits for them.

Whole closed runs, the output of executions, of schedules what says nothing any more, tallies and the audit trail.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pinstripe.ledgers.retention import past
from pinstripe.ledgers.sqlite.statements import statement

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import apsw

    from pinstripe.clock import Clock
    from pinstripe.config import RetentionSettings

T = TypeVar("T")

ROWS = 50
"""How many rows one transaction removes at most."""

TRANSACTION_TIME = 0.003
"""Seconds after which a transaction removes no more."""

PASS_TIME = 0.25
"""Seconds that one call takes at most: it is made at the end of a command, and the next one carries on."""


class Write(Protocol):
    """Runs a request in a transaction, as `Writer.write` does."""

    def __call__(self, request: Callable[[apsw.Connection], T]) -> Awaitable[T]:
        """Run the request; give what it gave."""
        ...


async def prune(write: Write, settings: RetentionSettings, clock: Clock) -> int:
    """Remove what is past its time, for at most `PASS_TIME`; give how many runs went."""
    until = time.monotonic() + PASS_TIME
    before = past(settings, clock.now())
    marks = {"succeeded": before.succeeded, "failed": before.failed, "limit": ROWS}
    others: dict[str, dict[str, Any]] = {
        "old_logs": {"before": before.logs, "limit": ROWS},
        "old_local_fires": {"before": before.local_time, "limit": ROWS},
        "old_zones": {"before": before.gone, "limit": ROWS},
        "old_schedules": {"before": before.gone, "limit": ROWS},
        "old_tallies": {"before": before.minute, "limit": ROWS},
        "old_audit": {"before": before.audit, "limit": ROWS},
    }
    pruned = 0
    while time.monotonic() < until:
        removed, finished = await write(lambda tx: _remove(tx, marks, others))
        pruned += finished
        if not removed:
            break
    return pruned


def _remove(connection: apsw.Connection, marks: dict[str, Any], others: dict[str, dict[str, Any]]) -> tuple[int, int]:
    """One transaction: some rows of pruned runs, or of another kind. Gives how many rows and whole runs went."""
    until = time.monotonic() + TRANSACTION_TIME
    if connection.execute(statement("next_pruned")).fetchone() is None:
        connection.execute(statement("mark_for_pruning"), marks)
    removed = finished = 0
    while removed < ROWS and (not removed or time.monotonic() < until):
        row = connection.execute(statement("next_pruned")).fetchone()
        if row is None:
            break
        ids = [
            id_
            for (id_,) in connection.execute(statement("executions_to_prune"), {"run": row[0], "limit": ROWS - removed})
        ]
        if ids:
            connection.execute(statement("prune_logs"), {"ids": json.dumps(ids)})
            connection.execute(statement("prune_executions"), {"ids": json.dumps(ids)})
        else:
            connection.execute(statement("prune_run"), {"run": row[0]})
            finished += 1
        removed += len(ids) + 1
    for name, values in others.items():
        if not removed:
            connection.execute(statement(name), values)
            removed = connection.changes()
    return removed, finished
