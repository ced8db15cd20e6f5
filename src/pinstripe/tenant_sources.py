"""Tenants from plain Python: lists, functions and generators, synchronous or not, as a `TenantSource`."""

from __future__ import annotations

import sys
from contextlib import aclosing
from inspect import iscoroutine
from typing import TYPE_CHECKING, Any, Self

from pinstripe.active_tenants import ActiveTenants
from pinstripe.clock import SystemClock
from pinstripe.comparisons import Checks, Lookup, read_lookups
from pinstripe.errors import ConfigurationError
from pinstripe.references import import_reference
from pinstripe.setting_keys import hide_passwords
from pinstripe.tenant_items import Selector
from pinstripe.tenant_pages import read_pages
from pinstripe.tenant_readers import NotTenants, check_source
from pinstripe.tenants import TenantSource

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence

    from pinstripe.clock import Clock
    from pinstripe.config import Settings
    from pinstripe.tenants import Tenant

PAGE = 1_000
"""How many items are read at once."""

KEPT_SECONDS = 30.0
"""How long `by_ids` answers from what it has read before."""

KEPT_TENANTS = 10_000
"""How many tenants `by_ids` keeps at most."""


class Tenants:
    """A `TenantSource` over plain Python; filters run here, with the comparisons of `comparisons.py`.

    `source` is a function (`def` or `async def`, a generator or not) that is called for each reading, or a collection
    that can be iterated again and again. Its items are mappings, objects, or plain ids. Plain functions and lazy
    iterables are read in a thread of their own, in pages. A tenant's id is the item's attribute `key`, as text.

    `Tenants(fetch_accounts, key="slug").where(active=True)`
    """

    __slots__ = ("_clock", "_kept", "_key", "_lookups", "_name", "_source")

    def __init__(self, source: object, *, key: str = "id", name: str | None = None, clock: Clock | None = None) -> None:
        """Take the `source`, the attribute `key` that holds the id, and the `name` for messages.

        Raises `ConfigurationError` for what can't be read as tenants, or only once.
        """
        self._source = source
        self._key = key
        self._name = name or getattr(source, "__qualname__", None) or f"a {type(source).__name__}"
        self._clock: Clock = clock or SystemClock()
        self._lookups: tuple[tuple[Lookup, bool], ...] = ()
        self._kept = _Kept()
        try:
            check_source(source)
        except NotTenants as error:
            message = f"tenant source {self._name}: {error}"
            raise ConfigurationError(message) from None

    def where(self, **lookups: Any) -> Self:
        """Give a source of only those tenants for which every lookup holds.

        Raises `ConfigurationError` for an unknown comparison here, and when read for an attribute that a tenant doesn't
        have or that can't be compared with the value.
        """
        return self._narrowed((lookup, False) for lookup in read_lookups(lookups))

    def where_active(self, attribute: str) -> Self:
        """Give a source of only those tenants whose `attribute` is true, and those that have no such attribute."""
        return self._narrowed((lookup, True) for lookup in read_lookups({attribute: True}))

    def _narrowed(self, lookups: Iterable[tuple[Lookup, bool]]) -> Self:
        new = object.__new__(type(self))
        new._source, new._key, new._name, new._clock = self._source, self._key, self._name, self._clock
        new._lookups = (*self._lookups, *lookups)
        new._kept = _Kept()
        return new

    @property
    def description(self) -> str:
        """The filter in words, `active=True, seats__ge=5`, or `all`."""
        return ", ".join(str(lookup) for lookup, _ in self._lookups) or "all"

    def __repr__(self) -> str:
        """Show the source's name and the filter."""
        return f"Tenants({self._name}: {self.description})"

    async def __aiter__(self) -> AsyncGenerator[Tenant, None]:
        """Read the tenants one after another; raises `TenantSourceFailed` wherever the source fails."""
        async with aclosing(self.pages()) as pages:
            async for page in pages:
                for tenant in page:
                    yield tenant

    async def pages(self, size: int = PAGE) -> AsyncGenerator[list[Tenant], None]:
        """Read the tenants in lists, each of what matched among `size` items; raises as iterating does."""
        checks = [(lookup.attribute, Checks(lookup), optional) for lookup, optional in self._lookups]
        selector = Selector(self._key, self._name, checks)
        async with aclosing(read_pages(self._source, selector, self._name, size)) as pages:
            async for page in pages:
                yield page

    async def by_ids(self, ids: Sequence[str]) -> Mapping[str, Tenant]:
        """Give those of the tenants with these `ids` that the source has, by id, in the order of `ids`.

        Reads the source once, and stops when all are found. What it has read answers for 30 seconds, as long as it is
        at most 10,000 tenants. Raises as iterating does.
        """
        wanted = dict.fromkeys(ids)
        kept = self._kept.at(self._clock.monotonic())
        found: Mapping[str, Tenant] = kept.tenants
        missing = {one for one in wanted if one not in found}
        if missing and not kept.complete:
            found = {**found, **await self._find(missing, kept)}
        return {one: found[one] for one in wanted if one in found}

    async def _find(self, missing: set[str], kept: _Kept) -> dict[str, Tenant]:
        """Read the source until nothing of `missing` is, and keep what was read where it isn't too much."""
        found: dict[str, Tenant] = {}
        seen: dict[str, Tenant] = {}
        async with aclosing(self.pages()) as pages:
            async for page in pages:
                for tenant in page:
                    if tenant.id in missing:
                        missing.discard(tenant.id)
                        found[tenant.id] = tenant
                    if len(seen) <= KEPT_TENANTS:
                        seen.setdefault(tenant.id, tenant)
                if not missing:
                    break
        if len(seen) <= KEPT_TENANTS:
            kept.tenants = {**kept.tenants, **seen}
            kept.complete = bool(missing)
        elif len(kept.tenants) + len(found) <= KEPT_TENANTS:
            kept.tenants = {**kept.tenants, **found}
        return found


class _Kept:
    """The tenants that `by_ids` has read in the last seconds; `complete` when the source has no others."""

    __slots__ = ("complete", "since", "tenants")

    def __init__(self) -> None:
        self.tenants: dict[str, Tenant] = {}
        self.complete = False
        self.since = float("-inf")

    def at(self, now: float) -> _Kept:
        """Give what is kept, without what is too old at `now` (seconds of a monotonic clock)."""
        if now - self.since >= KEPT_SECONDS:
            self.tenants, self.complete, self.since = {}, False, now
        return self


def tenant_source_of(source: object, *, key: str = "id", name: str | None = None) -> TenantSource:
    """Give a `TenantSource` over plain Python, as `Tenants` is; what is a `TenantSource` already is taken as it is."""
    if isinstance(source, TenantSource) and not isinstance(source, type):
        return source
    return Tenants(source, key=key, name=name)


def load_tenant_source(
    settings: Settings, of_class: Callable[[type], TenantSource] | None = None
) -> TenantSource | None:
    """Import what the setting `tenants.source` names as "module:attribute"; None where it isn't set.

    A Django model is read by its table, and a class that SQLAlchemy maps by what `of_class` gives, where the project
    has a database. The project's folder must be on `sys.path`. Raises `ConfigurationError` that names the setting.
    """
    name = settings.tenants.source
    if name is None:
        return None
    try:
        source = import_reference(name)
        if is_django_model(source):
            from pinstripe.django_models import ModelTenants

            return ModelTenants(source, key=settings.tenants.key, name=name)
        if is_mapped_class(source):
            return _mapped(source, of_class)
        return tenant_source_of(source, key=settings.tenants.key, name=name)
    except ConfigurationError as error:
        message = f"setting tenants.source = {name!r}: {error}"
        raise ConfigurationError(message) from error.__cause__


def is_django_model(source: object) -> bool:
    """Tell whether `source` is a Django model, without importing Django where nobody has."""
    models = sys.modules.get("django.db.models")
    return models is not None and isinstance(source, type) and issubclass(source, models.Model)


def _mapped(source: Any, of_class: Callable[[type], TenantSource] | None) -> TenantSource:
    if of_class is None:
        message = f"{source.__name__} is read from the database; expected `url` under [tool.pinstripe.database] too"
        raise ConfigurationError(message)
    return of_class(source)


def is_mapped_class(source: object) -> bool:
    """Tell whether SQLAlchemy maps `source` to a table, without importing SQLAlchemy where nobody has."""
    orm = sys.modules.get("sqlalchemy.orm")
    if orm is None or not isinstance(source, type):
        return False
    from sqlalchemy import inspect

    return isinstance(inspect(source, raiseerr=False), orm.Mapper)


def filter_of(
    tenants_filter: Callable[[TenantSource], TenantSource] | None, source: TenantSource, active: str, *, job: str
) -> TenantSource:
    """Narrow `source` by the author's own `tenants_filter` of the `job`, or else by the default filter.

    Raises `ConfigurationError` that names the job where the filter raises or gives something else than a source.
    """
    if tenants_filter is None:
        return default_filter(source, active)
    try:
        narrowed: object = tenants_filter(source)
    except Exception as error:
        reason = str(error) if isinstance(error, ConfigurationError) else f"{type(error).__name__}: {error}"
        message = f"tenants_filter of {job} failed: {hide_passwords(reason)}"
        raise ConfigurationError(message) from error
    if not isinstance(narrowed, TenantSource) or isinstance(narrowed, type):
        if iscoroutine(narrowed):
            narrowed.close()
        found = "None" if narrowed is None else f"a {type(narrowed).__name__}"
        message = f"tenants_filter of {job}: expected a source, as tenants.where(plan='pro') gives, got {found}"
        raise ConfigurationError(message)
    return narrowed


def default_filter(source: TenantSource, active: str) -> TenantSource:
    """Give the tenants whose attribute `active` is true, and those that have no such attribute; with "" all.

    Whether there is such an attribute is asked of each tenant: nothing need be read beforehand, and items may differ.
    """
    if not active:
        return source
    own: Callable[[str], TenantSource] | None = getattr(source, "where_active", None)
    return own(active) if own is not None else ActiveTenants(source, active)


def describe_filter(
    tenants_filter: Callable[[TenantSource], TenantSource] | None, source: TenantSource, active: str, *, job: str
) -> str:
    """Say which filter is in force: `active=True`, `plan='pro', seats__ge=5`, `all`; raises as `filter_of`.

    A source that can't describe itself is told by whether the job narrowed it.
    """
    described = getattr(filter_of(tenants_filter, source, active, job=job), "description", None)
    if isinstance(described, str):
        return described
    return "all" if tenants_filter is None else "the job's own tenants_filter"
