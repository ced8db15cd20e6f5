"""What somebody sees of a run who is confined to some tenants: their own executions, and nothing of the others'."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from pinstripe.errors import UnknownRun
from pinstripe.history import ExecutionPage
from pinstripe.run import Counts, ExecutionStatus, Failure, Run, RunStatus
from pinstripe.tokens import HIDDEN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pinstripe.history import History
    from pinstripe.run import Execution
    from pinstripe.server.access.identity import Access


async def confined_run(history: History, run: Run, access: Access) -> Run:
    """Give a run as somebody may see it, whose counts and failures are of their own tenants only.

    Raises `UnknownRun` where none of its executions is of one of their tenants: that there is such a run is nothing
    for them.
    """
    if access.tenants is None:
        return run
    executions = await history.executions_of(run.id, sorted(access.tenants))
    if not executions:
        message = f"unknown run {run.id!r}: `pinstripe list-runs` shows those there are"
        raise UnknownRun(message)
    return _narrowed(run, executions)


async def confined_runs(history: History, runs: Sequence[Run], access: Access) -> list[Run]:
    """Give those of a page of runs that somebody may see, as they may see them; the page may become empty."""
    if access.tenants is None:
        return list(runs)
    tenants = sorted(access.tenants)
    found = await asyncio.gather(*(history.executions_of(run.id, tenants) for run in runs))
    return [_narrowed(run, executions) for run, executions in zip(runs, found, strict=True) if executions]


async def confined_executions(
    history: History,
    run: Run,
    access: Access,
    *,
    status: ExecutionStatus | None = None,
    search: str | None = None,
) -> ExecutionPage:
    """Give what somebody may see of a run's executions, by tenant, as `History.executions` does; all on one page."""
    tenants = sorted(access.tenants or ())
    found = [
        execution
        for execution in await history.executions_of(run.id, tenants)
        if (status is None or execution.status == status)
        and (not search or search.lower() in (execution.tenant or "").lower())
    ]
    return ExecutionPage(sorted(found, key=lambda execution: execution.tenant or ""), None)


def _narrowed(run: Run, executions: Sequence[Execution]) -> Run:
    """Leave of a run what its executions for some tenants tell."""
    if len(executions) == run.executions.total and not run.selecting:
        return run  # nobody else is in it
    counts = Counter(execution.status for execution in executions)
    starts = [execution.started_at for execution in executions if execution.started_at is not None]
    ends = [execution.finished_at for execution in executions if execution.finished_at is not None]
    failures = tuple(
        Failure(execution.tenant, execution.attempts, execution.error or "", execution.traceback)
        for execution in executions
        if execution.status == ExecutionStatus.FAILED
    )
    return replace(
        run,
        status=_status(counts),
        args=tuple(HIDDEN for _ in run.args),
        kwargs=dict.fromkeys(run.kwargs, HIDDEN),
        parent=None,
        error=None,
        result=None,
        started_at=min(starts, default=None),
        finished_at=max(ends) if len(ends) == len(executions) else None,
        executions=Counts(len(executions), **{str(status): counts[status] for status in ExecutionStatus}),
        failures=failures,
    )


def _status(counts: Counter[ExecutionStatus]) -> RunStatus:
    """Tell how a run stands that has these executions alone."""
    if counts[ExecutionStatus.RUNNING]:
        return RunStatus.RUNNING
    if counts[ExecutionStatus.QUEUED]:
        return RunStatus.RUNNING if len(counts) > 1 else RunStatus.QUEUED
    if counts[ExecutionStatus.FAILED]:
        return RunStatus.FAILED
    return RunStatus.CANCELLED if counts[ExecutionStatus.CANCELLED] else RunStatus.SUCCEEDED
