"""What both ledgers know of runs whose tenants are being selected: who of them is due when."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

NOT_OURS = "run {} is not this process's to select any more: it was cancelled, or this process was taken for dead"
"""Why nothing more can be added to a run; in braces is its id."""


class SelectionFacts(NamedTuple):
    """What a run's schedule says of its executions. `begins_at` is when its window begins, which is `spread` long."""

    schedule: str | None
    overlap: str | None
    begins_at: int
    spread: int | None
    local_time: str | None

    @property
    def guarded(self) -> str | None:
        """The schedule of which a tenant has one unfinished execution at a time; None where any number may be."""
        return None if self.overlap is None else self.schedule

    def dues(self, job: str, tenants: Sequence[str], now: int) -> list[int | None]:
        """Give when the place of each tenant in the window comes, None where it has, or where there is no window."""
        if self.spread is None:
            return [None] * len(tenants)
        from pinstripe.schedule import offset  # most commands have no use for it

        dues = [self.begins_at + offset(job, tenant, self.spread) for tenant in tenants]
        return [due if due > now else None for due in dues]
