"""The pages of tenants: which there are, which are paused or failing, and all that was done for one of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse
from starlette.routing import Route

from pinstripe.run import ExecutionStatus
from pinstripe.server.access.identity import access_of
from pinstripe.server.access.require import require_tenant
from pinstripe.server.dashboard.known_jobs import KnownJobs
from pinstripe.server.dashboard.links import url
from pinstripe.server.dashboard.paused_tenants import paused_in
from pinstripe.server.dashboard.rendering import render
from pinstripe.server.dashboard.tenant_fields import tenant_field, tenants_in
from pinstripe.server.dashboard.tenant_view import look_at_ids, look_at_tenants
from pinstripe.server.problems import OUT_OF_REACH

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from pinstripe.history import FailingTenant
    from pinstripe.queue import Pause
    from pinstripe.run import Execution
    from pinstripe.server.access.identity import Access
    from pinstripe.server.context import WebContext

DAY = 24 * 3600 * 1_000_000
"""Microseconds of a day."""

FAILING = 200
"""How many failures of tenants are looked at."""

SHOWN = 50
"""How many of them are listed, and as many of what has succeeded since."""

JOBS = 5
"""Of how many jobs that failed lately for a tenant is looked whether they still do."""

LAST = 10
"""Of how many of the last executions of such a job: one that waits or was skipped tells nothing."""

LIMITS = {"FAILING": FAILING, "SHOWN": SHOWN}
"""What the page tells of both."""

LONGEST = 1_000
"""How many characters of an id are looked for."""

PAUSED = 200
"""How many pauses of tenants are listed."""


def routes(context: WebContext) -> list[BaseRoute]:
    """Give the routes of the pages of tenants."""
    project, history = context.project, context.history
    known_jobs = KnownJobs(project)

    async def tenants(request: Request) -> Response:
        access = access_of(request)
        search = (request.query_params.get("search") or "").strip()[:LONGEST] or None
        skip = _number(request.query_params.get("skip"))
        found = await look_at_tenants(project, access, search=search, skip=skip)
        if search is not None and [tenant.id for tenant in found.tenants] == [search]:
            return RedirectResponse(url("/tenant", id=search), 303)
        first = search is None and not skip
        lately = await _failing(context, access) if first else []
        pauses = [one for one in await project.ledger.queue.pauses() if one.tenant is not None] if first else []
        return render(
            request,
            "tenants.html",
            found=found,
            paused=await paused_in(project, [tenant.id for tenant in found.tenants]),
            search=search,
            skip=skip,
            following=None if found.next is None else url("/tenants", skip=found.next, search=search),
            pauses=[one for one in pauses if access.sees(one.tenant)][:PAUSED],
            failing=[one for one in lately if one.mended is None],
            mended=[one for one in lately if one.mended is not None],
            many=len(lately) >= FAILING,
            limits=LIMITS,
        )

    async def tenant(request: Request) -> Response:
        access = access_of(request)
        # The form that filters sends the id as forms do, all links as it is.
        id_ = request.query_params.get("id") or next(iter(tenants_in(_lists(request))), None)
        if not id_:
            raise HTTPException(404, "Expected the id of a tenant, as in /tenant?id=acme.")
        require_tenant(access, id_)
        job, status = request.query_params.get("job") or None, _status(request.query_params.get("status"))
        before = _number(request.query_params.get("before")) or None
        page = await history.executions_of_tenant(id_, job=job, status=status, before=before)
        found = await look_at_ids(project, [id_])
        known = found.tenants[0] if found.tenants else None
        pauses = [one for one in await project.ledger.queue.pauses() if one.tenant in {None, id_}]
        filtered = job is not None or status is not None or before is not None
        if known is None and found.trouble is None and not page.executions and not filtered:
            raise HTTPException(404, f"There is no tenant {id_!r}, and nothing was done for it that is kept.")
        return render(
            request,
            "tenant.html",
            id=id_,
            fields=tenant_field(id_),
            known=known,
            trouble=found.trouble and (OUT_OF_REACH if access.is_confined else found.trouble),
            executions=page.executions,
            following=None if page.next is None else url("/tenant", id=id_, job=job, status=status, before=page.next),
            job=job,
            state=None if status is None else str(status),
            filtered=filtered,
            jobs=_names(known_jobs.names(), page.executions, job),
            pausable=_pausable(known_jobs, id_, pauses) if access.may_operate else [],
            states=[(str(one), str(one)) for one in ExecutionStatus],
            failing=[] if filtered else await _still_failing(context, id_),
            pauses=pauses,
        )

    return [
        Route("/tenants", tenants, methods=["GET", "HEAD"]),
        Route("/tenant", tenant, methods=["GET", "HEAD"]),
    ]


async def _failing(context: WebContext, access: Access) -> list[FailingTenant]:
    """Give for whom jobs failed in the last day, even once; nobody to who is confined, who has few to look at."""
    if access.is_confined:
        return []
    since = context.project.clock.now() - DAY
    return [one for one in await context.history.failing(since, FAILING) if one.tenant is not None]


async def _still_failing(context: WebContext, tenant: str) -> list[Execution]:
    """Give the jobs that failed for a tenant and have not succeeded for it since, of those that failed last."""
    history = context.history
    failed = (await history.executions_of_tenant(tenant, status=ExecutionStatus.FAILED, limit=20)).executions
    found: list[Execution] = []
    for job in list(dict.fromkeys(one.job for one in failed))[:JOBS]:
        last = (await history.executions_of_tenant(tenant, job=job, limit=LAST)).executions
        ends = {ExecutionStatus.SUCCEEDED, ExecutionStatus.FAILED}
        told = [one for one in (*last, *failed) if one.job == job and one.status in ends]
        # The last that ended: what is newer may have succeeded while this one still waited.
        newest = max(told, key=_ended_at, default=None)
        found += [newest] if newest is not None and newest.status == ExecutionStatus.FAILED else []
    return found


def _ended_at(execution: Execution) -> datetime:
    return execution.finished_at or datetime.min.replace(tzinfo=UTC)


def _names(known: list[str], executions: list[Execution], asked: str | None) -> list[tuple[str, str]]:
    """Give the jobs to choose from: those there are, and those of which there was something."""
    names = {*known, *(one.job for one in executions), *([asked] if asked else [])}
    return [(name, name) for name in sorted(names)]


def _pausable(known: KnownJobs, tenant: str, pauses: list[Pause]) -> list[str]:
    """Give the jobs that may be paused for a tenant: those for tenants, without what is paused for it already."""
    paused = {pause.job for pause in pauses if pause.tenant == tenant}
    return [name for name in known.for_tenants() if name not in paused]


def _status(text: str | None) -> ExecutionStatus | None:
    return ExecutionStatus(text) if text and text in [*ExecutionStatus] else None


def _lists(request: Request) -> dict[str, list[str]]:
    return {name: request.query_params.getlist(name) for name in request.query_params}


def _number(text: str | None) -> int:
    """Read a number of a page's address; what is none is 0."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else 0  # noqa: PLR2004 - 64 bits
