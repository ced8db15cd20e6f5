"""Opening a workspace of a project, for one of its tenants or for none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinstripe.workspace import Workspace

if TYPE_CHECKING:
    from types import TracebackType

    from pinstripe.project import Project


class OpeningWorkspace:
    """A workspace that is opened by `async with`."""

    def __init__(self, project: Project, tenant: str | None) -> None:
        """Take the tenant's id; None is the global workspace."""
        self._project = project
        self._tenant = tenant
        self.enters_context = True
        """Whether the tenant's context is entered here: not where the body runs elsewhere, in a plain project."""
        self._workspace: Workspace | None = None

    async def __aenter__(self) -> Workspace:
        """Find the tenant and open its workspace; raises `UnknownTenant`."""
        project = self._project
        tenant = None if self._tenant is None else await project.find_tenant(self._tenant)
        foreground = await project._ready()  # noqa: SLF001 - the other half of the project
        workspace = self._workspace = await Workspace(tenant, foreground, databases=project.databases).__aenter__()
        context = project.tenant_context if tenant is not None and self.enters_context else None
        if context is not None and tenant is not None:
            await workspace.enter(context.of(tenant))
        return workspace

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        """Close it."""
        if self._workspace is not None:
            await self._workspace.__aexit__(kind, error, frames)
