"""What has become since of what failed in a run: in its retries, in theirs, and in the last runs of the same job."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from pinstripe.errors import UnknownRun
from pinstripe.ledger import NO_TENANT, RunFilter
from pinstripe.run import ExecutionStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pinstripe.history import History
    from pinstripe.run import Execution, Run

LATER = 8
"""How many of a job's last runs are looked at, beside the retries."""

RETRIES = 12
"""How many retries of a run, and of its retries, are looked at."""

EACH = 5
"""How many retries of one run are."""

_OPEN = {ExecutionStatus.QUEUED, ExecutionStatus.RUNNING}


class Later(NamedTuple):
    """A later `run`, by its id, and the tenants that are told of in it."""

    run: str
    tenants: list[str | None]


class Since(NamedTuple):
    """What has become of some tenants since: `succeeded` has the run, by its id, in which each has; None is no tenant.

    `retried` are their executions in retries, newest first.
    """

    succeeded: dict[str | None, str]
    retried: dict[str | None, list[Execution]]

    def needs_none(self, tenant: str | None) -> bool:
        """Tell whether a retry would leave this one out: it has succeeded in another one, or is in one that goes on."""
        over = {ExecutionStatus.SUCCEEDED, *_OPEN}
        return any(one.status in over for one in self.retried.get(tenant, ()))

    def goes_on(self, tenant: str | None) -> str | None:
        """Give the retry that goes on for one that hasn't succeeded, None where there is none."""
        if tenant in self.succeeded:
            return None
        return next((one.run for one in self.retried.get(tenant, ()) if one.status in _OPEN), None)

    def mended(self, tenants: Iterable[str | None]) -> list[Later]:
        """Give the runs in which some of these have succeeded; the one in which most have comes first."""
        return _by_run((tenant, self.succeeded.get(tenant)) for tenant in tenants)

    def going(self, tenants: Iterable[str | None]) -> list[Later]:
        """Give the retries that go on for some of these."""
        return _by_run((tenant, self.goes_on(tenant)) for tenant in tenants)


async def look_since(history: History, run: Run, tenants: Sequence[str | None]) -> Since:
    """Tell what has become since of tenants that failed in a finished run."""
    since = Since({}, {})
    if not tenants or not run.finished:
        return since
    asked = [*dict.fromkeys(tenant or NO_TENANT for tenant in tenants)]
    before = {one.tenant: one for one in await _executions(history, run, asked)}
    retries = await _retries(history, run)
    known = {run.id, *(one.id for one in retries)}
    last = (await history.runs(RunFilter(job=run.job, limit=LATER, failures=False))).runs
    others = [one for one in last if one.created_at > run.created_at and one.id not in known]
    for later in (*retries, *others):
        for one in await _executions(history, later, asked):
            if later.id in known:
                since.retried.setdefault(one.tenant, []).append(one)
            if _is_since(one, before.get(one.tenant)):
                since.succeeded.setdefault(one.tenant, later.id)
    return since


async def look_since_for(history: History, run: Run, tenant: str | None) -> Since:
    """Tell what has become since of one tenant, or of no tenant: for one, as far back as it is kept."""
    since = await look_since(history, run, [tenant])
    if tenant is not None and run.finished and tenant not in since.succeeded:
        last = await history.executions_of_tenant(tenant, job=run.job, status=ExecutionStatus.SUCCEEDED, limit=1)
        before = next(iter(await _executions(history, run, [tenant])), None)
        for one in last.executions:
            if one.run > run.id and _is_since(one, before):  # ids sort by time
                since.succeeded[tenant] = one.run
    return since


async def _retries(history: History, run: Run) -> list[Run]:
    """Give the retries of a run, of these, and those made later of what it is a retry of; newest first."""
    found: dict[str, Run] = {}
    ahead = [run.id] if run.retry_of is None else [run.id, run.retry_of]
    while ahead and len(found) < RETRIES:
        retries = await history.retries(ahead.pop(0), EACH)
        new = [one for one in retries if one.id not in found and one.created_at > run.created_at]
        found.update({one.id: one for one in new})
        ahead += [one.id for one in new]
    return sorted(found.values(), key=lambda one: one.created_at, reverse=True)


async def _executions(history: History, run: Run, tenants: Sequence[str]) -> list[Execution]:
    with suppress(UnknownRun):  # it has just been pruned
        return await history.executions_of(run.id, tenants)
    return []


def _is_since(later: Execution, before: Execution | None) -> bool:
    """Tell whether a later run's execution has succeeded after another one's end, which may have waited for long."""
    if later.status != ExecutionStatus.SUCCEEDED or later.finished_at is None:
        return False
    return before is None or before.finished_at is None or later.finished_at >= before.finished_at


def _by_run(found: Iterable[tuple[str | None, str | None]]) -> list[Later]:
    runs: dict[str, list[str | None]] = {}
    for tenant, run in found:
        if run is not None:
            runs.setdefault(run, []).append(tenant)
    return sorted((Later(run, tenants) for run, tenants in runs.items()), key=lambda one: -len(one.tenants))
