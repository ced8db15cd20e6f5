"""Where the microseconds of one execution go: each part alone, in the sizes that a fan-out has them."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from benchmarks.figures import Figure, Size, middle
from benchmarks.projects import forget_runs, project

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from pinstripe.assignment import Assignment
    from pinstripe.definition import Definition
    from pinstripe.outcome import Outcome
    from pinstripe.project import Project

TITLE = "one execution of a fan-out, part by part"
SLOTS = 20
"""How many executions go on at once: a project's own default."""

PAGE = 1_000


def measure(size: Size) -> Sequence[Figure]:
    """Measure each part for the number of tenants of the first fan-out."""
    tenants = size.fan_outs[0]
    spent: dict[str, list[float]] = {}
    with project() as folder:
        for _ in range(size.fan_out_rounds):
            forget_runs(folder)
            for what, seconds in asyncio.run(_parts(folder, tenants)).items():
                spent.setdefault(what, []).append(seconds / tenants * 1_000_000)
    return [Figure(what, middle(each), "µs") for what, each in spent.items()]


async def _parts(folder: Path, tenants: int) -> dict[str, float]:
    from pinstripe import open_project

    ids = [f"tenant-{number:07d}" for number in range(tenants)]
    async with open_project(folder) as opened:
        definition = opened.registry.find("each")
        spent = {"read it from a generator, in pages of 1,000": await _timed(lambda: _read(ids))}
        spent |= await _ledger(opened, ids)
        spent["an asyncio task that does nothing"] = await _timed(lambda: _tasks(tenants))
        spent["the executor, nothing captured"] = await _timed(
            lambda: _execute(opened, definition, ids, captures=False)
        )
        spent["the executor, output captured"] = await _timed(lambda: _execute(opened, definition, ids, captures=True))
    return spent


async def _timed(call: Callable[[], Awaitable[Any]]) -> float:
    began = time.perf_counter()
    await call()
    return time.perf_counter() - began


async def _read(ids: list[str]) -> None:
    from pinstripe.selection import Choice
    from pinstripe.tenant_sources import Tenants

    async for _ in Choice(Tenants(lambda: iter(ids)), None, frozenset()).pages():
        pass


async def _ledger(opened: Project, ids: list[str]) -> dict[str, float]:
    """Insert, then settle and start in turns of as many as there are slots."""
    from pinstripe.ledger import NewRun, Settlement
    from pinstripe.run import ExecutionStatus, Trigger, new_run_id

    ledger = opened.ledger
    await ledger.open(write=True)
    selection: dict[str, Any] = {"tenants": None, "exclude": [], "where": [], "force": False}
    run = (await ledger.create(NewRun(new_run_id(opened.clock.now()), "each", Trigger.CLI, [], {}, selection))).id

    async def insert() -> None:
        for first in range(0, len(ids), PAGE):
            await ledger.add(run, ids[first : first + PAGE])

    async def turns() -> None:
        ended: list[Settlement] = []
        for first in range(0, len(ids), SLOTS):
            turn = await ledger.turn(run, ended, ids[first : first + SLOTS])
            ended = [Settlement(claimed.id, claimed.epoch, ExecutionStatus.SUCCEEDED) for claimed in turn.claimed]
        await ledger.turn(run, ended, [])

    spent = {"insert it, in pages of 1,000": await _timed(insert)}
    await ledger.end_selection(run)
    return {**spent, f"start and settle it, {SLOTS} in a turn": await _timed(turns)}


async def _tasks(tenants: int) -> None:
    async def nothing() -> None:
        pass

    create = asyncio.get_running_loop().create_task
    for _ in range(0, tenants, SLOTS):
        await asyncio.wait([create(nothing()) for _ in range(SLOTS)])


async def _execute(opened: Project, definition: Definition, ids: list[str], *, captures: bool) -> None:
    """Execute for every tenant, as many at a time as there are slots; no ledger is asked or told."""
    from pinstripe.assignment import Assignment
    from pinstripe.background_job import Attempt
    from pinstripe.capture import Capture
    from pinstripe.executor import Executor
    from pinstripe.project_services import ProjectServices
    from pinstripe.tenants import Tenant
    from pinstripe.watcher import Watcher

    executor = Executor(opened.services, ProjectServices(), _NoNested())
    output = Watcher().output
    idle = asyncio.Event()
    left = 0

    def done(_assignment: Assignment, outcome: Outcome) -> None:
        nonlocal left
        if not outcome.succeeded:
            raise RuntimeError(outcome.error)
        left -= 1
        if not left:
            idle.set()

    for first in range(0, len(ids), SLOTS):
        page = ids[first : first + SLOTS]
        left = len(page)
        idle.clear()
        for id_ in page:
            attempt = Attempt(number=1, key=f"run/{id_}", fence=1)
            capture = Capture(id_, output) if captures else None
            tenant = Tenant(id_, {})
            executor.start(Assignment(definition, (), {}, "run", tenant, attempt, None, capture), done)
        await idle.wait()
    await executor.close()


class _NoNested:
    """Starts and enqueues no other runs: the job that is measured asks for none."""

    async def launch(self, *given: Any, **named: Any) -> Any:
        message = f"the job that is measured asked for a run: {given} {named}"
        raise AssertionError(message)

    enqueue = enqueue_many = launch
