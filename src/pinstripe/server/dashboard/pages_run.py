"""The page of a run: how far it is, live, what failed in it and why, and what can be done about that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse
from starlette.routing import Route

from pinstripe.run import ExecutionStatus
from pinstripe.server.access.confining import seen_run
from pinstripe.server.access.identity import access_of
from pinstripe.server.dashboard.events import EventStream, pace
from pinstripe.server.dashboard.links import url
from pinstripe.server.dashboard.live import Look, TooManyViewers
from pinstripe.server.dashboard.pages_execution import result_text
from pinstripe.server.dashboard.rendering import render
from pinstripe.server.dashboard.run_view import ALL, COUNTED, OPENED, Asked, look_at_run
from pinstripe.server.dashboard.tenant_fields import tenant_field
from pinstripe.views.text import as_call, took
from pinstripe.views.waits import of_one, why_held

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from pinstripe.run import Run
    from pinstripe.server.context import WebContext
    from pinstripe.server.dashboard.run_view import RunView

MAX_SEARCH = 1_000
"""How many characters of a search are looked for."""


def routes(context: WebContext) -> list[BaseRoute]:
    """Give the routes of a run's page, and of its events."""

    async def page(request: Request) -> Response:
        access = access_of(request)
        found = await seen_run(context.project.ledger, request.path_params["run"], access, failures=False)
        if access.is_confined:  # whether it can be retried is the whole run's to tell
            found = await context.project.ledger.find_run(found.id, failures=False)
        asked = _asked(request.query_params)
        view = await look_at_run(context, found, access, asked)
        if found.id != request.path_params["run"]:  # the end of its id, or `last`
            return RedirectResponse(url(f"/runs/{found.id}", **asked._asdict()), 303)
        values = _values(context, view, asked)
        return render(
            request,
            "run.html",
            **values,
            may_retry=access.may_operate and found.finished,
            may_cancel=access.may_operate and not found.finished and not access.is_confined,
            started_before="before" in request.query_params,
        )

    async def events(request: Request) -> Response:
        access = access_of(request)
        found = await seen_run(context.project.ledger, request.path_params["run"], access, failures=False)
        try:
            return EventStream(context.live.watch(found, access))
        except TooManyViewers:
            raise HTTPException(
                503, "As many watch runs as this server lets; the page is refreshed now and then instead."
            ) from None

    return [
        Route("/runs/{run}", page, methods=["GET", "HEAD"]),
        Route("/runs/{run}/events", events, methods=["GET"]),
    ]


def _asked(query: Mapping[str, str]) -> Asked:
    status, search = query.get("status"), (query.get("search") or "").strip()[:MAX_SEARCH]
    known = status in {ALL, *ExecutionStatus}
    return Asked(status if known else None, search or None, query.get("after"))


def _values(context: WebContext, view: RunView, asked: Asked) -> dict[str, Any]:
    run, now = view.run, context.project.clock.now()
    args, kwargs = run.shown()
    shown = ALL if view.status is None else str(view.status)
    following = view.page.next
    return {
        "run": run,
        "view": view,
        "arguments": as_call(args, kwargs),
        "took": took(run),
        "pace": pace(Look(run)),
        "waiting": view.waiting if view.waiting is None or run.executions.total > 1 else of_one(view.waiting),
        "shown": shown,
        "search": asked.search,
        "filters": _filters(run, asked.search),
        "next_page": None
        if following is None
        else url(f"/runs/{run.id}", status=shown, search=asked.search, after=following),
        "first_page": None if asked.after is None else url(f"/runs/{run.id}", status=shown, search=asked.search),
        "tenant_field": tenant_field,
        "held": {one.tenant: why_held(one, now) for one in view.page.executions if one.held},
        "result": None if view.alone is None else result_text(view.alone),
        "retry": _retry_words(run, view.left),
        "mended": view.since.mended(view.failed),
        "going": view.since.going(view.failed),
        "opened_most": OPENED,
    }


class Filter(NamedTuple):
    """A link to the executions of one state, or to all: its `name`, how `many` there are, and its address."""

    name: str
    many: int
    address: str


def _filters(run: Run, search: str | None) -> list[Filter]:
    """Give the links to what is in which state: all, and the states that there are; those that may come are 0."""
    counts = run.executions._asdict()
    path = f"/runs/{run.id}"
    total = Filter(ALL, counts["total"], url(path, status=ALL, search=search))
    return [total, *(Filter(str(one), counts[one], url(path, status=one, search=search)) for one in ExecutionStatus)]


def _retry_words(run: Run, left: int) -> str:
    """Write what a retry is for: `Retry the 3 failed`, `Retry the 3 failed and 2 cancelled`, `Retry the 1 left`."""
    counts = run.executions
    if counts.total > 1 and 0 < left < counts.failed + counts.cancelled:
        return f"Retry the {left:,} left" if left < COUNTED else f"Retry the {COUNTED - 1:,} or more left"
    parts = [
        f"{number:,} {name}" for name, number in (("failed", counts.failed), ("cancelled", counts.cancelled)) if number
    ]
    return f"Retry the {' and '.join(parts)}" if parts and counts.total > 1 else "Retry"
