"""What it costs to enqueue and to claim where millions of executions are kept."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pinstripe.ledger import NewRun, Settlement
from pinstripe.queue import NewWork
from pinstripe.run import ExecutionStatus, Trigger, new_run_id

if TYPE_CHECKING:
    from pinstripe.clock import Clock
    from pinstripe.ledger import Ledger

PAGE = 1_000


async def claims(ledger: Ledger, clock: Clock, job: str, turns: int, slots: int) -> dict[str, list[float]]:
    """Enqueue runs of one execution and a fan-out, then settle and claim them; give each step's milliseconds."""
    queue = ledger.queue
    await queue.join(slots)
    spent: dict[str, list[float]] = {}

    def work(*tenants: str) -> NewWork:
        selection: dict[str, Any] = {"tenants": None, "exclude": [], "where": [], "force": False}
        return NewWork(NewRun(new_run_id(clock.now()), job, Trigger.CODE, [], {}, selection), tenants)

    for number in range(turns):
        began = time.perf_counter()
        await queue.enqueue([work(f"tenant-{number % 1_000:07d}")])
        _note(spent, "enqueue one", began)
    tenants = [f"tenant-{number:07d}" for number in range(PAGE)]
    for _ in range(-(-turns * slots // PAGE)):
        began = time.perf_counter()
        await queue.enqueue([work(*tenants)])
        _note(spent, f"enqueue a run for {PAGE:,} tenants", began)
    ended: list[Settlement] = []
    claimed = 0
    while True:
        began = time.perf_counter()
        taken = await queue.turn(ended, slots)
        if not taken.started:
            break
        claimed += len(taken.started)
        _note(spent, f"settle {slots} and claim {slots} of a worker's", began)
        ended = [
            Settlement(started.id, started.epoch, ExecutionStatus.SUCCEEDED, run=started.run.n)
            for started in taken.started
        ]
    if claimed != turns + -(-turns * slots // PAGE) * PAGE:
        message = f"expected to claim all that was enqueued, got {claimed}"
        raise RuntimeError(message)
    began = time.perf_counter()
    await queue.status()
    _note(spent, "status", began)
    return spent


def _note(spent: dict[str, list[float]], what: str, began: float) -> None:
    spent.setdefault(what, []).append((time.perf_counter() - began) * 1_000)
