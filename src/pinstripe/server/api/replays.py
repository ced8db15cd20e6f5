"""One run for one key: a second request with the same key is answered with the first one's run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from pinstripe import arguments
from pinstripe.clock import to_microseconds
from pinstripe.server.access.require import Refused

if TYPE_CHECKING:
    from pinstripe.actor import Actor
    from pinstripe.options import Terms
    from pinstripe.project import Project
    from pinstripe.run import Run
    from pinstripe.runs import Request

_locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
"""One for each job and key that requests of this process are at, so that the second of two sees that it is one."""


async def start(project: Project, request: Request, terms: Terms, actor: Actor) -> tuple[Run, bool]:
    """Start a run, and tell whether it is that of an earlier request; of many at once, only one makes it.

    Raises `Refused` where that one was for other arguments or tenants, and what `Project.enqueue` raises.
    """
    if terms.key is None:
        return await project.enqueue(request, terms, actor=actor), False
    definition = project.registry.find(request.job)
    lock = _locks.setdefault((definition.name, terms.key), asyncio.Lock())
    async with lock:
        began = project.clock.now()
        run = await project.enqueue(request, terms, actor=actor)
    args, kwargs = arguments.bind(definition, request.args, request.kwargs)
    selected_by = await project.ledger.selected_by(run.id)
    same = (
        run.job == definition.name
        and list(run.args) == list(args)
        and dict(run.kwargs) == kwargs
        and dict(selected_by.selection) == request.selection.to_json()
    )
    if not same:
        detail = (
            f"an earlier request for {definition.name} with this Idempotency-Key had other arguments or tenants; "
            "expected the same, or another key"
        )
        raise Refused(422, "The key is another request's", detail, type_="key-reused")
    return run, to_microseconds(run.created_at) < began
