"""The page of one execution: all that is kept of a run's work for one tenant, and its log as plain text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from pinstripe.server.access.confining import seen_run
from pinstripe.server.access.identity import access_of
from pinstripe.server.access.require import require_tenant
from pinstripe.server.dashboard.rendering import render
from pinstripe.server.dashboard.since import Since, look_since_for
from pinstripe.server.dashboard.tenant_fields import tenant_field
from pinstripe.views.executions import attempts_in_words
from pinstripe.views.waits import why_held

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from pinstripe.run import Execution, ExecutionStatus, Run
    from pinstripe.server.context import WebContext

AGAIN = ("failed", "cancelled", "skipped")
"""The states of which an execution can be retried."""


def routes(context: WebContext) -> list[BaseRoute]:
    """Give the routes of an execution's page, and of its log."""

    async def page(request: Request) -> Response:
        run, execution = await _find(context, request)
        tenant, ended = execution.tenant, run.finished and _may_be_retried(execution.status)
        since = await look_since_for(context.history, run, tenant) if ended else Since({}, {})
        return render(
            request,
            "execution.html",
            run=run,
            execution=execution,
            fields={"chosen": "1", **tenant_field(execution.tenant)} if execution.tenant is not None else {},
            result=result_text(execution),
            attempts=attempts_in_words(execution) or "0",
            held=why_held(execution, context.project.clock.now()),
            mended=since.succeeded.get(tenant),
            retried=since.retried.get(tenant, []),
            may_retry=access_of(request).may_operate and ended and not since.needs_none(tenant),
        )

    async def log(request: Request) -> Response:
        run, execution = await _find(context, request)
        headers = {
            "Content-Disposition": f'attachment; filename="{run.id}.log"',
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        }
        return PlainTextResponse((execution.log or "").encode("utf-8", "backslashreplace"), headers=headers)

    return [
        Route("/runs/{run}/execution", page, methods=["GET", "HEAD"]),
        Route("/runs/{run}/log", log, methods=["GET", "HEAD"]),
    ]


async def _find(context: WebContext, request: Request) -> tuple[Run, Execution]:
    """Find the execution that is asked for; what others' tenants have isn't looked for."""
    ledger = context.project.ledger
    tenant = request.query_params.get("tenant")
    access = access_of(request)
    require_tenant(access, tenant)
    run = await seen_run(ledger, request.path_params["run"], access, failures=False)
    execution = await ledger.find_execution(run.id, tenant)
    if execution is None:
        which = "an execution without a tenant" if tenant is None else f"the tenant {tenant!r}"
        raise HTTPException(404, f"Run {run.id} of {run.job} hasn't got {which}.")
    return run, execution


def _may_be_retried(status: ExecutionStatus) -> bool:
    return status in AGAIN


def result_text(execution: Execution) -> str | None:
    """Write an execution's result as JSON in lines; None where it has none."""
    return None if execution.result is None else json.dumps(execution.result, indent=2, ensure_ascii=False)
