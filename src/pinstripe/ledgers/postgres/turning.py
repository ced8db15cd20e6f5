"""A worker's turns: each settles what has ended and starts what may, in one transaction."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING

from pinstripe.ledgers.postgres.admission import Admission
from pinstripe.ledgers.postgres.claiming import Appetite, Claim, Row
from pinstripe.ledgers.postgres.settling_works import free, settle_works
from pinstripe.ledgers.postgres.transaction import columns
from pinstripe.ledgers.postgres.turn_edges import added, begin_turn, end_turn, furthest
from pinstripe.queue import Started, Taken
from pinstripe.run import ExecutionStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pinstripe.ledger import Settlement
    from pinstripe.ledgers.postgres.store import Store
    from pinstripe.ledgers.postgres.transaction import Transaction
    from pinstripe.queue import QueuedRun

KNOWN_RUNS = 256
"""How many runs of several executions are remembered, so that they are not read at each turn."""


Start = tuple[int, int]
"""An execution's number, and its epoch: it may have been given back, and started here once more."""


class Turns:
    """The turns of one worker. What they did is only believed once it is committed."""

    def __init__(self, store: Store) -> None:
        """Take the ledger's database."""
        self._store = store
        self._appetite = Appetite()
        self._known: OrderedDict[int, QueuedRun] = OrderedDict()
        self._running: set[Start] = set()
        self._unsure = False
        self._one_by_one = asyncio.Lock()

    async def turn(self, settlements: Sequence[Settlement], slots: int) -> Taken:
        """Settle `settlements`, then start up to `slots` executions.

        Where it isn't known of an earlier turn whether it was committed, what that started is given now: so they come
        one after the other.
        """
        async with self._one_by_one:
            return await self._turn(settlements, slots)

    async def _turn(self, settlements: Sequence[Settlement], slots: int) -> Taken:
        unsure, self._unsure = self._unsure, True
        running = self._running - {(each.id, each.epoch) for each in settlements}
        taken, left = await self._store.write(lambda tx: self._in(tx, settlements, slots, running, unsure=unsure))
        if left:
            running |= _starts(taken)
            then, _ = await self._store.write(lambda tx: self._in(tx, (), left, running, unsure=False, admits=False))
            taken = then._replace(started=taken.started + then.started)
        self._unsure = False
        self._running = set() if taken.lost else running | _starts(taken)
        for each in taken.started:
            if each.run.total > 1:
                self._remember(each.run)
        return taken

    async def _in(
        self,
        tx: Transaction,
        settlements: Sequence[Settlement],
        slots: int,
        running: set[Start],
        *,
        unsure: bool,
        admits: bool = True,
    ) -> tuple[Taken, int]:
        """One transaction; tell also for how many slots is to be claimed in another one, which `admits` nothing.

        So it is where limits are kept: whoever counts slots locks the limits first, and only what is to be started
        tells whose they are; but what was settled is locked by then, and so is what has become due.
        """
        store, now = self._store, self._store.clock.now()
        owner = store.ours().id or 0
        if unsure or tx.again:  # or else what is started by a commit that is still on its way would be nobody's
            await tx.rows("wait_for_own", owner)
        met, settled = await begin_turn(tx, owner, settlements, now)
        is_alive, limits = met.is_alive, met.has_limits
        admission = Admission(tx, store.engine, now)
        claim = Claim(tx, store.engine, owner, now)
        if limits and settlements:
            await self._lock_limits(tx, admission, {each.run for each in settlements})
        settled = settled or await settle_works(tx, settlements, now, unsure=unsure or tx.again)
        lost: list[Row] = []
        if is_alive and (unsure or tx.again):  # what has been settled just now runs no more
            lost = [Row(*row) for row in await tx.rows("running_of_worker", owner, *columns(running, 2))]
        if met.frees:
            await free(tx, admission, settled)
        dues = [met.due, *(now if each.due_at is None else each.due_at for each in settlements if _runs_again(each))]
        more = False
        locks = bool(settlements)
        if any(at is not None and at <= now for at in dues):
            more = not admits or await admission.admit_due()
            locks = locks or admits
            dues = [await tx.value("first_due", now)]
        slots -= len(lost)
        if is_alive and slots > 0 and not (limits and locks):
            await claim.take(slots, self._appetite)
            if limits:
                await self._lock_limits(tx, admission, claim.runs)
            if claim.runs:
                await (claim.sift(admission) if met.has_pauses or limits or met.has_stops else claim.start())
        started = [*lost, *claim.started]
        runs = {row.run: known for row in started if (known := self._known.get(row.run)) is not None}
        begun = await end_turn(
            tx,
            now,
            begun={row.run for row in started} - {*runs},
            ended=added(settled.ended, claim.ended),
            emptied=claim.emptied,
            served=claim.served,
            finished=furthest(admission.finished, claim.finished),
        )
        runs |= {run.n: run for run in begun}
        next_due = min([at for at in (*dues, met.selection) if at is not None and at > now], default=None)
        taken = Taken(
            [Started(row.id, runs[row.run], *row[2:7]) for row in started], next_due, more or claim.more, not is_alive
        )
        return taken, slots if limits and locks and is_alive else 0

    async def _lock_limits(self, tx: Transaction, admission: Admission, runs: Collection[int]) -> None:
        await admission.lock_limits([job for (job,) in await tx.rows("jobs_of_runs", sorted(runs))])

    def _remember(self, *runs: QueuedRun) -> None:
        for run in runs:
            self._known[run.n] = run
            self._known.move_to_end(run.n)
        while len(self._known) > KNOWN_RUNS:
            self._known.popitem(last=False)


def _starts(taken: Taken) -> set[Start]:
    return {(each.id, each.epoch) for each in taken.started}


def _runs_again(settlement: Settlement) -> bool:
    return settlement.status is ExecutionStatus.QUEUED
