"""Which time zones a job's tenants are in: read from their source, so that a schedule has a timer for each zone."""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import TYPE_CHECKING

from pinstripe.errors import ConfigurationError
from pinstripe.selection import Choice, Selection, choose_again, find_distinct
from pinstripe.tenant_zones import MISSING, TenantZones, show_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pinstripe.definition import Definition
    from pinstripe.tenants import Tenant, TenantSource

TOLD = 100
"""How many different values that are no zone are warned of, each once."""

_log = logging.getLogger("pinstripe")


class ZoneGroups:
    """Reads tenants' zones. Tenants without a zone or with an unknown one count as in the default zone.

    What is no zone is warned of, once for each value.
    """

    def __init__(
        self, find_source: Callable[[], TenantSource | None], *, active: str, attribute: str, default: str
    ) -> None:
        """Take what finds the project's source, the attributes of who is active and where, and the `default` zone."""
        self._find_source = find_source
        self._active = active
        self._zones = TenantZones(attribute, default)
        self._told: set[str] = set()

    def of(self, tenant: Tenant) -> str:
        """Give the IANA name of a tenant's zone; raises `TenantSourceFailed` where its attribute can't be read."""
        value = self._zones.value(tenant)
        found = self._zones.find(value)
        if found is not None:
            return found
        if value is MISSING or self._zones.is_unknown(value):
            self._warn(value, tenant.id)
        return self._zones.default

    async def read(self, definition: Definition) -> frozenset[str]:
        """Give the zones of the tenants that a job is for; no zones for a job without tenants.

        A source with `distinct` is asked just for them; any other is read in pages, of which none is held. Raises
        `TenantSourceFailed` and `ConfigurationError`, as selecting the tenants does.
        """
        choice = choose_again(definition, Selection(), self._find_source(), self._active)
        if choice.source is None:
            return frozenset()
        values = await find_distinct(choice.source, self._zones.attribute)
        if values is None:
            return await self._read_pages(choice)
        if not values:  # nobody has the attribute, if anybody is there
            first = await _first(choice)
            return frozenset() if first is None else frozenset([self.of(first)])
        for value in values:
            if self._zones.is_unknown(value) and self._is_new(value):
                self._warn(value, await self._who_has(choice.source, value))
        return frozenset(self._zones.find(value) or self._zones.default for value in values)

    async def read_all(self, definitions: Iterable[Definition]) -> dict[str, frozenset[str] | Exception]:
        """Give the zones of each of several jobs by its name, or why they can't be read.

        Jobs with the same filter share a reading: so do all those that have none of their own.
        """
        found: dict[str, frozenset[str] | Exception] = {}
        readings: dict[tuple[bool, int], frozenset[str] | Exception] = {}
        for definition in definitions:
            key = (definition.multi_tenant, id(definition.tenants_filter))
            if key not in readings:
                try:
                    readings[key] = await self.read(definition)
                except ConfigurationError as error:  # it names this job
                    found[definition.name] = error
                    continue
                except Exception as error:  # noqa: BLE001 - what fails for these leaves the others
                    readings[key] = error
            found[definition.name] = readings[key]
        return found

    async def _read_pages(self, choice: Choice) -> frozenset[str]:
        zones: set[str] = set()
        async with aclosing(choice.pages()) as pages:
            async for page in pages:
                zones.update(map(self.of, page))
        return frozenset(zones)

    async def _who_has(self, source: TenantSource, value: object) -> str | None:
        """Give the id of a tenant whose attribute has this value; None where that can't be asked."""
        try:
            first = await _first(Choice(source.where(**{self._zones.attribute: value}), None, frozenset()))
        except ConfigurationError:
            return None
        return None if first is None else first.id

    def _is_new(self, value: object) -> bool:
        return len(self._told) <= TOLD and show_value(value) not in self._told

    def _warn(self, value: object, tenant: str | None) -> None:
        """Warn of a value that is no zone, unless that was done."""
        if not self._is_new(value):
            return
        zones = self._zones
        setting = f"the setting tenants.time_zone ({zones.attribute!r})"
        if len(self._told) == TOLD:
            _log.warning("more than %d values that are no time zones, by %s: further ones aren't told", TOLD, setting)
        else:
            _log.warning(
                "%s has %s, by %s; schedules in tenants' zones fire for such tenants in the project's zone, %s",
                "a tenant" if tenant is None else f"tenant {tenant!r}",
                "no such attribute" if value is MISSING else f"{show_value(value)}, which is no time zone",
                setting,
                zones.default,
            )
        self._told.add(show_value(value))


async def _first(choice: Choice) -> Tenant | None:
    """Give the first of the tenants, if there are any."""
    async with aclosing(choice.pages()) as pages:
        async for page in pages:
            if page:
                return page[0]
    return None
