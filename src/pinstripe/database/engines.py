"""Which engine a workspace works with: for its tenant, in each of the ways to keep tenants apart."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from pinstripe.errors import ConfigurationError, TenantRequired, WorkspaceClosed

from .catalog import TENANT_SCHEMA, Isolation
from .outages import unavailable
from .tenant_engines import Owners, TenantEngines
from .tenant_schemas import TenantSchemas
from .urls import SQLiteFile, dialect_of, read_url, tenant_url

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

    from pinstripe.config import DatabaseSettings
    from pinstripe.tenants import Tenant

    from .urls import Address, Dialect

__all__ = ["Binding", "Engines", "unavailable"]


class Binding(NamedTuple):
    """What a workspace's session is bound to.

    `shared` is the engine of the shared tables where that is another one. `release` gives back what was lent; it may be
    called more than once, and is None where nothing was.
    """

    engine: AsyncEngine
    shared: AsyncEngine | None = None
    release: Callable[[], None] | None = None


class Engines:
    """The engines of one project. None is made before it is needed, and none ever makes a SQLite file."""

    def __init__(
        self,
        settings: DatabaseSettings,
        folder: Path,
        isolation: Isolation,
        *,
        watch: Callable[[Engine], None] | None = None,
    ) -> None:
        """Take the project's `settings` and `folder`; nothing is connected. `watch` is called with each engine.

        Raises `ConfigurationError` where the settings don't go together.
        """
        self._settings = settings
        self._folder = folder
        self._isolation = isolation
        self._watch = watch
        self._address = read_url(settings.url, folder, "database.url") if settings.url else None
        self.dialect: Dialect = _dialect(settings, isolation)
        self._binding: Binding | None = None
        self._schemas = TenantSchemas(settings.tenant_schema)
        self._tenants = TenantEngines(settings.open_databases, self._open_for_tenant)
        self._owners = Owners()
        self._is_closed = False

    async def bind(self, tenant: Tenant | None) -> Binding:
        """Give what a workspace of `tenant` is bound to; for None, what reaches the shared tables only.

        Raises `DatabaseUnavailable` where the tenant's database or schema isn't there, `ConfigurationError` where the
        settings and the tenant's attributes don't make one, and `IsolationError` where it is another tenant's.
        """
        binding = self.bind_now(tenant)
        if binding is not None:
            return binding
        if tenant is None:
            raise TenantRequired("expected a tenant")
        if self._isolation == "databases":
            address = self._tenant_address(tenant)
            lease = await self._tenants.lease(tenant.id, address)
            return Binding(lease.engine, self._shared(), lease.release)
        engine = self._main().engine
        try:
            await self._schemas.find(self._schemas.name(tenant), tenant, engine)
        except Exception as error:
            outage = unavailable(error, engine.url)
            if outage is None or outage is error:
                raise
            raise outage from error
        return self._schema(tenant)

    def bind_now(self, tenant: Tenant | None) -> Binding | None:
        """Give what `bind` gives where that takes no waiting; else None."""
        if self._is_closed:
            raise WorkspaceClosed("the database was closed, with the project")
        if tenant is None or self._isolation in ("rows", "none"):
            return self._main()
        if self._isolation == "schemas":
            return self._schema(tenant) if self._schemas.is_known(self._schemas.name(tenant)) else None
        lease = self._tenants.lease_now(tenant.id, self._tenant_address(tenant))
        return None if lease is None else Binding(lease.engine, self._shared(), lease.release)

    def schema(self, tenant: Tenant) -> str:
        """Give the name of the tenant's schema; raises as `bind`."""
        return self._schemas.name(tenant)

    async def close(self) -> None:
        """Close every connection, and end every thread of theirs; a cancellation is heard after that."""
        self._is_closed = True
        closing = asyncio.ensure_future(self._close())
        try:
            await asyncio.shield(closing)
        except asyncio.CancelledError:
            await closing
            raise

    async def _close(self) -> None:
        await self._tenants.close()
        if self._binding is not None:
            await self._binding.engine.dispose()

    def _main(self) -> Binding:
        if self._binding is None:
            if self._address is None:
                raise ConfigurationError(
                    "setting database.url: there is none, so there are no shared tables, and nothing that a job "
                    "without a tenant could use; set it under [tool.pinstripe.database]"
                )
            if self._isolation == "databases":
                self._owners.claim(_SHARED, self._address)
            self._binding = Binding(self._open(self._address, self._settings.pool_size))
        return self._binding

    def _shared(self) -> AsyncEngine | None:
        return None if self._address is None else self._main().engine

    def _schema(self, tenant: Tenant) -> Binding:
        name = self._schemas.name(tenant)
        return Binding(self._main().engine.execution_options(schema_translate_map={TENANT_SCHEMA: name}))

    def _tenant_address(self, tenant: Tenant) -> Address:
        address = tenant_url(self._settings.tenant_url or "", tenant, self._folder)
        if address.dialect != self.dialect:
            raise ConfigurationError(
                f"setting database.tenant_url: the database of tenant {tenant.id!r} is of {address.dialect}, expected "
                f"{self.dialect} as for the others"
            )
        if self._address is not None:
            self._main()  # the shared database is no tenant's: it is claimed first
        self._owners.claim(f"tenant {tenant.id!r}", address)
        return address

    def _open_for_tenant(self, address: Address) -> AsyncEngine:
        return self._open(address, min(self._settings.pool_size, _TENANT_POOL))

    def _open(self, address: Address, pool_size: int) -> AsyncEngine:
        engine = _open(address, pool_size)
        if self._watch is not None:
            self._watch(engine.sync_engine)
        return engine


_SHARED = "the shared database of database.url"

_TENANT_POOL = 2
"""How many connections a tenant's own database may have: a workspace uses one, and several may work at once."""


def _dialect(settings: DatabaseSettings, isolation: Isolation) -> Dialect:
    """Tell what kind of database it is by the settings alone."""
    url = settings.url and dialect_of(settings.url)
    if isolation != "databases":
        if not url:
            raise ConfigurationError(
                "setting database.url: expected where the database is, such as 'sqlite:///app.db' or "
                "'postgresql://app@localhost/app', found nothing"
            )
        if isolation == "schemas" and url == "sqlite":
            raise ConfigurationError(
                "setting database.isolation: SQLite has no schemas; expected PostgreSQL, or isolation = 'databases' "
                "with a file for each tenant"
            )
        return url
    if not settings.tenant_url:
        raise ConfigurationError(
            "setting database.tenant_url: expected where each tenant's database is, such as "
            "'sqlite:///tenants/{id}.db', since isolation is 'databases'; found nothing"
        )
    dialect = dialect_of(settings.tenant_url) or url
    if not dialect:
        raise ConfigurationError(
            "setting database.tenant_url: it doesn't begin with sqlite: or postgresql:, and there is no database.url "
            "either; expected one of them to say what kind of database the tenants have"
        )
    if url and url != dialect:
        raise ConfigurationError(
            f"setting database.tenant_url: it is of {dialect} and database.url is of {url}; expected both of one kind"
        )
    return dialect


def _open(address: Address, pool_size: int) -> AsyncEngine:
    if isinstance(address, SQLiteFile):
        from .sqlite import sqlite_engine

        return sqlite_engine(address, pool_size)
    from .postgres import postgres_engine

    return postgres_engine(address, pool_size)
