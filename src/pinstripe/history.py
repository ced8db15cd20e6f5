"""History: what the ledger tells those who look back, in pages that cost the same however much is kept.

Every method is one short read, or a few of them, by index. What would have to look through much looks at a bounded
part and gives where to go on.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pinstripe.actor import Actor
    from pinstripe.ledger import RunFilter
    from pinstripe.run import Execution, ExecutionStatus, Run

SAMPLED = 200
"""Of how many executions of a run the percentiles of their durations are taken."""

MAX_ERROR = 2_000
"""How many characters of an error stand in a list; one execution by itself has all of it."""


class RunPage(NamedTuple):
    """Runs, newest first, without failures; `next` is where the page after this one begins, None after the last."""

    runs: list[Run]
    next: int | None


class ExecutionPage(NamedTuple):
    """Executions of a run by tenant, without log, traceback and result; `next` is where to go on, None at the end.

    A page of what is searched may have fewer than its limit, even none, and still a `next`.
    """

    executions: list[Execution]
    next: str | None


class TenantPage(NamedTuple):
    """What was done for a tenant: executions of any job, newest run first, as in an `ExecutionPage`."""

    executions: list[Execution]
    next: int | None


class Durations(NamedTuple):
    """How long executions of a run took, in microseconds: of `counted` finished ones, at most `SAMPLED`."""

    p50: int
    p95: int
    longest: int
    counted: int


class RunPoint(NamedTuple):
    """One run in a job's history: the `run` without failures, and its `durations`; None where none has finished."""

    run: Run
    durations: Durations | None


class HeatRow(NamedTuple):
    """A tenant in a job's last runs: how its execution in each of them stands, None where it was not in it.

    `failed` is in how many of them it failed.
    """

    tenant: str
    states: list[ExecutionStatus | None]
    failed: int


class HeatMap(NamedTuple):
    """Tenants by a job's last runs, oldest run first. Those that failed most come first, then by their ids.

    `more` says that there are more tenants than rows; those without a failure are left out first.
    """

    runs: list[Run]
    rows: list[HeatRow]
    more: bool


class FailingTenant(NamedTuple):
    """A tenant for which a job failed lately: how often, and in which run last, with the error's first line.

    `mended` is the last run in which the job has succeeded for it since, by its id; None where none is known of.
    """

    tenant: str | None
    job: str
    failures: int
    run: str
    error: str
    finished_at: int
    mended: str | None = None


class Tally(NamedTuple):
    """How many `executions` of a `job` came to a final `status` in a minute, and how long they took in all.

    `minute` counts minutes since 1970; 0 is the total since the ledger was made. `duration` is in microseconds.
    """

    minute: int
    job: str
    status: ExecutionStatus
    executions: int
    duration: int


class Action(StrEnum):
    """What somebody may do that the audit trail keeps."""

    START = "start"
    RETRY = "retry"
    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    LOGIN = "login"


class AuditEntry(NamedTuple):
    """Who did what, at `at` (microseconds UTC): an `action` on a `job`, a `tenant` or a `run` (by its id).

    `detail` says more in one line, without arguments. `outcome` is what came of it; None where the process that did it
    has not told.
    """

    at: int
    actor: Actor
    action: Action
    job: str | None = None
    tenant: str | None = None
    run: str | None = None
    detail: str | None = None
    outcome: str | None = None


class AuditPage(NamedTuple):
    """Entries, newest first; `next` is where to go on."""

    entries: list[AuditEntry]
    next: int | None


class History(Protocol):
    """What every ledger tells of what was.

    All methods raise `LedgerError` where the ledger can't be used. Where there is no ledger yet, nothing was.
    """

    async def runs(self, only: RunFilter, *, before: int | None = None) -> RunPage:
        """Give the next `only.limit` runs `before` a page's `next`, without failures."""
        ...

    async def count_running(self, limit: int) -> int:
        """Count the runs that have begun and not ended, up to `limit`."""
        ...

    async def retries(self, run: str, limit: int) -> list[Run]:
        """Give the newest retries of a run (by its whole id), newest first, without failures."""
        ...

    async def executions(
        self,
        run: str,
        *,
        status: ExecutionStatus | None = None,
        search: str | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> ExecutionPage:
        """Give executions of a run (by its whole id) by tenant: those with a `status`, and whose id has `search` in it.

        Upper and lower case are one in a search. Raises `UnknownRun`.
        """
        ...

    async def executions_of(self, run: str, tenants: Sequence[str]) -> list[Execution]:
        """Give the executions of a run that are for these tenants, as in an `ExecutionPage`. Raises `UnknownRun`."""
        ...

    async def executions_of_tenant(
        self,
        tenant: str,
        *,
        job: str | None = None,
        status: ExecutionStatus | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> TenantPage:
        """Give what was done for a tenant, newest run first."""
        ...

    async def points(self, job: str, limit: int) -> list[RunPoint]:
        """Give a job's last `limit` runs, oldest first, with percentiles of how long their executions took."""
        ...

    async def heat_map(self, job: str, *, runs: int, rows: int) -> HeatMap:
        """Give the tenants of a job's last `runs` runs, at most so many `rows`."""
        ...

    async def failing(self, since: int, limit: int) -> list[FailingTenant]:
        """Give for which tenants jobs failed since then (microseconds UTC), newest first, of the last failed runs.

        Whether a job has succeeded for a tenant since is looked for in the failed run's last retries, in the job's last
        runs, and in the last that was done for the tenant.
        """
        ...

    async def add_tallies(self, tallies: Sequence[Tally]) -> None:
        """Add to what is kept of each tally's minute, and to the totals."""
        ...

    async def tallies(self, since: int) -> list[Tally]:
        """Give what is kept of the minutes from that one on (minutes since 1970), in their order."""
        ...

    async def totals(self) -> list[Tally]:
        """Give the totals since the ledger was made, by job and status."""
        ...

    async def begin_audit(self, entry: AuditEntry) -> int:
        """Write down that somebody is about to do something; give the entry's number."""
        ...

    async def end_audit(self, number: int, outcome: str, *, run: str | None = None) -> None:
        """Write down what came of it, and the run that it was for or that it made."""
        ...

    async def audit(
        self, *, before: int | None = None, limit: int = 50, filters: Mapping[str, str] | None = None
    ) -> AuditPage:
        """Give the entries `before` a page's `next`; `filters` are by `job`, `tenant`, `run`, `action` or `name`."""
        ...
