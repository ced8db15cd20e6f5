"""What somebody sees of a run who is confined to some tenants: their own executions, and nothing of the others'."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from pinstripe.errors import UnknownRun
from pinstripe.history import ExecutionPage
from pinstripe.retrying import ONLY
from pinstripe.run import Counts, ExecutionStatus, Failure, Run, RunStatus
from pinstripe.tokens import HIDDEN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pinstripe.history import History, TenantPage
    from pinstripe.ledger import Ledger
    from pinstripe.run import Execution
    from pinstripe.server.access.identity import Access


LAST = "last"
"""The reference of the newest run."""

UNSEEN = "there is no run of that id that one of your tenants is in, or it isn't kept any more"
"""What is said of others' runs, and of what is none: not even that there is one."""


async def seen_run(ledger: Ledger, reference: str, access: Access, *, failures: bool = True) -> Run:
    """Find a run by a `reference`, as somebody may see it; `last` is the newest one that they may.

    Raises `UnknownRun`, and to who is confined always by the same words: a reference of several runs would name others'
    runs, and one of a single run would tell that there is one.
    """
    if access.tenants is None:
        return await ledger.find_run(reference, failures=failures)
    try:
        if reference.strip().lower() == LAST:
            reference = await _last(ledger.history, access.tenants)
        return await confined_run(ledger, await ledger.find_run(reference, failures=failures), access)
    except UnknownRun:
        raise UnknownRun(UNSEEN) from None


async def _last(history: History, tenants: Iterable[str]) -> str:
    """Give the id of the newest run that one of the tenants is in: ids sort by time."""
    newest = [page.executions[0].run for tenant in tenants if (page := await _newest(history, tenant)).executions]
    if not newest:
        raise UnknownRun(UNSEEN)
    return max(newest)


async def _newest(history: History, tenant: str) -> TenantPage:
    return await history.executions_of_tenant(tenant, limit=1)


async def confined_run(ledger: Ledger, run: Run, access: Access) -> Run:
    """Give a run as somebody may see it, whose counts and failures are of their own tenants only.

    Raises `UnknownRun` where none of its executions is of one of their tenants: that there is such a run is nothing
    for them.
    """
    if access.tenants is None:
        return run
    executions = await ledger.history.executions_of(run.id, sorted(access.tenants))
    if not executions and not await _will_be_theirs(ledger, run, access.tenants):
        raise UnknownRun(UNSEEN)
    return _narrowed(run, executions)


async def confined_runs(
    ledger: Ledger, runs: Sequence[Run], access: Access, status: RunStatus | None = None
) -> list[Run]:
    """Give those of a page of runs that somebody may see, as they may see them; the page may become empty.

    With a `status`, only those that have it for them. The page must hold runs of every status: what a run's own status
    lets through would tell how it went for others.
    """
    if access.tenants is None:
        return list(runs)
    tenants = sorted(access.tenants)
    found = await asyncio.gather(*(ledger.history.executions_of(run.id, tenants) for run in runs))
    seen = [_narrowed(run, executions) for run, executions in zip(runs, found, strict=True) if executions]
    return [run for run in seen if status is None or run.status == status]


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


async def _will_be_theirs(ledger: Ledger, run: Run, tenants: frozenset[str]) -> bool:
    """Tell whether a run whose tenants a worker is still to select is for some of these alone."""
    if not run.selecting:
        return False
    selection = (await ledger.selected_by(run.id)).selection
    named: list[str] = selection.get(ONLY) or selection.get("tenants") or []
    return bool(named) and tenants.issuperset(named)


def _narrowed(run: Run, executions: Sequence[Execution]) -> Run:
    """Leave of a run what its executions for some tenants tell."""
    if len(executions) == run.executions.total and not run.selecting:
        return run if run.retry_of is None else _without_arguments(run)  # nobody else is in it
    counts = Counter(execution.status for execution in executions)
    starts = [execution.started_at for execution in executions if execution.started_at is not None]
    ends = [execution.finished_at for execution in executions if execution.finished_at is not None]
    failures = tuple(
        Failure(execution.tenant, execution.attempts, execution.error or "", execution.traceback)
        for execution in executions
        if execution.status == ExecutionStatus.FAILED
    )
    return replace(
        _without_arguments(run),
        status=_status(counts) if executions else run.status,
        parent=None,
        error=None,
        result=None,
        started_at=min(starts, default=None),
        finished_at=max(ends) if ends and len(ends) == len(executions) else None,
        executions=Counts(len(executions), **{str(status): counts[status] for status in ExecutionStatus}),
        failures=failures,
    )


def _without_arguments(run: Run) -> Run:
    """Hide the arguments, which others have given for more tenants than one's own; a retry has those of its run."""
    return replace(run, args=tuple(HIDDEN for _ in run.args), kwargs=dict.fromkeys(run.kwargs, HIDDEN))


def _status(counts: Counter[ExecutionStatus]) -> RunStatus:
    """Tell how a run stands that has these executions alone."""
    if counts[ExecutionStatus.RUNNING]:
        return RunStatus.RUNNING
    if counts[ExecutionStatus.QUEUED]:
        return RunStatus.RUNNING if len(counts) > 1 else RunStatus.QUEUED
    if counts[ExecutionStatus.FAILED]:
        return RunStatus.FAILED
    return RunStatus.CANCELLED if counts[ExecutionStatus.CANCELLED] else RunStatus.SUCCEEDED
