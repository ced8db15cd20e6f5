"""What both ledgers say of what schedules should have let run by now: when it was due, and what it waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pinstripe.clock import to_datetime
from pinstripe.fires import LateWork
from pinstripe.ledger import NO_TENANT
from pinstripe.schedule import offset

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KINDS = ("late_selecting", "late_ready_alone", "late_ready", "late_due", "late_held")
"""The statements that each give one kind of what waits; their rows are what `FoundLate.add_waiting` takes."""

EACH = 4
"""How many times `limit` is read of each kind at most: of several fires that wait for a tenant, the first counts."""

_WAITS: Mapping[str, str] = {
    "selecting": "waits for a worker to select its tenants",
    "being selected": "its tenants are being selected",
    "lacking": "waits for a worker that has its job",
    "ready": "waits for a worker",
    "due": "waits for a worker",  # its time has come, and no worker has looked
    "limit": "waits for its job's limit",
    "tenant_limit": "waits for its job's limit per tenant",
    "overlap": "waits for an earlier fire",
}


class TroubledFire(NamedTuple):
    """A schedule's last fire that is late: its selection failed with an `error`, or somebody was skipped.

    It is a row of the statement `troubled_fires`. Times are in microseconds UTC.
    """

    n: int
    run: str
    job: str
    key: str
    scheduled_for: int
    due_at: int | None
    spread: int | None
    error: str | None

    def place(self, tenant: str) -> int:
        """Give when its execution for a tenant should have started; that of a job without tenants with its run."""
        if tenant == NO_TENANT:
            return self.due_at or self.scheduled_for
        return place(self.job, tenant, self.scheduled_for, self.spread)


class UnfinishedFire(NamedTuple):
    """A run of a schedule that goes on, or waits, and lets no other begin; a row of `unfinished_fires`."""

    n: int
    job: str
    key: str
    scheduled_for: int


class FoundLate:
    """What is late, by its job, its schedule and its tenant: of several for one tenant, the earliest."""

    def __init__(self, before: int) -> None:
        """Take the time `before` which it should have started, in microseconds UTC."""
        self._before = before
        self._works: dict[tuple[str, str, str | None], LateWork] = {}

    def add_waiting(
        self,
        job: str,
        key: str,
        tenant: str | None,
        scheduled_for: int,
        spread: int | None,
        run: str,
        why: str,
        due_at: int | None,
    ) -> None:
        """Put in what waits; without `due_at` it was due at its place in the schedule's window."""
        if due_at is None:
            due_at = place(job, tenant, scheduled_for, spread)
        self._add(job, key, tenant, due_at, run, _WAITS[why])

    def add_unselected(self, fire: TroubledFire) -> None:
        """Put in a fire whose tenants could not be selected."""
        why = (fire.error or "").strip().partition("\n")[0]
        self._add(fire.job, fire.key, None, fire.scheduled_for, fire.run, f"its tenants could not be selected: {why}")

    def add_skipped(self, fire: TroubledFire, tenants: Iterable[str], earlier: UnfinishedFire) -> None:
        """Put in whom a fire skipped, since an `earlier` one of its schedule is unfinished."""
        fired = to_datetime(earlier.scheduled_for)
        reason = f"skipped, since its run of {fired:%Y-%m-%d %H:%M:%S}Z is unfinished"
        for tenant in tenants:
            self._add(fire.job, fire.key, tenant, fire.place(tenant), fire.run, reason)

    def first(self, limit: int) -> list[LateWork]:
        """Give up to `limit` of it, by due time."""
        works = self._works.values()
        return sorted(works, key=lambda work: (work.due_at, work.job, work.key, work.tenant or ""))[:limit]

    def _add(self, job: str, key: str, tenant: str | None, due_at: int, run: str, reason: str) -> None:
        """Put it in, where nothing of its schedule for its tenant is that is due as early."""
        tenant = None if tenant == NO_TENANT else tenant
        known = self._works.get((job, key, tenant))
        if due_at < self._before and (known is None or due_at < known.due_at):
            self._works[job, key, tenant] = LateWork(job, key, tenant, due_at, run, reason)


def place(job: str, tenant: str | None, scheduled_for: int, spread: int | None) -> int:
    """Give when an execution of a fire should start, in microseconds UTC."""
    return scheduled_for if spread is None else scheduled_for + offset(job, tenant or NO_TENANT, spread)


def by_schedule(unfinished: Iterable[UnfinishedFire]) -> dict[tuple[str, str], list[UnfinishedFire]]:
    """Put the unfinished fires of each job and schedule together, in their order."""
    found: dict[tuple[str, str], list[UnfinishedFire]] = {}
    for fire in unfinished:
        found.setdefault((fire.job, fire.key), []).append(fire)
    return found
