"""The sweep: what every worker looks after each second, on whatever machine. Idempotent, in short transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pinstripe.engine import NewTicket
from pinstripe.ledgers.hosts import boot_id, host
from pinstripe.ledgers.postgres.admission import FIRST, Admission
from pinstripe.ledgers.postgres.rescuing import cancel_queued, rescue
from pinstripe.ledgers.rescues import Rescued
from pinstripe.queue import Swept

if TYPE_CHECKING:
    from pinstripe.ledgers.postgres.store import Store
    from pinstripe.ledgers.postgres.transaction import Transaction

MEND_EVERY = 60.0
"""Seconds between two looks at whether each slot and guard is still somebody's, which they are but for accidents."""

TIDY_EVERY = 10.0
"""Seconds between two removals of what the engine keeps of tickets that were served."""

TICKETS = 500
"""How many chunks are given their tickets again in one transaction: some 20 ms."""

WAITED = 30_000_000
"""Microseconds after which a ready chunk is given its ticket again, should it have lost it."""

FLOWS = 1_000
"""How many flows a sweep forgets at most."""


class Needs(NamedTuple):
    """What there is to do for a sweep."""

    dead: bool
    lost: bool
    stopped: bool
    due: bool
    limited: bool
    paused: bool
    flows: bool


class Sweeps:
    """The sweeps of one process."""

    def __init__(self, store: Store) -> None:
        """Take the ledger's database."""
        self._store = store
        self._mended_at = float("-inf")
        self._tidied_at = float("-inf")
        self._capped_from = FIRST
        self._minted_to = 0

    async def sweep(self) -> Swept:
        """One pass: the dead, the cancelled, the due, what is held without need, and tickets that are missing."""
        store = self._store
        needs = await store.read(self._needs)
        found = await rescue(store) if needs.dead or needs.lost else Rescued()
        cancelled = 0
        for number, reason in await store.rows("stopped_queued_runs") if needs.stopped else ():
            cancelled += await self.cancel_queued(number, reason)
        # A turn admits a page of what is due, and claims; among more than that the urgent ones might be the last.
        while needs.due and await store.write(lambda tx: self._admission(tx).admit_due()):
            pass
        if needs.limited or needs.paused or needs.flows or self._is_time(self._mended_at, MEND_EVERY):
            await store.write(self._mend)
        tidies = self._is_time(self._tidied_at, TIDY_EVERY)
        await self._mint_again(waits=tidies)
        if tidies:
            self._tidied_at = store.clock.monotonic()
            await store.write(self._tidy)
        return Swept(found.owners, found.given_back, found.failed, cancelled)

    async def cancel_queued(self, run: int, reason: str) -> int:
        """Cancel what of a run waits, page by page; give how many."""
        cancelled = 0
        after: str | None = None
        while True:
            page = after

            async def cancel(tx: Transaction) -> tuple[int, str | None]:
                now = self._store.clock.now()
                return await cancel_queued(tx, self._admission(tx), run, page, reason, now)  # noqa: B023 - awaited here

            many, after = await self._store.write(cancel)
            cancelled += many
            if after is None:
                return cancelled

    async def _needs(self, tx: Transaction) -> Needs:
        store = self._store
        return Needs(*await tx.row("sweep_needs", store.ours().id or 0, store.clock.now(), host(), boot_id()))

    async def _mint_again(self, *, waits: bool) -> None:
        """Give chunks that wait for long their tickets again: a page at each sweep, and all where some may be lost."""
        engine = self._store.engine
        if engine.lost:
            engine.lost, self._minted_to = False, 0
            try:
                while await self._mint_page(since=0):
                    pass
            except BaseException:
                engine.lost = True
                raise
        elif waits:
            await self._mint_page(since=WAITED)

    async def _mint_page(self, *, since: int) -> bool:
        """Mint a page, from the number of the chunk before it on; tell whether there is another one."""

        async def mint(tx: Transaction) -> int:
            rows = await tx.rows("old_chunks", self._minted_to, self._store.clock.now() - since, TICKETS)
            await self._store.engine.mint(tx, [NewTicket(*row) for row in rows], anew=not since)
            return int(rows[-1][0]) if len(rows) == TICKETS else 0

        self._minted_to = await self._store.write(mint)
        return self._minted_to > 0

    async def _mend(self, tx: Transaction) -> None:
        """Look after what is held without need, and forget of the flows what says nothing any more."""
        admission = self._admission(tx)
        self._capped_from = await admission.admit_all_limited(self._capped_from) or FIRST
        await admission.admit_resumed()
        if self._is_time(self._mended_at, MEND_EVERY):
            self._mended_at = self._store.clock.monotonic()
            await admission.mend()
        await tx.run("forget_flows", FLOWS)

    async def _tidy(self, tx: Transaction) -> None:
        """Let the engine tidy up, unless another process does."""
        if await tx.value("may_tidy", f"{self._store.schema.name} tidying"):
            await self._store.engine.tidy(tx)

    def _admission(self, tx: Transaction) -> Admission:
        return Admission(tx, self._store.engine, self._store.clock.now())

    def _is_time(self, since: float, every: float) -> bool:
        return self._store.clock.monotonic() - since >= every
