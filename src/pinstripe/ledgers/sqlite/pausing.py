"""What is paused, as whoever wants to start something sees it. Functions of a transaction."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pinstripe.ledgers.sqlite.settling import count
from pinstripe.ledgers.sqlite.statements import statement
from pinstripe.run import ExecutionStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw

PAUSED = "paused"
"""Why an execution is skipped whose tenant or job is paused, where nobody waits for the end of the pause."""


class Pauses:
    """All pauses, read once a transaction."""

    def __init__(self, connection: apsw.Connection) -> None:
        """Read them."""
        self._pairs = {(job, tenant) for job, tenant, _ in connection.execute(statement("pauses"))}

    def holds_job(self, job: str) -> bool:
        """Tell whether a job, or everything, is paused."""
        pairs = self._pairs
        return ("", "") in pairs or (job, "") in pairs

    def holds_tenant(self, job: str, tenant: str) -> bool:
        """Tell whether a tenant is paused, for that job or for all."""
        return bool(tenant) and (("", tenant) in self._pairs or (job, tenant) in self._pairs)

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self._pairs)


def skip_paused(connection: apsw.Connection, run: int, job: str, tenants: Sequence[str], now: int) -> Sequence[str]:
    """Skip those of `tenants` whose execution in a run by hand is paused; give the others."""
    pauses = Pauses(connection)
    if not pauses:
        return tenants
    paused = [tenant for tenant in tenants if pauses.holds_job(job) or pauses.holds_tenant(job, tenant)]
    if paused:
        values = {"run": run, "tenants": json.dumps(paused), "reason": PAUSED, "now": now}
        skipped = connection.execute(statement("skip_tenants"), values).fetchall()
        count(connection, run, {ExecutionStatus.SKIPPED: len(skipped)}, now)
    gone = set(paused)
    return [tenant for tenant in tenants if tenant not in gone]
