"""Putting runs into the queue, with their executions or without. Functions of a transaction, which may be a caller's.

No row is locked that somebody else may need: however long a caller's transaction takes, it keeps nobody waiting, but
who enqueues a run of the same key.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from pinstripe.errors import LedgerError
from pinstripe.ledger import NO_TENANT
from pinstripe.ledgers.postgres.chunks import CHUNK, NewChunk, add_chunks, next_tags
from pinstripe.ledgers.postgres.guards import take_guards
from pinstripe.ledgers.postgres.settling import count
from pinstripe.ledgers.postgres.texts import writable
from pinstripe.ledgers.works import OVERLAPS, UNKNOWN_SCHEDULE, flow_of
from pinstripe.queue import Held
from pinstripe.run import ExecutionStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pinstripe.engines.pgqueuer import PgQueuerEngine
    from pinstripe.ledgers.postgres.transaction import Transaction
    from pinstripe.queue import NewWork


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
        self._selection: tuple[Mapping[str, Any] | None, str] = (None, "")

    async def put(self, works: Sequence[NewWork]) -> list[Put]:
        """Put runs in, and tell in their order what became of each: one of its key may be there already.

        Raises `LedgerError` for one with a `local_time` whose schedule the ledger doesn't know.
        """
        tx = self._tx
        if tx.again:  # all of them were committed together, or none
            rows = await tx.rows("runs_of_ids", [work.run.id for work in works])
            if rows:
                known = {id_: n for n, id_ in rows}
                keys = await self._find({key: 0 for work in works if (key := _key(work)) is not None})
                return [Put(known.get(work.run.id) or keys[_key(work)], is_new=False) for work in works]  # type: ignore[index]
        await self._check_schedules(works)
        numbers, new = await self._number(works)
        overlapping = await self._write([(numbers[place], works[place]) for place in new])
        fresh = {*new}
        return [Put(n, place in fresh, n in overlapping) for place, n in enumerate(numbers)]

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

    async def _number(self, works: Sequence[NewWork]) -> tuple[list[int], list[int]]:
        """Give each work its run's number, and the places of those whose runs are new and have been written.

        Somebody else may write a run of the same key at this moment: whoever comes second waits for that, and has it.
        """
        first: dict[_Key, int] = {}
        twins: dict[int, int] = {}
        for place, work in enumerate(works):
            key = _key(work)
            if key is not None and first.setdefault(key, place) != place:
                twins[place] = first[key]
        known = await self._find(first)
        new = [
            place
            for place, work in enumerate(works)
            if place not in twins and ((key := _key(work)) is None or key not in known)
        ]
        numbers = [0] * len(works)
        if new:
            ids = await self._tx.rows("new_run_numbers", len(new))
            for place, (n,) in zip(new, ids, strict=True):
                numbers[place] = n
            columns = zip(*(self._row(numbers[place], works[place]) for place in new), strict=True)
            written = {n for (n,) in await self._tx.rows("enqueue_runs", self._now, *([*column] for column in columns))}
            if len(written) < len(new):
                known |= await self._find({key: place for key, place in first.items() if key not in known})
                new = [place for place in new if numbers[place] in written]
        fresh = {*new}
        for place, work in enumerate(works):
            key = _key(work)
            if place not in fresh and place not in twins and key is not None:
                numbers[place] = known[key]
        for place, twin in twins.items():
            numbers[place] = numbers[twin]
        return numbers, new

    async def _find(self, keys: Mapping[_Key, int]) -> dict[_Key, int]:
        """Give the numbers of the runs that have some of these keys."""
        if not keys:
            return {}
        rows = await self._tx.rows("runs_of_keys", *([*column] for column in zip(*keys, strict=True)))
        return {_Key(job, tenant, key): n for job, tenant, key, n in rows}

    def _row(self, n: int, work: NewWork) -> tuple[Any, ...]:
        """Give a run's columns, in the order of the statement `enqueue_runs`."""
        run, tenants = work.run, work.tenants
        total = 0 if tenants is None else len({*tenants}) if len(tenants) > 1 else len(tenants)
        flow: str | None = None
        if total:
            flow = f"r:{n}" if total > 1 else flow_of(run.job, tenants[0] if tenants else NO_TENANT)
        is_empty = tenants is not None and not total
        due = self._now if tenants is None and work.due_at is None else work.due_at
        return (
            n,
            run.id,
            run.job,
            "succeeded" if is_empty else "queued",
            str(run.trigger),
            "[]" if not run.args else json.dumps(list(run.args)),
            "{}" if not run.kwargs else json.dumps(dict(run.kwargs)),
            self._written(run.selection),
            run.origin or run.id,
            run.retry_of,
            run.parent,
            tenants is not None,
            total,
            work.priority.band,
            flow,
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
        )

    def _written(self, selection: Mapping[str, Any]) -> str:
        """Write a selection as JSON: once, where many runs have the same."""
        known, written = self._selection
        if selection is not known:
            written = json.dumps(dict(selection))
            self._selection = selection, written
        return written

    async def _write(self, works: Sequence[tuple[int, NewWork]]) -> set[int]:
        """Write the executions of new runs, and their chunks; give the runs that met an unfinished predecessor."""
        tx = self._tx
        rows = [row for n, work in works for row in _executions(n, work, self._now)]
        if not rows:
            return set()
        for row, (id_,) in zip(rows, await tx.rows("new_execution_ids", len(rows)), strict=True):
            row.id = id_
        left = await take_guards(tx, [(row.job, row.schedule, row.tenant, row.id) for row in rows if row.schedule])
        for row in rows:
            if row.id in left:
                row.meet(self._now)
        await self._make_chunks([row for row in rows if row.held is None and row.state == "queued"])
        columns = zip(*(row.columns() for row in rows), strict=True)
        await tx.run("enqueue_executions", *([*column] for column in columns))
        skipped = Counter(row.run for row in rows if row.state == "skipped")
        if skipped:
            await count(tx, {run: {ExecutionStatus.SKIPPED: many} for run, many in skipped.items()}, self._now)
        return {row.run for row in rows if row.id in left}

    async def _make_chunks(self, rows: Sequence[_Execution]) -> None:
        """Put ready executions into chunks, those of one run together, behind what their flow has waiting."""
        parts: list[list[_Execution]] = []
        for row in rows:
            if parts and parts[-1][0].run == row.run and len(parts[-1]) < CHUNK:
                parts[-1].append(row)
            else:
                parts.append([row])
        if not parts:
            return
        tags = await next_tags(self._tx, [part[0].place for part in parts])
        chunks = []
        for part, (id_,) in zip(parts, await self._tx.rows("new_chunk_ids", len(parts)), strict=True):
            band, flow = part[0].place
            tag = tags[band, flow]
            tags[band, flow] = until = tag + len(part)
            chunks.append(NewChunk(id_, part[0].run, flow, band, tag, until))
            for row in part:
                row.chunk = id_
        await add_chunks(self._tx, self._engine, chunks, self._now)


class _Execution:
    """An execution to write."""

    def __init__(self, run: int, tenant: str, work: NewWork, place: tuple[int, str], due: int | None) -> None:
        self.id = 0
        self.run = run
        self.tenant = tenant
        self.job = work.run.job
        self.place = place
        self.schedule = work.schedule if work.overlap is not None else None
        self.state = "queued"
        self.held = None if due is None else str(Held.DUE)
        self.chunk: int | None = None
        self.due = due
        self._waits = work.overlap == "queue"
        self._error: str | None = None
        self._finished: int | None = None

    def meet(self, now: int) -> None:
        """Meet an unfinished predecessor."""
        if self._waits:
            self.held = str(Held.OVERLAP)
        else:
            self.state, self.held, self.due, self._error, self._finished = "skipped", None, None, OVERLAPS, now

    def columns(self) -> tuple[Any, ...]:
        """Give its columns, in the order of the statement `enqueue_executions`."""
        columns = (self.id, self.run, self.tenant, self.job, self.state, self.held, self.chunk, self.due)
        return (*columns, self._error, self._finished)


def _executions(n: int, work: NewWork, now: int) -> list[_Execution]:
    tenants = [*dict.fromkeys(work.tenants or ())]
    if not tenants:
        return []
    flow = f"r:{n}" if len(tenants) > 1 else flow_of(work.run.job, tenants[0])
    due = work.due_at if work.due_at is not None and work.due_at > now else None
    return [_Execution(n, tenant, work, (work.priority.band, flow), due) for tenant in tenants]


def _key(work: NewWork) -> _Key | None:
    return None if work.key is None else _Key(work.run.job, work.key_tenant, writable(work.key))
