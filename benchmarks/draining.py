"""How quickly workers get through what waits, each a run of its own: by one worker, and by several processes."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchmarks import evidence
from benchmarks.figures import Figure, Size, middle
from benchmarks.projects import forget_runs, memory_folder, pinstripe, project
from benchmarks.workers import worker

if TYPE_CHECKING:
    from collections.abc import Sequence

TITLE = "drain of what waits, each a run of its own"
CONCURRENCY = 20
"""How many executions go on at once: a project's own default."""

WORK = 2
"""Milliseconds of a processor that each job takes which computes."""


def measure(size: Size) -> Sequence[Figure]:
    """Drain no-ops inside this process, and by commands; then see what further processes add."""
    calls = size.waiting
    inside: list[float] = []
    by_processes: dict[tuple[str, int], list[float]] = {}
    with project() as folder:
        for _ in range(size.fan_out_rounds):
            forget_runs(folder)
            inside.append(calls / asyncio.run(drain(folder, calls)))
            for processes in _numbers():
                for job, number in (("stamp", calls), ("compute", calls // 5)):
                    forget_runs(folder)
                    rate = drain_by_command(folder, job, number, processes)
                    by_processes.setdefault((job, processes), []).append(rate)
    figures = [Figure(f"{calls:,} no-ops, `worker.work(drain=True)`", middle(inside), "jobs/s", least=15_000)]
    names = {"stamp": "no-ops that note their time", "compute": f"jobs that compute for {WORK} ms"}
    for job, what in names.items():
        alone = middle(by_processes[job, 1])
        for processes in _numbers():
            rate = middle(by_processes[job, processes])
            note = f"{rate / alone:.2f} x" if processes > 1 else ""
            figures.append(Figure(f"{what}, `start-worker --processes {processes}`", rate, "jobs/s", note=note))
    return figures


def _numbers() -> list[int]:
    """Give the numbers of processes: one, two, and as many as there are cores, of which a machine may have only one."""
    return sorted({1, 2, len(os.sched_getaffinity(0))})


async def drain(folder: Path, calls: int, concurrency: int = CONCURRENCY) -> float:
    """Enqueue so many one by one and drain them in this process, so many at once; give the seconds of the draining."""
    from pinstripe import open_project
    from pinstripe.ledger import RunFilter
    from pinstripe.run import RunStatus

    async with open_project(folder) as opened, opened.workspace(tenant=None) as workspace:
        for _ in range(calls):
            await workspace.enqueue_background_job("once")
        worker = opened.worker(concurrency=concurrency)
        began = time.perf_counter()
        await worker.work(drain=True)
        seconds = time.perf_counter() - began
        runs = await opened.ledger.list_runs(RunFilter(status=RunStatus.QUEUED, limit=1))
    if runs:
        message = f"expected nothing left after the drain, got {runs[0]}"
        raise RuntimeError(message)
    return seconds


def drain_by_command(folder: Path, job: str, calls: int, processes: int) -> float:
    """Give the jobs a second of the middle three fifths: not all processes work from the first start to the last."""
    asyncio.run(_enqueue(folder, job, calls))
    with TemporaryDirectory(dir=memory_folder()) as place:
        notes = Path(place) / "entries"
        notes.touch()
        command = pinstripe("start-worker", "--processes", str(processes))
        with worker(command, folder, **{evidence.VARIABLE: str(notes)}) as started:
            started.wait_until(lambda: evidence.count(notes) >= calls, f"{calls} jobs")
        began = sorted(entry.at for entry in evidence.entries(notes))
    first, last = calls // 5, calls - calls // 5 - 1
    return (last - first) / (began[last] - began[first]) * 1e9


async def _enqueue(folder: Path, job: str, calls: int) -> None:
    from pinstripe import open_project

    async with open_project(folder) as opened, opened.workspace(tenant=None) as workspace:
        for number in range(calls):
            await workspace.enqueue_background_job(job, number)
