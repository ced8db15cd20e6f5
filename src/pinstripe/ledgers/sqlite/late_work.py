"""What schedules should have let run by now, read from the ledger's file: for who looks, and changed by nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinstripe.ledgers.lateness import EACH, KINDS, FoundLate, TroubledFire, UnfinishedFire, by_schedule
from pinstripe.ledgers.works import OVERLAPS

if TYPE_CHECKING:
    from pinstripe.fires import LateWork
    from pinstripe.ledgers.sqlite.store import Store


def read_late(store: Store, before: int, limit: int) -> list[LateWork]:
    """Give up to `limit` of what scheduled runs should have started `before` then (microseconds UTC), by due time.

    Of several that one schedule has for one tenant it is the earliest. Where there is more than `limit`, it is that of
    the earlier fires. What is paused is left out, as that is meant; so is what has begun once, and waits for its next
    attempt.
    """
    exists = store.rows("has_schedules")
    if not (exists and exists[0][0]):
        return []
    found = FoundLate(before)
    for name in KINDS:
        rows = store.rows(name, {"before": before, "limit": limit})
        if len(rows) == limit:
            rows = store.rows(name, {"before": before, "limit": limit * EACH})
        for row in rows:
            found.add_waiting(*row)
    _add_troubled(store, found, before, limit)
    return found.first(limit)


def _add_troubled(store: Store, found: FoundLate, before: int, limit: int) -> None:
    """Add those of the last fires whose selection failed, or who were skipped since an earlier one is unfinished."""
    troubled = [TroubledFire(*row) for row in store.rows("troubled_fires", {"before": before})]
    if not troubled:
        return
    unfinished = by_schedule(UnfinishedFire(*row) for row in store.rows("unfinished_fires", {"before": before}))
    left = limit
    for fire in troubled:
        if fire.error is not None:
            found.add_unselected(fire)
        for earlier in unfinished.get((fire.job, fire.key), []):
            if earlier.scheduled_for >= fire.scheduled_for or left <= 0:
                break
            values = {"last": fire.n, "earlier": earlier.n, "overlaps": OVERLAPS, "limit": left}
            tenants = [tenant for (tenant,) in store.rows("overlapped", values)]
            found.add_skipped(fire, tenants, earlier)
            left -= len(tenants)
