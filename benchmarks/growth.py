"""What a long life does to a worker: its memory and its open files, while it executes more and more."""

from __future__ import annotations

import asyncio
import os
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import evidence
from benchmarks.figures import Figure, Size
from benchmarks.projects import memory_folder, pinstripe, project
from benchmarks.workers import worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.workers import Worker

TITLE = "the life of one worker, half of it fan-outs, half runs of one execution"
PARTS = 20
PAGE = 1_000


class Sample(NamedTuple):
    """What the worker had after so many executions."""

    executed: int
    memory: float
    files: int


def measure(size: Size) -> Sequence[Figure]:
    """Give a worker one part after the other, and look at it after each."""
    part = size.grown // PARTS
    os.environ["TENANTS"] = str(part)
    with project() as folder, TemporaryDirectory(dir=memory_folder()) as place:
        notes = Path(place) / "entries"
        notes.touch()
        with worker(pinstripe("start-worker"), folder, **{evidence.VARIABLE: str(notes)}) as started:
            began = time.perf_counter()
            samples = asyncio.run(_live(folder, started, notes, part))
            seconds = time.perf_counter() - began
    first, half, last = samples[1], samples[len(samples) // 2 - 1], samples[-1]
    most = max(samples, key=lambda sample: sample.memory)
    since = f"{first.executed:,} executions"
    return [
        Figure(f"memory after {since}", first.memory, "MiB", most=150),
        Figure(f"memory after {half.executed:,} executions", half.memory, "MiB", most=150),
        Figure(f"memory after {last.executed:,} executions", last.memory, "MiB", most=150),
        Figure("… the most of all samples", most.memory, "MiB", note=f"after {most.executed:,}"),
        Figure("… at its end as a multiple of its middle", last.memory / half.memory, "x", most=1.05),
        Figure(f"open files after {since}", first.files, ""),
        Figure(f"open files after {last.executed:,} executions", last.files, "", most=first.files + 5),
        Figure("executions meanwhile, with enqueueing", last.executed / seconds, "jobs/s"),
    ]


def _noted(notes: Path, executed: int) -> bool:
    return evidence.count(notes) >= executed


async def _live(folder: Path, started: Worker, notes: Path, part: int) -> list[Sample]:
    from pinstripe import open_project

    samples = []
    async with open_project(folder) as opened, opened.workspace(tenant=None) as workspace:
        for turn in range(PARTS):
            if turn % 2:
                await workspace.enqueue_background_job("stamp_each")
            else:
                for first in range(0, part, PAGE):
                    numbers = range(first, min(first + PAGE, part))
                    await workspace.enqueue_background_jobs("stamp", [(number,) for number in numbers])
            executed = (turn + 1) * part
            await asyncio.to_thread(started.wait_until, partial(_noted, notes, executed), f"{executed} executions")
            samples.append(Sample(executed, started.memory(), started.files()))
    return samples
