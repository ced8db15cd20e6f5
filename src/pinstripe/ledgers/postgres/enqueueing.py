"""Putting runs into the queue, with their executions or without. Functions of a transaction, which may be a caller's.

No row is locked that somebody else may need: however long a caller's transaction takes, it keeps nobody waiting, but
who enqueues a run of the same key.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from pinstripe.engine import NewTicket
from pinstripe.errors import LedgerError
from pinstripe.ledgers.postgres.chunks import CHUNK, NewChunk
from pinstripe.ledgers.postgres.guards import take_guards
from pinstripe.ledgers.postgres.settling import count
from pinstripe.ledgers.postgres.texts import writable
from pinstripe.ledgers.postgres.transaction import columns
from pinstripe.ledgers.works import OVERLAPS, UNKNOWN_SCHEDULE, SelectionWriter, are_alike, flow_of, write_redacted
from pinstripe.queue import Held
from pinstripe.run import ExecutionStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pinstripe.engines.pgqueuer import PgQueuerEngine
    from pinstripe.ledger import NewRun
    from pinstripe.ledgers.postgres.transaction import Transaction
    from pinstripe.queue import NewWork


PART = 1_000
"""How many runs are in one statement: PostgreSQL takes at most 1 GB at once, which ten thousand may have."""


class Put(NamedTuple):
    """What became of a work: its run's number, whether that is new, and whether it met an unfinished predecessor."""

    n: int
    is_new: bool
    overlaps: bool = False


class _Key(NamedTuple):
    """What makes a run unique, for as long as it is kept."""

    job: str
    tenant: str
    key: str


class Enqueueing:
    """Some runs, written in few statements of one transaction."""

    def __init__(self, tx: Transaction, engine: PgQueuerEngine, now: int) -> None:
        """Work in a transaction, at `now` in microseconds UTC."""
        self._tx = tx
        self._engine = engine
        self._now = now
        self._selections = SelectionWriter()
        self._ends: dict[tuple[int, str], int] = {}

    async def put(self, works: Sequence[NewWork]) -> list[Put]:
        """Put runs in, and tell in their order what became of each: one of its key may be there already.

        Raises `LedgerError` for one with a `local_time` whose schedule the ledger doesn't know.
        """
        if len(works) <= PART or any(work.key is not None or work.overlap is not None for work in works):
            return await self._put_part(works)
        return [
            put for begin in range(0, len(works), PART) for put in await self._put_part(works[begin : begin + PART])
        ]

    async def _put_part(self, works: Sequence[NewWork]) -> list[Put]:
        tx = self._tx
        if len(works) == 1 and is_plain(works[0], self._now) and not (tx.again or tx.has_snapshot):
            return [await self.put_plain(works[0])]
        if not (tx.again or tx.has_snapshot) and is_plain(works[0], self._now) and are_alike(works):
            return await self.put_alike(works)
        if tx.again:  # all of them were committed together, or none
            rows = await tx.rows("runs_of_ids", [work.run.id for work in works])
            if rows:
                known = {id_: n for n, id_ in rows}
                keys = await self._find({key: 0 for work in works if (key := _key(work)) is not None})
                return [Put(known.get(work.run.id) or keys[_key(work)], is_new=False) for work in works]  # type: ignore[index]
        await self._check_schedules(works)
        first, twins = _by_key(works)
        known = await self._find(first)
        places = [place for place, work in enumerate(works) if place not in twins and _key(work) not in known]
        new = [_New(works[place], self._now) for place in places]
        overlapping = await self._put_new(new, has_keys=bool(first))
        known |= await self._find(first) if not all(each.written for each in new) else {}
        numbers = {place: each.n for place, each in zip(places, new, strict=True) if each.written}
        return [
            Put(numbers[place], is_new=True, overlaps=numbers[place] in overlapping)
            if place in numbers
            else Put(numbers[twin] if (twin := twins.get(place, -1)) in numbers else known[_key(work)], is_new=False)  # type: ignore[index]
            for place, work in enumerate(works)
        ]

    async def put_plain(self, work: NewWork) -> Put:
        """Put a run in that `is_plain`: in one statement."""
        new = _New(work, self._now)
        values = new.columns(self._selections.write(work.run.selection))[1:]
        return Put(await self._tx.value("enqueue_plain", *values, self._now, new.executions[0].tenant), is_new=True)

    async def put_alike(self, works: Sequence[NewWork]) -> list[Put]:
        """Put runs in that `are_alike`, and of which the first, and so each, `is_plain`: in one statement."""
        first = works[0]
        run, (tenant, *_) = first.run, first.tenants or ("",)
        numbers = await self._tx.value(
            "enqueue_alike",
            *columns([(work.run.id, *_arguments(work.run)) for work in works]),
            run.job,
            str(run.trigger),
            self._selections.write(run.selection),
            run.origin,
            run.retry_of,
            run.parent,
            first.priority.band,
            flow_of(run.job, tenant),
            first.due_at,
            first.key_tenant,
            first.crashes,
            first.schedule,
            first.scheduled_for,
            first.retry_until,
            first.spread,
            run.trace,
            writable(write_redacted(run)),
            self._now,
            tenant,
        )
        return [Put(n, is_new=True) for n in numbers]

    async def _check_schedules(self, works: Sequence[NewWork]) -> None:
        """Refuse what would have no place where it is kept that each tenant has a local time once."""
        asked = {(work.run.job, work.schedule or ""): work for work in works if work.local_time is not None}
        if not asked:
            return
        jobs, keys = zip(*asked, strict=True)
        known = {(job, key) for job, key in await self._tx.rows("known_schedules", [*jobs], [*keys])}
        for place, work in asked.items():
            if place not in known:
                raise LedgerError(UNKNOWN_SCHEDULE.format(work.run.job, work.schedule, work.local_time))

    async def _put_new(self, new: Sequence[_New], *, has_keys: bool) -> set[int]:
        """Write runs that are new as far as we know; give those that met an unfinished predecessor.

        Somebody else may write a run of the same key at this moment: whoever comes second waits for that, and has
        `written` nothing.
        """
        if not new:
            return set()
        await self._number(new)
        runs = columns([each.columns(self._selections.write(each.work.run.selection)) for each in new])
        if has_keys:
            written = {n for (n,) in await self._tx.rows("enqueue_runs", *runs, self._now)}
            for each in new:
                each.written = each.n in written
        rows = [row for each in new if each.written for row in each.executions]
        left = await take_guards(
            self._tx, [(row.job, row.schedule, row.tenant, row.id) for row in rows if row.schedule]
        )
        for row in rows:
            if row.id in left:
                row.meet(self._now)
        chunks = [chunk for each in new if each.written for chunk in each.chunks()]
        executions = columns([row.columns() for row in rows], 10)
        written_chunks = columns(chunks, 6)
        if has_keys:
            await self._tx.run("enqueue_executions", *executions, *written_chunks, self._now)
        else:
            await self._tx.run("enqueue", *runs, self._now, *executions, *written_chunks)
        await self._engine.mint(self._tx, [NewTicket(chunk.id, chunk.band, chunk.tag) for chunk in chunks])
        skipped = Counter(row.run for row in rows if row.state == "skipped")
        await count(self._tx, {run: {ExecutionStatus.SKIPPED: many} for run, many in skipped.items()}, self._now)
        return {row.run for row in rows if row.id in left}

    async def _number(self, new: Sequence[_New]) -> None:
        """Give runs, executions and chunks their numbers, and chunks their place behind what their flow has waiting."""
        flows = [*dict.fromkeys(each.place for each in new if each.places)]
        many = len(new), sum(len(each.executions) for each in new), sum(each.places for each in new)
        columns = [band for band, _ in flows], [flow for _, flow in flows]
        runs, executions, chunks, found = await self._tx.row("new_numbers", *many, *columns)
        # A caller's snapshot doesn't show what the part before this one has put into a flow.
        tags = {flow: max(tag, self._ends.get(flow, tag)) for flow, tag in zip(flows, found, strict=True)}
        left = iter(executions), iter(chunks)
        for each, n in zip(new, runs, strict=True):
            place = each.place
            each.number(n, *left)
            if each.places:
                end = each.begin(tags[place])
                tags[place] = end if each.place == place else tags[place]
        self._ends |= tags

    async def _find(self, keys: Mapping[_Key, int]) -> dict[_Key, int]:
        """Give the numbers of the runs that have some of these keys."""
        if not keys:
            return {}
        rows = await self._tx.rows("runs_of_keys", *([*column] for column in zip(*keys, strict=True)))
        return {_Key(job, tenant, key): n for job, tenant, key, n in rows}


class _New:
    """A run to write, with its executions."""

    def __init__(self, work: NewWork, now: int) -> None:
        self.work = work
        self.n = 0
        self.written = True
        tenants = [*dict.fromkeys(work.tenants or ())]
        self._total = len(tenants)
        self._now = now
        self._due = work.due_at if work.due_at is not None and work.due_at > now else None
        self._flow = flow_of(work.run.job, tenants[0]) if len(tenants) == 1 else ""
        self.executions = [_Execution(tenant, work, self._due) for tenant in tenants]
        self._chunks: list[int] = []
        self._tag = 0

    @property
    def places(self) -> int:
        """How many chunks are needed for what is ready at once."""
        return 0 if self._due is not None else -(-self._total // CHUNK)

    @property
    def place(self) -> tuple[int, str]:
        """Its band and flow; a run of several executions is a flow of its own, which nobody has seen yet."""
        return self.work.priority.band, self._flow or f"r:{self.n}"

    def number(self, n: int, executions: Iterator[int], chunks: Iterator[int]) -> None:
        """Be the run `n`, with the next numbers for what it has."""
        self.n = n
        for row in self.executions:
            row.id, row.run = next(executions), n
        self._chunks = [next(chunks) for _ in range(self.places)]

    def begin(self, tag: int) -> int:
        """Be served from a tag on; give the one after the last."""
        self._tag = tag
        return tag + self._total

    def chunks(self) -> list[NewChunk]:
        """Put what is ready into chunks, and give those."""
        ready = [row for row in self.executions if row.is_ready]
        made, tag = [], self._tag
        band, flow = self.place
        for id_, begin in zip(self._chunks, range(0, len(ready), CHUNK), strict=False):
            part = ready[begin : begin + CHUNK]
            for row in part:
                row.chunk = id_
            made.append(NewChunk(id_, self.n, flow, band, tag, tag + len(part)))
            tag += len(part)
        return made

    def columns(self, selection: str) -> tuple[Any, ...]:
        """Give the run's columns, in the order of the statement `enqueue_runs`."""
        work, run = self.work, self.work.run
        is_empty = work.tenants is not None and not self._total
        due = self._now if work.tenants is None and work.due_at is None else work.due_at
        return (
            self.n,
            run.id,
            run.job,
            "succeeded" if is_empty else "queued",
            str(run.trigger),
            *_arguments(run),
            selection,
            run.origin or run.id,
            run.retry_of,
            run.parent,
            work.tenants is not None,
            self._total,
            work.priority.band,
            self.place[1] if self._total else None,
            due,
            writable(work.key),
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
            writable(write_redacted(run)),
        )


class _Execution:
    """An execution to write."""

    def __init__(self, tenant: str, work: NewWork, due: int | None) -> None:
        self.id = 0
        self.run = 0
        self.tenant = tenant
        self.job = work.run.job
        self.schedule = work.schedule if work.overlap is not None else None
        self.state = "queued"
        self.chunk: int | None = None
        self._held = None if due is None else str(Held.DUE)
        self._due = due
        self._waits = work.overlap == "queue"
        self._error: str | None = None
        self._finished: int | None = None

    @property
    def is_ready(self) -> bool:
        """Whether it may start."""
        return self._held is None and self.state == "queued"

    def meet(self, now: int) -> None:
        """Meet an unfinished predecessor."""
        if self._waits:
            self._held = str(Held.OVERLAP)
        else:
            self.state, self._held, self._due, self._error, self._finished = "skipped", None, None, OVERLAPS, now

    def columns(self) -> tuple[Any, ...]:
        """Give its columns, in the order of the statement `enqueue_executions`."""
        columns = (self.id, self.run, self.tenant, self.job, self.state, self._held, self.chunk, self._due)
        return (*columns, self._error, self._finished)


def _arguments(run: NewRun) -> tuple[str, str]:
    """Write a run's arguments as the ledger keeps them; most have none of a kind."""
    args = "[]" if not run.args else json.dumps([*run.args])
    return args, "{}" if not run.kwargs else json.dumps(dict(run.kwargs))


def is_plain(work: NewWork, now: int) -> bool:
    """Tell whether a work is one execution that may start at once, whatever else there is."""
    is_one = work.tenants is not None and len(work.tenants) == 1
    has_rules = work.key is not None or work.overlap is not None or work.local_time is not None
    return is_one and not has_rules and (work.due_at is None or work.due_at <= now)


def _by_key(works: Sequence[NewWork]) -> tuple[dict[_Key, int], dict[int, int]]:
    """Give the place of the first work of each key; and of the others with it, by their places, that first one's."""
    first: dict[_Key, int] = {}
    twins: dict[int, int] = {}
    for place, work in enumerate(works):
        key = _key(work)
        if key is not None and first.setdefault(key, place) != place:
            twins[place] = first[key]
    return first, twins


def _key(work: NewWork) -> _Key | None:
    return None if work.key is None else _Key(work.run.job, work.key_tenant, writable(work.key))
