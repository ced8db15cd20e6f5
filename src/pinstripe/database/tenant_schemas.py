"""The schema of each tenant, by the setting `database.tenant_schema`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from pinstripe.errors import ConfigurationError, DatabaseUnavailable, IsolationError

from .catalog import TENANT_SCHEMA
from .templates import PLACEHOLDER, attribute_of

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from pinstripe.tenants import Tenant


class TenantSchemas:
    """The names of tenants' schemas: which is whose, and which are known to be there."""

    def __init__(self, template: str) -> None:
        """Take the template, such as `"{id}"` or `"customer_{schema_name}"`."""
        self._template = template
        self._names: dict[str, str] = {}
        self._tenants: dict[str, str] = {}
        self._there: set[str] = set()

    def name(self, tenant: Tenant) -> str:
        """Give the name of the tenant's schema.

        Raises `ConfigurationError` for a name that can't be one, and `IsolationError` for one that is another tenant's.
        """
        name = PLACEHOLDER.sub(lambda found: attribute_of(tenant, found[1], _SETTING), self._template)
        if self._names.get(tenant.id) == name:
            return name
        _check(name, tenant)
        other = self._tenants.get(name, tenant.id)
        if other != tenant.id:
            raise IsolationError(
                f"tenants {other!r} and {tenant.id!r} have the same schema, {name!r}; expected one of its own for "
                f"each: mend {_SETTING}, or the tenants' attributes that it names"
            )
        former = self._names.get(tenant.id)
        if former is not None:
            self._tenants.pop(former, None)
        self._names[tenant.id] = name
        self._tenants[name] = tenant.id
        return name

    def is_known(self, name: str) -> bool:
        """Tell whether `find` has found the schema before."""
        return name in self._there

    async def find(self, name: str, tenant: Tenant, engine: AsyncEngine) -> None:
        """See that the tenant's schema is there and may be used; raises `DatabaseUnavailable`."""
        async with engine.connect() as connection:
            found = await connection.scalar(_FIND, {"name": name})
        if not found:
            what = "there is none" if found is None else "this role may not use it (grant usage on schema)"
            raise DatabaseUnavailable(
                f"expected the schema {name!r} for tenant {tenant.id!r}: {what}; a tenant's schema is made by your "
                "application, never by pinstripe"
            )
        self._there.add(name)


_SETTING = "database.tenant_schema"

_FIND = text(
    "select has_schema_privilege(oid, 'usage') from pg_catalog.pg_namespace where nspname = cast(:name as text)"
)

_LONGEST_NAME = 63
"""In bytes: NAMEDATALEN - 1. PostgreSQL cuts a longer name short, and two tenants might meet in what is left."""


def _check(name: str, tenant: Tenant) -> None:
    wrong = None
    if len(name.encode()) > _LONGEST_NAME:
        wrong = f"has {len(name.encode())} bytes; PostgreSQL keeps the first {_LONGEST_NAME} of a name"
    elif name == "public":
        wrong = "is where shared tables are"
    elif name == TENANT_SCHEMA:
        wrong = "is the word by which models mean whichever tenant's schema"
    elif name.startswith("pg_") or name == "information_schema":
        wrong = "is PostgreSQL's own"
    if wrong is not None:
        raise ConfigurationError(
            f"setting {_SETTING}: {name!r} can't be the schema of tenant {tenant.id!r}: it {wrong}; expected "
            "another name"
        )
