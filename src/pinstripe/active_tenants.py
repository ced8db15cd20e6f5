"""The default filter over a source that an application has written itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from pinstripe.comparisons import Checks, read_lookups
from pinstripe.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from pinstripe.tenants import Tenant, TenantSource

_MISSING: Any = object()


class ActiveTenants:
    """The tenants of a `TenantSource` whose attribute is true, and those that have no such attribute.

    It looks at each tenant as it comes, since only the tenants tell whether they have it. A source that can tell
    beforehand, or in a query, offers `where_active(attribute)` and is asked that instead.
    """

    __slots__ = ("_attribute", "_check", "_source")

    def __init__(self, source: TenantSource, attribute: str) -> None:
        """Take the `source` and the name of the `attribute`."""
        self._source = source
        self._attribute = attribute
        self._check = Checks(*read_lookups({attribute: True}))

    @property
    def description(self) -> str:
        """The filter in words."""
        return f"{self._attribute}=True"

    def where(self, **lookups: Any) -> Self:
        """Narrow the source itself."""
        return type(self)(self._source.where(**lookups), self._attribute)

    async def by_ids(self, ids: Sequence[str]) -> Mapping[str, Tenant]:
        """Ask the source itself, and leave out who isn't active."""
        found = await self._source.by_ids(ids)
        return {id_: tenant for id_, tenant in found.items() if self._is_active(tenant)}

    async def __aiter__(self) -> AsyncIterator[Tenant]:
        """Read the source, and leave out who isn't active."""
        async for tenant in self._source:
            if self._is_active(tenant):
                yield tenant

    def _is_active(self, tenant: Tenant) -> bool:
        value = tenant.get(self._attribute, _MISSING)
        try:
            return value is _MISSING or self._check[type(value)](value)
        except ConfigurationError as error:
            message = f"tenant {tenant.id!r}: {error}"
            raise ConfigurationError(message) from error.__cause__
