"""The application's database as its workspaces have it: the `database` service, made when it is first used."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pinstripe.errors import ConfigurationError
from pinstripe.services import ServiceDefinition
from pinstripe.tenant_sources import load_tenant_source

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sqlalchemy import Select

    from pinstripe.config import DatabaseSettings, Settings
    from pinstripe.database.access import DatabaseAccess
    from pinstripe.database.catalog import Entry
    from pinstripe.database.service import Database
    from pinstripe.tenants import Tenant, TenantSource
    from pinstripe.workspace import Workspace


class ProjectDatabase:
    """Opens the database of each workspace. SQLAlchemy is imported, and the database connected, at the first use."""

    def __init__(self, settings: DatabaseSettings, folder: Path, *, has_tenants: Callable[[], bool]) -> None:
        """Take the `settings`, the project's `folder`, and what tells whether the project has tenants.

        Where the settings don't say which isolation there is, a project with tenants keeps them apart by rows.
        """
        self.settings = settings
        self._folder = folder
        self._has_tenants = has_tenants
        self._access: DatabaseAccess | None = None
        self._tenants_table: str | type | None = None

    @property
    def access(self) -> DatabaseAccess:
        """What connects; raises `ConfigurationError` where the settings don't go together."""
        if self._access is None:
            from pinstripe.database.access import DatabaseAccess

            isolation = self.settings.isolation or ("rows" if self._has_tenants() else "none")
            self._access = DatabaseAccess(self.settings, self._folder, isolation)
        return self._access

    def open(self, workspace: Workspace) -> tuple[Database, Callable[[BaseException | None], Any]]:
        """Make the database of a workspace; give it with what closes it."""
        work = self.access.open(workspace.tenant, check=workspace.check, loop=workspace.loop)
        return work.database, lambda _: work.close()

    @asynccontextmanager
    async def unscoped(self, workspace: Workspace, reason: str) -> AsyncIterator[Database]:
        """Open a database that reaches all tenants' rows, and log who does so and why."""
        if not str(reason or "").strip():
            message = f"workspace.unscoped(reason=…): expected the reason in words, which is logged, got {reason!r}"
            raise ConfigurationError(message)
        workspace.check()
        who = " ".join(
            filter(
                None,
                (
                    f"job {workspace.job}" if workspace.job else "a workspace",
                    f"of tenant {workspace.tenant.id}" if workspace.tenant is not None else "without a tenant",
                    f"in run {workspace.run_id}" if workspace.run_id else "",
                ),
            )
        )
        async with self.access.unscoped(workspace.tenant, reason, who, check=workspace.check) as database:
            yield database

    def source(self, table: str | type, *, key: str) -> TenantSource:
        """Read tenants from a table, or a mapped class; their id is the attribute `key`."""
        from pinstripe.database.tenants import TableTenants

        self._tenants_table = table
        return TableTenants(self, table, key=key)

    def default_source(self, key: str) -> TenantSource | None:
        """Read tenants from the table `tenants`; None where the models, or else the database, have no such table."""
        settings = self.settings
        if settings.models:
            from pinstripe.database.catalog import declared

            there = "tenants" in declared(settings, "none").by_name
        else:
            from pinstripe.database.presence import has_table_now

            there = settings.url is not None and has_table_now(settings.url, self._folder, "tenants")
        return self.source("tenants", key=key) if there else None

    @property
    def dialect(self) -> str:
        """The kind of database: "sqlite" or "postgresql"."""
        return self.access.dialect

    async def entry(self, table: str | type) -> Entry:
        """Give a table, by its name or its mapped class; raises `UnknownTable`."""
        return await self.access.entry(table)

    async def rows(self, statement: Select[Any]) -> list[Any]:
        """Execute a query that is not kept to any tenant; give the rows, detached."""
        return await self.access.rows(statement)

    async def look(self, tenant: Tenant | None) -> list[str]:
        """Connect, and say what is wrong with the tables, for `pinstripe check`; `tenant` is any, if there is one.

        Raises `ConfigurationError`, `DatabaseUnavailable` and `IsolationError`, as a job that uses the database.
        """
        settings, access = self.settings, self.access
        if tenant is not None and (settings.isolation in ("schemas", "databases") or settings.url is None):
            return await access.look(tenant, self._tenants_table)
        return [] if settings.url is None else await access.look(None, self._tenants_table)

    async def close(self) -> None:
        """Close every connection."""
        if self._access is not None:
            await self._access.close()


def find_tenant_source(settings: Settings, database: ProjectDatabase | None) -> TenantSource | None:
    """Give what tells which tenants there are: what the settings name, or else the table `tenants` of the database.

    None where there is neither. Raises `ConfigurationError`, and `DatabaseUnavailable` where it has to be looked for.
    """
    if settings.tenants.source is None:
        return None if database is None else database.default_source(settings.tenants.key)
    of_class = None if database is None else partial(database.source, key=settings.tenants.key)
    return load_tenant_source(settings, of_class)


def database_service(settings: DatabaseSettings | None) -> dict[str, ServiceDefinition]:
    """Give what a project offers as the service `database` without a file of its own; nothing where none is set up."""
    if settings is None or not (settings.url or settings.tenant_url):
        return {}
    service = ServiceDefinition("database", _of_workspace, ("workspace",), "workspace", Path("pyproject.toml"))
    return {"database": service}


def _of_workspace(workspace: Workspace) -> Database:
    return workspace.database
