"""The rescue: finding processes that are gone, closing their runs by hand, giving back what they had of the queue."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from pinstripe.ledgers.hosts import boot_id
from pinstripe.ledgers.rescues import Rescued, judge
from pinstripe.ledgers.sqlite.admission import PAGE, Admission
from pinstripe.ledgers.sqlite.ending import abandon
from pinstripe.ledgers.sqlite.locks import Lock
from pinstripe.ledgers.sqlite.settling import end_ids, following
from pinstripe.ledgers.sqlite.statements import statement
from pinstripe.run import ExecutionStatus

if TYPE_CHECKING:
    import apsw

    from pinstripe.ledgers.sqlite.owners import Owner
    from pinstripe.ledgers.sqlite.store import Store


async def rescue(store: Store) -> Rescued:
    """Find the processes that are gone, and leave nothing open of theirs. Idempotent, in short transactions."""
    owners = store.ours()
    found = Rescued()
    for owner in store.read(owners.others):
        seized = owners.seize(owner)
        if seized is False:
            continue
        try:
            found = found.and_(await _bury(store, owner))
        finally:
            if isinstance(seized, Lock):
                seized.remove()
    for (lost,) in store.rows("lost_owners"):
        found = found.and_(await _give_back_all(store, lost, crashed=True))
    if found.given_back or found.failed:
        store.engine.wake()
    return found


async def _bury(store: Store, owner: Owner) -> Rescued:
    left = store.rows("open_runs_of_owner", {"owner": owner.id})
    for number, _ in left:
        await abandon(store, number)
    crashed = owner.boot_id == boot_id() and not owner.stopping
    given_back = await _give_back_all(store, owner.id, crashed=crashed)
    await store.write(lambda tx: tx.execute(statement("delete_owner"), {"owner": owner.id}))
    return given_back._replace(owners=1, runs=len(left))


async def _give_back_all(store: Store, owner: int, *, crashed: bool) -> Rescued:
    rescued = failed = 0
    more = True
    while more:
        now = store.clock.now()
        page = await store.write(
            lambda tx: give_back(tx, Admission(tx, store.engine, now), owner, now, crashed=crashed)  # noqa: B023
        )
        rescued, failed, more = rescued + page.rescued, failed + page.failed, page.more
    return Rescued(0, 0, rescued, failed)


class GivenBack(NamedTuple):
    """What one page did: how many executions are queued again, how many have failed, and whether there may be more."""

    rescued: int
    failed: int
    more: bool


def give_back(connection: apsw.Connection, admission: Admission, owner: int, now: int, *, crashed: bool) -> GivenBack:
    """Queue what a dead process ran again at once, to run alone where the process has `crashed`.

    Nobody is blamed for that: which of them brought it down, if any, shows when each runs alone. The attempt isn't
    counted.
    """
    values = {"owner": owner, "limit": PAGE}
    rows: list[Any] = connection.execute(statement("running_of_owner"), values).fetchall()
    left = judge((id_, crashes, stop) for id_, _run, crashes, stop in rows)
    if left.again:
        written = json.dumps(left.again)
        change = {"ids": written, "owner": owner, "now": now, "blame": int(crashed)}
        connection.execute(statement("give_back"), change)
        admission.free_slots(written)
    for (status, reason), ids in left.ends.items():
        end_ids(connection, admission, ids, status, reason, now)
    return GivenBack(len(left.again), left.failed, len(rows) == PAGE)


def cancel_queued(
    connection: apsw.Connection, admission: Admission, run: int, first: str, reason: str, now: int
) -> tuple[int, str | None]:
    """Cancel what is queued of a page of a run, from the tenant `first` on; give how many, and the next page's first.

    After the last page, whose next is None, a run whose selection was not complete is closed.
    """
    values = {"run": run, "first": first, "limit": PAGE}
    rows: list[Any] = connection.execute(statement("some_of_run"), values).fetchall()
    ids = [id_ for id_, _, _, is_queued in rows if is_queued]
    if ids:
        end_ids(connection, admission, ids, ExecutionStatus.CANCELLED, reason, now)
        chunks = {chunk for _, chunk, _, is_queued in rows if is_queued and chunk is not None}
        connection.execute(statement("empty_chunks"), {"chunks": json.dumps([*chunks])})
    if len(rows) == PAGE:
        return len(ids), following(rows[-1][2])
    selected: list[Any] = connection.execute("select selected from runs where n = ?", (run,)).fetchall()
    if not selected[0][0]:
        connection.execute(statement("run_abandoned"), {"run": run, "now": now})
    return len(ids), None
