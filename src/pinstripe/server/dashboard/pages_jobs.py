"""The list of jobs: what each does, when it runs and for whom, how its last run ended, and which can't be loaded."""

from __future__ import annotations

from bisect import bisect_right
from functools import partial
from typing import TYPE_CHECKING

from starlette.routing import Route

from pinstripe.definition import BrokenJob
from pinstripe.errors import InvalidJob, UnknownJob
from pinstripe.overdue import is_paused
from pinstripe.server.access.confining import confined_runs
from pinstripe.server.access.identity import access_of
from pinstripe.server.dashboard.asking import asked_text
from pinstripe.server.dashboard.known_jobs import KnownJobs
from pinstripe.server.dashboard.links import url
from pinstripe.server.dashboard.rendering import render
from pinstripe.views.jobs import look_at_jobs
from pinstripe.views.text import arguments_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from pinstripe.definition import Definition
    from pinstripe.project import Project
    from pinstripe.server.access.identity import Access
    from pinstripe.server.context import WebContext
    from pinstripe.views.jobs import JobView

LIMIT = 50
"""How many jobs stand on a page."""


def routes(context: WebContext) -> list[BaseRoute]:
    """Give the route of the list."""
    project, jobs = context.project, KnownJobs(context.project)

    async def page(request: Request) -> Response:
        access, search, after = access_of(request), asked_text(request, "search"), asked_text(request, "after")
        names = jobs.names()
        shown = matching(names, search)
        place = 0 if after is None else bisect_right(shown, after)
        found = load(project, shown[place : place + LIMIT])
        views = await _confined(context, await look_at_jobs(project, found), access)
        more = len(shown) > place + LIMIT
        return render(
            request,
            "jobs.html",
            views=views,
            search=search,
            total=len(shown),
            has_jobs=bool(names),
            is_broken=lambda view: isinstance(view.found, BrokenJob),
            is_paused=partial(is_paused, pauses=await project.ledger.queue.pauses()),
            arguments_of=arguments_of,
            next_page=url("/jobs", search=search, after=shown[place + LIMIT - 1]) if more else None,
            first_page=url("/jobs", search=search) if place else None,
        )

    return [Route("/jobs", page, methods=["GET", "HEAD"])]


def matching(names: Sequence[str], search: str | None) -> list[str]:
    """Give the names that have all words of a search in them, in order."""
    words = (search or "").lower().split()
    return [name for name in names if all(word in name.lower() for word in words)]


def load(project: Project, names: Sequence[str]) -> list[Definition | BrokenJob]:
    """Load jobs by their names; one that can't be loaded breaks only itself, one that has gone is left out."""
    found: list[Definition | BrokenJob] = []
    for name in names:
        try:
            found.append(project.registry.find(name))
        except InvalidJob as error:
            found.append(BrokenJob(name, error.path, error.line, error.reason))
        except UnknownJob:
            continue
    return found


async def _confined(context: WebContext, views: list[JobView], access: Access) -> list[JobView]:
    """Show of last runs what somebody may see."""
    if not access.is_confined:
        return views
    runs = await confined_runs(context.project.ledger, [view.last_run for view in views if view.last_run], access)
    own = {run.id: run for run in runs}
    return [view._replace(last_run=view.last_run and own.get(view.last_run.id)) for view in views]
