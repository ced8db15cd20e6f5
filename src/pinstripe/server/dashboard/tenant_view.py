"""Tenants as their source tells of them: a page of the list, those that are searched, and one by its id."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, NamedTuple

from pinstripe.errors import ConfigurationError, PinstripeError, TenantSourceFailed
from pinstripe.selection import Choice, find_tenants
from pinstripe.server.problems import OUT_OF_REACH

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from pinstripe.config import Settings
    from pinstripe.project import Project
    from pinstripe.server.access.identity import Access
    from pinstripe.tenants import Tenant, TenantSource

PAGE = 50
"""How many tenants stand on a page."""

FURTHEST = 10_000
"""How far into the list one may go page by page; a search finds what is behind that."""

PATIENCE = 5.0
"""How many seconds a source may take for a page."""

SLOW = f"the tenant source has not answered within {PATIENCE:g} s"


class Known(NamedTuple):
    """What is shown of a tenant: its `id`, its time `zone` and whether it is `active`, None where that isn't said."""

    id: str
    zone: str | None = None
    active: bool | None = None


class TenantList(NamedTuple):
    """A part of the tenants; `next` is how many come before the next part, `trouble` why there is no more of it.

    With `beyond` there are more than are listed, which a search finds.
    """

    tenants: list[Known]
    next: int | None = None
    trouble: str | None = None
    beyond: bool = False


async def look_at_tenants(project: Project, access: Access, *, search: str | None, skip: int) -> TenantList:
    """Give the tenants behind the first `skip`, or those whose id is or begins with what is searched.

    What goes wrong with the source is told, not raised.
    """
    if access.tenants is not None:
        own = [id_ for id_ in sorted(access.tenants) if search is None or id_.startswith(search)]
        found = await look_at_ids(project, own[skip : skip + PAGE])
        known = {tenant.id: tenant for tenant in found.tenants}
        shown = [known.get(id_, Known(id_)) for id_ in own[skip : skip + PAGE]]
        return TenantList(shown, skip + PAGE if len(own) > skip + PAGE else None, found.trouble and OUT_OF_REACH)
    try:
        source = project.tenants
        if source is None:
            return TenantList([], trouble="this project says nothing of its tenants")
        async with asyncio.timeout(PATIENCE):
            if search is not None:
                return await _search(source, project.settings, search)
            return await _page(source, project.settings, skip)
    except TimeoutError:
        return TenantList([], trouble=SLOW)
    except PinstripeError as error:
        return TenantList([], trouble=str(error))


async def look_for_tenants(project: Project, access: Access, text: str) -> TenantList:
    """Give the tenants whose id is or begins with a text, or else those that have it anywhere in their id.

    What goes wrong with the source is told, not raised; without a source there are none.
    """
    if access.tenants is not None:
        own = sorted((id_ for id_ in access.tenants if text in id_), key=lambda id_: (not id_.startswith(text), id_))
        return TenantList([Known(id_) for id_ in own[:PAGE]], beyond=len(own) > PAGE)
    try:
        source = project.tenants
        if source is None:
            return TenantList([])
        async with asyncio.timeout(PATIENCE):
            found = await _search(source, project.settings, text)
            return found if found.tenants else await _search(source, project.settings, text, how="contains")
    except TimeoutError:
        return TenantList([], trouble=SLOW)
    except PinstripeError as error:
        return TenantList([], trouble=str(error))


async def look_at_ids(project: Project, ids: Sequence[str]) -> TenantList:
    """Give those of the tenants with these ids that the source has; trouble with it is told, not raised."""
    try:
        source = project.tenants
        if source is None or not ids:
            return TenantList([])
        async with asyncio.timeout(PATIENCE):
            found = await find_tenants(source, ids)
        return TenantList([_known(found[id_], project.settings) for id_ in ids if id_ in found])
    except TimeoutError:
        return TenantList([], trouble=SLOW)
    except PinstripeError as error:
        return TenantList([], trouble=str(error))


async def _page(source: TenantSource, settings: Settings, skip: int) -> TenantList:
    found: list[Tenant] = []
    passed = 0
    async with aclosing(Choice(source, None, frozenset()).pages()) as pages:
        async for page in pages:
            found += page[max(skip - passed, 0) : max(skip + PAGE + 1 - passed, 0)]
            passed += len(page)
            if len(found) > PAGE:
                break
    following = skip + PAGE if len(found) > PAGE else None
    beyond = following is not None and following >= FURTHEST
    shown = [_known(tenant, settings) for tenant in found[:PAGE]]
    return TenantList(shown, None if beyond else following, beyond=beyond)


async def _search(source: TenantSource, settings: Settings, search: str, how: str = "begins_with") -> TenantList:
    """Find the tenant of that id first, and then those whose id begins so or `contains` it, if the source can tell."""
    exact = list((await find_tenants(source, [search])).values())
    others: list[Tenant] = []
    more = False
    try:
        async with aclosing(_like(source, f"{settings.tenants.key}__{how}", search)) as tenants:
            async for tenant in tenants:
                if len(others) == PAGE:
                    more = True
                    break
                if tenant.id != search:
                    others.append(tenant)
    except (ConfigurationError, TenantSourceFailed):  # its ids are no texts, or it can't compare them
        return TenantList([_known(tenant, settings) for tenant in exact])
    return TenantList([_known(tenant, settings) for tenant in (*exact, *others)], beyond=more)


async def _like(source: TenantSource, lookup: str, search: str) -> AsyncGenerator[Tenant, None]:
    narrowed = source.where(**{lookup: search})
    async with aclosing(Choice(narrowed, None, frozenset()).pages()) as pages:
        async for page in pages:
            for tenant in page:
                yield tenant


def _known(tenant: Tenant, settings: Settings) -> Known:
    """Take of a tenant what may be shown of it; its other attributes may be anything."""
    zone = _attribute(tenant, settings.tenants.time_zone)
    active = _attribute(tenant, settings.tenants.active)
    return Known(tenant.id, zone if isinstance(zone, str) else None, active if isinstance(active, bool) else None)


def _attribute(tenant: Tenant, name: str) -> object:
    if not name:
        return None
    try:
        return tenant.get(name)
    except Exception:  # noqa: BLE001 - it is the application's own code, such as a property of a model
        return None
