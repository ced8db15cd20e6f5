"""Whom a retry of a run is for, page by page: the same whether it is run by hand or selected by a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinstripe.run import ExecutionStatus
from pinstripe.selection import PAGE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from pinstripe.ledger import Ledger
    from pinstripe.run import Run

SKIPPED_TOO = "skipped"
"""The name by which the selection of a retry says that what was skipped is to be retried too."""

ONLY = "only"
"""The name by which the selection of a retry says for which tenants alone it is."""

MAX_RETRIES = 20
"""Among how many of a run's last retries is looked for those that are under way."""


async def under_way(ledger: Ledger, run: str) -> list[Run]:
    """Give the retries of a run (by its whole id) that are not finished, newest first."""
    return [retry for retry in await ledger.history.retries(run, MAX_RETRIES) if not retry.finished]


async def is_covered(ledger: Ledger, run: str, *, skipped: bool) -> bool:
    """Tell whether a retry of a run waits to be selected, and will be for all that another one would be for."""
    for retry in await under_way(ledger, run):
        if retry.selecting:
            selection = (await ledger.selected_by(retry.id)).selection
            if selection.get(ONLY) is None and (selection.get(SKIPPED_TOO) or not skipped):
                return True
    return False


async def retryable_pages(
    ledger: Ledger, run: str, *, skipped: bool, only: Sequence[str] | None = None
) -> AsyncGenerator[list[str], None]:
    """Give who is to be tried again of a run that was selected to its end, never an empty page.

    That is whose execution failed or was cancelled (or, with `skipped`, was skipped) and has neither succeeded in
    another run of its chain of retries nor is in one that is still open; of `only`, where those are given.
    """
    if only is None:
        page = await ledger.retryable(run, skipped=skipped, after=None, limit=PAGE)
        while page:
            yield page
            page = await ledger.retryable(run, skipped=skipped, after=page[-1], limit=PAGE)
        return
    wanted = [*dict.fromkeys(only)]
    for first in range(0, len(wanted), PAGE):
        page = await _retryable_of(ledger, run, wanted[first : first + PAGE], skipped=skipped)
        if page:
            yield page


async def _retryable_of(ledger: Ledger, run: str, tenants: Sequence[str], *, skipped: bool) -> list[str]:
    states = {ExecutionStatus.FAILED, ExecutionStatus.CANCELLED}
    if skipped:
        states.add(ExecutionStatus.SKIPPED)
    executions = await ledger.history.executions_of(run, tenants)
    ended = {execution.tenant for execution in executions if execution.status in states}
    left = [tenant for tenant in tenants if tenant in ended]
    done = await ledger.succeeded(run, left) if left else set()
    return [tenant for tenant in left if tenant not in done]


async def tenants_in(ledger: Ledger, run: str, tenants: Sequence[str]) -> set[str]:
    """Give those of `tenants` that a run has an execution for."""
    found: set[str] = set()
    for first in range(0, len(tenants), PAGE):
        executions = await ledger.history.executions_of(run, tenants[first : first + PAGE])
        found.update(execution.tenant for execution in executions if execution.tenant is not None)
    return found
