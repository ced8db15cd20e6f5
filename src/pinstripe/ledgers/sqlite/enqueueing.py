"""Putting runs into the queue, and selecting the tenants of those that have none yet. Functions of a transaction."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pinstripe.errors import LedgerError
from pinstripe.ledger import NO_TENANT
from pinstripe.ledgers.sqlite.admission import next_tag
from pinstripe.ledgers.sqlite.settling import count
from pinstripe.ledgers.sqlite.statements import statement
from pinstripe.queue import Held
from pinstripe.run import ExecutionStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import apsw

    from pinstripe.engine import Engine
    from pinstripe.limits import Limits
    from pinstripe.queue import NewWork, QueuedRun

OVERLAPS = "an earlier fire of its schedule is unfinished for this tenant"
"""Why a scheduled execution is skipped where `overlap` is `"skip"`."""

GONE = "run {} is not this process's to select any more: it was cancelled, or this process was taken for dead"


class Enqueueing:
    """The rows of some runs, gathered and then written in one transaction."""

    def __init__(self, connection: apsw.Connection, engine: Engine[apsw.Connection], now: int, first: NewWork) -> None:
        """Work on a `connection` that is in a transaction, at `now` in microseconds UTC; `first` is added first."""
        self._connection = connection
        self._engine = engine
        self._now = now
        tenants = first.tenants
        key = first.priority.band, _flow(first.run.job, tenants[0]) if tenants and len(tenants) == 1 else ""
        ids: list[Any] = connection.execute(statement("last_ids"), key).fetchall()
        self._run, self._execution, self._chunk, tag = ids[0]
        self._ends: dict[tuple[int, str], int] = {key: tag}
        self._limits: dict[str, Limits] = {}
        self._keys: dict[tuple[str, str, str], int] = {}
        self._runs: list[tuple[Any, ...]] = []
        self._executions: list[tuple[Any, ...]] = []
        self._chunks: list[tuple[Any, ...]] = []
        self._guarded: list[tuple[int, NewWork, list[int]]] = []
        self._selection: tuple[Mapping[str, Any], str] = ({}, "{}")

    def add(self, work: NewWork) -> tuple[int, bool]:
        """Put a run in; give its number, and whether it is new: one of that key may be there already."""
        run = work.run
        if work.key is not None:
            key = (run.job, work.key_tenant, work.key)
            known = self._keys.get(key)
            if known is None:
                row = self._connection.execute(statement("run_of_key"), key).fetchone()
                known = None if row is None else row[0]
            if known is not None:
                return known, False
            self._keys[key] = self._run + 1
        self._run += 1
        n = self._run
        tenants, band = work.tenants, work.priority.band
        if tenants is not None and len(tenants) > 1:
            tenants = list(dict.fromkeys(tenants))
        total = 0 if tenants is None else len(tenants)
        flow: str | None = None
        if total:
            flow = f"r:{n}" if total > 1 else _flow(run.job, tenants[0] if tenants else NO_TENANT)
        is_empty = tenants is not None and not total
        due = work.due_at
        if tenants is None and due is None:
            due = self._now
        args = "[]" if not run.args else json.dumps(list(run.args))
        kwargs = "{}" if not run.kwargs else json.dumps(dict(run.kwargs))
        self._runs.append(
            (
                n,
                run.id,
                run.id[::-1],
                run.job,
                "succeeded" if is_empty else "queued",
                str(run.trigger),
                args,
                kwargs,
                self._write(run.selection),
                run.origin or run.id,
                run.retry_of,
                run.parent,
                self._now,
                int(tenants is not None),
                total,
                total,
                band,
                flow,
                due,
                work.key,
                work.key_tenant,
                work.crashes,
                work.schedule,
                work.scheduled_for,
                work.overlap,
                work.retry_until,
                self._now if is_empty else None,
            )
        )
        if work.limits is not None:
            self._limits[run.job] = work.limits
        if tenants and flow is not None:
            self._add_executions(n, work, tenants, flow, band)
        return n, True

    def _write(self, selection: Mapping[str, Any]) -> str:
        """Write a selection as JSON: once, where many runs have the same."""
        known, written = self._selection
        if selection is not known:
            written = json.dumps(dict(selection))
            self._selection = selection, written
        return written

    def _add_executions(self, n: int, work: NewWork, tenants: Sequence[str], flow: str, band: int) -> None:
        job, chunk, held, due = work.run.job, None, None, None
        if work.due_at is not None and work.due_at > self._now:
            held, due = "due", work.due_at
        else:
            self._chunk += 1
            chunk = self._chunk
            tag = self._ends.get((band, flow))
            if tag is None:
                tag = next_tag(self._connection, band, flow)
            until = self._ends[band, flow] = tag + len(tenants)
            self._chunks.append((chunk, n, flow, band, tag, until, self._now))
        first = self._execution + 1
        for tenant in tenants:
            self._execution += 1
            self._executions.append((self._execution, n, tenant, job, chunk, held, due))
        if work.overlap is not None and work.schedule is not None:
            self._guarded.append((n, work, [*range(first, self._execution + 1)]))

    def write(self) -> None:
        """Write all of it."""
        connection = self._connection
        connection.executemany(statement("enqueue_run"), self._runs)
        connection.executemany(statement("enqueue_execution"), self._executions)
        if self._chunks:
            connection.executemany(statement("mint_chunk"), self._chunks)
            self._engine.mint(connection, [row[0] for row in self._chunks])
        for job, limits in self._limits.items():
            set_limits(connection, job, limits)
        for n, work, ids in self._guarded:
            taken_out = guard(connection, n, work.schedule or "", work.overlap or "", ids, self._now)
            if taken_out:
                self._shrink(n, taken_out)

    def _shrink(self, n: int, taken_out: int) -> None:
        """Take those out of a run's one chunk that a guard kept from being ready."""
        for chunk, run, _flow, _band, tag, until, _ready in self._chunks:
            if run == n and until - taken_out > tag:
                self._connection.execute(statement("fill_chunk"), {"chunk": chunk, "size": until - taken_out})
            elif run == n:
                self._connection.execute(statement("delete_chunk"), {"chunk": chunk})


def guard(connection: apsw.Connection, run: int, schedule: str, overlap: str, ids: Sequence[int], now: int) -> int:
    """Take the guards of a schedule's new executions; give how many have none, since their predecessor is unfinished.

    Those become `skipped`, or with `overlap` `"queue"` held until the guard is theirs.
    """
    written = json.dumps(ids)
    connection.execute(statement("guard_executions"), {"schedule": schedule, "ids": written})
    left = [id_ for (id_,) in connection.execute(statement("unguarded"), {"ids": written})]
    if left and overlap == "queue":
        rows = [{"held": str(Held.OVERLAP), "band": None, "tag": None, "id": id_} for id_ in left]
        connection.executemany(statement("hold"), rows)
    elif left:
        change = {"state": "skipped", "reason": OVERLAPS, "now": now, "ids": json.dumps(left)}
        connection.execute(statement("end_ids"), change).fetchall()
        count(connection, run, {ExecutionStatus.SKIPPED: len(left)}, now)
    return len(left)


def set_limits(connection: apsw.Connection, job: str, limits: Limits | None) -> bool:
    """Keep a job's limits, where they are others than those that are known; tell whether they are."""
    row = connection.execute(statement("limits_of"), (job,)).fetchone()
    wanted = None if limits is None else (limits.total, limits.per_tenant)
    if row == wanted:
        return False
    if wanted is None:
        connection.execute(statement("delete_limits"), (job,))
        connection.execute(statement("delete_slots"), (job,))
    else:
        connection.execute(statement("set_limits"), (job, *wanted))
        connection.execute(statement("slots_of_running"), (job,))
    return True


def add_page(connection: apsw.Connection, owner: int, run: QueuedRun, tenants: Sequence[str], now: int) -> int:
    """Add executions to a run that `owner` selects, in a chunk that nobody sees yet; give how many are new."""
    made: list[Any] = connection.execute(statement("hidden_chunk"), {"run": run.n}).fetchall()
    chunk = made[0][0]
    values = {"run": run.n, "job": run.job, "chunk": chunk, "tenants": json.dumps([*tenants])}
    connection.execute(statement("select_executions"), values)
    added = connection.changes()
    connection.execute(statement("counted_in_selection"), {"run": run.n, "added": added, "owner": owner})
    if not connection.changes():
        raise LedgerError(GONE.format(run.id))
    size = added
    facts: list[Any] = connection.execute(statement("facts_of_run"), {"run": run.n}).fetchall()
    schedule, overlap, _total, _band = facts[0]
    if added and schedule is not None and overlap is not None:
        ids = [id_ for (id_,) in connection.execute(statement("ids_of_chunk"), {"chunk": chunk})]
        size -= guard(connection, run.n, schedule, overlap, ids, now)
    if size:
        connection.execute(statement("fill_chunk"), {"chunk": chunk, "size": size})
    else:
        connection.execute(statement("delete_chunk"), {"chunk": chunk})
    return added


def check_selector(connection: apsw.Connection, owner: int, run: QueuedRun) -> None:
    """Raise `LedgerError` where a run isn't `owner`'s to select any more."""
    if connection.execute(statement("selector_of"), {"run": run.n, "owner": owner}).fetchone() is None:
        raise LedgerError(GONE.format(run.id))


def show_chunks(connection: apsw.Connection, engine: Engine[apsw.Connection], run: QueuedRun, now: int) -> None:
    """Put the chunks of a run whose selection is complete in the queue's order."""
    chunks: list[Any] = connection.execute(statement("hidden_chunks"), {"run": run.n}).fetchall()
    facts: list[Any] = connection.execute(statement("facts_of_run"), {"run": run.n}).fetchall()
    _schedule, _overlap, total, band = facts[0]
    flow = f"r:{run.n}"
    if total == 1:
        only: list[Any] = connection.execute(statement("only_tenant"), {"run": run.n}).fetchall()
        flow = _flow(run.job, only[0][0])
    connection.execute(statement("set_flow"), {"flow": flow, "run": run.n})
    tag = next_tag(connection, band, flow)
    for chunk, size in chunks:
        connection.execute(statement("ready_chunk"), (flow, tag, tag + size, now, chunk))
        tag += size
    if chunks:
        engine.mint(connection, [chunk for chunk, _ in chunks])


def _flow(job: str, tenant: str) -> str:
    """Name whom a run of one execution is served for: its tenant, or where it has none its job."""
    return f"t:{tenant}" if tenant != NO_TENANT else f"j:{job}"
