"""Guards: of a schedule's executions for a tenant, one is unfinished at a time. Functions of a transaction.

A guard is taken with its execution and given back by whoever ends that, in one transaction each; both take them in the
order of their keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinstripe.queue import Held

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pinstripe.ledgers.postgres.admission import Admission
    from pinstripe.ledgers.postgres.transaction import Transaction

Key = tuple[str, str, str]
"""A job, its schedule and a tenant."""


async def take_guards(tx: Transaction, rows: Sequence[tuple[str, str, str, int]]) -> set[int]:
    """Take the guards of new executions, each given as job, schedule, tenant and execution; give those that got none.

    Of several with one key the lowest goes first. Those that are in the way stay until this transaction ends: who gives
    one back meanwhile waits for that, and then sees who waits for it.
    """
    left = sorted(rows)
    without: set[int] = set()
    while left:
        taken = {id_ for (id_,) in await tx.rows("take_guards", *_columns(left))}
        left = [row for row in left if row[3] not in taken]
        if not left:
            break
        keys = sorted({row[:3] for row in left})
        held = {(job, schedule, tenant) for job, schedule, tenant in await tx.rows("hold_guards", *_columns(keys))}
        without |= {row[3] for row in left if row[:3] in held}
        left = [row for row in left if row[:3] not in held]  # those were given back just now
    return without


async def free_guards(tx: Transaction, admission: Admission, ids: Sequence[int]) -> None:
    """Give back the guards of executions that are final, each to who waits for it."""
    freed = await tx.rows("free_guards", [*ids])
    await hand_over(tx, admission, [(job, schedule, tenant) for job, schedule, tenant in freed])


async def mend_guards(tx: Transaction, admission: Admission, most: int) -> None:
    """Give back up to `most` guards of executions that have none to have, and hand over those that nobody has."""
    for name in ("stale_guards", "guards_of_nobody"):
        found = await tx.rows(name, most)
        await hand_over(tx, admission, [(job, schedule, tenant) for job, schedule, tenant in found])


async def hand_over(tx: Transaction, admission: Admission, keys: Sequence[Key]) -> None:
    """Give guards that nobody has to the first that waits for each: that is ready then, or held until it is due."""
    if not keys:
        return
    waiting = await tx.rows("next_overlapping", *_columns(sorted(keys)))
    if not waiting:
        return
    rows = [(job, schedule, tenant, id_) for job, schedule, tenant, id_, _run, _due_at in waiting]
    taken = {id_ for (id_,) in await tx.rows("take_guards", *_columns(rows))}
    mine = [(id_, run, due_at) for *_key, id_, run, due_at in waiting if id_ in taken]
    later = [id_ for id_, _, due_at in mine if due_at is not None and due_at > admission.now]
    if later:
        nothing = [None] * len(later)
        await tx.run("hold", later, [str(Held.DUE)] * len(later), nothing, nothing)
    await admission.make_ready([row for row in mine if row[0] not in later])


def _columns(rows: Sequence[Sequence[object]]) -> list[list[object]]:
    return [[*column] for column in zip(*rows, strict=True)]
