"""Executions: a run's work for its tenants, and what was done for one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import PlainTextResponse

from pinstripe.history import ExecutionPage
from pinstripe.run import Execution as OneExecution
from pinstripe.run import ExecutionStatus
from pinstripe.server.access.confining import confined_executions
from pinstripe.server.access.identity import Access
from pinstripe.server.access.require import Refused, require_tenant
from pinstripe.server.api.answers import Json
from pinstripe.server.api.asking import (
    Caller,
    Context,
    JobFilter,
    OneTenant,
    Page,
    Reference,
    Tenant,
    job_filter,
)
from pinstripe.server.api.document import EXECUTIONS, answers, page_of
from pinstripe.server.api.finding import find_run
from pinstripe.server.api.models.executions import Execution, ListedExecution
from pinstripe.server.api.problems import Misfit
from pinstripe.server.api.routing import VERSION, Route
from pinstripe.server.api.validation import FieldProblem
from pinstripe.server.context import WebContext
from pinstripe.views.executions import execution_json

router = APIRouter(prefix=VERSION, route_class=Route, tags=[EXECUTIONS])

StatusFilter = Annotated[
    ExecutionStatus | None, Query(description="Only executions of this status.", examples=["failed"])
]


@router.get(
    "/runs/{run}/executions",
    operation_id="listExecutionsOfRun",
    summary="List a run's executions",
    response_model=page_of(ListedExecution),
    responses=answers(404, pages=True),
)
async def list_executions_of_run(
    context: Context,
    caller: Caller,
    paging: Page,
    run: Reference,
    status: StatusFilter = None,
    search: Annotated[
        str | None,
        Query(min_length=1, max_length=200, description="Only tenants whose id has this in it, in any case."),
    ] = None,
) -> Json:
    """List the executions of a run by tenant."""
    found = await find_run(context, caller, run, failures=False)
    of = {"list": "executions", "run": found.id, "status": status, "search": search}
    after = paging.position(of, str)
    if caller.is_confined:
        theirs = await confined_executions(context.history, found, caller, status=status, search=search)
        executions = _page(theirs.executions, after, paging.limit)
    else:
        executions = await context.history.executions(
            found.id, status=status, search=search, after=after, limit=paging.limit
        )
    return paging.answer([listed(one) for one in executions.executions], executions.next, of)


@router.get(
    "/runs/{run}/execution",
    operation_id="getExecution",
    summary="Look at an execution",
    response_model=Execution,
    responses=answers(403, 404),
)
async def get_execution(context: Context, caller: Caller, run: Reference, tenant: OneTenant = None) -> Json:
    """Tell what became of a run for one tenant, with its traceback, its result and its log."""
    return Json(execution_json(await _find(context, caller, run, tenant)))


@router.get(
    "/runs/{run}/log",
    operation_id="getLog",
    summary="Read an execution's log",
    response_class=PlainTextResponse,
    responses=answers(403, 404),
)
async def get_log(context: Context, caller: Caller, run: Reference, tenant: OneTenant = None) -> PlainTextResponse:
    """Give what the job printed and logged for one tenant, as plain text, and nothing where nothing is kept.

    It is the job's own, and may hold control characters.
    """
    execution = await _find(context, caller, run, tenant)
    text = (execution.log or "").encode("utf-8", "backslashreplace")
    return PlainTextResponse(text, headers={"Cache-Control": "no-store"})


@router.get(
    "/executions",
    operation_id="listExecutionsOfTenant",
    summary="List a tenant's executions",
    response_model=page_of(ListedExecution),
    responses=answers(403, pages=True),
)
async def list_executions_of_tenant(
    context: Context,
    caller: Caller,
    paging: Page,
    tenant: Tenant,
    job: JobFilter = None,
    status: StatusFilter = None,
) -> Json:
    """List what was done for a tenant by all jobs, newest run first."""
    require_tenant(caller, tenant)
    of = {"list": "tenant", "tenant": tenant, "job": job_filter(job), "status": status}
    found = await context.history.executions_of_tenant(
        tenant, job=job_filter(job), status=status, before=paging.position(of, int), limit=paging.limit
    )
    return paging.answer([listed(one) for one in found.executions], found.next, of)


def listed(execution: OneExecution) -> dict[str, Any]:
    """Write an execution as a list has it: without what may be long."""
    written = execution_json(execution)
    for key in ("traceback", "result", "log"):
        del written[key]
    return written


async def _find(context: WebContext, caller: Access, reference: str, tenant: str | None) -> OneExecution:
    """Find an execution; raises `UnknownRun`, and `Refused` for a tenant that isn't in it, or isn't theirs."""
    if caller.is_confined:
        require_tenant(caller, tenant)
    run = await find_run(context, caller, reference, failures=False)
    execution = await context.project.ledger.find_execution(run.id, tenant)
    if execution is not None:
        return execution
    if tenant is None:
        message = f"run {run.id} of {run.job} is for tenants; expected `tenant` to be one of them"
        raise Misfit([FieldProblem("tenant", message)])
    message = f"run {run.id} of {run.job} has no tenant {tenant!r}"
    raise Refused(404, "Unknown tenant", message, type_="unknown-tenant")


def _page(executions: Sequence[OneExecution], after: str | None, limit: int) -> ExecutionPage:
    """Give a page of the caller's own executions, which are few."""
    left = [one for one in executions if after is None or (one.tenant or "") > after]
    return ExecutionPage(left[:limit], left[limit - 1].tenant if len(left) > limit else None)
