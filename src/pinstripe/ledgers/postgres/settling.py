"""The moves of executions: start, settle, end, and what of it is counted into runs. Functions of a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinstripe.ledger import Claimed
from pinstripe.ledgers.postgres.texts import writable
from pinstripe.run import ExecutionStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pinstripe.ledger import Settlement
    from pinstripe.ledgers.postgres.admission import Admission
    from pinstripe.ledgers.postgres.transaction import Transaction

PAGE = 2_000
"""How many executions are ended in one transaction: some 20 ms, for who waits for one of them."""

_FINAL = (ExecutionStatus.SUCCEEDED, ExecutionStatus.FAILED, ExecutionStatus.CANCELLED, ExecutionStatus.SKIPPED)


async def start(tx: Transaction, run: int, owner: int, tenants: Sequence[str], now: int) -> list[Claimed]:
    """Queued executions of `tenants` → running, owned by `owner`, with a new epoch; their run is then running.

    Where that may have been done and committed before, at the same `now`, what was started then is given.
    """
    values = run, owner, [*tenants], now
    rows = await tx.rows("start_executions", *values)
    if tx.again:  # by now the first try's commit isn't on its way any more: that was waited for
        rows = await tx.rows("started_before", *values)
    return sorted((Claimed(*row) for row in rows), key=lambda each: each.id)


async def settle(tx: Transaction, run: int, settlements: Sequence[Settlement], now: int) -> dict[ExecutionStatus, int]:
    """Settle running executions of `run` that still have their epoch; give how many ended how, for `count`."""
    columns = zip(
        *(
            (
                each.id,
                each.epoch,
                str(each.status),
                writable(each.error),
                writable(each.traceback),
                writable(each.result),
                writable(each.log),
            )
            for each in in_order(settlements)
        ),
        strict=True,
    )
    rows = await tx.rows("settle_executions", run, now, *([*column] for column in columns))
    return {ExecutionStatus(state): many for state, many in rows}


def in_order(settlements: Sequence[Settlement]) -> list[Settlement]:
    """Give settlements in the order of their numbers, so that two transactions lock them in the same.

    Of two for one start the first counts that has something to tell, else the first.
    """
    found: dict[tuple[int, int], Settlement] = {}
    for each in settlements:
        known = found.setdefault((each.id, each.epoch), each)
        if _is_plain(known) and not _is_plain(each):
            found[each.id, each.epoch] = each
    return [found[key] for key in sorted(found)]


async def skip(tx: Transaction, run: int, tenants: Sequence[str], reason: str, now: int) -> int:
    """Queued executions of `tenants` → skipped with `reason`; give how many, for `count`."""
    return await tx.run("skip_tenants", run, [*tenants], reason, now)


async def count(tx: Transaction, ended: Mapping[int, Mapping[ExecutionStatus, int]], now: int) -> None:
    """Count executions that have reached a final state into their runs, and close each with its last one.

    `ended` tells by the run's number how many ended how. The runs are locked, in the order of their numbers, until the
    transaction ends: it is the last that a transaction does, but for noting who has been served.
    """
    rows = sorted((run, *many) for run, many in final_counts(ended).items())
    if rows:
        await tx.run("settled", now, *([*column] for column in zip(*rows, strict=True)))


def final_counts(ended: Mapping[int, Mapping[ExecutionStatus, int]]) -> dict[int, tuple[int, ...]]:
    """Give for each run of which anything ended how many succeeded, failed, were cancelled and were skipped."""
    counts = {run: tuple(many.get(status, 0) for status in _FINAL) for run, many in ended.items()}
    return {run: many for run, many in counts.items() if any(many)}


async def end_rows(
    tx: Transaction, admission: Admission, ids: Sequence[int], status: ExecutionStatus, reason: str, now: int
) -> list[int]:
    """Open executions → `status` with `reason`, and what they held back is admitted; give the run of each, for `count`.

    Where their jobs have limits, those must be locked before.
    """
    from pinstripe.ledgers.postgres.guards import free_guards  # a run by hand has none

    rows = await tx.rows("end_ids", sorted(ids), str(status), writable(reason), now)
    if rows:
        ended = sorted(id_ for id_, _ in rows)
        await free_guards(tx, admission, ended)
        await admission.free_slots(ended)
    return [run for _, run in rows]


async def end_ids(
    tx: Transaction, admission: Admission, ids: Sequence[int], status: ExecutionStatus, reason: str, now: int
) -> int:
    """Do as `end_rows`, and count them into their runs; give how many they were."""
    ended: dict[int, dict[ExecutionStatus, int]] = {}
    runs = await end_rows(tx, admission, ids, status, reason, now)
    for run in runs:
        counts = ended.setdefault(run, {status: 0})
        counts[status] += 1
    await count(tx, ended, now)
    return len(runs)


async def end_page(
    tx: Transaction,
    run: int,
    after: str | None,
    ends: Mapping[ExecutionStatus, tuple[ExecutionStatus, str]],
    now: int,
) -> str | None:
    """Open executions of one page, from each state in `ends` → the state and reason it names there.

    `after` is the tenant that the page before ended with, None at first; gives the next, or None after the last page.
    """
    rows = await tx.rows("open_executions", run, after or "", after is None, PAGE)
    ended: dict[ExecutionStatus, int] = {}
    for was, (state, reason) in ends.items():
        ids = sorted(id_ for _, id_, found in rows if found == was)
        if ids:
            many = await tx.run("end_executions", ids, str(state), writable(reason), now)
            ended[state] = ended.get(state, 0) + many
    await count(tx, {run: ended}, now)
    return str(rows[-1][0]) if len(rows) == PAGE else None


def _is_plain(settlement: Settlement) -> bool:
    return settlement.error is None and settlement.result is None and settlement.log is None
