"""The schedules: when each job fires by itself, what was fired and missed, and what the next clock change does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from pinstripe.names import normalise_job_name
from pinstripe.server.access.identity import access_of
from pinstripe.server.access.require import require_all
from pinstripe.server.dashboard.asking import MOST_NAMES, asked_exactly, asked_text
from pinstripe.server.dashboard.known_jobs import KnownJobs
from pinstripe.server.dashboard.links import url
from pinstripe.server.dashboard.rendering import render
from pinstripe.views.text import arguments_of
from pinstripe.views.timeline import SchedulePage

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from pinstripe.server.context import WebContext

LIMIT = 50
"""How many schedules stand on a page."""


def routes(context: WebContext) -> list[BaseRoute]:
    """Give the route of the list."""
    jobs = KnownJobs(context.project)

    async def page(request: Request) -> Response:
        require_all(access_of(request))
        job, after = asked_text(request, "job"), asked_exactly(request, "after")
        trouble = None
        try:
            name = None if job is None else normalise_job_name(job)
            found = await context.timeline.schedule_rows(LIMIT, after, job=name)
        except ValueError as error:
            found, trouble = SchedulePage([], None, 0), str(error)
        names = jobs.names()
        return render(
            request,
            "schedules.html",
            422 if trouble else 200,
            rows=found.rows,
            total=found.total,
            job=job,
            names=names if len(names) <= MOST_NAMES else [],
            trouble=trouble,
            arguments_of=arguments_of,
            next_page=None if found.next is None else url("/schedules", job=job, after=found.next),
            first_page=None if after is None else url("/schedules", job=job),
        )

    return [Route("/schedules", page, methods=["GET", "HEAD"])]
