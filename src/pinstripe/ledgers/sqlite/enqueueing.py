"""Putting runs into the queue, with their executions or without. Functions of a transaction."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from pinstripe.errors import LedgerError
from pinstripe.ledger import NO_TENANT
from pinstripe.ledgers.sqlite.admission import next_tag
from pinstripe.ledgers.sqlite.settling import count
from pinstripe.ledgers.sqlite.statements import statement
from pinstripe.ledgers.works import OVERLAPS, UNKNOWN_SCHEDULE, SelectionWriter, flow_of, write_redacted
from pinstripe.queue import Held
from pinstripe.run import ExecutionStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw

    from pinstripe.engine import Engine
    from pinstripe.limits import Limits
    from pinstripe.queue import NewWork


class Enqueueing:
    """The rows of some runs, gathered and then written in one transaction."""

    def __init__(self, connection: apsw.Connection, engine: Engine[apsw.Connection], now: int, first: NewWork) -> None:
        """Work on a `connection` that is in a transaction, at `now` in microseconds UTC; `first` is added first."""
        self._connection = connection
        self._engine = engine
        self._now = now
        tenants = first.tenants
        key = first.priority.band, flow_of(first.run.job, tenants[0]) if tenants and len(tenants) == 1 else ""
        ids: list[Any] = connection.execute(statement("last_ids"), key).fetchall()
        self._run, self._execution, self._chunk, tag = ids[0]
        self._ends: dict[tuple[int, str], int] = {key: tag}
        self._limits: dict[str, Limits] = {}
        self._keys: dict[tuple[str, str, str], int] = {}
        self._runs: list[tuple[Any, ...]] = []
        self._executions: list[tuple[Any, ...]] = []
        self._chunks: list[tuple[Any, ...]] = []
        self._skipped: list[tuple[Any, ...]] = []
        self._guards: list[tuple[str, str, str, int]] = []
        self._queueing: set[int] = set()
        self.overlapping: set[int] = set()
        """The runs, by number, of which something met an unfinished predecessor; filled by `write`."""
        self._selections = SelectionWriter()

    def add(self, work: NewWork) -> tuple[int, bool]:
        """Put a run in; give its number, and whether it is new: one of that key may be there already.

        Raises `LedgerError` for one with a `local_time` whose schedule the ledger doesn't know.
        """
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
        if work.local_time is not None:
            self._check_schedule(work)
        self._run += 1
        n = self._run
        tenants, band = work.tenants, work.priority.band
        if tenants is not None and len(tenants) > 1:
            tenants = list(dict.fromkeys(tenants))
        total = 0 if tenants is None else len(tenants)
        flow: str | None = None
        if total:
            flow = f"r:{n}" if total > 1 else flow_of(run.job, tenants[0] if tenants else NO_TENANT)
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
                self._selections.write(run.selection),
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
                work.spread,
                work.local_time,
                self._now if is_empty else None,
                run.trace,
                write_redacted(run),
            )
        )
        if work.limits is not None:
            self._limits[run.job] = work.limits
        if tenants and flow is not None:
            self._add_executions(n, work, tenants, flow, band)
        return n, True

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
        schedule = work.schedule if work.overlap is not None else None
        for tenant in tenants:
            self._execution += 1
            self._executions.append((self._execution, n, tenant, job, chunk, held, due))
            if schedule is not None:
                self._guards.append((job, schedule, tenant, self._execution))
        if work.overlap == "queue":
            self._queueing.add(n)

    def _check_schedule(self, work: NewWork) -> None:
        """Refuse what would have no place where it is kept that each tenant has a local time once."""
        key = work.run.job, work.schedule
        if self._connection.execute(statement("number_of_schedule"), key).fetchone() is None:
            raise LedgerError(UNKNOWN_SCHEDULE.format(work.run.job, work.schedule, work.local_time))

    def write(self) -> None:
        """Write all of it."""
        connection = self._connection
        if self._guards:
            self._take_guards()
        connection.executemany(statement("enqueue_run"), self._runs)
        connection.executemany(statement("enqueue_execution"), self._executions)
        if self._chunks:
            connection.executemany(statement("mint_chunk"), self._chunks)
            self._engine.mint(connection, [row[0] for row in self._chunks])
        for job, limits in self._limits.items():
            set_limits(connection, job, limits)
        if self._skipped:
            connection.executemany(statement("enqueue_skipped"), self._skipped)
            ended = Counter(run for _, run, *_ in self._skipped)
            for run, skipped in ended.items():
                count(connection, run, {ExecutionStatus.SKIPPED: skipped}, self._now)

    def _take_guards(self) -> None:
        """Take the guards of all scheduled executions, in their order, and see who has none."""
        connection = self._connection
        before = connection.total_changes()
        connection.executemany(statement("take_guard"), self._guards)
        if connection.total_changes() - before == len(self._guards):
            return  # mostly nobody is in anybody's way
        written = json.dumps([execution for *_, execution in self._guards])
        left = {id_ for (id_,) in connection.execute(statement("unguarded"), {"ids": written})}
        executions = []
        taken_out: Counter[int] = Counter()
        for row in self._executions:
            id_, run, tenant, job, chunk, _held, due = row
            if id_ not in left:
                executions.append(row)
                continue
            self.overlapping.add(run)
            if chunk is not None:
                taken_out[chunk] += 1
            if run in self._queueing:
                executions.append((id_, run, tenant, job, None, str(Held.OVERLAP), due))
            else:
                self._skipped.append((id_, run, tenant, job, OVERLAPS, self._now))
        self._executions = executions
        self._chunks = [
            (chunk, run, flow, band, tag, until - taken_out[chunk], ready_at)
            for chunk, run, flow, band, tag, until, ready_at in self._chunks
            if until - taken_out[chunk] > tag
        ]


def guard(
    connection: apsw.Connection, run: int, schedule: str, overlap: str, ids: Sequence[int], now: int
) -> list[int]:
    """Take the guards of a schedule's new executions; give those that have none, since their predecessor is unfinished.

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
    return left


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
