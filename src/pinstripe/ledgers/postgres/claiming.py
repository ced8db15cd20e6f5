"""The claim: who of those that are ready may start, in the order of the queue. Functions of a transaction."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from pinstripe.engine import NewTicket
from pinstripe.ledgers.pauses import PAUSED
from pinstripe.ledgers.picking import Pick, merge
from pinstripe.ledgers.postgres.admission import Candidate
from pinstripe.ledgers.postgres.pausing import read_pauses
from pinstripe.queue import Held
from pinstripe.run import ExecutionStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pinstripe.engine import Ticket
    from pinstripe.engines.pgqueuer import PgQueuerEngine
    from pinstripe.ledgers.pauses import Pauses
    from pinstripe.ledgers.postgres.admission import Admission
    from pinstripe.ledgers.postgres.chunks import Flow
    from pinstripe.ledgers.postgres.settling_works import Ended
    from pinstripe.ledgers.postgres.transaction import Transaction


USELESS_AT_ONCE = 200
"""How many tickets are taken at once behind some whose chunks are gone, as of a large run that was cancelled."""

MOST_USELESS = 1_000
"""How many of those one transaction takes: some 50 ms."""


LOCKED = timedelta(seconds=1)
"""After what time a chunk is looked at again of which something was locked."""


class Appetite:
    """How many tickets are to be taken for some slots: as many as had a part the last time, and one more.

    That one tells that nothing else comes before what is started.
    """

    def __init__(self) -> None:
        """Expect one execution a ticket."""
        self._share = 1.0

    def tickets(self, slots: int) -> int:
        """Give how many to take."""
        return min(slots, max(2, math.ceil(self._share * slots) + 1))

    def learn(self, had_part: int, slots: int) -> None:
        """See of how many tickets something was picked for so many slots."""
        self._share = had_part / slots


class Row(NamedTuple):
    """An execution that has just been started."""

    id: int
    run: int
    tenant: str
    epoch: int
    attempt: int
    solo: bool
    crashes: int
    chunk: int


class Claim:
    """One claim: `take` the tickets, then `start` what they are for; `started` is what was."""

    def __init__(self, tx: Transaction, engine: PgQueuerEngine, owner: int, now: int) -> None:
        """Work in a transaction, for the process with the row `owner`."""
        self._tx = tx
        self._engine = engine
        self._owner = owner
        self._now = now
        self._tickets: list[Ticket] = []
        self._picks: list[Pick] = []
        self.served: dict[int, int] = {}
        """How far bands have been served."""
        self._finished: dict[tuple[int, str], int] = {}
        self.started: list[Row] = []
        self.ended: Ended = {}
        """What ended instead of starting, to be counted into its runs."""
        self.emptied: list[int] = []
        """Chunks that hold nothing more, which are to be deleted."""
        self.more = False
        """Whether there may be more, as where much of what was taken may not start."""

    @property
    def runs(self) -> list[int]:
        """The runs whose executions are about to be started."""
        return [*{pick.ticket.run for pick in self._picks}]

    async def take(self, slots: int, appetite: Appetite) -> None:
        """Take the tickets of what is next for so many `slots`: of all chunks that may have a part in it."""
        wanted, useless = appetite.tickets(slots), 0
        while wanted > 0:
            taken = await self._engine.take(self._tx, wanted)
            useful = [ticket for ticket in taken if ticket is not None]
            self._tickets = sorted(self._tickets + useful, key=_order)
            useless += len(taken) - len(useful)
            if len(taken) < wanted or len(self._tickets) >= slots:
                break
            if _is_enough(self._tickets, slots):
                break
            if useless >= MOST_USELESS:  # the rest in another transaction: what this one has settled is waited for
                self.more = True
                break
            wanted = max(2, len(self._tickets) // 2, min(2 * useless, USELESS_AT_ONCE))
        if self._tickets:
            self._picks = merge(self._tickets, slots)
            appetite.learn(len(self._picks), slots)

    async def start(self) -> None:
        """Start what was picked, where nothing can hold it back."""
        order = {pick.ticket.chunk: place for place, pick in enumerate(self._picks)}
        rows = await self._tx.rows("start_picked", *self._columns(), self._owner, self._now)
        self.started = sorted((Row(*row) for row in rows), key=lambda row: (order[row.chunk], row.id))
        found = dict.fromkeys(order, 0)
        for row in self.started:
            found[row.chunk] += 1
        for pick in self._picks:
            self._serve(pick, pick.many)
        await self._put_back({pick.ticket.chunk: (found[pick.ticket.chunk],) * 2 for pick in self._picks})

    async def sift(self, admission: Admission) -> None:
        """Start of what was picked what may start, and hold or end the rest."""
        pauses = await read_pauses(self._tx)
        rows = [_Sifted(*row) for row in await self._tx.rows("candidates", *self._columns())]
        picks = {pick.ticket.chunk: pick for pick in self._picks}
        by_chunk: dict[int, list[_Sifted]] = {chunk: [] for chunk in picks}
        for row in rows:
            by_chunk[row.chunk].append(row)
        places = {
            row.id: picks[chunk].ticket.tag + place
            for chunk, found in by_chunk.items()
            for place, row in enumerate(found)
        }
        verdicts: dict[int, Held | tuple[ExecutionStatus, str]] = {}
        for row in rows:
            verdict = judge(pauses, row)
            if verdict is not None:
                verdicts[row.id] = verdict
        free = [row for chunk in picks for row in by_chunk[chunk] if row.id not in verdicts]
        candidates = [_candidate(row, picks[row.chunk].ticket, places[row.id]) for row in free]
        limited = await admission.take_slots(candidates) if candidates else {}
        verdicts |= {id_: held for id_, held in limited.items() if held is not None}
        await self._hold(admission, candidates, rows, verdicts, places, picks)
        await self._end(admission, rows, verdicts)
        to_start = [row.id for row in free if row.id not in verdicts]
        if to_start:
            order = {id_: place for place, id_ in enumerate(to_start)}
            found = [Row(*row) for row in await self._tx.rows("start_ids", sorted(to_start), self._owner, self._now)]
            self.started = sorted(found, key=lambda row: order[row.id])
        moves: dict[int, tuple[int, int]] = {}
        for chunk, found_rows in by_chunk.items():
            gone = sum(isinstance(verdicts.get(row.id), tuple) for row in found_rows)
            starts = sum(row.id not in verdicts for row in found_rows)
            if starts:
                self._serve(picks[chunk], starts)
            moves[chunk] = len(found_rows), len(found_rows) - gone
        await self._put_back(moves)
        self.more = self.more or bool(verdicts)

    @property
    def finished(self) -> dict[Flow, int]:
        """Until when flows have been served, as far as that says more than how far their bands have been."""
        return {place: finish for place, finish in self._finished.items() if finish > self.served[place[0]]}

    def _columns(self) -> tuple[list[int], list[int]]:
        return [pick.ticket.chunk for pick in self._picks], [pick.many for pick in self._picks]

    async def _hold(
        self,
        admission: Admission,
        candidates: Sequence[Candidate],
        rows: Sequence[_Sifted],
        verdicts: dict[int, Held | tuple[ExecutionStatus, str]],
        places: dict[int, int],
        picks: dict[int, Pick],
    ) -> None:
        """Hold what may not start now; what that took up of its job's limits goes to another one."""
        limited = [each for each in candidates if verdicts.get(each.execution) is Held.LIMIT]
        if limited:
            await admission.hold_limited(limited)
        held = [row for row in rows if verdicts.get(row.id) in {Held.PAUSED, Held.TENANT_LIMIT}]
        if held:
            await self._tx.run(
                "hold",
                [row.id for row in held],
                [str(verdicts[row.id]) for row in held],
                [picks[row.chunk].ticket.band for row in held],
                [places[row.id] for row in held],
            )
        paused = [row.id for row in held if verdicts[row.id] is Held.PAUSED]
        if paused:
            await admission.free_slots(paused)

    async def _end(
        self,
        admission: Admission,
        rows: Sequence[_Sifted],
        verdicts: dict[int, Held | tuple[ExecutionStatus, str]],
    ) -> None:
        """End what may not start at all; its runs are counted with the rest of the transaction."""
        from pinstripe.ledgers.postgres.settling import end_rows

        by_end: dict[tuple[ExecutionStatus, str], list[int]] = {}
        for row in rows:
            verdict = verdicts.get(row.id)
            if isinstance(verdict, tuple):
                by_end.setdefault(verdict, []).append(row.id)
        for (status, reason), ids in by_end.items():
            for run in await end_rows(self._tx, admission, ids, status, reason, self._now):
                counts = self.ended.setdefault(run, {})
                counts[status] = counts.get(status, 0) + 1

    async def _put_back(self, moves: dict[int, tuple[int, int]]) -> None:
        """Leave chunks with what they still hold, and mint those again; those that hold nothing more are `emptied`.

        Of each chunk that was picked `moves` tells how many executions were found, and how many turns of its flow they
        took: what is ended takes none. Where less was found than was picked, nothing more is there, or it is locked.
        """
        left: list[tuple[int, int, int]] = []
        tickets = [ticket for ticket in self._tickets if ticket.chunk not in moves]
        for pick in self._picks:
            ticket = pick.ticket
            found, turns = moves[ticket.chunk]
            self.more = self.more or found < pick.many  # else its slots would stay free, whatever waits behind it
            if pick.is_whole or found < pick.many:
                self.emptied.append(ticket.chunk)
            else:
                left.append((ticket.chunk, turns, found - turns))
                tickets.append(ticket._replace(tag=ticket.tag + turns))
        if left:
            await self._tx.run("move_chunks", *([*column] for column in zip(*left, strict=True)))
        await self._engine.mint(self._tx, [NewTicket(each.chunk, each.band, each.tag) for each in tickets])
        short = [pick.ticket.chunk for pick in self._picks if moves[pick.ticket.chunk][0] < pick.many]
        if short:
            locked = [NewTicket(*row) for row in await self._tx.rows("locked_chunks", short)]
            await self._engine.mint(self._tx, locked, delay=LOCKED)

    def _serve(self, pick: Pick, started: int) -> None:
        ticket = pick.ticket
        self.served[ticket.band] = max(ticket.tag + started - 1, self.served.get(ticket.band, 0))
        if pick.is_whole:
            key = ticket.band, ticket.flow
            self._finished[key] = max(ticket.tag + started, self._finished.get(key, 0))


class _Sifted(NamedTuple):
    """An execution that may start, or not: its run may be `stop`ped, and `is_one_of_many` that come to an end."""

    id: int
    chunk: int
    tenant: str
    job: str
    stop: str | None
    is_one_of_many: bool


def judge(pauses: Pauses, row: _Sifted) -> Held | tuple[ExecutionStatus, str] | None:
    """Tell why an execution may not start: what holds it, or how it ends. None: nothing but limits may."""
    if row.stop is not None:
        return ExecutionStatus.CANCELLED, row.stop
    if pauses.holds_job(row.job):
        return Held.PAUSED
    if pauses.holds_tenant(row.job, row.tenant):
        # A run for several tenants must come to its end; who is resumed later is run by `retry-run --skipped`.
        return (ExecutionStatus.SKIPPED, PAUSED) if row.is_one_of_many else Held.PAUSED
    return None


def _candidate(row: _Sifted, ticket: Ticket, tag: int) -> Candidate:
    return Candidate(row.id, row.job, row.tenant, ticket.band, ticket.flow, ticket.run, tag)


def _order(ticket: Ticket) -> tuple[int, int, int]:
    return ticket.band, ticket.tag, ticket.chunk


def _is_enough(tickets: Sequence[Ticket], slots: int) -> bool:
    """Tell whether none that was not taken can have a part: the last one that was would have none either."""
    picks = merge(tickets, slots)
    return len(picks) < len(tickets) and sum(pick.many for pick in picks) >= slots
