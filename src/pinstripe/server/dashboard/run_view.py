"""What the page of a run shows: the run, one page of its executions, and what belongs to it."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, NamedTuple

from pinstripe.audit import DONE
from pinstripe.retrying import retryable_pages
from pinstripe.run import ExecutionStatus
from pinstripe.server.access.confining import confined_executions, confined_run
from pinstripe.server.dashboard.since import look_since
from pinstripe.views.waits import why

if TYPE_CHECKING:
    from pinstripe.history import AuditEntry, ExecutionPage, History
    from pinstripe.run import Execution, Run
    from pinstripe.server.access.identity import Access
    from pinstripe.server.context import WebContext
    from pinstripe.server.dashboard.since import Since

PAGE = 50
"""How many executions stand on a page."""

OPENED = 10
"""Of how many of the failed executions on the first page the traceback and the log are there at once."""

RETRIES = 20
"""How many of a run's retries are shown."""

AUDITED = 20
"""How many entries of the audit trail are read for a run."""

COUNTED = 1_001
"""Up to how many are counted that are left to be retried."""

AGAIN = (ExecutionStatus.FAILED, ExecutionStatus.CANCELLED, ExecutionStatus.SKIPPED)
"""The states of which an execution can be retried."""

ALL = "all"
"""What the filter by state is where executions of all states are asked for, though some have failed."""


class Asked(NamedTuple):
    """What of a run is to be seen: executions of a `status`, whose id has `search` in it, those after `after`."""

    status: str | None = None
    search: str | None = None
    after: str | None = None


class RunView(NamedTuple):
    """A run, and what is shown of it.

    `status` is the state that its executions are narrowed to, None where they aren't. `alone` is the only execution of
    a run without tenants. `opened` are failed executions on the page with their traceback and their log, by tenant.
    `since` is what has become of what is on the page, and of those that `failed`, of which these are the first. A retry
    is for `left` of those that failed or were cancelled, `COUNTED` standing for as many or more.
    """

    run: Run
    status: ExecutionStatus | None
    page: ExecutionPage
    alone: Execution | None
    opened: dict[str | None, Execution]
    waiting: str | None
    retries: list[Run]
    audit: list[AuditEntry]
    since: Since
    failed: list[str | None]
    left: int
    is_retryable: bool


async def look_at_run(context: WebContext, found: Run, access: Access, asked: Asked) -> RunView:
    """Read what somebody with this access is shown of a run that was `found`.

    Raises `UnknownRun` where nothing of it is theirs.
    """
    ledger, history = context.project.ledger, context.history
    run = await confined_run(ledger, found, access)
    status = _status(asked.status, run)
    alone = await ledger.find_execution(run.id, None) if run.executions.total == 1 and not access.is_confined else None
    if access.is_confined:
        page = await confined_executions(history, run, access, status=status, search=asked.search)
    else:
        page = await history.executions(run.id, status=status, search=asked.search, after=asked.after, limit=PAGE)
    opened: dict[str | None, Execution] = {}
    if alone is None and asked.after is None:
        failed = [one.tenant for one in page.executions if one.status == ExecutionStatus.FAILED]
        for tenant in failed[:OPENED]:
            whole = await ledger.find_execution(run.id, tenant)
            if whole is not None:
                opened[tenant] = whole
    failed_first = await _failed(context, run, access, page if _is_first_failed(asked, status) else None)
    ended = [one.tenant for one in page.executions if one.status in AGAIN]
    retries = await retries_of(context, run)
    left = await _left(context, found, run, access, retries) if found.finished else 0
    return RunView(
        run=run,
        status=status,
        page=page,
        alone=alone,
        opened=opened,
        waiting=None if run.executions.running or access.is_confined else await why(context.project, run),
        retries=[] if access.is_confined else retries,
        audit=[] if access.is_confined else await _audit(history, run),
        since=await look_since(history, run, [*failed_first, *ended]),
        failed=failed_first,
        left=left,
        is_retryable=bool(left) or (found.finished and run.error is not None),
    )


def _status(asked: str | None, run: Run) -> ExecutionStatus | None:
    """Tell which executions are shown: those that failed, where nothing was said and there are such."""
    if asked is not None and asked in [*ExecutionStatus]:
        return ExecutionStatus(asked)
    return ExecutionStatus.FAILED if asked is None and run.executions.failed else None


def _is_first_failed(asked: Asked, status: ExecutionStatus | None) -> bool:
    return status == ExecutionStatus.FAILED and asked.search is None and asked.after is None


async def _failed(context: WebContext, run: Run, access: Access, page: ExecutionPage | None) -> list[str | None]:
    """Give the first of those that failed, of which it is told what has become of them; a `page` has them already."""
    if not run.finished or not run.executions.failed:
        return []
    status = ExecutionStatus.FAILED
    if page is None and access.is_confined:
        page = await confined_executions(context.history, run, access, status=status)
    elif page is None:
        page = await context.history.executions(run.id, status=status, limit=PAGE)
    return [one.tenant for one in page.executions]


async def _left(context: WebContext, found: Run, run: Run, access: Access, retries: list[Run]) -> int:
    """Count whom a retry would be for; to who is confined it is told of their own alone."""
    ended = run.executions.failed + run.executions.cancelled
    if not ended or not (retries or found.retry_of):
        return ended
    ledger = context.project.ledger
    if access.tenants is None:
        return len(await ledger.retryable(run.id, skipped=False, after=None, limit=COUNTED))
    left = 0
    async with aclosing(retryable_pages(ledger, run.id, skipped=False, only=sorted(access.tenants))) as pages:
        async for page in pages:
            left += len(page)
    return left


async def _audit(history: History, run: Run) -> list[AuditEntry]:
    """Give who started a run, retried it and asked for its end, newest first; not who did so in vain."""
    entries = (await history.audit(limit=AUDITED, filters={"run": run.id})).entries
    if run.retry_of is not None:  # it was asked for as a retry of that one
        others = (await history.audit(limit=AUDITED, filters={"run": run.retry_of})).entries
        entries = [*entries, *(one for one in others if run.id in (one.detail or ""))]
    return [entry for entry in entries if entry.outcome in {None, DONE}]  # None: who did it was killed, or is at it


async def retries_of(context: WebContext, run: Run) -> list[Run]:
    """Give the newest retries of a run, newest first."""
    return await context.history.retries(run.id, RETRIES) if run.finished else []
