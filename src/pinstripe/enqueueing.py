"""What a checked request becomes for the queue: for whom it is, as far as that is known now, when, and how urgently."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from pinstripe.arguments import bind_call
from pinstripe.ledger import NO_TENANT, NewRun
from pinstripe.priority import Priority
from pinstripe.queue import NewWork
from pinstripe.retrying import SKIPPED_TOO
from pinstripe.run import new_run_ids
from pinstripe.selection import PAGE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pinstripe.definition import Arguments, Definition
    from pinstripe.options import Call, Terms
    from pinstripe.runs import Plan

MAX_EXECUTIONS = 10_000
"""How many executions are written with them; what is for more tenants is left to workers."""

_SLICE = 500


async def bind_calls(definition: Definition, calls: Sequence[Call]) -> list[Arguments]:
    """Check the arguments of many calls, letting the event loop go on meanwhile; raises `InvalidArguments`."""
    bound: list[Arguments] = []
    for number, call in enumerate(calls, 1):
        bound.append(bind_call(definition, number, call))
        if number % _SLICE == 0:
            await asyncio.sleep(0)
    return bound


async def make_works(
    plan: Plan, calls: Sequence[Arguments], terms: Terms, *, tenant: str | None, now: int
) -> list[NewWork]:
    """Make what is to be enqueued of a plan for these calls, whose keys are those of the workspace's `tenant`.

    The tenants of each are written where they are known and not too many; else a worker selects them. Raises
    `TenantSourceFailed`.
    """
    tenants = await _known(plan, len(calls), inside=tenant is not None)
    definition = plan.definition
    several = tenants is None or len(tenants) > 1
    priority = terms.priority or definition.priority or (Priority.BULK if several else Priority.DEFAULT)
    due_at, key, key_tenant = terms.due_at(now), terms.key, tenant or NO_TENANT
    crashes, limits = definition.retry.crashes, definition.limits
    selection = plan.selection.to_json()
    name, trigger, parent, redacted = definition.name, plan.trigger, plan.parent, definition.redacted
    return [
        NewWork(
            NewRun(id_, name, trigger, args, kwargs, selection, None, None, parent, None, redacted(args, kwargs)),
            tenants,
            priority,
            due_at,
            key,
            key_tenant,
            crashes,
            limits,
        )
        for id_, (args, kwargs) in zip(new_run_ids(now, len(calls)), calls, strict=True)
    ]


def make_retry(plan: Plan, *, skipped: bool, now: int) -> NewWork:
    """Make what is to be enqueued of a plan to retry a run: a worker selects what is to be tried again.

    Beside what the run was selected by, its selection says whether it is for what was `skipped`, too, and for whom
    alone it is.
    """
    definition = plan.definition
    args, kwargs = plan.written
    (id_,) = new_run_ids(now, 1)
    selection = {**plan.selection_json(), SKIPPED_TOO: skipped}
    of = definition.name, plan.trigger, args, kwargs, selection, plan.retry_of, plan.origin, plan.parent
    return NewWork(
        NewRun(id_, *of, redacted=plan.all_redacted()),
        None,
        definition.priority or (Priority.BULK if definition.multi_tenant else Priority.DEFAULT),
        crashes=definition.retry.crashes,
        limits=definition.limits,
    )


async def _known(plan: Plan, calls: int, *, inside: bool) -> list[str] | None:
    """Give the tenants that a plan is for, where no source has to be read for them; None where a worker must.

    Those of a plan that was made `inside` a tenant's workspace are that tenant, or nobody.
    """
    if not plan.definition.multi_tenant:
        return [NO_TENANT]
    selection = plan.selection
    if selection.tenants is None:
        return None
    named = list(dict.fromkeys(selection.tenants))
    if len(named) > PAGE or len(named) * calls > max(MAX_EXECUTIONS, len(named)):
        return None
    if not inside and not selection.where:  # that there are these, and that the job's filter lets them in, is checked
        return [id_ for id_ in named if id_ not in selection.exclude]
    async with aclosing(plan.choice.pages()) as pages:
        return [tenant.id async for page in pages for tenant in page]
