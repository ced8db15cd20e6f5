"""Settling what workers have executed: final states, and what is to run again. Functions of a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pinstripe.ledgers.postgres.guards import free_guards
from pinstripe.ledgers.postgres.settling import in_order
from pinstripe.ledgers.postgres.texts import writable
from pinstripe.run import ExecutionStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pinstripe.ledger import Settlement
    from pinstripe.ledgers.postgres.admission import Admission
    from pinstripe.ledgers.postgres.transaction import Transaction

Ended = dict[int, dict[ExecutionStatus, int]]
"""By run, how many of its executions have reached which final state."""


class Settled(NamedTuple):
    """What settling did: what is to be counted into runs, which executions are final, and which are queued again."""

    ended: Ended
    final: list[int]
    again: list[int]


async def settle_works(
    tx: Transaction, settlements: Sequence[Settlement], now: int, *, unsure: bool = False
) -> Settled:
    """Settle executions of any queued runs that still have their epoch, or queue them again.

    The runs are still to be counted, and what this frees is to be given to who waits for it. One is `unsure` who may
    have settled the same before, by a commit of which nobody has heard.
    """
    judged = await _judge_crashes(tx, settlements, unsure=unsure)
    over = [each for each in judged if each.status is not ExecutionStatus.QUEUED]
    ended, final, again = read_settled(await tx.rows("settle_works", now, *settled_columns(over)) if over else ())
    back = [each for each in judged if each.status is ExecutionStatus.QUEUED]
    if back:
        dues = [now if each.due_at is None else each.due_at for each in back]
        crashes = [int(each.crash) for each in back]
        again = [id_ for (id_,) in await tx.rows("requeue", *settled_columns(back), dues, crashes)]
    await keep_logs(tx, judged, {*final, *again}, now)
    return Settled(ended, final, again)


async def free(tx: Transaction, admission: Admission, settled: Settled) -> None:
    """Give the guards of what is final, and the slots of all that has stopped, to who waits for them."""
    if settled.final:
        await free_guards(tx, admission, settled.final)
    if settled.final or settled.again:
        await admission.free_slots(settled.final + settled.again)


def read_settled(rows: Iterable[Sequence[Any]]) -> Settled:
    """Add up what has reached a final state: by id, run and state."""
    ended: Ended = {}
    final: list[int] = []
    for id_, run, state in rows:
        final.append(id_)
        counts = ended.setdefault(run, {})
        status = ExecutionStatus(state)
        counts[status] = counts.get(status, 0) + 1
    return Settled(ended, final, [])


async def _judge_crashes(tx: Transaction, settlements: Sequence[Settlement], *, unsure: bool) -> list[Settlement]:
    """Let those fail whose process died once more than they survive; give all in the order of their numbers.

    In that order they are locked, so that two transactions never wait for one another.
    """
    crashed = [(each.id, each.epoch) for each in settlements if each.crash]
    columns = [id_ for id_, _ in crashed], [epoch for _, epoch in crashed]
    last = {id_ for (id_,) in await tx.rows("last_crashes", *columns, unsure)} if crashed else set()
    judged = [
        each._replace(status=ExecutionStatus.FAILED, error=each.error or "its process died", counted=True)
        if each.id in last
        else each
        for each in settlements
    ]
    return in_order(judged)


def settled_columns(settlements: Sequence[Settlement]) -> list[list[object]]:
    """Give what the statements `settle_works` and `requeue` begin with, column by column."""
    return [
        [each.id for each in settlements],
        [each.run for each in settlements],
        [each.epoch for each in settlements],
        [str(each.status) for each in settlements],
        [writable(each.error) for each in settlements],
        [writable(each.traceback) for each in settlements],
        [each.result for each in settlements],
        [int(not each.counted) for each in settlements],
    ]


async def keep_logs(tx: Transaction, settlements: Sequence[Settlement], changed: set[int], now: int) -> None:
    """Keep what those of them printed that were `changed`."""
    logs = [(each.id, each.log, each.status) for each in settlements if each.log is not None and each.id in changed]
    if logs:
        succeeded = [now if status is ExecutionStatus.SUCCEEDED else None for *_, status in logs]
        await tx.run("keep_logs", [id_ for id_, *_ in logs], [writable(log) for _, log, _ in logs], succeeded)
