"""The page of a job: what it does, when and for whom, by which rules, and how it went lately."""

from __future__ import annotations

import inspect
from itertools import islice
from typing import TYPE_CHECKING

from starlette.routing import Route

from pinstripe.clock import to_datetime
from pinstripe.definition import BrokenJob
from pinstripe.duration import write_duration
from pinstripe.errors import UnknownJob
from pinstripe.ledger import RunFilter
from pinstripe.names import normalise_job_name
from pinstripe.server.access.identity import access_of
from pinstripe.server.dashboard.rendering import render
from pinstripe.views.jobs import JobFires, JobView, look_at_job

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from pinstripe.definition import Definition
    from pinstripe.server.context import WebContext

RUNS = 30
"""How many of a job's last runs the charts show."""

ROWS = 30
"""How many tenants the heat map shows."""

FIRES = 3
"""How many of a schedule's next fires are listed."""

LISTED = 10
"""How many of its last runs are listed."""

_OVERLAPS = {
    "skip": "a fire is skipped where the one before is unfinished for its tenant",
    "queue": "a fire waits for the one before to end for its tenant",
    "allow": "fires may overlap",
}


def routes(context: WebContext) -> list[BaseRoute]:
    """Give the route of a job's page."""
    project, history = context.project, context.history

    async def page(request: Request) -> Response:
        access = access_of(request)
        view = await _look(context, request.path_params["name"])
        found, name = view.found, view.found.name
        # How it went is about all tenants.
        only = RunFilter(job=name, limit=LISTED, failures=False)
        runs = [] if access.is_confined else (await history.runs(only)).runs
        pauses = [pause for pause in await project.ledger.queue.pauses() if pause.job in {name, None}]
        return render(
            request,
            "job.html",
            job=name,
            view=view,
            broken=found if isinstance(found, BrokenJob) else None,
            docs=None if isinstance(found, BrokenJob) else inspect.cleandoc(found.job_class.__doc__ or ""),
            coming=[_coming(fires, to_datetime(project.clock.now())) for fires in view.fires],
            policies=[] if isinstance(found, BrokenJob) else list(_policies(found)),
            runs=runs,
            points=await history.points(name, RUNS) if runs else [],
            map=await history.heat_map(name, runs=RUNS, rows=ROWS) if runs and _has_tenants(view) else None,
            pauses=[pause for pause in pauses if pause.tenant is None],
            tenant_pauses=[pause for pause in pauses if pause.tenant is not None and access.sees(pause.tenant)][:LISTED]
            if _has_tenants(view)
            else [],
            is_paused=any(pause.job == name and pause.tenant is None for pause in pauses),
        )

    return [Route("/jobs/{name:path}", page, methods=["GET", "HEAD"])]


async def _look(context: WebContext, name: str) -> JobView:
    """Look at a job; one whose file has gone, but of which there were runs, is shown as broken."""
    try:
        return await look_at_job(context.project, name)
    except UnknownJob as error:
        try:
            gone = normalise_job_name(name)
        except ValueError:
            raise error from None
        if not (await context.project.ledger.last_runs([gone])):
            raise
        return JobView(BrokenJob(gone, None, None, f"It isn't there any more: {error}"), None)


def _coming(fires: JobFires, now: datetime) -> list[datetime]:
    """Give the next fires of a schedule."""
    return list(islice(fires.schedule.fires(now, fires.zone), FIRES))


def _has_tenants(view: JobView) -> bool:
    return isinstance(view.found, BrokenJob) or view.found.multi_tenant


def _policies(job: Definition) -> Iterator[tuple[str, str]]:
    """Give the rules by which a job runs, each with its name; what it doesn't say is told as well."""
    from datetime import timedelta

    retry = job.retry
    again = "1 retry" if retry.times == 1 else f"{retry.times} retries"
    waits = "waiting n⁴ + 15 s" if retry.wait is None else "with waits of its own"
    yield "Retries", f"{again} after a failure, {waits}" if retry.times else "none after a failure"
    crashes = "once" if retry.crashes == 1 else f"{retry.crashes} times"
    yield "Crashes", f"runs again {crashes} after a crash" if retry.crashes else "fails at its first crash"
    limit = "none" if job.timeout is None else f"{write_duration(timedelta(seconds=job.timeout))} for an attempt"
    yield "Timeout", limit
    if job.schedules:
        yield "Overlap", _OVERLAPS.get(job.overlap, job.overlap)
    limits = job.limits
    if limits is not None:
        parts = [(limits.total, "at once"), (limits.per_tenant, "at once for a tenant")]
        yield "Limits", ", ".join(f"{number:,} {what}" for number, what in parts if number is not None)
    yield "Priority", str(job.priority or ("bulk for many tenants, else default" if job.multi_tenant else "default"))
    yield "Runs in", {"loop": "the event loop", "thread": "a thread", "process": "a process of its own"}[job.runs_in]
    if job.services:
        yield "Services", ", ".join(job.services)
