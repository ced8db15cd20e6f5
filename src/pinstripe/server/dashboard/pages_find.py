"""The search of the bar: it leads to a run, a job or a tenant."""

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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from pinstripe.server.access.identity import Access
    from pinstripe.server.context import WebContext

_RUN = re.compile(r"last|[0-9a-f-]{6,36}", re.IGNORECASE)
"""What may be a run: its id, the end of one, or the last."""


def routes(context: WebContext) -> list[BaseRoute]:
    """Give the route of the search."""
    jobs = KnownJobs(context.project)

    async def find(request: Request) -> Response:
        text = asked_exactly(request, "q")
        if text is None or not text.strip():
            return RedirectResponse(url("/runs"), 303)
        access = access_of(request)
        return RedirectResponse(
            await _run(context, text.strip(), access) or _job(jobs.names(), text) or url("/tenant", id=text), 303
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


def _job(names: Sequence[str], text: str) -> str | None:
    """Give the page of the job with that name, or of the jobs that have it in theirs, where no tenant is meant."""
    try:
        name = normalise_job_name(text)
    except ValueError:
        return None
    if name in names:
        return url(f"/jobs/{name}")
    return url("/jobs", search=text.strip()) if any(name in one for one in names) else None
