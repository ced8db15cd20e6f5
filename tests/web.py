"""What tests of web handlers share: a project with two tenants, and clients that talk to an application in-process."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2

from pinstripe.ledger import RunFilter
from pinstripe.opening import open_project
from pinstripe.web import SCOPE_KEY, workspace_dependency

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import HTTPConnection
    from starlette.types import ASGIApp, Receive, Scope, Send

    from pinstripe.project import Project
    from pinstripe.run import Run
    from tests.conftest import ProjectFolder

TENANCY = """
    import asyncio
    from contextlib import asynccontextmanager
    from contextvars import ContextVar

    tenants = [{"id": "acme", "plan": "pro"}, {"id": "birch", "plan": "free"}]
    events = []
    current = ContextVar("current", default=None)

    @asynccontextmanager
    async def serving(tenant):
        events.append(f"enter {tenant.id}")
        token = current.set(tenant.id)
        try:
            yield
        finally:
            current.reset(token)
            await asyncio.sleep(0)  # what a cancelled scope would interrupt
            events.append(f"leave {tenant.id}")
    """

JOBS = {
    "who": """
        from pinstripe import BackgroundJob

        class Who(BackgroundJob):
            multi_tenant = True

            async def run(self, greeting: str = "hello") -> str:
                return f"{greeting} {self.tenant.id}"
        """,
    "risky_operation": """
        from pinstripe import BackgroundJob

        class OperationFailed(Exception):
            pass

        class RiskyOperation(BackgroundJob):
            async def run(self):
                raise OperationFailed("it went wrong")
        """,
    "wait_for_ever": """
        import asyncio
        from pinstripe import BackgroundJob

        began = asyncio.Event()
        may_end = asyncio.Event()

        class WaitForEver(BackgroundJob):
            async def run(self):
                began.set()
                await may_end.wait()
        """,
}


def tenant_in_header(connection: HTTPConnection) -> str | None:
    """Tell the tenant of a request: it is said in the header `x-tenant`."""
    return connection.headers.get("x-tenant")


get_workspace = workspace_dependency(tenant_in_header)


def write_project(folder: ProjectFolder) -> None:
    """Write the project, in which each tenant's workspace leaves a trace in `events`."""
    folder.configure('tenants.source = "web_tenancy:tenants"\ntenants.context = "web_tenancy:serving"')
    folder.file("web_tenancy.py", TENANCY)
    for name, source in JOBS.items():
        folder.job(name, source)


@asynccontextmanager
async def open_web_project(folder: ProjectFolder) -> AsyncIterator[Project]:
    """Write the project and open it."""
    write_project(folder)
    async with open_project(folder.path) as project:
        assert project.tenants is not None  # and its module is imported
        yield project


def module(name: str) -> Any:
    """Give a module of the project, which is imported."""
    return sys.modules[name]


def imported_job(project: Project, name: str) -> Any:
    """Give the module of a job, for what stands beside it there."""
    return module(project.registry.find(name).job_class.__module__)


async def list_runs(project: Project) -> list[Run]:
    """Give all runs of a project, newest first."""
    return list(await project.ledger.list_runs(RunFilter()))


def served_with(app: ASGIApp, project: object) -> ASGIApp:
    """Put an open project where `start-server` puts it."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, SCOPE_KEY: project}, receive, send)

    return serve


@asynccontextmanager
async def client_of(app: ASGIApp, project: object = None, **options: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """Talk to an application in-process; an exception that it lets through is a response of 500."""
    app = app if project is None else served_with(app, project)
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False, **options)
    async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as client:
        yield client
