"""How a turn begins and how it ends: with one statement each. Functions of a transaction."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from pinstripe.ledgers.postgres.settling import final_counts, in_order
from pinstripe.ledgers.postgres.settling_works import keep_logs, read_settled, settled_columns
from pinstripe.ledgers.postgres.transaction import columns
from pinstripe.ledgers.works import read_queued_run
from pinstripe.run import ExecutionStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pinstripe.ledger import Settlement
    from pinstripe.ledgers.postgres.chunks import Flow
    from pinstripe.ledgers.postgres.settling_works import Ended, Settled
    from pinstripe.ledgers.postgres.transaction import Transaction
    from pinstripe.queue import QueuedRun


class Situation(NamedTuple):
    """What a turn meets: whether its process counts as alive, what may hold something back or frees it, what is due.

    That is the time at which something held is due, and that at which the tenants of a run are to be selected.
    """

    is_alive: bool
    has_pauses: bool
    has_limits: bool
    has_stops: bool
    frees: bool
    due: int | None
    selection: int | None


async def begin_turn(
    tx: Transaction, owner: int, settlements: Sequence[Settlement], now: int
) -> tuple[Situation, Settled | None]:
    """Begin a turn of the process with the row `owner`, which is locked; settle at once what can be settled so.

    That is what has come to its end, as most has, where there are no limits, which must be locked before. Else nothing
    of it is settled: `settle_works` does that.
    """
    if not settlements or any(each.crash or each.status is ExecutionStatus.QUEUED for each in settlements):
        return Situation(*await tx.row("begin_turn", now, owner)), None
    judged = in_order(settlements)
    rows = await tx.rows("begin_turn_settling", now, *settled_columns(judged), owner)
    many = len(Situation._fields)
    situation = Situation(*rows[0][:many])
    if situation.has_limits:
        return situation, None
    settled = read_settled(row[many:] for row in rows if row[many] is not None)
    await keep_logs(tx, judged, {*settled.final}, now)
    return situation, settled


async def end_turn(
    tx: Transaction,
    now: int,
    *,
    begun: Collection[int] = (),
    ended: Ended | None = None,
    emptied: Sequence[int] = (),
    served: Mapping[int, int] = MappingProxyType({}),
    finished: Mapping[Flow, int] = MappingProxyType({}),
) -> list[QueuedRun]:
    """Write what a turn has come to, and nothing after it: it locks what others write too.

    Runs of which something was started have `begun`, and are given; what has `ended` is counted into its runs; chunks
    that were `emptied` go; how far bands were `served` is kept, and until when flows were, which is what they have
    `finished`.
    """
    counts = {run: (False, *many) for run, many in final_counts(ended or {}).items()}
    for run in begun:
        counts[run] = (True, *counts.get(run, (False, 0, 0, 0, 0))[1:])
    if not (counts or emptied or served or finished):
        return []
    runs = columns(((run, *row) for run, row in sorted(counts.items())), 6)
    flows = columns(((*flow, until) for flow, until in finished.items()), 3)
    rows = await tx.rows("end_turn", [*emptied], now, *runs, [*served], [*served.values()], *flows)
    return [read_queued_run(row) for row in rows]


def added(ended: Ended, more: Ended) -> Ended:
    """Add up what has ended, by run and state."""
    for run, counts in more.items():
        mine = ended.setdefault(run, {})
        for status, many in counts.items():
            mine[status] = mine.get(status, 0) + many
    return ended


def furthest(*finished: Mapping[Flow, int]) -> dict[Flow, int]:
    """Give until when flows are served, of what several say."""
    found: dict[Flow, int] = {}
    for each in finished:
        for flow, until in each.items():
            found[flow] = max(until, found.get(flow, until))
    return found
