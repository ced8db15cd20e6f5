"""What is paused, as whoever wants to start something sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PAUSED = "paused"
"""Why an execution is skipped whose tenant or job is paused, where nobody waits for the end of the pause."""


class Pauses:
    """All pauses, as of when they were read."""

    def __init__(self, rows: Iterable[Sequence[Any]]) -> None:
        """Take the `rows` of the statement `pauses`: job, tenant, and since when; either is empty for any."""
        self._pairs = {(job, tenant) for job, tenant, _ in rows}

    def holds_job(self, job: str) -> bool:
        """Tell whether a job, or everything, is paused."""
        pairs = self._pairs
        return ("", "") in pairs or (job, "") in pairs

    def holds_tenant(self, job: str, tenant: str) -> bool:
        """Tell whether a tenant is paused, for that job or for all."""
        return bool(tenant) and (("", tenant) in self._pairs or (job, tenant) in self._pairs)

    def holds(self, job: str, tenant: str) -> bool:
        """Tell whether a job may not be started for a tenant now."""
        return self.holds_job(job) or self.holds_tenant(job, tenant)

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self._pairs)
