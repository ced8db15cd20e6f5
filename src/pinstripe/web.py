"""Workspaces in web handlers: each request has one of its own, for the tenant that the request is for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from inspect import Parameter, Signature, isawaitable
from typing import TYPE_CHECKING, Any

from anyio import CancelScope
from starlette.requests import HTTPConnection

from pinstripe.access import Access, Role
from pinstripe.errors import ConfigurationError, PinstripeError, TenantRequired
from pinstripe.project import Project

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from pinstripe.workspace import Workspace

__all__ = [
    "SCOPE_KEY",
    "STATE_KEY",
    "Access",
    "OpeningForRequest",
    "Role",
    "TenantOf",
    "WorkspaceDependency",
    "project_of",
    "workspace_dependency",
]

TenantOf = Callable[[Any], str | Awaitable[str | None] | None]
"""Tells from a request (Starlette's, or a WebSocket) the id of its tenant; None is the global workspace."""

SCOPE_KEY = "pinstripe.project"
"""Where `start-server` puts the open project, in the ASGI scope of each request."""

STATE_KEY = "pinstripe"
"""Where an application's own lifespan puts it, in the state that it yields."""


def workspace_dependency(tenant_of: TenantOf, *, allow_global: bool = False) -> WorkspaceDependency:
    """Make what gives each request a workspace, for the tenant that `tenant_of` tells from the request.

    `tenant_of` is plain or async, and has no default: it gives the tenant's id, or None for the global workspace, which
    a project with tenants refuses unless `allow_global`. What it raises goes to the client as from the handler itself.
    FastAPI uses the answer as `Depends(…)`; elsewhere, `async with answer.open(request) as workspace:`.
    """
    return WorkspaceDependency(tenant_of, allow_global=allow_global)


def project_of(connection: HTTPConnection) -> Project:
    """Give the open project that a request is served with.

    It is the one that `start-server` has opened, or else the one that the application's lifespan has yielded as
    `{"pinstripe": project}`. Raises `ConfigurationError` where there is none, or for a request that isn't Starlette's.
    """
    scope: object = getattr(connection, "scope", None)
    if not isinstance(scope, Mapping):
        message = (
            "expected Starlette's request, which knows the project that it is served with, got a "
            f"{type(connection).__name__}; with other requests open the project yourself, by pinstripe.open_project()"
        )
        raise ConfigurationError(message)
    found = scope.get(SCOPE_KEY)
    if found is None:
        found = (scope.get("state") or {}).get(STATE_KEY)
    if isinstance(found, Project):
        return found
    what = "none" if found is None else f"a {type(found).__name__}"
    message = (
        f"expected the request to come with an open project, found {what}; `pinstripe start-server` gives it one, and "
        "under another server the application opens it in its lifespan: `async with pinstripe.open_project() as "
        'project: yield {"pinstripe": project}`'
    )
    raise ConfigurationError(message)


class WorkspaceDependency:
    """Gives each request a workspace, which is closed after it; `workspace_dependency` makes it.

    It is a dependency of FastAPI, which calls it once for each request or WebSocket.
    """

    def __init__(self, tenant_of: TenantOf, *, allow_global: bool = False) -> None:
        """Take what tells the tenant; see `workspace_dependency`."""
        if not callable(tenant_of):
            message = f"expected a function that tells the tenant of a request, got {tenant_of!r}"
            raise TypeError(message)
        self._tenant_of = tenant_of
        self._allow_global = allow_global
        # FastAPI reads this, and needs the class itself: it can't look up the name of it from an object.
        connection = Parameter("connection", Parameter.POSITIONAL_OR_KEYWORD, annotation=HTTPConnection)
        self.__signature__ = Signature([connection])

    def open(self, connection: HTTPConnection) -> OpeningForRequest:
        """Open the workspace of a request, by `async with`.

        Entering it raises what `tenant_of` raises; `TypeError` where that gives something else than text or None,
        `TenantRequired` where it gives None and no global workspace is allowed, `UnknownTenant`; and
        `ConfigurationError` where the request comes without a project.
        """
        return OpeningForRequest(self, connection)

    async def __call__(self, connection: HTTPConnection) -> AsyncIterator[Workspace]:
        """Open it for FastAPI, which closes it when the response was sent."""
        async with self.open(connection) as workspace:
            yield workspace

    async def find_tenant(self, connection: HTTPConnection, project: Project) -> str | None:
        """Ask for the tenant of a request, and check the answer; raises what `open` says."""
        told: object = self._tenant_of(connection)
        if isawaitable(told):
            told = await told
        if told is None:
            if not self._allow_global and project.tenants is not None:
                message = (
                    f"{_name(self._tenant_of)} found no tenant for this request; expected it to give the id of one, or "
                    "to raise HTTPException where there is none (workspace_dependency(…, allow_global=True) is for "
                    "requests that are to reach all tenants)"
                )
                raise TenantRequired(message)
            return None
        if not isinstance(told, str):
            message = (
                f"expected {_name(self._tenant_of)} to give the tenant's id as text, or None for the global "
                f"workspace; got a {type(told).__name__}"
            )
            raise TypeError(message)
        return told


class OpeningForRequest:
    """The workspace of a request, which is opened by `async with`."""

    def __init__(self, dependency: WorkspaceDependency, connection: HTTPConnection) -> None:
        """Take what knows the tenant, and the request."""
        self._dependency = dependency
        self._connection = connection
        self._opening: AbstractAsyncContextManager[Workspace] | None = None

    async def __aenter__(self) -> Workspace:
        """Find the project and the tenant, and open the workspace."""
        if self._opening is not None:
            message = "this workspace was opened before; expected one open(request) for each `async with`"
            raise PinstripeError(message)
        project = project_of(self._connection)
        tenant = await self._dependency.find_tenant(self._connection, project)
        opening = self._opening = project.workspace(tenant=tenant)
        return await opening.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        """Close it, also where the request was cancelled."""
        if self._opening is not None:
            with CancelScope(
                shield=True
            ):  # a cancelled scope would interrupt whatever closes a service, again and again
                await self._opening.__aexit__(kind, error, frames)


def _name(function: Any) -> str:
    return f"{getattr(function, '__qualname__', None) or repr(function)}()"
