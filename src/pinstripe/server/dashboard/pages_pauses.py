"""Pausing and resuming a job, a tenant, one for the other, or everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse
from starlette.routing import Route

from pinstripe.actor import Door
from pinstripe.server.access.forms import checked_form
from pinstripe.server.access.identity import access_of
from pinstripe.server.access.require import actor_of, require_operate, require_tenant
from pinstripe.server.dashboard.links import PREFIX, url
from pinstripe.server.dashboard.tenant_fields import tenants_in
from pinstripe.server.problems import Refused
from pinstripe.views.pauses import Scope

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from pinstripe.server.access.forms import Form
    from pinstripe.server.context import WebContext


def routes(context: WebContext) -> list[BaseRoute]:
    """Give the routes of what sets pauses, and ends them."""
    project = context.project

    async def pause(request: Request) -> Response:
        form, scope = await _read(request)
        await project.pause(scope.job, scope.tenant, actor=actor_of(access_of(request), Door.DASHBOARD))
        return RedirectResponse(_back(form, scope), 303)

    async def resume(request: Request) -> Response:
        form, scope = await _read(request)
        # What is paused may be resumed, though its job's file or its tenant has gone meanwhile.
        await project.resume(scope.job, scope.tenant, actor=actor_of(access_of(request), Door.DASHBOARD))
        return RedirectResponse(_back(form, scope), 303)

    return [Route("/pause", pause, methods=["POST"]), Route("/resume", resume, methods=["POST"])]


async def _read(request: Request) -> tuple[Form, Scope]:
    """Read what is to be paused or resumed; nothing is never everything."""
    access = access_of(request)
    require_operate(access)
    form = await checked_form(request)
    job, tenant = next(iter(form.get("job", [])), None), next(iter(tenants_in(form)), None)
    if ("all" in form) == (job is not None or tenant is not None) or "" in {job, tenant}:
        raise Refused(
            422, "What is to be paused?", "expected a job, a tenant, both of them, or all", type_="nothing-chosen"
        )
    require_tenant(access, tenant)
    return form, Scope(job, tenant)


def _back(form: Form, scope: Scope) -> str:
    """Give the page to go on with: the one that was left, where it is one of ours, or that of what is paused."""
    (back,) = form.get("next", [""])[:1]
    if back.startswith(f"{PREFIX}/") and "\\" not in back and back.isprintable() and back.isascii():
        return back
    if scope.tenant is not None:
        return url("/tenant", id=scope.tenant)
    return url("/") if scope.job is None else url(f"/jobs/{scope.job}")
