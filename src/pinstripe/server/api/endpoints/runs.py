"""Runs: listed and looked at."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from pinstripe.ledger import RunFilter
from pinstripe.run import Run as OneRun
from pinstripe.run import RunStatus
from pinstripe.server.access.confining import confined_runs
from pinstripe.server.access.require import require_tenant
from pinstripe.server.api.answers import Json
from pinstripe.server.api.asking import (
    Caller,
    Context,
    JobFilter,
    Page,
    Reference,
    TenantFilter,
    job_filter,
    since_filter,
)
from pinstripe.server.api.document import RUNS, answers, page_of
from pinstripe.server.api.finding import find_run
from pinstripe.server.api.models.fields import DURATION
from pinstripe.server.api.models.runs import ListedRun, Run
from pinstripe.server.api.routing import VERSION, Route

router = APIRouter(prefix=VERSION, route_class=Route, tags=[RUNS])


@router.get(
    "/runs",
    operation_id="listRuns",
    summary="List the runs",
    response_model=page_of(ListedRun),
    responses=answers(403, pages=True),
)
async def list_runs(
    context: Context,
    caller: Caller,
    paging: Page,
    job: JobFilter = None,
    tenant: TenantFilter = None,
    status: Annotated[RunStatus | None, Query(description="Only runs of this status.", examples=["failed"])] = None,
    since: Annotated[
        str | None,
        Query(description="Only runs not older than that.", examples=["2h", "2d"], json_schema_extra=DURATION),
    ] = None,
) -> Json:
    """List runs, newest first: all filters that are given must hold.

    Who is confined to tenants sees runs that had any of them, with the counts of those alone.
    """
    if tenant is not None:
        require_tenant(caller, tenant)
    of = {"list": "runs", "job": job_filter(job), "tenant": tenant, "status": status, "since": since}
    only = RunFilter(
        job=job_filter(job),
        tenant=tenant or _only_one(caller.tenants),
        status=None if caller.is_confined else status,  # how a run went for others is nothing to them
        since=since_filter(since, context.clock.now()),
        limit=paging.limit,
        failures=False,
    )
    found = await context.history.runs(only, before=paging.position(of, int))
    if not found.runs and only.job and only.job not in context.project.registry.names():
        context.project.registry.find(only.job)  # says which names are near
    runs = await confined_runs(context.project.ledger, found.runs, caller, status)
    return paging.answer([listed(run) for run in runs], found.next, of)


@router.get("/runs/{run}", operation_id="getRun", summary="Look at a run", response_model=Run, responses=answers(404))
async def get_run(context: Context, caller: Caller, run: Reference) -> Json:
    """Tell how a run stands, with each failed tenant and its error.

    Who is confined to tenants sees the counts and failures of theirs alone; where others are in it, neither arguments,
    result nor the run's own error.
    """
    return Json((await find_run(context, caller, run)).to_json())


def listed(run: OneRun) -> dict[str, Any]:
    """Write a run as a list has it: without failures, which may be a thousand."""
    written = run.to_json(tracebacks=False)
    del written["failures"]
    return written


def _only_one(tenants: frozenset[str] | None) -> str | None:
    """Give the tenant of who is confined to a single one: that filter is the ledger's, and quick."""
    return next(iter(tenants)) if tenants is not None and len(tenants) == 1 else None
