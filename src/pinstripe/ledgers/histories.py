"""What both ledgers do alike with history: their rows to records, and what is looked at of it at most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pinstripe.actor import Actor, Door
from pinstripe.history import Action, AuditEntry, AuditPage, Tally
from pinstripe.run import ExecutionStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

LOOKED = 20_000
"""How many rows one page looks at, at most, where few of them may be what was asked for: some 10 ms."""

LARGE_LOOKED = 2_000
"""How many large runs one page looks at, at most, for what one tenant had in them."""

FOR_TENANT = 2_000
"""How many of a tenant's executions one page looks at, at most: they lie far apart from one another."""

AUDIT_FILTERS = ("run", "tenant", "name", "job", "action")
"""By what entries of the audit trail are found: what mostly fewer have comes first. There is no index of actions."""


def read_tally(row: Sequence[Any]) -> Tally:
    """Make a `Tally` of a row of the statements `tallies` and `totals`."""
    minute, job, status, executions, duration = row
    return Tally(minute, job, ExecutionStatus(status), executions, duration)


def summed(tallies: Iterable[Tally]) -> list[tuple[int, str, str, int, int]]:
    """Give the rows to add for tallies: one of each minute, job and status, and one of each total.

    They are in the order of their keys: who adds to the same rows at the same time waits, and never in a circle.
    """
    sums: dict[tuple[int, str, str], tuple[int, int]] = {}
    for minute, job, status, executions, duration in tallies:
        for each in {minute, 0}:
            key = each, job, str(status)
            before = sums.get(key, (0, 0))
            sums[key] = before[0] + executions, before[1] + duration
    return [(*key, *sums[key]) for key in sorted(sums)]


def read_entry(row: Sequence[Any]) -> AuditEntry:
    """Make an `AuditEntry` of a row of `audit_columns`."""
    _id, at, door, name, action, job, tenant, run, detail, outcome = row
    return AuditEntry(at, Actor(Door(door), name), Action(action), job, tenant, run, detail, outcome)


def read_audit(rows: Sequence[Sequence[Any]], limit: int, floor: int | None) -> AuditPage:
    """Make a page of the rows that were found, one more than its `limit` where there are more.

    `floor` is the number of the last entry that was looked at, None where that was the last of all.
    """
    last = rows[limit - 1][0] if len(rows) > limit else floor
    return AuditPage([read_entry(row) for row in rows[:limit]], last)


def audit_filters(filters: Mapping[str, str] | None) -> dict[str, str | None]:
    """Give the value of each filter, None where it isn't asked for; raises ValueError for one that there is not."""
    given = dict(filters or {})
    unknown = sorted(given.keys() - set(AUDIT_FILTERS))
    if unknown:
        raise ValueError(f"expected filters by {', '.join(AUDIT_FILTERS)}, got {', '.join(unknown)}")
    return {name: given.get(name) for name in AUDIT_FILTERS}


def audit_index(filters: Mapping[str, str | None]) -> str:
    """Name the index to walk: of what is asked for, that which mostly fewer entries have."""
    return next((name for name in AUDIT_FILTERS if filters[name] is not None and name != "action"), "number")


class AskedOfRun(NamedTuple):
    """What is asked for of a run's executions; see `pinstripe.history.History.executions`."""

    status: ExecutionStatus | None
    search: str | None
    after: str | None
    limit: int


class AskedOfTenant(NamedTuple):
    """What is asked for of what was done for a tenant, `before` a run's number."""

    tenant: str
    job: str | None
    status: ExecutionStatus | None
    before: int
    limit: int

    @property
    def state(self) -> str | None:
        """The status as the ledger writes it."""
        return None if self.status is None else str(self.status)


class Sizes(NamedTuple):
    """A run's number, and how many of its executions are in which state: a row of the statement `sizes_of_run`."""

    number: int
    open: int
    succeeded: int
    failed: int
    cancelled: int
    skipped: int

    def may_have(self, status: ExecutionStatus) -> bool:
        """Tell whether executions of the run may have a status."""
        return bool(self.open if status in _OPEN else getattr(self, status))


_OPEN = {ExecutionStatus.QUEUED, ExecutionStatus.RUNNING}


def execution_index(status: ExecutionStatus | None) -> str:
    """Name the index to walk for a run's executions with a status: there is none of those that wait or succeeded."""
    return "run" if status in {None, ExecutionStatus.QUEUED, ExecutionStatus.SUCCEEDED} else str(status)


def matching(tenants: Iterable[str], search: str) -> list[str]:
    """Give those of `tenants` whose id has `search` in it, upper and lower case as one."""
    wanted = search.lower()
    return [tenant for tenant in tenants if wanted in tenant.lower()]
