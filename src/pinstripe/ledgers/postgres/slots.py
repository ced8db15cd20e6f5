"""Slots: what a limited job's executions take up from when they are admitted, or started, until they end.

Functions of a transaction. The row of a job's limits is the lock of all that counts its slots: who holds it sees every
slot that was taken, and nobody takes another before it is done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pinstripe.priority import Priority
from pinstripe.queue import Held

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pinstripe.ledgers.postgres.transaction import Transaction

_LAST_BAND = len(Priority) - 1


class Candidate(NamedTuple):
    """An execution that may start, but for limits; `tag` is its own place in the order of its `band`."""

    execution: int
    job: str
    tenant: str
    band: int
    flow: str
    run: int
    tag: int


class JobLimits(NamedTuple):
    """How many executions of a job may go on at once, and how many for each tenant; None is any number."""

    total: int | None
    per_tenant: int | None


class Slots:
    """The slots of the jobs that a transaction has to do with."""

    def __init__(self, tx: Transaction) -> None:
        """Work in a transaction."""
        self._tx = tx
        self._limits: dict[str, JobLimits | None] = {}
        self._places: dict[tuple[str, int, str], int] = {}
        self._taken_over: set[int] = set()

    async def lock(self, jobs: Collection[str]) -> None:
        """Lock the limits of jobs until the transaction ends; a job without a row has none, and isn't locked.

        Who counts slots locks first of all: before executions, and those of all jobs together, where they are known.
        """
        new = sorted({*jobs} - {*self._limits})
        if new:
            self._limits.update(dict.fromkeys(new))
            for job, total, per_tenant in await self._tx.rows("lock_limits", new):
                self._limits[job] = JobLimits(total, per_tenant)

    def limits(self, job: str) -> JobLimits | None:
        """Give the limits of a job that is locked; None where it has none."""
        return self._limits[job]

    async def take(self, candidates: Sequence[Candidate]) -> dict[int, Held | None]:
        """Take slots for executions, in their order; tell of each by which limit there is none for it.

        One that a lower band has and doesn't use yet is taken from it: who is urgent doesn't wait with it for its turn.
        """
        verdicts: dict[int, Held | None] = {each.execution: None for each in candidates}
        await self.lock({each.job for each in candidates})
        limited = [each for each in candidates if self._limits[each.job] is not None]
        if not limited:
            return verdicts
        counts = await self._count(limited)
        taken: list[Candidate] = []
        for each in limited:
            if each.execution in counts.has_one:
                continue
            if each.execution in counts.taken_over:
                verdicts[each.execution] = Held.LIMIT
                continue
            verdict = await counts.judge(each)
            verdicts[each.execution] = verdict
            if verdict is None:
                counts.add(each.job, each.tenant, 1)
                taken.append(each)
        await self._free(counts.freed)
        self._taken_over |= counts.taken_over
        await self.give([(each.execution, each.job, each.tenant) for each in taken])
        return verdicts

    async def give(self, rows: Sequence[tuple[int, str, str]]) -> None:
        """Give slots to executions, each with its job and tenant."""
        if rows:
            await self._tx.run("take_slots", *([*column] for column in zip(*rows, strict=True)))

    async def free(self, ids: Sequence[int]) -> list[tuple[str, str]]:
        """Take back the slots of executions; give the job and tenant of each that there was."""
        return [(job, tenant) for job, tenant in await self._tx.rows("free_slots", [*ids])]

    async def hold(self, candidates: Sequence[Candidate]) -> None:
        """Let ready executions wait for a slot of their job: each behind what of its tenant or run waits, or in turn.

        Their band may have gone far beyond those that share the limit, so that by its tag there a newcomer would wait
        for all of them.
        """
        new = [each for each in candidates if each.execution not in self._taken_over]
        if not new:
            return
        places = await self._read_places(new)
        rows = []
        for each in new:
            key = each.job, each.band, each.flow
            place = self._places.get(key)
            if place is None:
                place = places.after(each)
            tag = each.tag if place is None else min(each.tag, place)
            self._places[key] = tag + 1
            places.note(each, tag)
            rows.append((each.execution, str(Held.LIMIT), each.band, tag))
        await self._tx.run("hold", *([*column] for column in zip(*rows, strict=True)))

    async def _count(self, limited: Sequence[Candidate]) -> _Counts:
        limits = {job: each for job, each in self._limits.items() if each is not None}
        jobs = sorted({each.job for each in limited if limits[each.job].total is not None})
        tenants = sorted({(each.job, each.tenant) for each in limited if limits[each.job].per_tenant is not None})
        counts = _Counts(self._tx, limits, jobs, tenants)
        columns = [job for job, _ in tenants], [tenant for _, tenant in tenants]
        for kind, job, tenant, number in await self._tx.rows(
            "slots_in_use", [each.execution for each in limited], jobs, *columns
        ):
            if kind == 0:
                counts.has_one[number] = job, tenant
            elif kind == 1:
                counts.of_job[job] = number
            else:
                counts.of_tenant[job, tenant] = number
        return counts

    async def _free(self, lesser: Sequence[_Lesser]) -> None:
        """Let those wait again whose slots were taken from them, each in its old place."""
        if lesser:
            ids = [each.id for each in lesser]
            held = [str(Held.LIMIT)] * len(ids)
            await self._tx.run("hold", ids, held, [each.band for each in lesser], [each.tag for each in lesser])
            await self._tx.rows("free_slots", ids)
            await self._tx.run("delete_chunks", [each.chunk for each in lesser])  # each was alone there

    async def _read_places(self, candidates: Sequence[Candidate]) -> _Places:
        tenants = sorted({(each.job, each.tenant, each.band) for each in candidates})
        runs = sorted({each.run for each in candidates})
        jobs = sorted({(each.job, each.band) for each in candidates})
        places = _Places()
        for kind, job, tenant, number, tag in await self._tx.rows(
            "places",
            *([*column] for column in zip(*tenants, strict=True)),
            runs,
            *([*column] for column in zip(*jobs, strict=True)),
        ):
            if tag is not None:
                if kind == 0:
                    places.of_tenant[job, tenant, number] = tag
                elif kind == 1:
                    places.of_run[number] = tag
                else:
                    places.first[job, number] = tag
        return places


class _Lesser(NamedTuple):
    """An execution of a lower band that is ready, and has a slot."""

    id: int
    job: str
    tenant: str
    chunk: int
    band: int
    tag: int


class _Counts:
    """How many slots there are, as of now in a transaction that takes some, and takes some over."""

    def __init__(
        self, tx: Transaction, limits: dict[str, JobLimits], jobs: Sequence[str], tenants: Sequence[tuple[str, str]]
    ) -> None:
        self._tx = tx
        self._limits = limits
        self._jobs = jobs
        self._tenants = tenants
        self._lesser: list[_Lesser] | None = None
        self.has_one: dict[int, tuple[str, str]] = {}
        self.of_job: dict[str, int] = {}
        self.of_tenant: dict[tuple[str, str], int] = {}
        self.freed: list[_Lesser] = []
        self.taken_over: set[int] = set()

    def add(self, job: str, tenant: str, many: int) -> None:
        self.of_job[job] = self.of_job.get(job, 0) + many
        self.of_tenant[job, tenant] = self.of_tenant.get((job, tenant), 0) + many

    async def judge(self, candidate: Candidate) -> Held | None:
        """Tell which limit leaves no slot for an execution, after taking over what can be."""
        job, tenant = candidate.job, candidate.tenant
        total, per_tenant = self._limits[job]
        full = per_tenant is not None and self.of_tenant.get((job, tenant), 0) >= per_tenant
        if full and not await self._take_over(candidate, tenant):
            return Held.TENANT_LIMIT
        full = total is not None and self.of_job.get(job, 0) >= total
        if full and not await self._take_over(candidate, None):
            return Held.LIMIT
        return None

    async def _take_over(self, candidate: Candidate, tenant: str | None) -> bool:
        """Let one of a lower band, and of that tenant if one is given, wait again, and its slot be free."""
        if candidate.band == _LAST_BAND:
            return False
        if self._lesser is None:
            columns = [job for job, _ in self._tenants], [tenant for _, tenant in self._tenants]
            rows = await self._tx.rows("lesser", self._jobs, *columns, candidate.band)
            self._lesser = [_Lesser(*row) for row in rows]
        for place, each in enumerate(self._lesser):
            if each.job == candidate.job and each.band > candidate.band and tenant in {None, each.tenant}:
                del self._lesser[place]
                self.freed.append(each)
                self.taken_over.add(each.id)
                self.has_one.pop(each.id, None)
                self.add(each.job, each.tenant, -1)
                return True
        return False


class _Places:
    """Where in the order of a limit the last of each tenant and run is, and the first of each job."""

    def __init__(self) -> None:
        self.of_tenant: dict[tuple[str, str, int], int] = {}
        self.of_run: dict[int, int] = {}
        self.first: dict[tuple[str, int], int] = {}

    def after(self, candidate: Candidate) -> int | None:
        """Give the place behind what waits of its run, served as one, or of its tenant; or else in the next round."""
        if candidate.flow.startswith("r:"):
            last = self.of_run.get(candidate.run)
        else:
            last = self.of_tenant.get((candidate.job, candidate.tenant, candidate.band))
        if last is None:
            last = self.first.get((candidate.job, candidate.band))
        return None if last is None else last + 1

    def note(self, candidate: Candidate, tag: int) -> None:
        """See one more wait, at `tag`."""
        mine = candidate.job, candidate.tenant, candidate.band
        self.of_tenant[mine] = max(tag, self.of_tenant.get(mine, tag))
        self.of_run[candidate.run] = max(tag, self.of_run.get(candidate.run, tag))
        job = candidate.job, candidate.band
        self.first[job] = min(tag, self.first.get(job, tag))
