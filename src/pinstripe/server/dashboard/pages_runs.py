"""The list of runs, newest first, narrowed by what is asked for."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from starlette.routing import Route

from pinstripe.duration import parse_duration
from pinstripe.ledger import RunFilter
from pinstripe.names import normalise_job_name
from pinstripe.run import RunStatus
from pinstripe.server.access.confining import confined_runs
from pinstripe.server.access.identity import access_of
from pinstripe.server.access.require import require_tenant
from pinstripe.server.dashboard.asking import MOST_NAMES, asked_exactly, asked_number, asked_text
from pinstripe.server.dashboard.known_jobs import KnownJobs
from pinstripe.server.dashboard.links import url
from pinstripe.server.dashboard.rendering import render

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from pinstripe.server.access.identity import Access
    from pinstripe.server.context import WebContext

LIMIT = 50
"""How many runs stand on a page."""


class Asked(NamedTuple):
    """Which runs are asked for, as the form has it."""

    job: str | None = None
    status: str | None = None
    tenant: str | None = None
    since: str | None = None


def routes(context: WebContext) -> list[BaseRoute]:
    """Give the route of the list."""
    project, jobs = context.project, KnownJobs(context.project)

    async def page(request: Request) -> Response:
        access = access_of(request)
        asked = Asked(
            job=asked_text(request, "job"),
            status=asked_text(request, "status"),
            tenant=asked_exactly(request, "tenant"),
            since=asked_text(request, "since"),
        )
        before = asked_number(request, "before")
        trouble, runs, following = None, [], None
        try:
            only = _filter(asked, access, project.clock.now())
        except ValueError as error:
            trouble = str(error)
        else:
            status = only.status
            if access.is_confined:  # how a run went for others is nothing to them
                only = only._replace(status=None)
            found = await context.history.runs(only, before=before)
            runs, following = await confined_runs(context.project.ledger, found.runs, access, status), found.next
        names = jobs.names()
        return render(
            request,
            "runs.html",
            422 if trouble else 200,
            runs=runs,
            asked=asked,
            is_narrowed=any(asked),
            trouble=trouble,
            statuses=[("", "any"), *((str(status), str(status)) for status in RunStatus)],
            names=names if len(names) <= MOST_NAMES else [],
            next_page=None if following is None else url("/runs", **asked._asdict(), before=following),
            first_page=None if before is None else url("/runs", **asked._asdict()),
        )

    return [Route("/runs", page, methods=["GET", "HEAD"])]


def _filter(asked: Asked, access: Access, now: int) -> RunFilter:
    """Read what is asked for; raises `ValueError`, which says what is wrong, and `Refused` for another's tenant."""
    if asked.tenant is not None:
        require_tenant(access, asked.tenant)
    tenant = asked.tenant
    if tenant is None and access.tenants is not None and len(access.tenants) == 1:
        (tenant,) = access.tenants  # so that pages are full
    if asked.status is not None and asked.status not in {*RunStatus}:
        raise ValueError(f"expected a status of {', '.join(RunStatus)}, got {asked.status!r}")
    since = None if asked.since is None else parse_duration(asked.since)
    return RunFilter(
        job=None if asked.job is None else normalise_job_name(asked.job),
        tenant=tenant,
        status=None if asked.status is None else RunStatus(asked.status),
        since=None if since is None else max(now - since // timedelta(microseconds=1), 0),
        limit=LIMIT,
        failures=False,
    )
