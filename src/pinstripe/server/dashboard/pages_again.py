"""Running again what failed in a run, and ending a run: first it is said what will happen, and then it is done."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, NamedTuple

from starlette.responses import RedirectResponse
from starlette.routing import Route

from pinstripe.actor import Door
from pinstripe.ledger import NO_TENANT
from pinstripe.retrying import ONLY, SKIPPED_TOO, retryable_pages
from pinstripe.run import ExecutionStatus
from pinstripe.server.access.confining import seen_run
from pinstripe.server.access.forms import checked_form
from pinstripe.server.access.identity import access_of
from pinstripe.server.access.require import actor_of, require_all, require_operate, require_tenants
from pinstripe.server.dashboard.links import url
from pinstripe.server.dashboard.rendering import render
from pinstripe.server.dashboard.run_view import retries_of
from pinstripe.server.dashboard.since import look_since
from pinstripe.server.dashboard.tenant_fields import tenant_field, tenants_in
from pinstripe.server.problems import Refused
from pinstripe.views.text import as_call

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from pinstripe.run import Run
    from pinstripe.server.access.forms import Form
    from pinstripe.server.access.identity import Access
    from pinstripe.server.context import WebContext

NAMED = 100
"""How many of the tenants that are to be retried are named."""

COUNTED = 20_000
"""Up to how many of them are counted."""


class Chosen(NamedTuple):
    """What is to be retried: these `tenants`, or None for all that may be; with `skipped`, what was skipped too."""

    tenants: list[str] | None
    skipped: bool


class Eligible(NamedTuple):
    """Whom a retry is for: `many` tenants, with `more` at least so many, of which these are the first.

    Where tenants were chosen, these are all. A job without tenants has one that is `NO_TENANT`.
    """

    tenants: list[str]
    many: int
    more: bool = False


def routes(context: WebContext) -> list[BaseRoute]:
    """Give the routes of what is done with a run."""

    async def retry(request: Request) -> Response:
        access = access_of(request)
        require_operate(access)
        form = await checked_form(request)
        run = await _find(context, request, access)
        chosen = _chosen(form, access)
        if "confirmed" not in form:
            return await _ask(context, request, run, chosen)
        tenants = chosen.tenants
        if tenants is not None and run.finished:
            tenants = (await _eligible(context, run, chosen)).tenants
        same = None if access.is_confined else await _same_retry(context, run, tenants, skipped=chosen.skipped)
        if same is not None:
            return RedirectResponse(url(f"/runs/{same.id}"), 303)
        retried = await context.project.enqueue_retry(
            run.id, skipped=chosen.skipped, tenants=tenants, actor=actor_of(access, Door.DASHBOARD)
        )
        if retried is None:  # somebody was quicker
            open_ = [] if access.is_confined else [one for one in await retries_of(context, run) if not one.finished]
            if not open_:
                return await _ask(context, request, run, chosen)
            retried = open_[0]
        return RedirectResponse(url(f"/runs/{retried.id}"), 303)

    async def cancel(request: Request) -> Response:
        access = access_of(request)
        require_operate(access)
        require_all(access)  # others' tenants are in it
        form = await checked_form(request)
        run = await context.project.ledger.find_run(request.path_params["run"], failures=False)
        if not run.finished:
            if "confirmed" not in form:
                return render(request, "cancel.html", run=run, arguments=as_call(*run.shown()))
            await context.project.cancel(run.id, actor=actor_of(access, Door.DASHBOARD))
        return RedirectResponse(url(f"/runs/{run.id}"), 303)

    return [
        Route("/runs/{run}/retry", retry, methods=["POST"]),
        Route("/runs/{run}/cancel", cancel, methods=["POST"]),
    ]


async def _find(context: WebContext, request: Request, access: Access) -> Run:
    ledger = context.project.ledger
    seen = await seen_run(ledger, request.path_params["run"], access, failures=False)  # raises where nothing is theirs
    return await ledger.find_run(seen.id, failures=False) if access.is_confined else seen


def _chosen(form: Form, access: Access) -> Chosen:
    """Read whom a retry is asked for; who is confined retries their own alone."""
    skipped = "skipped" in form
    if "chosen" in form:
        tenants: list[str] | None = tenants_in(form)
        if not tenants:
            raise Refused(
                422,
                "No tenant is chosen",
                "Choose at least one of the tenants that failed, were cancelled or skipped: go back, and tick them",
                type_="nothing-chosen",
            )
        skipped = True
    else:
        tenants = None if access.tenants is None else sorted(access.tenants)
    require_tenants(access, tenants)
    return Chosen(tenants, skipped)


async def _same_retry(context: WebContext, run: Run, tenants: list[str] | None, *, skipped: bool) -> Run | None:
    """Give a retry of a run for the same tenants that isn't selected yet, as where a button is pressed twice."""
    for one in await retries_of(context, run):
        if one.selecting and not one.finished:
            selection = (await context.project.ledger.selected_by(one.id)).selection
            if selection.get(ONLY) == tenants and bool(selection.get(SKIPPED_TOO)) == skipped:
                return one
    return None


async def _ask(context: WebContext, request: Request, run: Run, chosen: Chosen) -> Response:
    """Make the page that says what a retry would do, and asks whether it is meant."""
    project = context.project
    whole = (await project.ledger.selected_by(run.id)).complete
    eligible = await _eligible(context, run, chosen)
    left_out = await _left_out(context, run, chosen, eligible)
    since = await look_since(project.ledger.history, run, left_out)
    access, pauses = access_of(request), await project.ledger.queue.pauses()
    return render(
        request,
        "retry.html",
        run=run,
        chosen=chosen,
        tenant_field=tenant_field,
        whole=whole or chosen.tenants is not None,
        eligible=eligible,
        left_out=0 if chosen.tenants is None else len(chosen.tenants) - eligible.many,
        mended=since.mended(left_out),
        going=since.going(left_out),
        named=NAMED,
        has_tenants=eligible.tenants != [NO_TENANT],
        arguments=None if access.is_confined else as_call(*run.shown()),
        many_paused=len([one for one in pauses if one.job in {None, run.job} and _concerns(access, one.tenant)]),
    )


def _concerns(access: Access, tenant: str | None) -> bool:
    """Tell whether a pause is to be told: of a tenant only to who sees it."""
    return tenant is None or access.sees(tenant)


async def _left_out(context: WebContext, run: Run, chosen: Chosen, eligible: Eligible) -> Sequence[str | None]:
    """Give the first of those who were asked for and need no retry: who was chosen, or failed where none is left."""
    if not run.finished or (chosen.tenants is None and eligible.many):
        return []
    if chosen.tenants is not None:
        left = set(eligible.tenants)
        return [tenant for tenant in chosen.tenants if tenant not in left][:NAMED]
    states = [ExecutionStatus.FAILED, ExecutionStatus.CANCELLED, *([ExecutionStatus.SKIPPED] if chosen.skipped else [])]
    pages = [await context.history.executions(run.id, status=status, limit=NAMED) for status in states]
    return [one.tenant for page in pages for one in page.executions][:NAMED]


async def _eligible(context: WebContext, run: Run, chosen: Chosen) -> Eligible:
    """Tell whom a retry is for now: who has succeeded in a later one, or is in one that goes on, needs none."""
    if not run.finished:
        return Eligible([], 0)
    found: list[str] = []
    many = 0
    pages = retryable_pages(context.project.ledger, run.id, skipped=chosen.skipped, only=chosen.tenants)
    async with aclosing(pages):
        async for page in pages:
            many += len(page)
            found += page if chosen.tenants is not None else page[: NAMED - len(found)]
            if many >= COUNTED:
                return Eligible(found, many, more=True)
    return Eligible(found, many)
