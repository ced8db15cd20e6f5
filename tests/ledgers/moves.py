"""The moves that many tests make on a ledger, in short."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from pinstripe.ledger import NewRun, Settlement
from pinstripe.run import Counts, ExecutionStatus, Trigger, new_run_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pinstripe.ledger import Claimed, Ledger
    from pinstripe.run import Run

SUCCEEDED = ExecutionStatus.SUCCEEDED
FAILED = ExecutionStatus.FAILED
CANCELLED = ExecutionStatus.CANCELLED
SKIPPED = ExecutionStatus.SKIPPED

SELECTION: dict[str, Any] = {"tenants": None, "exclude": [], "where": [], "force": False}

_moments = itertools.count(1_790_000_000_000_000, 1_000)


def new_run(job: str = "greet", **given: Any) -> NewRun:
    """Make a run to create; each id is later than the one before it."""
    values: dict[str, Any] = {"trigger": Trigger.CODE, "args": [], "kwargs": {}, "selection": SELECTION, **given}
    return NewRun(id=values.pop("id", None) or new_run_id(next(_moments)), job=job, **values)


async def select(ledger: Ledger, tenants: Iterable[str], job: str = "greet", **given: Any) -> Run:
    """Create a run for these tenants, its selection complete."""
    run = await ledger.create(new_run(job, **given))
    await ledger.add(run.id, list(tenants))
    return await ledger.end_selection(run.id)


async def start(ledger: Ledger, run: str, *tenants: str) -> dict[str, Claimed]:
    """Start executions; give what was started, by tenant."""
    turn = await ledger.turn(run, [], tenants)
    return {claimed.tenant: claimed for claimed in turn.claimed}


def ended(claimed: Claimed, status: ExecutionStatus = SUCCEEDED, **kept: Any) -> Settlement:
    """Make the settlement of an execution."""
    return Settlement(claimed.id, claimed.epoch, status, **kept)


async def carry_out(ledger: Ledger, run: str, outcomes: Mapping[str, ExecutionStatus]) -> Counts:
    """Start the tenants' executions, and settle them with these outcomes."""
    claimed = await start(ledger, run, *outcomes)
    errors = {FAILED: "ValueError: no address", SKIPPED: "paused", CANCELLED: "interrupted"}
    settlements = [
        Settlement(claimed[tenant].id, claimed[tenant].epoch, status, errors.get(status))
        for tenant, status in outcomes.items()
    ]
    return (await ledger.turn(run, settlements, [])).counts


async def recount(ledger: Ledger, run: str, tenants: Iterable[str]) -> Counts:
    """Count a run's executions one by one."""
    found = [await ledger.find_execution(run, tenant) for tenant in tenants]
    states = [execution.status for execution in found if execution is not None]
    return Counts(len(states), *(states.count(status) for status in ExecutionStatus))
