"""What goes on, and what was done by whom."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from pinstripe.clock import to_datetime, to_iso
from pinstripe.history import Action, AuditEntry
from pinstripe.server.access.require import require_all
from pinstripe.server.api.answers import Json
from pinstripe.server.api.asking import Caller, Context, JobFilter, Page, TenantFilter, job_filter
from pinstripe.server.api.document import AUDIT, STATUS, answers, page_of
from pinstripe.server.api.models.audit import AuditEntry as AuditModel
from pinstripe.server.api.models.status import Status
from pinstripe.server.api.routing import VERSION, Route
from pinstripe.views.status import look_at_status, status_json

router = APIRouter(prefix=VERSION, route_class=Route)


@router.get(
    "/status",
    operation_id="getStatus",
    summary="Tell what goes on",
    tags=[STATUS],
    response_model=Status,
    responses=answers(403),
)
async def get_status(context: Context, caller: Caller) -> Json:
    """Tell who works, what waits and why, what is paused, and what should have run by now and didn't."""
    require_all(caller)
    return Json(status_json(await look_at_status(context.project, context.timeline)))


@router.get(
    "/audit",
    operation_id="listAudit",
    summary="List who did what",
    tags=[AUDIT],
    response_model=page_of(AuditModel),
    responses=answers(403, pages=True),
)
async def list_audit(
    context: Context,
    caller: Caller,
    paging: Page,
    job: JobFilter = None,
    tenant: TenantFilter = None,
    run: Annotated[str | None, Query(min_length=1, description="Only what was done to the run of this id.")] = None,
    action: Annotated[Action | None, Query(description="Only this.", examples=["start"])] = None,
    name: Annotated[str | None, Query(min_length=1, description="Only what they did who have this name.")] = None,
) -> Json:
    """List who started, retried, cancelled, paused and resumed what, newest first, whichever way they came in."""
    require_all(caller)
    asked = {
        "job": job_filter(job),
        "tenant": tenant,
        "run": run,
        "action": None if action is None else str(action),
        "name": name,
    }
    filters = {key: value for key, value in asked.items() if value is not None}
    of = {"list": "audit", **asked}
    found = await context.history.audit(before=paging.position(of, int), limit=paging.limit, filters=filters)
    return paging.answer([written(entry) for entry in found.entries], found.next, of)


def written(entry: AuditEntry) -> dict[str, str | None]:
    """Write an entry of the audit trail."""
    return {
        "at": to_iso(to_datetime(entry.at)),
        "door": str(entry.actor.door),
        "name": entry.actor.name,
        "action": str(entry.action),
        "job": entry.job,
        "tenant": entry.tenant,
        "run": entry.run,
        "detail": entry.detail,
        "outcome": entry.outcome,
    }
