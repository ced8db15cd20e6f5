"""Selecting the tenants of runs that were enqueued without them, page by page. Functions of a transaction."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pinstripe.errors import LedgerError
from pinstripe.ledgers.selections import NOT_OURS, SelectionFacts
from pinstripe.ledgers.sqlite.admission import next_tag
from pinstripe.ledgers.sqlite.enqueueing import guard
from pinstripe.ledgers.sqlite.statements import statement
from pinstripe.ledgers.works import flow_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw

    from pinstripe.engine import Engine
    from pinstripe.queue import QueuedRun


def add_page(connection: apsw.Connection, owner: int, run: QueuedRun, tenants: Sequence[str], now: int) -> int:
    """Add executions to a run that `owner` selects, in a chunk that nobody sees yet; give how many are new.

    In a run with a `spread` those whose time has not come are held until it has. Should that be before the selection
    has ended, admission puts them into such a chunk too. In a run with a local time there are none for tenants who have
    had that already.
    """
    rows: list[Any] = connection.execute(statement("facts_of_run"), {"run": run.n}).fetchall()
    if not rows:
        raise LedgerError(NOT_OURS.format(run.id))
    facts = SelectionFacts(*rows[0])
    wanted = tenants if facts.local_time is None else _without_those_who_had_it(connection, run.job, facts, tenants)
    hidden: list[Any] = connection.execute(statement("hidden_chunk"), {"run": run.n}).fetchall()
    chunk = hidden[0][0]
    added, in_chunk = _insert(connection, run, facts, wanted, chunk, now)
    connection.execute(statement("counted_in_selection"), {"run": run.n, "added": added, "owner": owner})
    if not connection.changes():
        raise LedgerError(NOT_OURS.format(run.id))
    if in_chunk:
        connection.execute(statement("fill_chunk"), {"chunk": chunk, "size": in_chunk})
    else:
        connection.execute(statement("delete_chunk"), {"chunk": chunk})
    return added


def _insert(
    connection: apsw.Connection, run: QueuedRun, facts: SelectionFacts, tenants: Sequence[str], chunk: int, now: int
) -> tuple[int, int]:
    """Insert the executions that the run doesn't have; give how many, and how many of those the chunk has then."""
    values = {"run": run.n, "job": run.job, "chunk": chunk}
    made: list[Any] = []
    if facts.spread is None:
        connection.execute(statement("select_executions"), values | {"tenants": json.dumps([*tenants])})
        added = in_chunk = connection.changes()
        if added and facts.overlap is not None:
            made = connection.execute(statement("ids_of_chunk"), {"chunk": chunk}).fetchall()
    else:
        places = [*zip(tenants, facts.dues(run.job, tenants, now), strict=True)]
        made = connection.execute(statement("select_spread"), values | {"places": json.dumps(places)}).fetchall()
        added, in_chunk = len(made), sum(due is None for _, due in made)
    if made and facts.guarded is not None:
        left = {*guard(connection, run.n, facts.guarded, facts.overlap or "", [id_ for id_, _ in made], now)}
        in_chunk -= sum(due is None and id_ in left for id_, due in made)
    return added, in_chunk


def _without_those_who_had_it(
    connection: apsw.Connection, job: str, facts: SelectionFacts, tenants: Sequence[str]
) -> Sequence[str]:
    """Note who has a schedule's local time now, and give those only who have not had it, in this run or another.

    A schedule that the ledger has forgotten was gone for weeks: it doesn't know any more who had what of it.
    """
    rows: list[Any] = connection.execute(statement("number_of_schedule"), (job, facts.schedule)).fetchall()
    if not rows:
        return tenants
    values = {"schedule": rows[0][0], "local_time": facts.local_time, "tenants": json.dumps([*tenants])}
    return [tenant for (tenant,) in connection.execute(statement("note_local_time"), values)]


def check_selector(connection: apsw.Connection, owner: int, run: QueuedRun) -> None:
    """Raise `LedgerError` where a run isn't `owner`'s to select any more."""
    if connection.execute(statement("selector_of"), {"run": run.n, "owner": owner}).fetchone() is None:
        raise LedgerError(NOT_OURS.format(run.id))


def show_chunks(connection: apsw.Connection, engine: Engine[apsw.Connection], run: QueuedRun, now: int) -> None:
    """Put the chunks of a run whose selection is complete in the queue's order."""
    chunks: list[Any] = connection.execute(statement("hidden_chunks"), {"run": run.n}).fetchall()
    facts: list[Any] = connection.execute(statement("size_of_run"), {"run": run.n}).fetchall()
    total, band = facts[0]
    flow = f"r:{run.n}"
    if total == 1:
        only: list[Any] = connection.execute(statement("only_tenant"), {"run": run.n}).fetchall()
        flow = flow_of(run.job, only[0][0])
    connection.execute(statement("set_flow"), {"flow": flow, "run": run.n})
    tag = next_tag(connection, band, flow)
    for chunk, size in chunks:
        connection.execute(statement("ready_chunk"), (flow, tag, tag + size, now, chunk))
        tag += size
    if chunks:
        engine.mint(connection, [chunk for chunk, _ in chunks])
