"""What both ledgers make of what they read for an overview: percentiles, the heat map's rows, and who fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pinstripe.history import Durations, FailingTenant, HeatMap, HeatRow
from pinstripe.run import ExecutionStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pinstripe.run import Run

FAILED_RUNS = 200
"""How many of the last failed runs are looked at for who fails, and how many of the last that still run."""

FAILURES = 10_000
"""How many failures of all runs of a heat map are looked at together: as many of each, the first by tenant."""

LATER = 8
"""How many of a job's last runs, and of a failed run's last retries, are looked at for who has succeeded since."""

OF_TENANT = 16
"""How much of what was last done for a tenant is looked at for the same."""

SPARSE = 2
"""For each execution whose duration is taken, how many are looked at, at most: some of a run may not have finished."""

_STATUSES = {str(status): status for status in ExecutionStatus}


class FailedRun(NamedTuple):
    """A run that has failures: its number, its id and its job."""

    number: int
    id: str
    job: str


class Group(NamedTuple):
    """A tenant for which a job fails."""

    job: str
    tenant: str


def durations_of(took: Iterable[int]) -> Durations | None:
    """Give the percentiles of some durations, which a clock may have made negative; None where there are none."""
    ordered = sorted(max(0, each) for each in took)
    if not ordered:
        return None
    many = len(ordered)
    p50, p95 = (ordered[-(-many * percent // 100) - 1] for percent in (50, 95))
    return Durations(p50, p95, ordered[-1], many)


def choose_tenants(
    failed: Iterable[Sequence[str]], others: Iterable[Sequence[str]], rows: int
) -> tuple[list[str], bool]:
    """Give the tenants of a heat map, and whether there are more: those that failed most, then others by their ids.

    `failed` has, for each run, the tenants that failed in it, and `others` the first of all that were in it: twice as
    many as there are `rows`, and one more.
    """
    failures: dict[str, int] = {}
    for tenants in failed:
        for tenant in tenants:
            if tenant:
                failures[tenant] = failures.get(tenant, 0) + 1
    chosen = sorted(failures, key=lambda tenant: (-failures[tenant], tenant))
    if len(chosen) <= rows:
        chosen += sorted({tenant for tenants in others for tenant in tenants if tenant} - failures.keys())
    return chosen[:rows], len(chosen) > rows


def make_heat_map(
    runs: Mapping[int, Run], tenants: Iterable[str], cells: Iterable[tuple[str, int, str]], *, more: bool
) -> HeatMap:
    """Make a heat map of runs by their numbers, oldest first, and of its `cells`: tenant, run's number and state."""
    states = {(tenant, number): _STATUSES[state] for tenant, number, state in cells}
    rows = []
    for tenant in tenants:
        of_tenant = [states.get((tenant, number)) for number in runs]
        rows.append(HeatRow(tenant, of_tenant, of_tenant.count(ExecutionStatus.FAILED)))
    return HeatMap([*runs.values()], sorted(rows, key=lambda row: (-row.failed, row.tenant)), more)


def groups_of(runs: Iterable[FailedRun], tenants: Mapping[int, Sequence[str]], limit: int) -> list[Group]:
    """Give the first `limit` of those that fail: of runs, newest first, with the `tenants` that failed in each."""
    groups: dict[Group, None] = {}
    for run in runs:
        for tenant in tenants.get(run.number, ()):
            if len(groups) == limit:
                return [*groups]
            groups[Group(run.job, tenant)] = None
    return [*groups]


def failing_of(
    group: Group, failures: int, run: str, error: str | None, finished_at: int, mended: str | None
) -> FailingTenant:
    """Make one that fails, with the first line of its last error."""
    first, *_ = (error or "").strip().splitlines() or [""]
    return FailingTenant(group.tenant or None, group.job, failures, run, first, finished_at, mended)
