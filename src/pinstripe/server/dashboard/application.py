"""The dashboard, as an ASGI application: its pages, its static files, and what is shown where something goes wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette

from pinstripe.server.dashboard import (
    failures,
    files,
    pages_again,
    pages_audit,
    pages_execution,
    pages_find,
    pages_job,
    pages_jobs,
    pages_login,
    pages_overview,
    pages_pauses,
    pages_processes,
    pages_run,
    pages_runs,
    pages_schedules,
    pages_start,
    pages_tenants,
)

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from pinstripe.server.context import WebContext


_MODULES = (
    files,
    pages_again,
    pages_execution,
    pages_job,
    pages_pauses,
    pages_run,
    pages_start,
    pages_tenants,
    pages_login,
    pages_overview,
    pages_runs,
    pages_jobs,
    pages_schedules,
    pages_processes,
    pages_audit,
    pages_find,
)
"""The modules that have pages; each lists its own, and what stands first is looked at first."""


def make_dashboard(context: WebContext) -> Starlette:
    """Make the dashboard, which is to be mounted at `/_pinstripe`; it also makes the pages about errors."""
    context.error_page = failures.show
    routes: list[BaseRoute] = [route for module in _MODULES for route in module.routes(context)]
    pages = Starlette(routes=routes, exception_handlers=failures.handlers())
    pages.router.redirect_slashes = False  # a page has one address
    return pages
