"""What is paused, for whoever wants to start something. Functions of a transaction."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pinstripe.ledgers.pauses import PAUSED, Pauses
from pinstripe.ledgers.sqlite.settling import count
from pinstripe.ledgers.sqlite.statements import statement
from pinstripe.run import ExecutionStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw


def read_pauses(connection: apsw.Connection) -> Pauses:
    """Read all pauses, once a transaction."""
    return Pauses(connection.execute(statement("pauses")))


def skip_paused(connection: apsw.Connection, run: int, job: str, tenants: Sequence[str], now: int) -> Sequence[str]:
    """Skip those of `tenants` whose execution in a run by hand is paused; give the others."""
    pauses = read_pauses(connection)
    if not pauses:
        return tenants
    paused = [tenant for tenant in tenants if pauses.holds(job, tenant)]
    if paused:
        values = {"run": run, "tenants": json.dumps(paused), "reason": PAUSED, "now": now}
        skipped = connection.execute(statement("skip_tenants"), values).fetchall()
        count(connection, run, {ExecutionStatus.SKIPPED: len(skipped)}, now)
    gone = set(paused)
    return [tenant for tenant in tenants if tenant not in gone]
