"""Runs that code starts one by one, and a fan-out whose jobs print a lot."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

from benchmarks.figures import Figure, Size, middle
from benchmarks.projects import forget_runs, project
from pinstripe.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TITLE = "runs from code, and output"


def measure(size: Size) -> Sequence[Figure]:
    """Measure each in a ledger of its own."""
    calls = size.calls
    os.environ["TENANTS"] = os.environ["CALLS"] = str(calls)
    outside, inside, talking, files = [], [], [], []
    with project() as folder:
        for _ in range(size.fan_out_rounds):
            forget_runs(folder)
            outside.append(calls / asyncio.run(_outside(folder, calls)))
            forget_runs(folder)
            inside.append(calls / asyncio.run(_run(folder, "nest")))
            forget_runs(folder)
            talking.append(calls / asyncio.run(_run(folder, "talk")))
            files.append((folder / ".pinstripe" / "ledger.db").stat().st_size / calls / 2**10)
    return [
        Figure(f"{calls:,} calls of `await workspace.run_background_job()`, one by one", middle(outside), "runs/s"),
        Figure("… from inside a job", middle(inside), "runs/s"),
        Figure(f"{calls:,} tenants, 16 KiB of output each, kept", middle(talking), "tenants/s"),
        Figure("… what the ledger's file keeps of each", middle(files), "KiB"),
    ]


class _Silent(Watcher):
    """Lets output be kept, and shows none."""

    def output(self, tenant: str | None, text: str) -> None:
        pass


async def _outside(folder: Path, calls: int) -> float:
    from pinstripe import open_project

    async with open_project(folder) as opened, opened.workspace(tenant=None) as workspace:
        await workspace.run_background_job("once")
        began = time.perf_counter()
        for _ in range(calls):
            await workspace.run_background_job("once")
        return time.perf_counter() - began


async def _run(folder: Path, job: str) -> float:
    from pinstripe import open_project
    from pinstripe.runs import Request

    async with open_project(folder) as opened:
        opened.registry.find(job)
        began = time.perf_counter()
        run = await opened.run(Request(job), _Silent())
        seconds = time.perf_counter() - began
    if run.executions.succeeded != run.executions.total:
        message = f"expected nothing but successes, got {run}"
        raise RuntimeError(message)
    return seconds
