"""The moves that many tests make on a queue, in short."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pinstripe.ledger import NO_TENANT, Settlement
from pinstripe.queue import NewWork
from pinstripe.run import ExecutionStatus
from tests.ledgers.moves import new_run

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pinstripe.ledger import Ledger
    from pinstripe.queue import Started
    from pinstripe.run import Counts, Execution, Run

QUEUED = ExecutionStatus.QUEUED
RUNNING = ExecutionStatus.RUNNING
SUCCEEDED = ExecutionStatus.SUCCEEDED
FAILED = ExecutionStatus.FAILED
CANCELLED = ExecutionStatus.CANCELLED
SKIPPED = ExecutionStatus.SKIPPED

SECOND = 1_000_000
"""Microseconds in it."""


def new_work(*tenants: str, job: str = "greet", **given: Any) -> NewWork:
    """Make work for `tenants`, or for a job without; what is given is the work's, or else its run's."""
    of_work = {name: given.pop(name) for name in NewWork._fields if name in given}
    of_work.setdefault("tenants", list(tenants) or [NO_TENANT])
    return NewWork(run=new_run(job, **given), **of_work)


async def enqueue(ledger: Ledger, *tenants: str, job: str = "greet", **given: Any) -> Run:
    """Enqueue one run."""
    (run,) = await ledger.queue.enqueue([new_work(*tenants, job=job, **given)])
    return run


async def enqueue_each(ledger: Ledger, tenants: Iterable[str], job: str = "greet", **given: Any) -> list[Run]:
    """Enqueue a run of its own for each of `tenants`, in their order."""
    return await ledger.queue.enqueue([new_work(tenant, job=job, **given) for tenant in tenants])


async def enqueue_selecting(ledger: Ledger, job: str = "greet", **given: Any) -> Run:
    """Enqueue a run whose tenants a worker is to select."""
    return await enqueue(ledger, job=job, tenants=None, **given)


async def claim(ledger: Ledger, slots: int = 100, settlements: Sequence[Settlement] = ()) -> list[Started]:
    """Settle, and start up to `slots` executions, in as many turns as that takes."""
    taken = await ledger.queue.turn(settlements, slots)
    assert not taken.lost
    started = list(taken.started)
    while taken.more and len(started) < slots:
        taken = await ledger.queue.turn([], slots - len(started))
        started += taken.started
    return started


async def claim_one(ledger: Ledger) -> Started:
    """Start one execution; there must be one."""
    (started,) = await claim(ledger, 1)
    return started


def ended(started: Started, status: ExecutionStatus = SUCCEEDED, **kept: Any) -> Settlement:
    """Make the settlement of an execution."""
    return Settlement(started.id, started.epoch, status, run=started.run.n, **kept)


def again(started: Started, due_at: int | None = None, **kept: Any) -> Settlement:
    """Make the settlement of an execution that is to run again."""
    return ended(started, QUEUED, due_at=due_at, **kept)


async def settle(ledger: Ledger, *settlements: Settlement) -> None:
    """Settle, and start nothing."""
    await ledger.queue.turn(settlements, 0)


async def drain(ledger: Ledger, slots: int = 100) -> list[Started]:
    """Start and settle until nothing starts any more; give what was started, in order."""
    done: list[Started] = []
    started = await claim(ledger, slots)
    while started:
        done += started
        started = await claim(ledger, slots, [ended(one) for one in started])
    return done


def tenants_of(started: Iterable[Started]) -> list[str]:
    """Name the tenants of what was started, in order."""
    return [one.tenant for one in started]


def runs_of(started: Iterable[Started]) -> list[str]:
    """Name the runs of what was started, in order."""
    return [one.run.id for one in started]


async def counts(ledger: Ledger, run: Run) -> Counts:
    """Read a run's counts."""
    return (await ledger.find_run(run.id)).executions


async def execution(ledger: Ledger, run: Run, tenant: str | None = None) -> Execution:
    """Read an execution that must be there."""
    found = await ledger.find_execution(run.id, tenant)
    assert found is not None
    return found


async def state(ledger: Ledger, run: Run, tenant: str | None = None) -> ExecutionStatus:
    """Read the status of an execution that must be there."""
    return (await execution(ledger, run, tenant)).status


async def die(ledger: Ledger, store: Any, sweeper: Ledger) -> None:
    """Let a worker's process be killed, and another find that."""
    store.kill(ledger)
    await sweeper.queue.sweep()
