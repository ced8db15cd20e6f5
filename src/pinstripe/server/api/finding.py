"""The run that a request names, as far as its caller may see it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pinstripe.errors import UnknownRun
from pinstripe.server.access.confining import confined_run

if TYPE_CHECKING:
    from pinstripe.run import Run
    from pinstripe.server.access.identity import Access
    from pinstripe.server.context import WebContext

LAST = "last"


async def find_run(context: WebContext, caller: Access, reference: str, *, failures: bool = True) -> Run:
    """Give the run that `reference` names; for who is confined to tenants, what is theirs of it. Raises `UnknownRun`.

    To them `last` is the newest run with any of their tenants, and no answer tells of a run that has none.
    """
    ledger = context.project.ledger
    if caller.tenants is None:
        return await ledger.find_run(reference, failures=failures)
    try:
        name = await _last(context, caller.tenants) if reference.strip().lower() == LAST else reference
        return await confined_run(context.history, await ledger.find_run(name, failures=False), caller)
    except UnknownRun:
        message = f"there is no run {reference!r} with any of the tenants that {caller.name!r} is confined to"
        raise UnknownRun(message) from None


async def _last(context: WebContext, tenants: frozenset[str]) -> str:
    """Give the id of the newest run that any of these tenants is in; ids sort by time."""
    looks = (context.history.executions_of_tenant(tenant, limit=1) for tenant in tenants)
    newest = [page.executions[0].run for page in await asyncio.gather(*looks) if page.executions]
    return max(newest, default=LAST)
