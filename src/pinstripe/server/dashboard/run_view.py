"""What the page of a run shows: the run, one page of its executions, and what belongs to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pinstripe.run import ExecutionStatus
from pinstripe.server.access.confining import confined_executions, confined_run
from pinstripe.views.waits import why

if TYPE_CHECKING:
    from pinstripe.history import AuditEntry, ExecutionPage, History
    from pinstripe.run import Execution, Run
    from pinstripe.server.access.identity import Access
    from pinstripe.server.context import WebContext

PAGE = 50
"""How many executions stand on a page."""

OPENED = 10
"""Of how many of the failed executions on the first page the traceback and the log are there at once."""

RETRIES = 20
"""How many of a run's retries are shown."""

AUDITED = 20
"""How many entries of the audit trail are read for a run."""

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
    """

    run: Run
    status: ExecutionStatus | None
    page: ExecutionPage
    alone: Execution | None
    opened: dict[str | None, Execution]
    waiting: str | None
    retries: list[Run]
    audit: list[AuditEntry]
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
    has_left = found.finished and bool(run.executions.failed or run.executions.cancelled)
    retryable = await ledger.retryable(run.id, skipped=False, after=None, limit=1) if has_left else []
    return RunView(
        run=run,
        status=status,
        page=page,
        alone=alone,
        opened=opened,
        waiting=None if run.executions.running or access.is_confined else await why(context.project, run),
        retries=[] if access.is_confined else await retries_of(context, run),
        audit=[] if access.is_confined else await _audit(history, run),
        is_retryable=bool(retryable) or (found.finished and run.error is not None),
    )


def _status(asked: str | None, run: Run) -> ExecutionStatus | None:
    """Tell which executions are shown: those that failed, where nothing was said and there are such."""
    if asked is not None and asked in [*ExecutionStatus]:
        return ExecutionStatus(asked)
    return ExecutionStatus.FAILED if asked is None and run.executions.failed else None


async def _audit(history: History, run: Run) -> list[AuditEntry]:
    """Give who started a run, retried it and asked for its end, newest first."""
    entries = (await history.audit(limit=AUDITED, filters={"run": run.id})).entries
    if run.retry_of is not None:  # it was asked for as a retry of that one
        others = (await history.audit(limit=AUDITED, filters={"run": run.retry_of})).entries
        entries = [*entries, *(one for one in others if run.id in (one.detail or ""))]
    return entries


async def retries_of(context: WebContext, run: Run) -> list[Run]:
    """Give the newest retries of a run, newest first."""
    return await context.history.retries(run.id, RETRIES) if run.finished else []
