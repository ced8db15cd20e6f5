"""The audit trail: who did what to what, by which way, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from pinstripe.history import Action
from pinstripe.server.access.identity import access_of
from pinstripe.server.access.require import require_all
from pinstripe.server.dashboard.asking import asked_exactly, asked_number
from pinstripe.server.dashboard.links import url
from pinstripe.server.dashboard.rendering import render

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from pinstripe.server.context import WebContext

FIELDS = ("name", "action", "job", "tenant", "run")
"""By what entries are found."""

LIMIT = 50
"""How many entries stand on a page."""


def routes(context: WebContext) -> list[BaseRoute]:
    """Give the route of the trail."""

    async def page(request: Request) -> Response:
        require_all(access_of(request))
        asked = {name: asked_exactly(request, name) for name in FIELDS}
        before = asked_number(request, "before")
        is_known = asked["action"] in {None, *Action}
        filters = {name: value for name, value in asked.items() if value is not None}
        found = await context.history.audit(before=before, limit=LIMIT, filters=filters) if is_known else None
        following = None if found is None else found.next
        return render(
            request,
            "audit.html",
            200 if is_known else 422,
            entries=[] if found is None else found.entries,
            asked=asked,
            is_narrowed=bool(filters),
            trouble=None if is_known else f"expected an action of {', '.join(Action)}, got {asked['action']!r}",
            actions=[("", "any"), *((str(action), str(action)) for action in Action)],
            next_page=None if following is None else url("/audit", **asked, before=following),
            first_page=None if before is None else url("/audit", **asked),
        )

    return [Route("/audit", page, methods=["GET", "HEAD"])]
