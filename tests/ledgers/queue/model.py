"""What a queue must be, in memory and without any thought of speed: for the state machine to compare a ledger with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pinstripe.limits import Limits
from pinstripe.run import TRANSITIONS, Counts, ExecutionStatus, RunStatus, final_status
from tests.ledgers.queue.moves import CANCELLED, FAILED, QUEUED, RUNNING, SKIPPED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pinstripe.ledger import Settlement
    from pinstripe.queue import Started

LIMITS = {"free": None, "narrow": Limits(total=2), "narrow_each": Limits(total=3, per_tenant=1)}
"""The jobs, and their limits."""


@dataclass
class ModelExecution:
    """One execution. Where it `waits`, an earlier fire is unfinished."""

    job: str
    tenant: str
    crashes_allowed: int
    may_be_skipped: bool
    overlap: str | None
    due: int | None
    state: ExecutionStatus = QUEUED
    waits: bool = False
    owner: int | None = None
    epoch: int = 0
    attempts: int = 0
    crashes: int = 0
    solo: bool = False

    @property
    def open(self) -> bool:
        return bool(TRANSITIONS[self.state])

    def move(self, state: ExecutionStatus) -> None:
        assert state in TRANSITIONS[self.state]
        self.state = state
        self.owner = None


@dataclass
class ModelRun:
    """One run: its executions by tenant, and whether its end was asked for."""

    executions: dict[str, ModelExecution]
    stopped: bool = False

    @property
    def counts(self) -> Counts:
        states = [one.state for one in self.executions.values()]
        return Counts(len(states), *(states.count(status) for status in ExecutionStatus))

    @property
    def status(self) -> RunStatus | None:
        """How it has ended; None while anything of it is open."""
        counts = self.counts
        if counts.done < counts.total:
            return None
        return final_status(error=None, failed=counts.failed, cancelled=counts.cancelled)


@dataclass
class Model:
    """All runs, by their ids in the order they came, all pauses, and who has had the local time of a job's schedule."""

    runs: dict[str, ModelRun] = field(default_factory=dict)
    pauses: set[tuple[str | None, str | None]] = field(default_factory=set)
    had: set[tuple[str, str]] = field(default_factory=set)
    late: int = 0

    def all(self) -> Iterator[ModelExecution]:
        for run in self.runs.values():
            yield from run.executions.values()

    def running(self, job: str, tenant: str | None = None) -> int:
        return sum(one.state is RUNNING and one.job == job and tenant in (None, one.tenant) for one in self.all())

    def enqueue(self, id_: str, executions: list[ModelExecution]) -> None:
        run = self.runs[id_] = ModelRun({})
        for one in executions:
            if one.overlap is not None and self._unfinished(one):
                one.waits = one.overlap == "queue"
                one.state = QUEUED if one.waits else SKIPPED
            run.executions[one.tenant] = one

    def paused(self, one: ModelExecution) -> bool:
        return bool(self.pauses & {(None, None), (one.job, None)}) or self.tenant_paused(one)

    def tenant_paused(self, one: ModelExecution) -> bool:
        return bool(one.tenant) and bool(self.pauses & {(None, one.tenant), (one.job, one.tenant)})

    def may_start(self, run: ModelRun, one: ModelExecution, now: int) -> bool:
        if one.state is not QUEUED or one.waits or run.stopped or self.paused(one):
            return False
        if one.due is not None and one.due > now:
            return False
        limits = LIMITS[one.job]
        return limits is None or not (
            (limits.total is not None and self.running(one.job) >= limits.total)
            or (limits.per_tenant is not None and self.running(one.job, one.tenant) >= limits.per_tenant)
        )

    def start(self, started: Started, owner: int, now: int) -> None:
        run = self.runs[started.run.id]
        one = run.executions[started.tenant]
        assert self.may_start(run, one, now)
        assert (started.solo, started.crashes, started.run.crashes) == (one.solo, one.crashes, one.crashes_allowed)
        one.move(RUNNING)
        one.owner, one.due = owner, None
        one.epoch += 1
        one.attempts += 1
        assert (started.epoch, started.attempt) == (one.epoch, one.attempts)

    def settle(self, started: Started, settlement: Settlement, now: int) -> None:
        one = self.runs[started.run.id].executions[started.tenant]
        if one.epoch != settlement.epoch or not one.open:
            return
        one_too_many = settlement.crash and one.crashes == one.crashes_allowed
        if settlement.status is not QUEUED or one_too_many:
            if one.state is QUEUED:
                one.state = RUNNING  # its end counts as if it had never been given back, and so does its attempt
                one.attempts += 1
                self.late += 1
            self.end(one, FAILED if one_too_many else settlement.status)
        elif one.state is RUNNING:
            one.attempts -= not settlement.counted
            one.crashes += settlement.crash
            one.solo |= settlement.crash
            one.due = now if settlement.due_at is None else settlement.due_at
            one.move(QUEUED)

    def end(self, one: ModelExecution, status: ExecutionStatus) -> None:
        one.move(status)
        if one.overlap is None or one.waits:
            one.waits = False
            return
        for other in self.all():
            if other.waits and (other.job, other.tenant) == (one.job, one.tenant):
                other.waits = False
                return

    def cancel(self, id_: str) -> None:
        run = self.runs[id_]
        if run.status is None:
            run.stopped = True
            for one in run.executions.values():
                if one.state is QUEUED:
                    self.end(one, CANCELLED)

    def bury(self, owner: int, now: int) -> int:
        """Take from a dead process what it ran; give how many of those are to run again."""
        rescued = 0
        for run in self.runs.values():
            for one in run.executions.values():
                if one.state is not RUNNING or one.owner != owner:
                    continue
                if run.stopped:
                    self.end(one, CANCELLED)
                elif not one.crashes_allowed:
                    self.end(one, FAILED)
                else:
                    one.move(QUEUED)
                    one.attempts -= 1
                    one.solo, one.due = True, now
                    rescued += 1
        return rescued

    def _unfinished(self, one: ModelExecution) -> bool:
        return any(
            other.open and other.overlap is not None and (other.job, other.tenant) == (one.job, one.tenant)
            for other in self.all()
        )
