"""What a run would come to that a form asks for: for whom, with what, and what of it is paused."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, NamedTuple

from pinstripe.errors import TenantSourceFailed
from pinstripe.ledger import NO_TENANT
from pinstripe.redaction import redacted_of, shown
from pinstripe.text_values import TextValue
from pinstripe.views.filters import filter_in_force
from pinstripe.views.text import as_call

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pinstripe.definition import Definition
    from pinstripe.preview import Preview
    from pinstripe.queue import Pause
    from pinstripe.runs import Request
    from pinstripe.selection import Selection
    from pinstripe.server.context import WebContext

NAMED = 500
"""How many of the tenants that would run are named."""

COUNTED = 100_000
"""Up to how many of them are counted."""

PATIENCE = 20.0
"""How many seconds the reading of the tenants may take."""

PAUSED_NAMED = 20
"""How many of those that are paused are named."""


class Planned(NamedTuple):
    """What a run would be: the `call`, the `filter` in force (None where there are no tenants), and the tenants.

    Of `many` tenants the first are named; with `more` there are at least so many. Of them `many_paused` are paused,
    each for all jobs or for this one, of which the first are `paused`.
    """

    call: str
    filter: str | None
    tenants: list[str]
    many: int
    more: bool
    paused: list[str]
    many_paused: int

    @property
    def whom(self) -> str:
        """For how many it is, in the words of a button: `for 116 tenants`."""
        if self.filter is None:
            return "once"
        words = f"for {self.many:,} {'tenant' if self.many == 1 else 'tenants'}"
        return f"{words} or more" if self.more else words


async def plan(context: WebContext, request: Request) -> Planned:
    """Tell what a request would come to, and do nothing of it; raises what `Project.preview` does."""
    preview = await context.project.preview(request)
    if not preview.definition.multi_tenant:
        return Planned(_call(preview), None, [NO_TENANT], 1, more=False, paused=[], many_paused=0)
    pauses = await context.project.ledger.queue.pauses()
    held = {pause.tenant for pause in pauses if pause.job in {None, preview.definition.name}}
    named, paused = list[str](), list[str]()
    many = many_paused = 0
    try:
        async with asyncio.timeout(PATIENCE), aclosing(preview.tenants()) as tenants:
            async for tenant in tenants:
                many += 1
                if many <= NAMED:
                    named.append(tenant.id)
                if tenant.id in held:
                    many_paused += 1
                    paused += [tenant.id] if many_paused <= PAUSED_NAMED else []
                if many == COUNTED:
                    break
    except TimeoutError:
        message = f"the tenant source has not given all of them within {PATIENCE:g} s"
        raise TenantSourceFailed(message) from None
    own = filter_in_force(preview.definition, context.project) or ""
    words = filter_in_words(own, request.selection)
    return Planned(_call(preview), words, named, many, many == COUNTED, paused, many_paused)


def filter_in_words(own: str, selection: Selection) -> str:
    """Write the filter in force as `active=True and plan='pro', only the 3 named, without the 2 named`."""
    conditions = [
        f"{key}={str(value)!r}" if isinstance(value, TextValue) else f"{key}={value!r}"
        for key, value in selection.where
    ]
    parts = [" and ".join(conditions if own == "all" and conditions else [own, *conditions])]
    if selection.tenants is not None:
        parts.append(f"only the {len(selection.tenants):,} named")
    if selection.exclude:
        parts.append(f"without the {len(selection.exclude):,} named")
    return ", ".join(parts)


async def pauses_of(context: WebContext, definition: Definition) -> Sequence[Pause]:
    """Give the pauses that hold all of a job."""
    pauses = await context.project.ledger.queue.pauses()
    return [pause for pause in pauses if pause.tenant is None and pause.job in {None, definition.name}]


def _call(preview: Preview) -> str:
    definition = preview.definition
    hidden = redacted_of(definition.signature, definition.job_class.redact, preview.args, preview.kwargs)
    return f"{definition.name}({as_call(*shown(preview.args, preview.kwargs, hidden))})"
