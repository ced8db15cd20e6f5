"""The run that a request names, as far as its caller may see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinstripe.errors import UnknownRun
from pinstripe.server.access.confining import seen_run

if TYPE_CHECKING:
    from pinstripe.run import Run
    from pinstripe.server.access.identity import Access
    from pinstripe.server.context import WebContext


async def find_run(context: WebContext, caller: Access, reference: str, *, failures: bool = True) -> Run:
    """Give the run that `reference` names; for who is confined to tenants, what is theirs of it. Raises `UnknownRun`.

    To them `last` is the newest run with any of their tenants, and no answer tells of a run that has none.
    """
    try:
        return await seen_run(context.project.ledger, reference, caller, failures=failures)
    except UnknownRun:
        if caller.tenants is None:
            raise
        message = f"there is no run {reference!r} with any of the tenants that {caller.name!r} is confined to"
        raise UnknownRun(message) from None
