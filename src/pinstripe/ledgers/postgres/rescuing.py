"""The rescue: finding processes that are gone, closing their runs by hand, giving back what they had of the queue."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pinstripe.ledgers.hosts import boot_id, host
from pinstripe.ledgers.postgres.admission import PAGE, Admission
from pinstripe.ledgers.postgres.ending import abandon
from pinstripe.ledgers.postgres.settling import end_ids
from pinstripe.ledgers.rescues import Rescued, judge
from pinstripe.run import ExecutionStatus

if TYPE_CHECKING:
    from pinstripe.ledgers.postgres.owners import Owner
    from pinstripe.ledgers.postgres.store import Store
    from pinstripe.ledgers.postgres.transaction import Transaction


async def rescue(store: Store) -> Rescued:
    """Find the processes that are gone, and leave nothing open of theirs. Idempotent, in short transactions."""
    found = Rescued()
    for owner in await store.ours().dead():
        found = found.and_(await _bury(store, owner))
    for (lost,) in await store.rows("lost_owners"):
        found = found.and_(await _find_lost(store, lost))
    return found


async def _bury(store: Store, owner: Owner) -> Rescued:
    """Give back what a dead process ran, close its runs by hand, and remove its row, which is there until then.

    Each page locks that row: who else buries it leaves it to us, and what it starts itself, should it live after all,
    comes before or not at all.
    """
    found = Rescued()
    more = True
    while more:
        page = await store.write(partial(_bury_page, store=store, owner=owner))
        if page is None:
            return found
        found, more = found.and_(page.rescued), page.more
    if not found.owners:
        closed = await _close_runs(store, owner.id)
        last = await store.write(partial(_bury_page, store=store, owner=owner))
        found = found.and_(Rescued(runs=closed)).and_(Rescued() if last is None else last.rescued)
    return found


class _Buried(NamedTuple):
    """What one page did, and whether there may be more of it."""

    rescued: Rescued
    more: bool


async def _bury_page(tx: Transaction, *, store: Store, owner: Owner) -> _Buried | None:
    """Give back a page, after the last the owner's row; None where that is not ours to do."""
    row = await tx.row("lock_dead_owner", owner.id, owner.beat)
    if row is None:
        return None
    was_meant = row[0] or (owner.host == host() and owner.boot_id != boot_id())
    page = await give_back(tx, store, owner.id, crashed=not was_meant)
    if page.more:
        return page
    return page._replace(rescued=page.rescued._replace(owners=await tx.run("delete_owner", owner.id)))


async def _find_lost(store: Store, owner: int) -> Rescued:
    """Give back what runs for a process that has no row, as where that was removed by hand."""
    found = Rescued(runs=await _close_runs(store, owner))
    more = True
    while more:
        page = await store.write(partial(give_back, store=store, owner=owner, crashed=True))
        found, more = found.and_(page.rescued), page.more
    return found


async def _close_runs(store: Store, owner: int) -> int:
    """Close what a process has open of runs by hand; give how many those are."""
    left = await store.rows("open_runs_of_owner", owner)
    for number, _ in left:
        await abandon(store, number)
    return len(left)


async def give_back(tx: Transaction, store: Store, owner: int, *, crashed: bool) -> _Buried:
    """Queue a page of what a dead process ran again at once, to run alone where the process has `crashed`.

    Nobody is blamed for that: which of them brought it down, if any, shows when each runs alone. The attempt isn't
    counted.
    """
    now = store.clock.now()
    admission = Admission(tx, store.engine, now)
    await admission.lock_limits([job for (job,) in await tx.rows("jobs_of_owner", owner)])
    rows = await tx.rows("running_of_owner", owner, PAGE)
    left = judge(rows)
    if left.again:
        await tx.run("give_back", left.again, now, crashed)
        await admission.free_slots(left.again)
    for (status, reason), ids in left.ends.items():
        await end_ids(tx, admission, ids, status, reason, now)
    await admission.note_finished()
    if rows:
        await store.engine.announce(tx)
    return _Buried(Rescued(given_back=len(left.again), failed=left.failed), len(rows) == PAGE)


async def cancel_queued(
    tx: Transaction, admission: Admission, run: int, after: str | None, reason: str, now: int
) -> tuple[int, str | None]:
    """Cancel what is queued of a page of a run; give how many, and the tenant with which the page ended.

    That is of the tenants behind `after`, which is None for the first page, as what is given is after the last. Then a
    run whose selection was not complete is closed.
    """
    job, selected = await tx.row("job_of_run", run)
    await admission.lock_limits([job])
    rows = await (tx.rows("first_of_run", run, PAGE) if after is None else tx.rows("next_of_run", run, PAGE, after))
    queued = [id_ for id_, _, is_queued in rows if is_queued]
    locked = await tx.rows("lock_queued", queued) if queued else []
    cancelled = 0
    if locked:
        cancelled = await end_ids(tx, admission, [id_ for id_, _ in locked], ExecutionStatus.CANCELLED, reason, now)
        await tx.run("delete_chunks", sorted({chunk for _, chunk in locked if chunk is not None}))
    is_last = len(rows) < PAGE
    if is_last and not selected:
        await tx.run("run_abandoned", run, now)
    await admission.note_finished()
    return cancelled, None if is_last else rows[-1][1]
