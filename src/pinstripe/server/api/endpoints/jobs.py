"""Jobs: what there is to run."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path

from pinstripe.definition import BrokenJob
from pinstripe.errors import UnknownJob
from pinstripe.server.access.identity import Access
from pinstripe.server.access.require import Refused
from pinstripe.server.api.answers import Json
from pinstripe.server.api.asking import Caller, Context, Page
from pinstripe.server.api.document import JOBS, answers, page_of
from pinstripe.server.api.models.jobs import Job
from pinstripe.server.api.parameters import schema_of
from pinstripe.server.api.routing import VERSION, Route
from pinstripe.views.jobs import JobView, job_json, look_at_job, look_at_jobs

router = APIRouter(prefix=VERSION, route_class=Route, tags=[JOBS])


@router.get(
    "/jobs",
    operation_id="listJobs",
    summary="List the jobs",
    response_model=page_of(Job),
    responses=answers(pages=True),
)
async def list_jobs(context: Context, caller: Caller, paging: Page) -> Json:
    """List every job by name: what it does, when and for whom it runs, and why one can't be loaded."""
    of: dict[str, object] = {"list": "jobs"}
    after = paging.position(of, str)
    found = [job for job in context.project.registry.load_all() if after is None or job.name > after]
    shown = found[: paging.limit]
    views = await look_at_jobs(context.project, shown)
    last = shown[-1].name if len(found) > paging.limit else None
    return paging.answer([written(view, caller) for view in views], last, of)


@router.get(
    "/jobs/{name:path}",
    operation_id="getJob",
    summary="Look at a job",
    response_model=Job,
    responses=answers(404),
)
async def get_job(
    context: Context,
    caller: Caller,
    name: Annotated[
        str, Path(description="Its name, in any spelling; a slash in it is one.", examples=["send_newsletter"])
    ],
) -> Json:
    """Tell what one job does, when and for whom it runs, and which arguments it takes."""
    try:
        view = await look_at_job(context.project, name)
    except UnknownJob as error:
        raise Refused(404, "Unknown job", str(error), type_="unknown-job") from None
    return Json(written(view, caller))


def written(view: JobView, caller: Access) -> dict[str, Any]:
    """Write a job; its newest run is of other tenants, too, and isn't for those who are confined to some."""
    found = view.found
    told = job_json(view._replace(last_run=None) if caller.is_confined else view)
    if told["last_run"] is not None:
        told["last_run"].pop("failures")
    if isinstance(found, BrokenJob):
        return told
    limits = found.limits
    return {
        **told,
        "timeout": found.timeout,
        "retries": found.retry.times,
        "limits": None if limits is None else {"total": limits.total, "per_tenant": limits.per_tenant},
        "priority": None if found.priority is None else str(found.priority),
        "redact": sorted(found.redact),
        "parameters": schema_of(found),
    }
