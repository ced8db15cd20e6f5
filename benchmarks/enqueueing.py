"""How quickly code leaves work to workers: one call after the other, and many by one call."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from benchmarks.figures import Figure, Size, middle
from benchmarks.projects import forget_runs, project

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TITLE = "enqueue from code, each a run of its own, durable when the call returns"
PAGE = 1_000
"""How many are given to one call for many."""


def measure(size: Size) -> Sequence[Figure]:
    """Enqueue in a ledger of its own each time; no worker is there."""
    calls = size.waiting
    single, many, tenants = [], [], []
    with project() as folder:
        for _ in range(size.fan_out_rounds):
            forget_runs(folder)
            seconds = asyncio.run(spend_enqueueing(folder, calls))
            single.append(calls / seconds[0])
            many.append(calls / seconds[1])
            tenants.append(min(PAGE, calls) / seconds[2])
    return [
        Figure(f"{calls:,} calls of `await workspace.enqueue_background_job()`", middle(single), "jobs/s", least=8_000),
        Figure(f"{calls:,} by `enqueue_background_jobs`, {PAGE:,} a call", middle(many), "jobs/s", least=80_000),
        Figure(f"one run for {min(PAGE, calls):,} named tenants", middle(tenants), "tenants/s"),
    ]


async def spend_enqueueing(folder: Path, calls: int) -> tuple[float, float, float]:
    """Give the seconds of enqueueing one by one, many by a call, and one run for a thousand tenants."""
    from pinstripe import open_project

    async with open_project(folder) as opened, opened.workspace(tenant=None) as workspace:
        await workspace.enqueue_background_job("stamp", 0)  # makes the ledger, imports the job
        began = time.perf_counter()
        for number in range(calls):
            await workspace.enqueue_background_job("stamp", number)
        single = time.perf_counter()
        for first in range(0, calls, PAGE):
            numbers = range(first, min(first + PAGE, calls))
            await workspace.enqueue_background_jobs("stamp", [(number,) for number in numbers])
        many = time.perf_counter()
        ids = [f"tenant-{number:07d}" for number in range(min(PAGE, calls))]
        begun = time.perf_counter()
        await workspace.options(tenants=ids).enqueue_background_job("each")
        return single - began, many - single, time.perf_counter() - begun
