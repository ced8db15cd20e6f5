"""A job that does nothing, run by hand for many tenants and recorded for each; and what loops cost beside it."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

from benchmarks.figures import Figure, Size, middle
from benchmarks.projects import forget_runs, pinstripe, project, spend

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TITLE = "fan-out of a job that does nothing, by hand, durable"
LEAST = 25_000


def measure(size: Size) -> Sequence[Figure]:
    """Measure each number of tenants: as a whole command, by `project.run`, and as loops without any of it."""
    with project() as folder:
        return [figure for tenants in size.fan_outs for figure in _measure(folder, tenants, size.fan_out_rounds)]


def _measure(folder: Path, tenants: int, rounds: int) -> list[Figure]:
    os.environ["TENANTS"] = str(tenants)
    whole, inside, tasks, loop = [], [], [], []
    for _ in range(rounds):
        forget_runs(folder)
        whole.append(tenants / spend(pinstripe("run-background-job", "each"), folder).seconds)
        forget_runs(folder)
        inside.append(tenants / asyncio.run(_run(folder, tenants)))
        tasks.append(tenants / asyncio.run(_tasks(tenants)))
        loop.append(tenants / asyncio.run(_loop(tenants)))
    name = f"{tenants:,} tenants"
    return [
        Figure(f"{name}, the whole command", middle(whole), "tenants/s", least=LEAST),
        Figure(f"{name}, `project.run`", middle(inside), "tenants/s", least=LEAST),
        Figure(f"{name}, a bare loop with a task each", middle(tasks), "tenants/s", note="records nothing"),
        Figure(f"{name}, a bare loop of `await job()`", middle(loop), "tenants/s", note="records nothing"),
    ]


async def _run(folder: Path, tenants: int) -> float:
    from pinstripe import open_project
    from pinstripe.runs import Request

    async with open_project(folder) as opened:
        opened.registry.find("each")
        began = time.perf_counter()
        run = await opened.run(Request("each"))
        seconds = time.perf_counter() - began
    if run.executions.succeeded != tenants:
        message = f"expected {tenants} succeeded executions, got {run.executions}"
        raise RuntimeError(message)
    return seconds


async def _job(tenant: str) -> None:
    pass


async def _loop(tenants: int) -> float:
    began = time.perf_counter()
    for number in range(tenants):
        await _job(f"tenant-{number:07d}")
    return time.perf_counter() - began


async def _tasks(tenants: int) -> float:
    create = asyncio.get_running_loop().create_task
    began = time.perf_counter()
    for number in range(tenants):
        await create(_job(f"tenant-{number:07d}"))
    return time.perf_counter() - began
