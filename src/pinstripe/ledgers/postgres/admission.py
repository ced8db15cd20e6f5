"""Admission: the one door from held to ready, and how ready executions are put in order. Functions of a transaction."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from pinstripe.ledgers.postgres.chunks import CHUNK, NewChunk, add_chunks, new_ids, next_tags
from pinstripe.ledgers.postgres.guards import mend_guards
from pinstripe.ledgers.postgres.slots import Candidate, Slots
from pinstripe.ledgers.postgres.transaction import columns

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from pinstripe.engines.pgqueuer import PgQueuerEngine
    from pinstripe.ledgers.postgres.chunks import Flow
    from pinstripe.ledgers.postgres.transaction import Transaction
    from pinstripe.queue import Held

PAGE = 500
"""How many executions are admitted, held back or given back in one transaction: some milliseconds."""

FIRST = ("", "")
"""Before all jobs and tenants."""

__all__ = ["FIRST", "PAGE", "Admission", "Candidate"]


class Admission:
    """What becomes ready in one transaction: `minted` tells whether anything did."""

    def __init__(self, tx: Transaction, engine: PgQueuerEngine, now: int) -> None:
        """Work in a transaction, at `now` in microseconds UTC."""
        self.now = now
        self.minted = False
        self.finished: dict[Flow, int] = {}
        """Until when the flows are served of what was made ready in front: to be noted at the transaction's end."""
        self._tx = tx
        self._engine = engine
        self._slots = Slots(tx)

    async def admit_due(self) -> bool:
        """Make ready what was held until now, and nobody else admits; tell whether there may be more of it."""
        rows = await self._tx.rows("due_executions", self.now, PAGE)
        await self.make_ready(rows)
        return len(rows) == PAGE

    async def admit_resumed(self) -> bool:
        """Make ready what was held by a pause that is over; tell whether there may be more of it."""
        tenants = await self._tx.rows("resumed_tenants", PAGE)
        if not tenants:
            return False
        rows = await self._tx.rows("resumed_executions", *columns(tenants), PAGE)
        await self.make_ready(sorted(rows))
        return len(rows) == PAGE or len(tenants) == PAGE

    async def make_ready(self, rows: Iterable[Sequence[Any]], *, in_front: bool = False) -> None:
        """Make executions ready, given as id and run: those of a run in chunks, behind what its flow has waiting.

        Those `in_front` of it have had their turn there already, and were held then. They have slots, and each a chunk
        of its own, so that one of them can be taken out again.
        """
        by_run: dict[int, list[int]] = {}
        for id_, run, *_ in rows:
            by_run.setdefault(run, []).append(id_)
        if not by_run:
            return
        facts = await self._read_flows(by_run)
        size = 1 if in_front else CHUNK
        parts = [
            _Part(run, *facts[run], ids[begin : begin + size])
            for run, ids in by_run.items()
            if run in facts
            for begin in range(0, len(ids), size)
        ]
        if not parts:
            return
        numbers = await new_ids(self._tx, len(parts))
        shown = [(id_, part) for id_, part in zip(numbers, parts, strict=True) if part.flow is not None]
        hidden = [(id_, part) for id_, part in zip(numbers, parts, strict=True) if part.flow is None]
        if hidden:
            values = [(id_, part.run, part.band, len(part.ids)) for id_, part in hidden]
            await self._tx.run("add_hidden_chunks", *columns(values))
        if shown:
            await self._show(shown, in_front=in_front)
        pairs = [(id_, chunk) for chunk, part in zip(numbers, parts, strict=True) for id_ in part.ids]
        await self._tx.run("make_ready", *columns(pairs))

    async def _read_flows(self, runs: Collection[int]) -> dict[int, tuple[str | None, int]]:
        """Give the flow and band of each run; it has no flow while its tenants are being selected, and that goes on."""
        rows = await self._tx.rows("flows_of_runs", [*runs])
        selecting = [n for n, flow, _ in rows if flow is None]
        locked = await self._tx.rows("flows_of_selecting", selecting) if selecting else []
        return {n: (flow, band) for n, flow, band in [*rows, *locked]}

    async def _show(self, parts: Sequence[tuple[int, _Part]], *, in_front: bool) -> None:
        """Write chunks in the queue's order, several of one flow behind each other."""
        tags = await next_tags(self._tx, [part.place for _, part in parts], in_front=in_front)
        if in_front:
            tags = {place: max(tag, self.finished.get(place, 0)) for place, tag in tags.items()}
        chunks = []
        for id_, part in parts:
            band, flow = part.place
            tag = tags[part.place]
            tags[part.place] = until = tag + len(part.ids)
            chunks.append(NewChunk(id_, part.run, flow, band, tag, until))
        await add_chunks(self._tx, self._engine, chunks, self.now)
        self.minted = True
        if in_front:
            self.finished |= tags

    async def note_finished(self) -> None:
        """Keep until when flows are served of what was made ready in front; last of all.

        It locks them, which others note too: so it is done once, in one order.
        """
        if self.finished:
            await self._tx.run("fronts", *columns([(*place, finish) for place, finish in self.finished.items()]))
            self.finished.clear()

    # Limits: an execution of a limited job takes up a slot from when it is admitted, or started, to when it ends.

    async def lock_limits(self, jobs: Collection[str]) -> None:
        """Lock the limits of jobs whose slots are going to be counted, before any execution is locked."""
        await self._slots.lock(jobs)

    async def take_slots(self, candidates: Sequence[Candidate]) -> dict[int, Held | None]:
        """Take slots for executions, in their order; tell of each by which limit there is none for it."""
        return await self._slots.take(candidates)

    async def hold_limited(self, candidates: Sequence[Candidate]) -> None:
        """Let ready executions wait for a slot of their job."""
        await self._slots.hold(candidates)

    async def free_slots(self, ids: Sequence[int]) -> None:
        """Give back the slots of executions, and admit whom they kept waiting."""
        if ids:
            await self.slots_freed(await self._slots.free(ids))

    async def slots_freed(self, freed: Sequence[tuple[str, str]]) -> None:
        """Admit whom slots kept waiting that are `freed`, each given as its job and tenant."""
        if not freed:
            return
        many = Counter(freed)
        jobs = sorted({job for job, _ in many})
        await self.lock_limits(jobs)
        capped = [(job, tenant, most) for (job, tenant), most in sorted(many.items()) if self._caps(job)]
        if capped:
            await self._tx.rows("uncap", *columns(capped), True, PAGE)  # noqa: FBT003 - a value of a statement
        await self._admit(jobs)

    async def admit_limited(self, job: str) -> bool:
        """Make ready what the limits of a job hold, in the order of the tags, as far as there are slots.

        One whose tenant has none left waits from then on for that tenant's, so that nobody waits behind it. Tells
        whether there may be more.
        """
        await self.lock_limits([job])
        more = await self._admit([job])
        await self.note_finished()
        return more

    async def admit_all_limited(self, first: tuple[str, str] = FIRST) -> tuple[str, str] | None:
        """Look after what limits hold without need, as where they have been changed, from one tenant to the next.

        That is a page of what waits for its tenant's limit, behind the job and tenant `first`; give behind which the
        next page is, None after the last. Where nothing is held without need, nothing is locked.
        """
        tenants = await self._tx.rows("capped_tenants", *first, PAGE)
        free = [(job, tenant, PAGE) for job, tenant, many in tenants if many is None or many > 0]
        jobs = {job for (job,) in await self._tx.rows("jobs_with_free_slots")} | {job for job, *_ in free}
        following = tenants[-1][:2] if len(tenants) == PAGE else None
        if jobs:
            await self.lock_limits(jobs)
            if free:
                moved = await self._tx.rows("uncap", *columns(free), False, PAGE)  # noqa: FBT003 - as above
                if len(moved) == PAGE:  # there may be more of the last one
                    last = max((job, tenant) for job, tenant in moved)
                    following = max([first, *((job, tenant) for job, tenant, _ in tenants if (job, tenant) < last)])
            if await self._admit(sorted(jobs)):
                following = following or first
            await self.note_finished()
        return None if following is None else (following[0], following[1])

    def _caps(self, job: str) -> bool:
        """Tell whether a tenant's limit may hold something of a job: it may have had one until now."""
        limits = self._slots.limits(job)
        return limits is None or limits.per_tenant is not None

    async def _admit(self, jobs: Sequence[str]) -> bool:
        """Do as `admit_limited` for several jobs, which are locked."""
        more = False
        looked = Counter[str]()
        while jobs:
            rows = await self._tx.rows("first_limited", *self._columns_of(jobs), PAGE)
            page = _Page(rows, {job: self._slots.limits(job) for job in jobs})
            if page.capped:
                await self._tx.run("cap", page.capped)
            await self._slots.give(page.slots)
            await self.make_ready(page.admitted, in_front=True)
            looked.update(page.found)
            again = [job for job in jobs if page.goes_on(job)]
            jobs = [job for job in again if looked[job] < PAGE]
            more = more or len(jobs) < len(again)
        return more

    def _columns_of(self, jobs: Sequence[str]) -> tuple[list[Any], ...]:
        limits = [self._slots.limits(job) for job in jobs]
        totals = [None if each is None else each.total for each in limits]
        return [*jobs], totals, [None if each is None else each.per_tenant for each in limits]

    async def mend(self) -> None:
        """Give back slots and guards of executions that have none to have; give slots to what runs without.

        What waits for a guard that nobody has gets that. It looks at all there are.
        """
        stale = await self._tx.rows("stale_slots", PAGE)
        if stale:
            await self.lock_limits({job for _, job in stale})
            freed = await self._tx.rows("free_stale_slots", [id_ for id_, _ in stale])
            await self.slots_freed([(job, tenant) for job, tenant in freed])
            await self.note_finished()
        await self._tx.run("take_missing_slots")
        await mend_guards(self._tx, self, PAGE)


class _Part(NamedTuple):
    """What goes into one chunk."""

    run: int
    flow: str | None
    band: int
    ids: list[int]

    @property
    def place(self) -> Flow:
        """Its flow; it has one."""
        return self.band, self.flow or ""


class _Page:
    """Of some jobs what their limits hold and is next: who is admitted, and whose tenant has no slot left."""

    def __init__(self, rows: Sequence[Sequence[Any]], limits: Mapping[str, Any]) -> None:
        self.admitted: list[tuple[int, int]] = []
        self.slots: list[tuple[int, str, str]] = []
        self.capped: list[int] = []
        self.found = Counter[str]()
        self._free: dict[str, int] = {}
        self._full: set[str] = set()
        used: dict[tuple[str, str], int] = {}
        for job, free, id_, run, tenant, taken in rows:
            self._free[job] = free
            self.found[job] += 1
            mine = used.get((job, tenant), taken)
            each = limits[job]
            if each is not None and each.per_tenant is not None and mine >= each.per_tenant:
                self.capped.append(id_)
                self._full.add(job)
                continue
            used[job, tenant] = mine + 1
            self.admitted.append((id_, run))
            if each is not None:
                self.slots.append((id_, job, tenant))

    def goes_on(self, job: str) -> bool:
        """Tell whether there may be more to admit: a slot is free, and all that was asked for was there."""
        found = self.found[job]
        return found > 0 and found == self._free[job] and (job in self._full or found >= PAGE)
