"""Runs: started and previewed, retried and cancelled."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Request

from pinstripe.actor import Door
from pinstripe.retrying import retryable_pages, tenants_in
from pinstripe.server.access.confining import confined_run
from pinstripe.server.access.identity import Access
from pinstripe.server.access.require import Refused, actor_of, require_all, require_tenants
from pinstripe.server.api.answers import Json
from pinstripe.server.api.asking import Caller, Context, Reference
from pinstripe.server.api.document import RUNS, answers
from pinstripe.server.api.finding import find_run
from pinstripe.server.api.models.runs import Run
from pinstripe.server.api.models.starting import MAX_TENANTS, NewPreview, NewRetry, NewRun, Preview
from pinstripe.server.api.replays import start
from pinstripe.server.api.requests import read_request, read_terms
from pinstripe.server.api.routing import VERSION, Route, changing_nothing, refuse_method, refusing
from pinstripe.server.context import WebContext
from pinstripe.views.preview import preview_json

router = APIRouter(prefix=VERSION, route_class=Route, tags=[RUNS])

_WHERE = {"Location": {"description": "Where the run is.", "schema": {"type": "string"}}}
_REPLAYED = {
    "Idempotency-Replayed": {
        "description": "`true` where the run was made by an earlier request with the same key.",
        "schema": {"type": "string", "enum": ["true"]},
    }
}
_QUEUED = {"description": "The run, written down for workers."}


@router.post(
    "/runs",
    operation_id="startRun",
    summary="Start a run",
    status_code=202,
    response_model=Run,
    responses={**answers(body=True), 202: {**_QUEUED, "headers": {**_WHERE, **_REPLAYED}}},
)
async def start_run(
    request: Request,
    context: Context,
    caller: Caller,
    body: NewRun,
    idempotency_key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="A text of 1 to 200 printable ASCII characters. A second request for the same job with the "
            "same key starts nothing: it is answered with the run of the first one, for as long as that is kept. "
            "With other arguments or tenants it is refused.",
            examples=["invoice-4711"],
        ),
    ] = None,
) -> Json:
    """Write a run down for workers, as `pinstripe run-background-job --enqueue` does, and answer at once.

    The arguments are checked against the job's `run`, and the tenants against what there are, before anything is
    written. A selection that matches nobody is a run over no tenant, which succeeds.
    """
    asked, terms = read_request(body, context.project, caller), read_terms(body, idempotency_key, caller)
    run, is_replayed = await start(context.project, asked, terms, actor_of(caller, Door.API))
    headers = {"Location": _place(request, run.id)}
    if is_replayed:
        headers["Idempotency-Replayed"] = "true"
    return Json(run.to_json(), 202, headers)


@router.post(
    "/runs/preview",
    operation_id="previewRun",
    summary="Preview a run",
    response_model=Preview,
    responses=answers(body=True),
)
@changing_nothing
async def preview_run(context: Context, caller: Caller, body: NewPreview) -> Json:
    """Tell with what and for which tenants a run would be, as `--dry-run --json` does; nothing is started."""
    preview = await context.project.preview(read_request(body, context.project, caller))
    return Json(await preview_json(preview, MAX_TENANTS))


@router.get("/runs/preview", include_in_schema=False)
@refusing
async def no_such_run(request: Request) -> Json:
    """Tell that this is no run's address, though it looks like one's."""
    return refuse_method(request)


@router.post(
    "/runs/{run}/retry",
    operation_id="retryRun",
    summary="Retry a run",
    status_code=202,
    response_model=Run,
    responses={**answers(404, 409, body=True), 202: {**_QUEUED, "headers": _WHERE}},
)
async def retry_run(
    request: Request, context: Context, caller: Caller, run: Reference, body: NewRetry | None = None
) -> Json:
    """Write down a retry of what failed or was cancelled in a finished run and has not succeeded in a later retry.

    Its arguments are the same. Where there is nothing to retry, nothing is started, and the answer is 409. Who is
    confined to tenants retries theirs alone.
    """
    asked = body or NewRetry()
    if asked.tenants is not None:
        require_tenants(caller, asked.tenants)
    ledger = context.project.ledger
    old = await find_run(context, caller, run, failures=False)
    if not old.finished:
        detail = f"run {old.id} of {old.job} is still {old.status}: wait for its end, or cancel it, before you retry it"
        raise Refused(409, "The run is not finished", detail, type_="not-finished")
    tenants = asked.tenants
    if tenants is None and caller.tenants is not None:
        tenants = sorted(caller.tenants)
    if tenants is not None:
        left = [
            one async for ids in retryable_pages(ledger, old.id, skipped=asked.skipped, only=tenants) for one in ids
        ]
        if asked.tenants is None or (not left and await tenants_in(ledger, old.id, tenants) == {*tenants}):
            tenants = left
    new = await context.project.enqueue_retry(
        old.id, skipped=asked.skipped, tenants=tenants, actor=actor_of(caller, Door.API)
    )
    if new is None:
        kinds = "failed, was cancelled or was skipped" if asked.skipped else "failed or was cancelled"
        detail = f"all that {kinds} in run {old.id} has succeeded since or is being retried, or nothing did"
        raise Refused(409, "Nothing to retry", detail, type_="nothing-to-retry")
    seen = await confined_run(ledger, new, caller)
    return Json(seen.to_json(), 202, {"Location": _place(request, new.id)})


@router.post(
    "/runs/{run}/cancel",
    operation_id="cancelRun",
    summary="Cancel a run",
    response_model=Run,
    responses=answers(403, 404),
)
async def cancel_run(context: Context, caller: Caller, run: Reference) -> Json:
    """Ask for the end of a run: what waits is cancelled at once, and whoever runs the rest is told to stop it.

    A run that is finished, or whose end was asked for already, stays as it is. Who is confined to tenants may cancel
    what is theirs alone.
    """
    old = await _all_theirs(context, caller, run)
    cancelled = await context.project.cancel(old, actor=actor_of(caller, Door.API))
    return Json((await confined_run(context.project.ledger, cancelled.after, caller)).to_json())


async def _all_theirs(context: WebContext, caller: Access, reference: str) -> str:
    """Give the id of a run; raises `Refused` where other tenants than the caller's are in it, too."""
    seen = await find_run(context, caller, reference, failures=False)
    if caller.is_confined:
        run = await context.project.ledger.find_run(seen.id, failures=False)
        if run.selecting or seen.executions.total != run.executions.total:
            require_all(caller)
    return seen.id


def _place(request: Request, run: str) -> str:
    return f"{request.scope.get('root_path', '')}/v1/runs/{run}"
