"""The pages under `/_pinstripe`, which are Pinstripe's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

    from pinstripe.server.health import Health

PREFIX = "/_pinstripe"
"""The path that is Pinstripe's, with all below it."""

_FRESH = {"Cache-Control": "no-store"}


def is_ours(path: str) -> bool:
    """Tell whether a path is Pinstripe's."""
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def make_pages(health: Health) -> Starlette:
    """Make the pages, as an ASGI application."""

    async def live(request: Request) -> JSONResponse:  # noqa: ARG001 - Starlette's signature
        return JSONResponse({"status": "ok"}, headers=_FRESH)

    async def ready(request: Request) -> JSONResponse:  # noqa: ARG001 - Starlette's signature
        checks = await health.check()
        is_ready = all(check.ok for check in checks.values())
        body = {"ready": is_ready, "checks": {name: check.to_json() for name, check in checks.items()}}
        return JSONResponse(body, status_code=200 if is_ready else 503, headers=_FRESH)

    pages = Starlette(routes=[Route(f"{PREFIX}/health/live", live), Route(f"{PREFIX}/health/ready", ready)])
    pages.router.redirect_slashes = False  # a page has one address
    return pages
