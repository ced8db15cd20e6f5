"""The first page: what runs, what failed, what waits, what comes next, and what should have run and didn't."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse
from starlette.routing import Route

from pinstripe.clock import to_datetime
from pinstripe.overdue import MOST
from pinstripe.server.access.identity import access_of
from pinstripe.server.dashboard import overview
from pinstripe.server.dashboard.known_jobs import KnownJobs
from pinstripe.server.dashboard.links import url
from pinstripe.server.dashboard.rendering import render
from pinstripe.views.pauses import scope_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from pinstripe.queue import Pause, RunningExecution
    from pinstripe.server.context import WebContext
    from pinstripe.views.status import Seen
    from pinstripe.views.timeline import ComingFire

HOURS = 24
"""How far ahead fires are shown."""

FIRES = 600
"""How many fires are drawn."""

EACH = 150
"""How many of one schedule: one that fires every ten minutes has its day."""

LISTED = 6
"""How many of them are listed."""

LACKING = 10
"""How many jobs are named that wait for a worker which has them."""


def routes(context: WebContext) -> list[BaseRoute]:
    """Give the route of the first page."""
    project, jobs = context.project, KnownJobs(context.project)
    watched = overview.Watched(project, context.timeline)

    async def page(request: Request) -> Response:
        if access_of(request).is_confined:  # there is nothing here that is of some tenants only
            return RedirectResponse(url("/runs"), 303)
        # Who looks on may see what another one has just been shown; who comes, or has done something, what is now.
        view = await (watched.look() if "x-pinstripe-live" in request.headers else watched.look_now())
        fires = await context.timeline.next_fires(FIRES, timedelta(hours=HOURS), each=EACH)
        return render(
            request,
            "overview.html",
            view=view,
            seen=view.seen,
            now=to_datetime(view.seen.now),
            fires=fires,
            hours=HOURS,
            each=EACH,
            soon=_soon(fires),
            working=_working(view.seen),
            lacking_jobs=sorted({*view.seen.status.lacking, *view.seen.status.lacking_runs})[:LACKING],
            pause_fields=pause_fields,
            has_jobs=bool(jobs.names()),
            scope_of=scope_of,
            most_overdue=MOST,
            limits=overview,
        )

    return [Route("/", page, methods=["GET", "HEAD"])]


def pause_fields(pause: Pause) -> dict[str, str]:
    """Give the fields of the form that ends a pause, on the first page."""
    named = {name: value for name, value in (("job", pause.job), ("tenant", pause.tenant)) if value is not None}
    return {**(named or {"all": "1"}), "next": url("/")}


def _soon(fires: Sequence[ComingFire]) -> list[ComingFire]:
    """Give the next fires, of each schedule the first."""
    first: dict[tuple[str, str], ComingFire] = {}
    for fire in fires:
        first.setdefault((fire.job, fire.key), fire)
    return list(first.values())[:LISTED]


def _working(seen: Seen) -> list[RunningExecution]:
    """Give what has been at work for longest, over all processes."""
    found = [execution for process in seen.status.processes for execution in process.executions]
    return sorted(found, key=lambda execution: execution.started_at)[:LISTED]
