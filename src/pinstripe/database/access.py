"""What all databases of a process are made with: the engines, the catalog of tables, and what was found there."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect

from pinstripe.database.catalog import Entry, declared
from pinstripe.database.class_faults import find_class_faults
from pinstripe.database.connections import watch
from pinstripe.database.engines import Engines, unavailable
from pinstripe.database.reflection import reflect
from pinstripe.database.row_security import inspect_row_security
from pinstripe.database.scope import Scopes
from pinstripe.database.service import Work
from pinstripe.database.session import Means
from pinstripe.database.table_faults import find_table_faults

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncEngine

    from pinstripe.config import DatabaseSettings
    from pinstripe.database.catalog import Catalog, Isolation, Standing
    from pinstripe.database.engines import Binding
    from pinstripe.database.scope import Scope
    from pinstripe.database.service import Database
    from pinstripe.tenants import Tenant

INSPECTION = 30.0
"""After how many seconds row-level security is looked at again: it may be enabled, or weakened, while we run."""

_log = logging.getLogger("pinstripe.database")


class DatabaseAccess:
    """The application's database, for all workspaces of a process. Nothing is connected before it is needed."""

    def __init__(self, settings: DatabaseSettings, folder: Path, isolation: Isolation) -> None:
        """Take the `settings`, the project's `folder` and the `isolation`.

        Raises `ConfigurationError` where the settings don't go together.
        """
        self._settings = settings
        self._isolation = isolation
        self._engines = Engines(settings, folder, isolation, watch=watch)
        self._scopes: Scopes | None = None
        self._shared_scopes: Scopes | None = None
        self._protected: bool | None = None
        self._inspect_again = math.inf
        self._for_reading: AsyncEngine | None = None
        self._reading = asyncio.Lock()

    @property
    def dialect(self) -> str:
        """The kind of database: "sqlite" or "postgresql"."""
        return self._engines.dialect

    def open(
        self,
        tenant: Tenant | None,
        *,
        check: Callable[[], None] | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> Work:
        """Make the database of one workspace, to be closed with it; see `Work`."""
        return Work(self, tenant, check=check, loop=loop)

    @asynccontextmanager
    async def unscoped(
        self, tenant: Tenant | None, reason: str, who: str, *, check: Callable[[], None] | None = None
    ) -> AsyncIterator[Database]:
        """Open a database that reaches all tenants' rows, and log `who` does so, and for what `reason`."""
        _log.warning("%s works beyond its tenant: %s", who, reason)
        work = Work(self, tenant, unscoped=True, check=check)
        try:
            yield work.database
        finally:
            await work.close()

    async def means(self, tenant: Tenant | None, *, unscoped: bool) -> Means:
        """Give what a session of the `tenant` works with.

        Raises `DatabaseUnavailable`, `ConfigurationError`, and `IsolationError` for an id that can't be a tenant's.
        """
        whose = None if unscoped else tenant
        engines = self._engines
        binding = engines.bind_now(whose) or await engines.bind(whose)
        try:
            scopes = self._scopes if whose is not None else self._shared_scopes
            if scopes is None or scopes.catalog.is_outdated:
                scopes = await self._read(whose, binding)
            protected = self._protected
            if protected is None or time.monotonic() >= self._inspect_again:
                protected = await self._inspect(binding, scopes.catalog)
            scope = scopes.unscoped(tenant) if unscoped else scopes.of(tenant)
        except BaseException as error:
            if binding.release is not None:
                binding.release()
            failure = self.failed(error, binding)
            if failure is error:
                raise
            raise failure from error
        reading = None if protected else self._engine_for_reading(binding)
        return Means(scope, binding, sqlite=self.dialect == "sqlite", protected=protected, reading=reading)

    def renew(self, tenant: Tenant | None, *, unscoped: bool) -> Scope:
        """Give the scope of a session anew where classes were mapped since the models were read; raises as `means`."""
        scopes = self._scopes
        if scopes is None or scopes.catalog.is_outdated:
            scopes = self._declare()
        return scopes.unscoped(tenant) if unscoped else scopes.of(tenant)

    def everything(self, *, unscoped: bool) -> bool:
        """Tell whether a session reaches everything."""
        return unscoped or self._isolation == "none"

    def failed(self, error: BaseException, binding: Binding | None = None) -> BaseException:
        """Give `DatabaseUnavailable` for an error that means so, and any other error as it is."""
        url = binding.engine.url if binding is not None else self._settings.url or self._settings.tenant_url
        return unavailable(error, url) or error

    async def catalog(self) -> Catalog:
        """Give the tables, as a workspace without a tenant knows them; raises as `means`."""
        return (await self.means(None, unscoped=True)).scope.catalog

    async def entry(self, table: str | type) -> Entry:
        """Give a table, also an undeclared one, or any mapped class; raises `UnknownTable`, and as `means`."""
        catalog = await self.catalog()
        if isinstance(table, type) and table not in catalog.by_class:
            return Entry(table.__qualname__, table, inspect(table).local_table, None, "shared")
        return catalog.find(table, undeclared=True)

    async def rows(self, statement: Select[Any]) -> list[Any]:
        """Execute a query that is not kept to any tenant, in a session of its own; give the rows, detached."""
        work = Work(self, None, unscoped=True)
        try:
            return await work.operate(lambda session: _fetch(session, statement), "nothing")
        finally:
            await work.close()

    async def look(self, tenant: Tenant | None, tenants: str | type | None = None) -> list[str]:
        """Connect as a workspace of `tenant` does, and say what is wrong with the tables; raises as `means`.

        Without one it looks at what is shared; where tenants have a database or schema each, one has to be given.
        `tenants` is the table that they are read from, if they are.
        """
        try:
            means = await self.means(tenant, unscoped=tenant is None)
            try:
                catalog = means.scope.catalog
                faults = list(dict.fromkeys(find_class_faults(catalog).values()))
                for engine, standings in self._places(means.binding, tenant):
                    async with engine.connect() as connection:
                        faults += await find_table_faults(connection, catalog, standings, tenants)
                return faults
            finally:
                if means.binding.release is not None:
                    means.binding.release()
        except Exception as error:
            failure = self.failed(error)
            if failure is error:
                raise
            raise failure from error

    def _places(self, binding: Binding, tenant: Tenant | None) -> list[tuple[AsyncEngine, set[Standing]]]:
        """Give each database that is reached, with the standing of the tables that it has."""
        if self._isolation != "databases":
            return [(binding.engine, {"tenant", "shared", "undeclared"})]
        if tenant is None:
            return [(binding.engine, {"shared"})]
        shared: list[tuple[AsyncEngine, set[Standing]]] = (
            [] if binding.shared is None else [(binding.shared, {"shared"})]
        )
        return [(binding.engine, {"tenant"}), *shared]

    async def close(self) -> None:
        """Close every connection."""
        await self._engines.close()

    def _engine_for_reading(self, binding: Binding) -> AsyncEngine | None:
        """Give an engine on the same connections for single queries, to save PostgreSQL's begin and commit."""
        if self.dialect != "postgresql" or self._isolation not in ("rows", "none"):
            return None
        if self._for_reading is None:
            self._for_reading = binding.engine.execution_options(isolation_level="AUTOCOMMIT")
        return self._for_reading

    async def _read(self, tenant: Tenant | None, binding: Binding) -> Scopes:
        """Read which tables there are, once: from the models, or else from the database of the first who asks."""
        async with self._reading:
            found = self._scopes if tenant is not None else self._shared_scopes
            if found is None or found.catalog.is_outdated:
                settings, isolation = self._settings, self._isolation
                if settings.models:
                    return self._declare()
                schema = self._engines.schema(tenant) if tenant is not None and isolation == "schemas" else None
                catalog = await reflect(binding.engine, settings, isolation, schema, shared=binding.shared)
                scopes = Scopes(catalog, self.dialect)
                if isolation in ("rows", "none"):
                    self._scopes = self._shared_scopes = scopes
                elif tenant is None:
                    self._shared_scopes = scopes
                else:
                    self._scopes = scopes
            found = self._scopes if tenant is not None else self._shared_scopes
            assert found is not None  # noqa: S101 - it was read above
            return found

    def _declare(self) -> Scopes:
        scopes = self._scopes = self._shared_scopes = Scopes(declared(self._settings, self._isolation), self.dialect)
        return scopes

    async def _inspect(self, binding: Binding, catalog: Catalog) -> bool:
        """See whether row-level security is in force; raises `ConfigurationError` where it is so in part only."""
        async with self._reading:
            if self.dialect != "postgresql" or self._isolation != "rows":
                self._protected = False
            elif self._protected is None or time.monotonic() >= self._inspect_again:
                async with binding.engine.connect() as connection:
                    self._protected = await inspect_row_security(connection, catalog)
                self._inspect_again = time.monotonic() + INSPECTION
            return self._protected


def _fetch(session: Any, statement: Select[Any]) -> list[Any]:
    result = session.execute(statement)
    entities = statement.column_descriptions
    if len(entities) == 1 and isinstance(entities[0]["type"], type) and entities[0]["expr"] is entities[0]["type"]:
        return list(result.scalars().unique().all())
    return list(result.all())
