"""What schedules should have let run by now, read from the ledger's database: for who looks, and changed by nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinstripe.ledgers.lateness import EACH, KINDS, FoundLate, TroubledFire, UnfinishedFire, by_schedule
from pinstripe.ledgers.works import OVERLAPS

if TYPE_CHECKING:
    from pinstripe.fires import LateWork
    from pinstripe.ledgers.postgres.store import Store
    from pinstripe.ledgers.postgres.transaction import Transaction


async def read_late(store: Store, before: int, limit: int) -> list[LateWork]:
    """Give up to `limit` of what scheduled runs should have started `before` then (microseconds UTC), by due time.

    Of several that one schedule has for one tenant it is the earliest. Where there is more than `limit`, it is that of
    the earlier fires. What is paused is left out, as that is meant; so is what has begun once, and waits for its next
    attempt.
    """
    exists = await store.rows("has_schedules")
    if not (exists and exists[0][0]):
        return []

    async def read(tx: Transaction) -> list[LateWork]:
        found = FoundLate(before)
        for name in KINDS:
            rows = await tx.rows(name, before, limit)
            if len(rows) == limit:
                rows = await tx.rows(name, before, limit * EACH)
            for row in rows:
                found.add_waiting(*row)
        await _add_troubled(tx, found, before, limit)
        return found.first(limit)

    return await store.read(read)


async def _add_troubled(tx: Transaction, found: FoundLate, before: int, limit: int) -> None:
    """Add those of the last fires whose selection failed, or who were skipped since an earlier one is unfinished."""
    troubled = [TroubledFire(*row) for row in await tx.rows("troubled_fires", before)]
    if not troubled:
        return
    unfinished = by_schedule(UnfinishedFire(*row) for row in await tx.rows("unfinished_fires", before))
    left = limit
    for fire in troubled:
        if fire.error is not None:
            found.add_unselected(fire)
        for earlier in unfinished.get((fire.job, fire.key), []):
            if earlier.scheduled_for >= fire.scheduled_for or left <= 0:
                break
            rows = await tx.rows("overlapped", fire.n, earlier.n, OVERLAPS, left)
            found.add_skipped(fire, [tenant for (tenant,) in rows], earlier)
            left -= len(rows)
