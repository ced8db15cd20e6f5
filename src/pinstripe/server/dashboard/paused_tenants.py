"""Which tenants of a list are paused: for all jobs, or for some."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pinstripe.project import Project


async def paused_in(project: Project, tenants: Sequence[str]) -> Mapping[str, str]:
    """Tell how those of these tenants are paused that are: `paused`, or `paused for 2 jobs`."""
    wanted = {*tenants}
    jobs: dict[str, set[str | None]] = {}
    for pause in await project.ledger.queue.pauses():
        if pause.tenant in wanted and pause.tenant is not None:
            jobs.setdefault(pause.tenant, set()).add(pause.job)
    return {tenant: _words(paused) for tenant, paused in jobs.items()}


def _words(jobs: set[str | None]) -> str:
    if None in jobs:
        return "paused"
    return "paused for one job" if len(jobs) == 1 else f"paused for {len(jobs):,} jobs"
