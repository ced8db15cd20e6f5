"""Selecting the tenants of runs that were enqueued without them, page by page. Functions of a transaction.

A run's row is locked while a page of it is added: so nobody cancels it meanwhile, or selects it too, without seeing
what this one has added.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pinstripe.engine import NewTicket
from pinstripe.errors import LedgerError
from pinstripe.ledgers.postgres.chunks import CHUNK, new_ids, next_tags
from pinstripe.ledgers.postgres.guards import take_guards
from pinstripe.ledgers.selections import NOT_OURS, SelectionFacts
from pinstripe.ledgers.works import OVERLAPS, flow_of
from pinstripe.queue import Held
from pinstripe.run import ExecutionStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pinstripe.engines.pgqueuer import PgQueuerEngine
    from pinstripe.ledgers.postgres.transaction import Transaction
    from pinstripe.queue import QueuedRun

LISTED = 1_000
"""How many executions a run has that are listed among those of their tenants: a page that begins there isn't."""

TICKETS = 1_000
"""How many tickets are minted by one statement."""


async def add_page(tx: Transaction, owner: int, run: QueuedRun, tenants: Sequence[str], now: int) -> int:
    """Add executions to a run that `owner` selects, in chunks that nobody sees yet; give how many are new.

    In a run with a `spread` those whose time has not come are held until it has. Should that be before the selection
    has ended, admission puts them into such a chunk too. In a run with a local time there are none for tenants who have
    had that already.
    """
    row = await tx.row("lock_selecting", run.n, owner)
    if row is None:
        raise LedgerError(NOT_OURS.format(run.id))
    total, band, *rest = row
    facts = SelectionFacts(*rest)
    there = {tenant for (tenant,) in await tx.rows("executions_there", run.n, [*tenants])}
    new: Sequence[str] = [tenant for tenant in dict.fromkeys(tenants) if tenant not in there]
    if new and facts.local_time is not None:
        new = await _without_those_who_had_it(tx, run.job, facts, new)
    if not new:
        return len(there) if tx.again else 0  # this has been done, and nobody knew
    rows = await _make_rows(tx, run, facts, new, now)
    chunks = await _put_into_chunks(tx, rows)
    columns = zip(*(row.columns() for row in rows), strict=True)
    is_listed = total < LISTED
    await tx.run("select_executions", run.n, run.job, is_listed, OVERLAPS, now, *([*column] for column in columns))
    if chunks:
        await tx.run("hide_chunks", run.n, band, [id_ for id_, _ in chunks], [size for _, size in chunks])
    skipped = sum(row.state == ExecutionStatus.SKIPPED for row in rows)
    await tx.run("count_selected", run.n, len(rows), skipped)
    return len(rows)


async def check_selector(tx: Transaction, owner: int, run: QueuedRun) -> None:
    """Raise `LedgerError` where a run isn't `owner`'s to select any more; else it stays so until the transaction ends.

    Until then nobody puts executions of it into a chunk, either, that would not be shown.
    """
    if await tx.row("lock_selected", run.n, owner) is None:
        raise LedgerError(NOT_OURS.format(run.id))


async def show_chunks(tx: Transaction, engine: PgQueuerEngine, run: QueuedRun, now: int) -> None:
    """Put the chunks of a run whose selection is complete in the queue's order; its row is locked."""
    total, band = await tx.row("size_of_run", run.n)
    flow = f"r:{run.n}" if total != 1 else flow_of(run.job, await tx.value("only_tenant", run.n))
    await tx.run("set_flow", run.n, flow)
    tags = await next_tags(tx, [(band, flow)])
    shown = sorted(await tx.rows("show_chunks", run.n, flow, tags[band, flow], now))
    for begin in range(0, len(shown), TICKETS):
        part = shown[begin : begin + TICKETS]
        await engine.mint(tx, [NewTicket(chunk, band, tag) for chunk, tag in part])


class _Row:
    """An execution to write: ready in a `chunk`, held, or skipped."""

    def __init__(self, id_: int, tenant: str, due_at: int | None) -> None:
        self.id = id_
        self.tenant = tenant
        self.state = ExecutionStatus.QUEUED
        self.held = None if due_at is None else Held.DUE
        self.chunk: int | None = None
        self._due_at = due_at

    @property
    def is_ready(self) -> bool:
        """Whether it belongs into a chunk."""
        return self.state is ExecutionStatus.QUEUED and self.held is None

    def meet(self, overlap: str | None) -> None:
        """Meet an unfinished predecessor."""
        if overlap == "queue":
            self.held = Held.OVERLAP
        else:
            self.state, self.held, self._due_at = ExecutionStatus.SKIPPED, None, None

    def columns(self) -> tuple[Any, ...]:
        """Give its columns, in the order of the statement `select_executions`."""
        held = None if self.held is None else str(self.held)
        return self.id, self.tenant, str(self.state), held, self.chunk, self._due_at


class _Chunk(NamedTuple):
    id: int
    size: int


async def _make_rows(
    tx: Transaction, run: QueuedRun, facts: SelectionFacts, tenants: Sequence[str], now: int
) -> list[_Row]:
    """Make the executions of tenants, with their numbers and guards."""
    ids = sorted(id_ for (id_,) in await tx.rows("new_execution_ids", len(tenants)))
    dues = facts.dues(run.job, tenants, now)
    rows = [_Row(*each) for each in zip(ids, tenants, dues, strict=True)]
    schedule = facts.guarded
    if schedule is not None:
        left = await take_guards(tx, [(run.job, schedule, row.tenant, row.id) for row in rows])
        for row in rows:
            if row.id in left:
                row.meet(facts.overlap)
    return rows


async def _put_into_chunks(tx: Transaction, rows: Sequence[_Row]) -> list[_Chunk]:
    """Give those that are ready their chunks, in their order."""
    ready = [row for row in rows if row.is_ready]
    parts = [ready[begin : begin + CHUNK] for begin in range(0, len(ready), CHUNK)]
    chunks = [_Chunk(id_, len(part)) for id_, part in zip(await new_ids(tx, len(parts)), parts, strict=True)]
    for chunk, part in zip(chunks, parts, strict=True):
        for row in part:
            row.chunk = chunk.id
    return chunks


async def _without_those_who_had_it(
    tx: Transaction, job: str, facts: SelectionFacts, tenants: Sequence[str]
) -> Sequence[str]:
    """Note who has a schedule's local time now, and give those only who have not had it, in this run or another.

    A schedule that the ledger has forgotten was gone for weeks: it doesn't know any more who had what of it.
    """
    schedule = await tx.value("number_of_schedule", job, facts.schedule)
    if schedule is None:
        return tenants
    new = {tenant for (tenant,) in await tx.rows("note_local_time", schedule, facts.local_time, [*tenants])}
    return [tenant for tenant in tenants if tenant in new]
