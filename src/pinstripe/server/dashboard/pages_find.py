"""The search of the bar: it leads to a run, a job or a tenant, or lists those that may be meant."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse
from starlette.routing import Route

from pinstripe.errors import UnknownRun
from pinstripe.names import normalise_job_name
from pinstripe.server.access.confining import seen_run
from pinstripe.server.access.identity import access_of
from pinstripe.server.dashboard.asking import asked_exactly
from pinstripe.server.dashboard.known_jobs import KnownJobs
from pinstripe.server.dashboard.links import url
from pinstripe.server.dashboard.paused_tenants import paused_in
from pinstripe.server.dashboard.rendering import render
from pinstripe.server.dashboard.tenant_view import look_for_tenants

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from pinstripe.server.access.identity import Access
    from pinstripe.server.context import WebContext

JOBS = 20
"""How many jobs are listed; the list of jobs finds the others."""

_RUN = re.compile(r"last|[0-9a-f-]{6,36}", re.IGNORECASE)
"""What may be a run: its id, the end of one, or the last."""


def routes(context: WebContext) -> list[BaseRoute]:
    """Give the route of the search."""
    project, jobs = context.project, KnownJobs(context.project)

    async def find(request: Request) -> Response:
        text = asked_exactly(request, "q")
        if text is None or not text.strip():
            return RedirectResponse(url("/runs"), 303)
        access = access_of(request)
        names = _jobs(jobs.names(), text)
        exact = await _run(context, text.strip(), access) or _job(names, text) or await _past(context, text, access)
        if exact is not None:
            return RedirectResponse(exact, 303)
        found = await look_for_tenants(project, access, text.strip())
        hits = [*(url(f"/jobs/{name}") for name in names), *(url("/tenant", id=one.id) for one in found.tenants)]
        is_tenant = bool(found.tenants) and found.tenants[0].id in {text, text.strip()}
        if is_tenant or (len(hits) == 1 and found.trouble is None):
            return RedirectResponse(hits[len(names)] if is_tenant else hits[0], 303)
        return render(
            request,
            "find.html",
            text=text,
            jobs=names[:JOBS],
            more_jobs=len(names) - JOBS,
            found=found,
            paused=await paused_in(project, [one.id for one in found.tenants]),
        )

    return [Route("/find", find, methods=["GET"])]


async def _run(context: WebContext, text: str, access: Access) -> str | None:
    """Give the page of the run with that id, which this access may see."""
    if not _RUN.fullmatch(text):
        return None
    try:
        run = await seen_run(context.project.ledger, text.lower(), access, failures=False)
        return url(f"/runs/{run.id}")
    except UnknownRun:
        return None


def _jobs(names: Sequence[str], text: str) -> list[str]:
    """Give the jobs that have that in their name, the one of that name first."""
    try:
        name = normalise_job_name(text)
    except ValueError:
        return []
    return sorted((one for one in names if name in one), key=lambda one: (one != name, one))


def _job(names: Sequence[str], text: str) -> str | None:
    """Give the page of the job with that name."""
    return url(f"/jobs/{names[0]}") if names and names[0] == normalise_job_name(text) else None


async def _past(context: WebContext, text: str, access: Access) -> str | None:
    """Give the page of a tenant of that id for whom something was done, though they may be gone meanwhile."""
    if not access.sees(text):
        return None
    page = await context.history.executions_of_tenant(text, limit=1)
    return url("/tenant", id=text) if page.executions else None
