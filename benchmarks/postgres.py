"""The ledger on PostgreSQL: how quickly work is enqueued, drained and spread over tenants."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchmarks import evidence
from benchmarks.databases import postgres
from benchmarks.draining import CONCURRENCY, drain, drain_by_command
from benchmarks.enqueueing import PAGE, spend_enqueueing
from benchmarks.figures import Figure, Size, middle
from benchmarks.projects import memory_folder, pinstripe, project
from benchmarks.workers import PATIENCE, worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.workers import Worker

TITLE = "the ledger on PostgreSQL, its defaults, one server on this machine"
AT_ONCE = 100
"""How many executions go on at once in the larger turns: for jobs as short as these."""

PROCESSES = 2
"""How many processes the worker of a fan-out has."""


def measure(size: Size) -> Sequence[Figure]:
    """Measure each in a database of its own, several times over."""
    calls, tenants = size.waiting, size.fan_outs[0]
    spent: dict[str, list[float]] = {}
    with postgres() as server, project() as folder:
        for _ in range(size.fan_out_rounds):
            with server.ledger():
                single, many, run = asyncio.run(spend_enqueueing(folder, calls))
            _note(spent, "one", calls / single)
            _note(spent, "many", calls / many)
            _note(spent, "run", min(PAGE, calls) / run)
            for at_once in (CONCURRENCY, AT_ONCE):
                with server.ledger():
                    _note(spent, f"inside {at_once}", calls / asyncio.run(drain(folder, calls, at_once)))
            for processes in (1, PROCESSES):
                with server.ledger():
                    _note(spent, f"by {processes}", drain_by_command(folder, "stamp", calls, processes))
            with server.ledger():
                _note(spent, "fan-out", tenants / fan_out(folder, tenants, PROCESSES))
        about = server.figure()
    figure = {what: middle(values) for what, values in spent.items()}
    one_by_one = f"{calls:,} calls of `await workspace.enqueue_background_job()`"
    by_workers = (
        f"fan-out to {tenants:,} tenants, `start-worker --processes {PROCESSES}`, from the call to the last start"
    )
    inside = f"drain of {calls:,} no-ops, `worker.work(drain=True)`"
    drained = "drain of no-ops that note their time, `start-worker --processes"
    return [
        about,
        Figure(one_by_one, figure["one"], "jobs/s", least=1_500),
        Figure(f"{calls:,} by `enqueue_background_jobs`, {PAGE:,} a call", figure["many"], "jobs/s", least=20_000),
        Figure(f"one run for {min(PAGE, calls):,} named tenants", figure["run"], "tenants/s"),
        Figure(f"{inside}, {CONCURRENCY} at once", figure[f"inside {CONCURRENCY}"], "jobs/s"),
        Figure(f"{inside}, {AT_ONCE} at once", figure[f"inside {AT_ONCE}"], "jobs/s", least=6_000),
        *(Figure(f"{drained} {each}`", figure[f"by {each}"], "jobs/s") for each in (1, PROCESSES)),
        Figure(by_workers, figure["fan-out"], "tenants/s", least=8_000),
    ]


def fan_out(folder: Path, tenants: int, processes: int) -> float:
    """Have workers select and execute for so many tenants; give the seconds from the call to the last start."""
    os.environ["TENANTS"] = str(tenants)
    with TemporaryDirectory(dir=memory_folder()) as place:
        notes = Path(place) / "entries"
        notes.touch()
        command = pinstripe("start-worker", "--processes", str(processes))
        with worker(command, folder, **{evidence.VARIABLE: str(notes)}) as started:
            asked = asyncio.run(_fan_out(folder, started, notes, tenants))
        last = max(entry.at for entry in evidence.entries(notes))
    return (last - asked) / 1e9


async def _fan_out(folder: Path, started: Worker, notes: Path, tenants: int) -> int:
    """Give when the call was made, in nanoseconds of the clock that all processes share."""
    from pinstripe import open_project

    async def noted(number: int) -> None:
        await asyncio.to_thread(started.wait_until, lambda: evidence.count(notes) >= number, f"{number} starts")

    async with open_project(folder) as opened, opened.workspace(tenant=None) as workspace:
        await workspace.enqueue_background_job("stamp", 0)  # shows that the worker is there
        await noted(1)
        opened.registry.find("stamp_each")
        asked = time.monotonic_ns()
        run = await workspace.enqueue_background_job("stamp_each")
        await noted(1 + tenants)
        deadline = time.monotonic() + PATIENCE
        while run.finished_at is None and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
            run = await opened.ledger.find_run(run.id)
    if run.executions.succeeded != tenants:
        raise RuntimeError(f"expected {tenants} succeeded executions, got {run}")
    return asked


def _note(spent: dict[str, list[float]], what: str, rate: float) -> None:
    spent.setdefault(what, []).append(rate)
