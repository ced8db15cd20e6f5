"""Overviews of a job's last runs, and of who fails: each a few statements that look into indexes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pinstripe.history import SAMPLED, RunPoint
from pinstripe.ledgers.overviews import (
    FAILED_RUNS,
    FAILURES,
    LATER,
    OF_TENANT,
    SPARSE,
    FailedRun,
    choose_tenants,
    durations_of,
    failing_of,
    groups_of,
    make_heat_map,
)
from pinstripe.ledgers.postgres.listing import make_runs
from pinstripe.ledgers.postgres.texts import writable
from pinstripe.ledgers.postgres.transaction import columns
from pinstripe.ledgers.rows import NUMBER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pinstripe.history import FailingTenant, HeatMap
    from pinstripe.ledgers.postgres.transaction import Transaction
    from pinstripe.run import Run


async def read_points(tx: Transaction, job: str, limit: int) -> list[RunPoint]:
    """Give a job's last runs, oldest first, with percentiles of how long their executions took."""
    runs = await _last_runs(tx, job, limit)
    took = dict(await tx.rows("durations", [*runs], SPARSE * SAMPLED, SAMPLED))
    return [RunPoint(run, durations_of(took[number])) for number, run in runs.items()]


async def read_heat_map(tx: Transaction, job: str, runs: int, rows: int) -> HeatMap:
    """Give the tenants of a job's last runs; of each run, some of those that failed are looked at."""
    last = await _last_runs(tx, job, runs)
    found = await tx.rows("heat_tenants", [*last], FAILURES // max(1, len(last)), 2 * rows + 1)
    tenants, more = choose_tenants((failed for failed, _ in found), (others for _, others in found), rows)
    cells = await tx.rows("heat_cells", [*last], tenants)
    each = ((tenant, n, state) for n, there, states in cells for tenant, state in zip(there, states, strict=True))
    return make_heat_map(last, tenants, each, more=more)


async def read_failing(tx: Transaction, since: int, limit: int) -> list[FailingTenant]:
    """Give for which tenants jobs failed since then, newest first."""
    runs = sorted((FailedRun(*row) for row in await tx.rows("last_failed_runs", since, FAILED_RUNS)), reverse=True)
    tenants: dict[int, Any] = dict(await tx.rows("failed_tenants", [run.number for run in runs], 2 * limit))
    groups = groups_of(runs, tenants, limit)
    ids = {run.number: run.id for run in runs}
    values: Sequence[Any] = *columns(groups, 2), [*ids], [run.job for run in runs], since
    found = await tx.rows("failures_of_tenants", *values)
    failed = [(group, row) for group, row in zip(groups, found, strict=True) if row[0]]
    asked = columns(((*group, last, ids[last], at) for group, (_, last, _, at) in failed), 5)
    failing = [
        failing_of(group, failures, ids[last], error, finished_at, mended)
        for (group, (failures, last, error, finished_at)), (mended,) in zip(
            failed, await tx.rows("mended_in", *asked, LATER, OF_TENANT), strict=True
        )
    ]
    return sorted(failing, key=lambda each: -each.finished_at)


async def _last_runs(tx: Transaction, job: str, limit: int) -> dict[int, Run]:
    """Give a job's last runs by their numbers, oldest first."""
    rows = (await tx.rows("last_runs_of", writable(job), limit))[::-1]
    return dict(zip((row[NUMBER] for row in rows), await make_runs(tx, rows, with_failures=False), strict=True))
