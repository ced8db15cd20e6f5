"""A tenant's time zone, by what the attribute that holds it says."""

from __future__ import annotations

from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Any

from pinstripe.errors import TenantSourceFailed
from pinstripe.setting_keys import hide_passwords
from pinstripe.time_zones import is_zone

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pinstripe.tenants import Tenant

MISSING: Any = object()
"""Stands for an attribute that a tenant doesn't have."""

REMEMBERED = 1_000
"""How many names are remembered, with whether there is such a zone: more than there are zones."""

_SHOWN = 60


class TenantZones:
    """Finds the IANA names of tenants' time zones. Whether there is a zone is looked up once for a name."""

    __slots__ = ("_all", "_found", "attribute", "default")

    def __init__(self, attribute: str, default: str, *, known: Iterable[str] = ()) -> None:
        """Take the `attribute` that holds a tenant's zone, the `default` zone, and names that are `known` as zones."""
        self.attribute = attribute
        self.default = default
        self._found: dict[str, str | None] = {name: name for name in (default, *known)}
        self._all: frozenset[str] | None = None

    def of(self, tenant: Tenant) -> str:
        """Give the name of the tenant's zone; the default where it has none, or an unknown one.

        Raises `TenantSourceFailed` where the tenant's attribute can't be read.
        """
        return self.find(self.value(tenant)) or self.default

    def value(self, tenant: Tenant) -> Any:
        """Give what the tenant's attribute holds, or `MISSING`; raises as `of` does."""
        try:
            return tenant.get(self.attribute, MISSING)
        except Exception as error:
            told = f"{type(error).__name__}: {hide_passwords(str(error))}"
            message = f"the tenant source failed: {self.attribute!r} of tenant {tenant.id!r} can't be read: {told}"
            raise TenantSourceFailed(message) from error

    def find(self, value: object) -> str | None:
        """Give the name of the zone that a value of the attribute stands for: text, or a `tzinfo` that has a name."""
        name = str.__str__(value) if isinstance(value, str) else _name(value)
        if not name:
            return None
        try:
            return self._found[name]
        except KeyError:
            return self._look_up(name)

    def is_unknown(self, value: object) -> bool:
        """Tell whether a value says something that is no zone. None and empty text say nothing."""
        said = value is not None and value is not MISSING and not (isinstance(value, str) and not value)
        return said and self.find(value) is None

    def _look_up(self, name: str) -> str | None:
        if len(self._found) < REMEMBERED:
            self._found[name] = found = name if is_zone(name) else None
            return found
        if self._all is None:  # so many names aren't zones: looking for a file for each would take seconds
            from zoneinfo import available_timezones

            self._all = frozenset(available_timezones())
        return name if name in self._all else None


def show_value(value: object) -> str:
    """Show a value of the attribute in a message: text, shortened, and of anything else the kind."""
    if not isinstance(value, str):
        return f"a value of the type {type(value).__name__}"
    text = str.__str__(value)
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def _name(value: object) -> str | None:
    if not isinstance(value, tzinfo):
        return None
    name = "UTC" if value is UTC else getattr(value, "key", None) or getattr(value, "zone", None)  # pytz has `zone`
    return name if isinstance(name, str) else None
