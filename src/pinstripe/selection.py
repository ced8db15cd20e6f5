"""Which tenants a run is for: what was asked for, checked against the source, and read from it in pages."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pinstripe.errors import ConfigurationError, InvalidArguments, TenantSourceFailed, UnknownTenant
from pinstripe.setting_keys import hide_passwords
from pinstripe.tenant_sources import filter_of
from pinstripe.tenant_zones import TenantZones
from pinstripe.tenants import Tenant
from pinstripe.text_values import TextValue

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence

    from pinstripe.definition import Definition
    from pinstripe.tenants import TenantSource

T = TypeVar("T", bound="Iterable[object]")

PAGE = 1_000
"""How many tenants are read from a source, and written to the ledger, at a time."""

_NAMED = 5


class ZoneChoice(NamedTuple):
    """The tenants of one time zone: `name` is its IANA name, `attribute` what holds a tenant's zone.

    Those whose zone is missing or unknown count as in `default`.
    """

    name: str
    attribute: str
    default: str


class Selection(NamedTuple):
    """What a caller asked for, on top of the job's own filter.

    `tenants` are the only ids wanted (None: all; empty: none), `exclude` those left out, `where` pairs of a lookup and
    its value, of which all must hold. `force` also takes named tenants that the job's filter leaves out. `zone` takes
    those of one time zone; it is a schedule's.
    """

    tenants: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    where: tuple[tuple[str, Any], ...] = ()
    force: bool = False
    zone: ZoneChoice | None = None

    @property
    def narrows(self) -> bool:
        """Whether anything was asked for at all."""
        return self.tenants is not None or bool(self.exclude or self.where)

    def narrowed(self, ids: Sequence[str]) -> Selection:
        """Give the selection of those only of what is selected that have one of these ids."""
        if self.tenants is None:
            return self._replace(tenants=tuple(ids), force=False)  # which would let in whom the job's filter leaves out
        named = frozenset(self.tenants)
        return self._replace(tenants=tuple(id_ for id_ in ids if id_ in named))

    def to_json(self) -> dict[str, Any]:
        """Give the selection as the ledger keeps it; raises `InvalidArguments` where a value isn't JSON."""
        written = {
            "tenants": None if self.tenants is None else list(self.tenants),
            "exclude": list(self.exclude),
            "where": [[key, _written(key, value)] for key, value in self.where],
            "force": self.force,
        }
        return written if self.zone is None else {**written, "zone": list(self.zone)}

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Selection:
        """Make the selection that `to_json` wrote."""
        tenants, zone = written["tenants"], written.get("zone")
        return cls(
            tenants=None if tenants is None else tuple(tenants),
            exclude=tuple(written["exclude"]),
            where=tuple((key, _read(value)) for key, value in written["where"]),
            force=written["force"],
            zone=None if zone is None else ZoneChoice(*zone),
        )


class Choice:
    """A selection that has been checked: the tenants it stands for, read anew each time they are asked for."""

    def __init__(
        self,
        source: TenantSource | None,
        ids: Sequence[str] | None,
        exclude: frozenset[str],
        zone: ZoneChoice | None = None,
    ) -> None:
        """Take the narrowed `source` (None: one execution without a tenant), the only `ids`, and those to `exclude`.

        With a `zone` only the tenants of that zone are selected.
        """
        self.source = source
        self._ids = ids
        self._exclude = exclude
        self._zone = zone

    def narrowed(self, ids: Sequence[str]) -> Choice:
        """Give the choice of those only of the chosen tenants that have one of these ids."""
        named = frozenset(ids if self._ids is None else self._ids)
        return Choice(self.source, [id_ for id_ in ids if id_ in named], self._exclude, self._zone)

    async def pages(self) -> AsyncGenerator[list[Tenant]]:
        """Read the tenants in pages; raises `TenantSourceFailed` where the source fails."""
        if self.source is None:
            return
        if self._zone is None:
            pages = self._pages(self.source)
        else:
            zone = self._zone
            zones = TenantZones(zone.attribute, zone.default, known=[zone.name])
            source = self.source if self._ids is not None else await _near(self.source, zone, zones)
            if source is None:
                return
            pages = _kept(self._pages(source), zones, zone.name)
        async with aclosing(pages):
            async for page in pages:
                yield page

    async def _pages(self, source: TenantSource) -> AsyncGenerator[list[Tenant]]:
        if self._ids is not None:
            for first in range(0, len(self._ids), PAGE):
                yield await self.by_ids(self._ids[first : first + PAGE])
            return
        async with aclosing(_pages(source)) as pages:
            async for page in pages:
                yield [tenant for tenant in page if tenant.id not in self._exclude] if self._exclude else page

    async def by_ids(self, ids: Sequence[str]) -> list[Tenant]:
        """Give those of the tenants with these ids that the source still has, in this order, whatever their zone.

        A tenant who has moved to another zone since the selection is still one of it.
        """
        wanted = [id_ for id_ in ids if id_ not in self._exclude]
        if self.source is None or not wanted:
            return []
        found = await find_tenants(self.source, wanted)
        return [found[id_] for id_ in wanted if id_ in found]


async def choose(
    definition: Definition,
    selection: Selection,
    source: TenantSource | None,
    active: str,
) -> Choice:
    """Check `selection` for a job: `source` is the project's, `active` names the attribute that tells who is active.

    Raises `ConfigurationError` for a selection of tenants where there are none, `UnknownTenant` for a named tenant that
    the source doesn't have or that the job's filter leaves out, and `TenantSourceFailed`.
    """
    if not definition.multi_tenant:
        if selection.narrows:
            message = (
                f"{definition.name} is not multi-tenant, so it has no tenants to choose from; expected no choice of "
                "tenants, or `multi_tenant = True` in the job"
            )
            raise ConfigurationError(message)
        return Choice(None, None, frozenset())
    if source is None:
        raise ConfigurationError(_no_source(definition))
    filtered = filter_of(definition.tenants_filter, source, active, job=definition.name)
    named = tuple(dict.fromkeys((*(selection.tenants or ()), *selection.exclude)))
    if named:
        await _refuse_unknown(definition, selection, source, filtered)
    return _choice(selection, _narrowed(selection, source, filtered))


def choose_again(definition: Definition, selection: Selection, source: TenantSource | None, active: str) -> Choice:
    """Give the choice of a `selection` that `choose` has checked before: who is gone since is left out, not refused.

    Raises `ConfigurationError` where the project or the job isn't as it must be any more.
    """
    if not definition.multi_tenant:
        return Choice(None, None, frozenset())
    return _choice(selection, narrow(definition, selection, source, active))


def narrow(definition: Definition, selection: Selection, source: TenantSource | None, active: str) -> TenantSource:
    """Give the `source` with the job's own filter, unless that is forced, and the lookups that were asked for.

    Raises `ConfigurationError` where there is no source, or the filter fails.
    """
    if source is None:
        raise ConfigurationError(_no_source(definition))
    return _narrowed(selection, source, filter_of(definition.tenants_filter, source, active, job=definition.name))


def _choice(selection: Selection, narrowed: TenantSource) -> Choice:
    ids = None if selection.tenants is None else tuple(dict.fromkeys(selection.tenants))
    return Choice(narrowed, ids, frozenset(selection.exclude), selection.zone)


async def _near(source: TenantSource, zone: ZoneChoice, zones: TenantZones) -> TenantSource | None:
    """Narrow a source to the tenants of a zone and perhaps more, where it can do so in a query; None for no tenants.

    Whose zone is missing or unknown counts as in the default one, so for that one all are read.
    """
    if zone.name == zone.default or "__" in zone.attribute:  # such a name can't be asked for in a `where`
        return source
    values = await find_distinct(source, zone.attribute)
    if values is None:
        return source
    wanted = [value for value in values if zones.find(value) == zone.name]
    if not wanted:
        return None
    if not all(isinstance(value, str) for value in wanted):  # an author's own type may not be comparable
        return source
    return source.where(**{zone.attribute: wanted if len(wanted) > 1 else wanted[0]})


async def _kept(
    pages: AsyncGenerator[list[Tenant]], zones: TenantZones, name: str
) -> AsyncGenerator[list[Tenant], None]:
    """Keep the tenants of one zone."""
    async with aclosing(pages):
        async for page in pages:
            yield [tenant for tenant in page if zones.of(tenant) == name]


def _narrowed(selection: Selection, source: TenantSource, filtered: TenantSource) -> TenantSource:
    narrowed = source if selection.force and selection.tenants is not None else filtered
    for key, value in selection.where:
        narrowed = narrowed.where(**{key: value})
    return narrowed


async def _refuse_unknown(
    definition: Definition, selection: Selection, source: TenantSource, filtered: TenantSource
) -> None:
    wanted = list(dict.fromkeys(selection.tenants or ()))
    inside = await find_tenants(filtered, wanted) if wanted else {}
    left = [id_ for id_ in wanted if id_ not in inside]
    asked = list(dict.fromkeys((*left, *selection.exclude)))
    known = await find_tenants(source, asked) if asked else {}
    unknown = [id_ for id_ in asked if id_ not in known]
    if unknown:
        reason = f"unknown {_tenants(unknown)}"
        raise UnknownTenant(reason, "`pinstripe list-tenants` shows those there are")
    if left and not selection.force:
        reason = f"{_tenants(left)} left out by the filter of {definition.name}"
        hint = f"--force runs it all the same, `pinstripe list-tenants {definition.name}` shows those inside"
        raise UnknownTenant(reason, hint)


async def _pages(source: TenantSource) -> AsyncGenerator[list[Tenant], None]:
    """Read a source in pages: by its own `pages` where it has that faster way."""
    faster = getattr(source, "pages", None)
    with _failing():
        if faster is not None:
            async with aclosing(faster(PAGE)) as pages:
                async for page in pages:
                    yield _checked(page)
            return
        page = []
        async for tenant in source:
            page.append(tenant)
            if len(page) == PAGE:
                yield _checked(page)
                page = []
        if page:
            yield _checked(page)


def _checked(page: T) -> T:
    """Give the tenants; raises where a source of the author's own class gave something else than tenants."""
    for tenant in page:
        if not isinstance(tenant, Tenant):
            message = f"the tenant source failed: expected it to give each a Tenant, got a {type(tenant).__name__}"
            raise TenantSourceFailed(message)
    return page


async def find_tenants(source: TenantSource, ids: Sequence[str]) -> Mapping[str, Tenant]:
    """Give those of the tenants with these ids that the source has; raises `TenantSourceFailed` where it fails."""
    with _failing():
        found = await source.by_ids(ids)
    _checked(found.values())
    return found


async def find_distinct(source: TenantSource, attribute: str) -> list[object] | None:
    """Give the values that tenants' `attribute` has, each once, where a source can tell them; else None.

    Raises `TenantSourceFailed` where it fails.
    """
    faster = getattr(source, "distinct", None)
    if faster is None:
        return None
    with _failing():
        values = await faster(attribute)
        return None if values is None else list(values)


@contextmanager
def _failing() -> Iterator[None]:
    """Take whatever a source raises for its failure.

    That may be a cancellation, as where it awaits a task of its application's that was cancelled: it isn't ours, unless
    somebody has cancelled the task that reads.
    """
    try:
        yield
    except (TenantSourceFailed, ConfigurationError):
        raise
    except (Exception, SystemExit, asyncio.CancelledError) as error:
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and (task is None or task.cancelling()):
            raise
        told = ": ".join(filter(None, (type(error).__name__, hide_passwords(str(error)))))
        message = f"the tenant source failed: {told}"
        raise TenantSourceFailed(message) from error


def _tenants(ids: Sequence[str]) -> str:
    shown = ", ".join(repr(id_) for id_ in ids[:_NAMED])
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return f"{'tenant' if len(ids) == 1 else 'tenants'} {shown}{more}"


def _no_source(definition: Definition) -> str:
    return (
        f"{definition.name} is multi-tenant, but the project says nothing of its tenants; expected `source` under "
        '[tool.pinstripe.tenants], as "module:attribute" of a function, a generator function, a list or a TenantSource'
    )


def _written(key: str, value: object) -> object:
    """Write a value of a lookup as JSON: text from the command line keeps that it is such."""
    if isinstance(value, TextValue):
        return {"text": str(value)}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_written(key, one) for one in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    message = (
        f"{key}={value!r} can't be kept with the run; expected a text, a number, True, False, None or a list of those"
    )
    raise InvalidArguments(message)


def _read(value: Any) -> Any:
    if isinstance(value, dict):
        return TextValue(value["text"])
    return [_read(one) for one in value] if isinstance(value, list) else value
