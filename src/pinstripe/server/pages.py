"""The pages under `/_pinstripe`, which are Pinstripe's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

    from pinstripe.server.application import ASGI, Receive, Scope, Send
    from pinstripe.server.context import WebContext
    from pinstripe.server.health import Health

PREFIX = "/_pinstripe"
"""The path that is Pinstripe's, with all below it."""

_FRESH = {"Cache-Control": "no-store"}


def is_ours(path: str) -> bool:
    """Tell whether a path is Pinstripe's."""
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def make_pages(health: Health, context: WebContext | None = None) -> ASGI:
    """Make the pages, as an ASGI application: with a `context` whose entrance is open, the dashboard and the API too.

    What they are made of is imported only then.
    """

    async def live(request: Request) -> JSONResponse:  # noqa: ARG001 - Starlette's signature
        return JSONResponse({"status": "ok"}, headers=_FRESH)

    async def ready(request: Request) -> JSONResponse:  # noqa: ARG001 - Starlette's signature
        checks = await health.check()
        is_ready = all(check.ok for check in checks.values())
        body = {"ready": is_ready, "checks": {name: check.to_json() for name, check in checks.items()}}
        return JSONResponse(body, status_code=200 if is_ready else 503, headers=_FRESH)

    routes = [Route(f"{PREFIX}/health/live", live), Route(f"{PREFIX}/health/ready", ready)]
    pages = Starlette(routes=routes)
    pages.router.redirect_slashes = False  # a page has one address
    if context is None or not context.entrance.is_open:
        return pages
    return _Open(pages, frozenset(route.path for route in routes), make_guarded(context))


def make_guarded(context: WebContext) -> ASGI:
    """Make what is behind the guard, with the guard before it."""
    from pinstripe.server.access.guard import Guard
    from pinstripe.server.api.application import make_api
    from pinstripe.server.dashboard.application import make_dashboard
    from pinstripe.server.dashboard.live import LiveRuns
    from pinstripe.server.metrics import make_metrics

    context.live = LiveRuns(context.project, context.stopping)
    inside = _Inside(dashboard=make_dashboard(context), api=make_api(context), metrics=make_metrics(context))
    return Guard(inside, context.entrance, context.clock, error_page=context.error_page)


class _Open:
    """Health is for everybody, all else for those whom the guard lets in."""

    def __init__(self, health: ASGI, paths: frozenset[str], guarded: ASGI) -> None:
        self._health = health
        self._paths = paths
        self._guarded = guarded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        chosen = self._health if scope["path"] in self._paths else self._guarded
        await chosen(scope, receive, send)


class _Inside:
    """Hands a request to the part that the guard has let it into."""

    def __init__(self, *, dashboard: ASGI, api: ASGI, metrics: ASGI) -> None:
        self._dashboard = dashboard
        self._api = api
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from pinstripe.server.access.guard import Area, area_of

        path = scope["path"]
        area = area_of(path)
        if path in {PREFIX, f"{PREFIX}/api"}:
            await RedirectResponse(f"{path}/", 308)(scope, receive, send)
        elif area is Area.API:
            await self._api(_below(scope, "/api"), receive, send)
        elif area is Area.METRICS:
            await self._metrics(scope, receive, send)
        else:
            await self._dashboard(_below(scope, ""), receive, send)


def _below(scope: Scope, mount: str) -> Scope:
    """Give the scope for what is mounted, as Starlette's `Mount` does."""
    root = scope.get("root_path", "")
    return {**scope, "app_root_path": scope.get("app_root_path", root), "root_path": f"{root}{PREFIX}{mount}"}
