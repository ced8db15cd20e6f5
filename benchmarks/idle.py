"""An idle worker in a process of its own: how soon it starts what comes, and what it costs while nothing does."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchmarks import evidence
from benchmarks.figures import Figure, Size, percentile
from benchmarks.peers.client import PACE, Client, paced
from benchmarks.projects import memory_folder, pinstripe, project
from benchmarks.workers import worker

if TYPE_CHECKING:
    from collections.abc import Sequence

TITLE = "an idle `pinstripe start-worker`"


def measure(size: Size) -> Sequence[Figure]:
    """Enqueue one after a pause, again and again, from another process; then leave it alone."""
    calls = size.paced
    with project() as folder, TemporaryDirectory(dir=memory_folder()) as place:
        notes = Path(place) / "entries"
        notes.touch()
        asyncio.run(_enqueue(folder, 1))  # makes the ledger, and shows below that the worker is there
        with worker(pinstripe("start-worker"), folder, **{evidence.VARIABLE: str(notes)}) as started:
            started.wait_until(lambda: evidence.count(notes) == 1, "a first job")
            asked = asyncio.run(_enqueue(folder, calls))
            started.wait_until(lambda: evidence.count(notes) > calls, f"{calls} jobs")
            before = started.seconds()
            time.sleep(size.idle)
            used = (started.seconds() - before) / size.idle * 100
            memory = started.memory()
        waits = [(at - asked[number]) / 1e6 for number, at in evidence.entries(notes)[1:]]
    pace = f"{calls} of them, one every {PACE * 1_000:.0f} ms; the longest {max(waits):,.2f} ms"
    return [
        Figure(
            "from the call that enqueues to the job's first line, p50", percentile(waits, 50), "ms", most=2, note=pace
        ),
        Figure("… p99", percentile(waits, 99), "ms", most=10),
        Figure("what it costs, of one core", used, "%", most=0.5, note=f"over {size.idle:g} s"),
        Figure("what it holds", memory, "MiB"),
    ]


async def _enqueue(folder: Path, calls: int) -> list[int]:
    from pinstripe import open_project

    async with open_project(folder) as opened, opened.workspace(tenant=None) as workspace:

        async def one(number: int) -> None:
            await workspace.enqueue_background_job("stamp", number)

        return await paced(Client(one), calls)
