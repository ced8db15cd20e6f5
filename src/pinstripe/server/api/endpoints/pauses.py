"""Pauses: what may not start."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Query

from pinstripe.actor import Door
from pinstripe.queue import Pause as OnePause
from pinstripe.server.access.identity import Access
from pinstripe.server.access.require import actor_of, require_tenant
from pinstripe.server.api.answers import Json
from pinstripe.server.api.asking import Caller, Context, JobFilter, Page, TenantFilter, job_filter
from pinstripe.server.api.document import PAUSES, answers, page_of
from pinstripe.server.api.models.pauses import Changed, NewPause, Pause
from pinstripe.server.api.problems import Misfit
from pinstripe.server.api.routing import VERSION, Route
from pinstripe.server.api.validation import FieldProblem
from pinstripe.views.pauses import Scope, pauses_json

router = APIRouter(prefix=VERSION, route_class=Route, tags=[PAUSES])


@router.get(
    "/pauses",
    operation_id="listPauses",
    summary="List what is paused",
    response_model=page_of(Pause),
    responses=answers(pages=True),
)
async def list_pauses(context: Context, caller: Caller, paging: Page) -> Json:
    """List what is paused: everything, jobs, tenants, and jobs for tenants.

    Who is confined to tenants is told of theirs only, though a job's pause, or that of everything, holds for them, too.
    """
    of: dict[str, object] = {"list": "pauses"}
    after = paging.position(of, str)
    pauses = [(_key(one), one) for one in await context.project.ledger.queue.pauses() if caller.sees(one.tenant)]
    left = sorted((key, one) for key, one in pauses if after is None or key > after)
    shown = left[: paging.limit]
    last = shown[-1][0] if len(left) > paging.limit else None
    return paging.answer(pauses_json([one for _, one in shown]), last, of)


@router.post("/pauses", operation_id="pause", summary="Pause", response_model=Changed, responses=answers(body=True))
async def pause(context: Context, caller: Caller, body: NewPause) -> Json:
    """Let nothing more start of a job, for a tenant, of the job for the tenant, or at all.

    What runs goes on. What is enqueued waits until the pause is ended; of a run over several tenants, one whose tenant
    is paused is skipped instead. What is paused already stays so.
    """
    scope = _scope(body.job, body.tenant, caller, everything=body.everything)
    changed = await context.project.pause(scope.job, scope.tenant, actor=actor_of(caller, Door.API))
    return Json({"job": scope.job, "tenant": scope.tenant, "changed": changed})


@router.delete("/pauses", operation_id="resume", summary="Resume", response_model=Changed, responses=answers(403))
async def resume(
    context: Context,
    caller: Caller,
    job: JobFilter = None,
    tenant: TenantFilter = None,
    everything: Annotated[bool, Query(description="The pause of everything.")] = False,  # noqa: FBT002 - a parameter
) -> Json:
    """End the pause of a job, of a tenant, of the job for the tenant, or of everything; no other pause is ended."""
    scope = _scope(job, tenant, caller, everything=everything)
    changed = await context.project.resume(scope.job, scope.tenant, actor=actor_of(caller, Door.API))
    return Json({"job": scope.job, "tenant": scope.tenant, "changed": changed})


def _scope(job: str | None, tenant: str | None, caller: Access, *, everything: bool) -> Scope:
    """Read what is to be paused or resumed; nothing must never mean everything."""
    if everything and not (job is None and tenant is None):
        message = "expected `everything` alone, or `job` and `tenant` without it"
        raise Misfit([FieldProblem("everything", message)])
    if not everything and job is None and tenant is None:
        raise Misfit([FieldProblem("job", "expected `job`, `tenant`, both of them, or `everything`, got none")])
    require_tenant(caller, tenant)
    return Scope(job_filter(job), tenant)


def _key(pause: OnePause) -> str:
    """Write by what the list is in order: the oldest first."""
    return f"{pause.since:020}{json.dumps([pause.job, pause.tenant])}"
