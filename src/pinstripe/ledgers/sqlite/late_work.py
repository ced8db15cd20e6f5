"""What schedules should have let run by now, read from the ledger's file: for who looks, and changed by nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pinstripe.clock import to_datetime
from pinstripe.fires import LateWork
from pinstripe.ledger import NO_TENANT
from pinstripe.ledgers.works import OVERLAPS
from pinstripe.schedule import offset

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pinstripe.ledgers.sqlite.store import Store

_WAITS: Mapping[str, str] = {
    "selecting": "waits for a worker to select its tenants",
    "being selected": "its tenants are being selected",
    "ready": "waits for a worker",
    "due": "waits for a worker",  # its time has come, and no worker has looked
    "limit": "waits for its job's limit",
    "tenant_limit": "waits for its job's limit per tenant",
    "overlap": "waits for an earlier fire",
}

_EACH = 4
"""How many times `limit` is read of each kind at most: of several fires that wait for a tenant, the first counts."""


def read_late(store: Store, before: int, limit: int) -> list[LateWork]:
    """Give up to `limit` of what scheduled runs should have started `before` then (microseconds UTC), by due time.

    Of several that one schedule has for one tenant it is the earliest. Where there is more than `limit`, it is that of
    the earlier fires. What is paused is left out, as that is meant; so is what has begun once, and waits for its next
    attempt.
    """
    exists = store.rows("has_schedules")
    if not (exists and exists[0][0]):
        return []
    found = _Found(before)
    for name in ("late_selecting", "late_ready_alone", "late_ready", "late_due", "late_held"):
        rows = store.rows(name, {"before": before, "limit": limit})
        if len(rows) == limit:
            rows = store.rows(name, {"before": before, "limit": limit * _EACH})
        for row in rows:
            found.add_waiting(*row)
    _add_troubled(store, found, limit)
    return sorted(found.works.values(), key=lambda work: (work.due_at, work.job, work.key, work.tenant or ""))[:limit]


class _Found:
    """What is late, by its job, its schedule and its tenant."""

    def __init__(self, before: int) -> None:
        self.before = before
        self.works: dict[tuple[str, str, str | None], LateWork] = {}

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
        self.add(job, key, tenant, due_at, run, _WAITS[why])

    def add(self, job: str, key: str, tenant: str | None, due_at: int, run: str, reason: str) -> None:
        """Put it in, where nothing of its schedule for its tenant is that is due as early."""
        tenant = None if tenant == NO_TENANT else tenant
        known = self.works.get((job, key, tenant))
        if due_at < self.before and (known is None or due_at < known.due_at):
            self.works[job, key, tenant] = LateWork(job, key, tenant, due_at, run, reason)


def place(job: str, tenant: str | None, scheduled_for: int, spread: int | None) -> int:
    """Give when an execution of a fire should start, in microseconds UTC."""
    return scheduled_for if spread is None else scheduled_for + offset(job, tenant or NO_TENANT, spread)


def _add_troubled(store: Store, found: _Found, limit: int) -> None:
    """Add those of the last fires whose selection failed, or who were skipped since an earlier one is unfinished."""
    troubled = store.rows("troubled_fires", {"before": found.before})
    if not troubled:
        return
    unfinished: dict[tuple[str, str], list[Any]] = {}
    for n, job, key, scheduled_for in store.rows("unfinished_fires", {"before": found.before}):
        unfinished.setdefault((job, key), []).append((n, scheduled_for))
    left = limit
    for n, run, job, key, scheduled_for, due_at, spread, error in troubled:
        if error is not None:
            found.add(job, key, None, scheduled_for, run, f"its tenants could not be selected: {_first_line(error)}")
        for earlier, fired in unfinished.get((job, key), []):
            if fired >= scheduled_for or left <= 0:
                break
            reason = f"skipped, since its run of {to_datetime(fired):%Y-%m-%d %H:%M:%S}Z is unfinished"
            values = {"last": n, "earlier": earlier, "overlaps": OVERLAPS, "limit": left}
            for (tenant,) in store.rows("overlapped", values):
                left -= 1
                due = place(job, tenant, scheduled_for, spread) if tenant else due_at or scheduled_for
                found.add(job, key, tenant, due, run, reason)


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
