"""The moves of executions, as functions of a connection inside a transaction: start, settle, end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pinstripe.ledger import Claimed, Settlement
from pinstripe.ledgers.sqlite.statements import statement
from pinstripe.run import ExecutionStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw

    from pinstripe.ledgers.sqlite.admission import Admission

PAGE = 2_000
"""How many executions are ended in one transaction: some 10 ms, so that other processes get their turn."""


def start(connection: apsw.Connection, run: int, owner: int, tenants: Sequence[str], now: int) -> list[Claimed]:
    """Queued executions of `tenants` → running, owned by `owner`, with a new epoch."""
    values = {"run": run, "owner": owner, "now": now, "tenants": json.dumps(tenants)}
    claimed = [Claimed(*row) for row in connection.execute(statement("start_executions"), values)]
    if claimed:
        connection.execute(statement("run_started"), {"run": run, "now": now})
    return claimed


def settle(connection: apsw.Connection, run: int, settlements: Sequence[Settlement], now: int) -> None:
    """Settle running executions of `run` that still have their epoch; the last one closes the run."""
    ended: dict[ExecutionStatus, int] = {}
    plain: dict[tuple[ExecutionStatus, int], list[int]] = {}
    for settlement in settlements:
        if settlement.error is None and settlement.result is None and settlement.log is None:
            plain.setdefault((settlement.status, settlement.epoch), []).append(settlement.id)
        else:
            ended[settlement.status] = ended.get(settlement.status, 0) + _settle_one(connection, run, settlement, now)
    for (status, epoch), ids in plain.items():
        values = {"run": run, "state": str(status), "epoch": epoch, "ids": json.dumps(ids), "now": now}
        connection.execute(statement("settle_plain"), values)
        ended[status] = ended.get(status, 0) + connection.changes()
    count(connection, run, ended, now)


def settle_works(
    connection: apsw.Connection, admission: Admission, settlements: Sequence[Settlement], now: int
) -> None:
    """Settle executions of any queued runs that still have their epoch, or queue them again; each run's last closes it.

    Slots and guards that this frees go to who waits for them.
    """
    ended: list[tuple[int, ExecutionStatus]] = []
    plain: dict[tuple[ExecutionStatus, int], list[tuple[int, int]]] = {}
    final: list[int] = []
    freed: list[int] = []  # of none whose epoch has passed: what it holds is for its next start
    for each in settlements:
        settlement = _judge_crash(connection, each) if each.crash else each
        status = settlement.status
        if status is ExecutionStatus.QUEUED:
            if _requeue(connection, settlement, now):
                freed.append(settlement.id)
        elif settlement.error is None and settlement.result is None and settlement.log is None:
            plain.setdefault((status, settlement.epoch), []).append((settlement.id, settlement.run))
        elif _settle_one(connection, settlement.run, settlement, now, "settle_worker"):
            final.append(settlement.id)
            ended.append((settlement.run, status))
    for (status, epoch), ids in plain.items():
        values = {"state": str(status), "epoch": epoch, "ids": json.dumps(ids), "now": now}
        for id_, run in connection.execute(statement("settle_mixed"), values):
            final.append(id_)
            ended.append((run, status))
    _count_all(connection, ended, now)
    if final:
        admission.free_guards(json.dumps(final))
    if final or freed:
        admission.free_slots(json.dumps(final + freed))


def end_ids(
    connection: apsw.Connection,
    admission: Admission,
    ids: Sequence[int],
    status: ExecutionStatus,
    reason: str,
    now: int,
) -> int:
    """Open executions → `status` with `reason`, and what they held back is admitted; give how many they were."""
    change = {"state": str(status), "reason": reason, "now": now, "ids": json.dumps(ids)}
    ended = connection.execute(statement("end_ids"), change).fetchall()
    _count_all(connection, [(int(run or 0), status) for _, run in ended], now)
    written = json.dumps([id_ for id_, _ in ended])
    admission.free_guards(written)
    admission.free_slots(written)
    return len(ended)


def count(connection: apsw.Connection, run: int, ended: dict[ExecutionStatus, int], now: int) -> None:
    """Count executions that have reached a final state into their run, and close it with the last one."""
    done = sum(ended.values())
    if done:
        values = {
            "run": run,
            "done": done,
            "succeeded": ended.get(ExecutionStatus.SUCCEEDED, 0),
            "failed": ended.get(ExecutionStatus.FAILED, 0),
            "cancelled": ended.get(ExecutionStatus.CANCELLED, 0),
            "skipped": ended.get(ExecutionStatus.SKIPPED, 0),
            "now": now,
        }
        connection.execute(statement("settled"), values)


def end_page(
    connection: apsw.Connection,
    run: int,
    after: str | None,
    ends: dict[ExecutionStatus, tuple[ExecutionStatus, str]],
    now: int,
) -> str | None:
    """Open executions of one page, from each state in `ends` → the state and reason it names there.

    `after` is the tenant that the page before ended with, None at first; gives the next, or None after the last page.
    """
    values = {"run": run, "first": following(after), "limit": PAGE}
    rows: list[tuple[Any, ...]] = connection.execute(statement("open_executions"), values).fetchall()
    ended: dict[ExecutionStatus, int] = {}
    for was, (state, reason) in ends.items():
        ids = json.dumps([id_ for _, id_, found in rows if found == was])
        change = {"state": str(state), "was": str(was), "reason": reason, "now": now, "ids": ids}
        connection.execute(statement("end_executions"), change)
        ended[state] = ended.get(state, 0) + connection.changes()
    count(connection, run, ended, now)
    return rows[-1][0] if len(rows) == PAGE else None


def following(after: str | None) -> str:
    """Give the least text that sorts after `after`; None comes before all, the empty one included."""
    return "" if after is None else after + "\0"


def _count_all(connection: apsw.Connection, ended: Sequence[tuple[int, ExecutionStatus]], now: int) -> None:
    """Count executions into their runs, each given as its run and final state."""
    by_run: dict[int, dict[ExecutionStatus, int]] = {}
    for run, status in ended:
        counts = by_run.setdefault(run, {})
        counts[status] = counts.get(status, 0) + 1
    for run, counts in by_run.items():
        count(connection, run, counts, now)


def _judge_crash(connection: apsw.Connection, settlement: Settlement) -> Settlement:
    """Let an execution fail whose process died once more than it survives."""
    if connection.execute(statement("last_crash"), {"id": settlement.id}).fetchone() is None:
        return settlement
    error = settlement.error or "its process died"
    return settlement._replace(status=ExecutionStatus.FAILED, error=error, counted=True)


def _requeue(connection: apsw.Connection, settlement: Settlement, now: int) -> bool:
    """Queue a running execution again, held until it is due (at once is due now); tell whether it was still its."""
    values = {
        "id": settlement.id,
        "run": settlement.run,
        "epoch": settlement.epoch,
        "due_at": now if settlement.due_at is None else settlement.due_at,
        "uncounted": int(not settlement.counted),
        "crash": int(settlement.crash),
        "error": settlement.error,
        "traceback": settlement.traceback,
    }
    connection.execute(statement("requeue"), values)
    changed = bool(connection.changes())
    if changed and settlement.log is not None:
        kept = {"id": settlement.id, "text": settlement.log, "succeeded_at": None}
        connection.execute(statement("keep_log"), kept)
    return changed


def _settle_one(
    connection: apsw.Connection, run: int, settlement: Settlement, now: int, name: str = "settle_one"
) -> int:
    values = {
        "run": run,
        "id": settlement.id,
        "epoch": settlement.epoch,
        "state": str(settlement.status),
        "error": settlement.error,
        "traceback": settlement.traceback,
        "result": settlement.result,
        "now": now,
        "uncounted": int(not settlement.counted),
    }
    connection.execute(statement(name), values)
    changed = connection.changes()
    if changed and settlement.log is not None:
        succeeded_at = now if settlement.status == ExecutionStatus.SUCCEEDED else None
        kept = {"id": settlement.id, "text": settlement.log, "succeeded_at": succeeded_at}
        connection.execute(statement("keep_log"), kept)
    return changed
