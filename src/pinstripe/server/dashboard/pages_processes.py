"""The processes of the ledger: what each runs, when it was heard of last, and which are silent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from pinstripe.duration import write_duration
from pinstripe.server.access.identity import access_of
from pinstripe.server.access.require import require_all
from pinstripe.server.dashboard.rendering import render
from pinstripe.views.status import host_of, look_at_status, state_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from pinstripe.server.context import WebContext

MOST = 200
"""How many processes are shown."""


def routes(context: WebContext) -> list[BaseRoute]:
    """Give the route of the list."""
    project = context.project

    async def page(request: Request) -> Response:
        require_all(access_of(request))
        seen = await look_at_status(project, context.timeline)
        processes = seen.status.processes
        states = {process.id: state_of(process, seen.now, seen.lease) for process in processes}
        versions = sorted({process.code_version for process in processes if states[process.id] != "silent"})
        return render(
            request,
            "processes.html",
            processes=processes[:MOST],
            more=max(len(processes) - MOST, 0),
            states=states,
            host_of=host_of,
            versions=versions,
            lease=write_duration(seen.lease),
        )

    return [Route("/processes", page, methods=["GET", "HEAD"])]
