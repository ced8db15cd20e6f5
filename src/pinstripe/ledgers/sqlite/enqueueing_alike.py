"""Putting many runs into the queue that differ in nothing but their arguments. Functions of a transaction.

Their rows are made by SQLite, of JSON texts with many runs each: half of what a statement a row costs.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pinstripe.ledgers.sqlite.enqueueing import set_limits
from pinstripe.ledgers.sqlite.statements import statement
from pinstripe.ledgers.works import flow_of, write_redacted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import apsw

    from pinstripe.engine import Engine
    from pinstripe.queue import NewWork

_PART = 250
"""How many are in one JSON text: at most 48 MiB, since arguments of 64 KiB are at most three times as long in ASCII."""

_write = json.JSONEncoder(separators=(",", ":")).encode


def enqueue_alike(
    connection: apsw.Connection, engine: Engine[apsw.Connection], now: int, works: Sequence[NewWork]
) -> None:
    """Put works in that `are_alike`, at `now` in microseconds UTC; `connection` is in a transaction."""
    first, many = works[0], len(works)
    run = first.run
    tenant: str = (first.tenants or ("",))[0]
    band, flow = first.priority.band, flow_of(run.job, tenant)
    ids: list[Any] = connection.execute(statement("last_ids"), (band, flow)).fetchall()
    last_run, last_execution, last_chunk, tag = ids[0]
    is_due = first.due_at is None or first.due_at <= now
    values: dict[str, Any] = {
        "run": last_run + 1,
        "execution": last_execution + 1,
        "chunk": last_chunk + 1 if is_due else None,
        "job": run.job,
        "tenant": tenant,
        "trigger": str(run.trigger),
        "selection": json.dumps(dict(run.selection)),
        "origin": run.origin,
        "retry_of": run.retry_of,
        "parent": run.parent,
        "now": now,
        "band": band,
        "flow": flow,
        "tag": tag,
        "due_at": first.due_at,
        "held": None if is_due else "due",
        "held_until": None if is_due else first.due_at,
        "key_tenant": first.key_tenant,
        "crashes": first.crashes,
        "schedule": first.schedule,
        "scheduled_for": first.scheduled_for,
        "retry_until": first.retry_until,
        "spread": first.spread,
        "trace": run.trace,
        "redacted": write_redacted(run),
    }
    for begin, calls in _parts(works):
        connection.execute(statement("enqueue_runs_alike"), {**values, "run": last_run + 1 + begin, "calls": calls})
    connection.execute(statement("enqueue_executions_alike"), values)
    if is_due:
        connection.execute(statement("mint_chunks_alike"), values)
        engine.mint(connection, range(last_chunk + 1, last_chunk + 1 + many))
    if first.limits is not None:
        set_limits(connection, run.job, first.limits)


def _parts(works: Sequence[NewWork]) -> Iterator[tuple[int, str]]:
    """Write the ids, also from their ends, and the arguments of all works in parts; give where each begins."""
    for begin in range(0, len(works), _PART):
        calls = []
        for work in works[begin : begin + _PART]:
            id_, _job, _trigger, args, kwargs, *_ = work.run
            calls.append((id_, id_[::-1], args, kwargs))
        yield begin, _write(calls)
