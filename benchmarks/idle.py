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

    from benchmarks.workers import Server

TITLE = "an idle `pinstripe start-worker`"


def measure(size: Size) -> Sequence[Figure]:
    """Enqueue one after a pause, again and again, from another process; then leave it alone."""
    with project() as folder:
        return meet_idle_worker(folder, size, p50=2, p99=10)


def meet_idle_worker(folder: Path, size: Size, *, p50: float, p99: float, server: Server | None = None) -> list[Figure]:
    """Give what is to be told of it; `p50` and `p99` are what the waits may be at most, in milliseconds.

    Of a `server` it is told what it costs meanwhile.
    """
    calls = size.paced
    with TemporaryDirectory(dir=memory_folder()) as place:
        notes = Path(place) / "entries"
        notes.touch()
        asyncio.run(_enqueue(folder, 1))  # makes the ledger, and shows below that the worker is there
        with worker(pinstripe("start-worker"), folder, **{evidence.VARIABLE: str(notes)}) as started:
            started.wait_until(lambda: evidence.count(notes) == 1, "a first job")
            asked = asyncio.run(_enqueue(folder, calls))
            started.wait_until(lambda: evidence.count(notes) > calls, f"{calls} jobs")
            before, of_server = started.seconds(), server.seconds() if server else 0
            time.sleep(size.idle)
            used = (started.seconds() - before) / size.idle * 100
            used_by_server = (server.seconds() - of_server) / size.idle * 100 if server else None
            memory = started.memory()
        waits = [(at - asked[number]) / 1e6 for number, at in evidence.entries(notes)[1:]]
    pace = f"{calls} of them, one every {PACE * 1_000:.0f} ms; the longest {max(waits):,.2f} ms"
    what = "from the call that enqueues to the job's first line, p50"
    figures = [
        Figure(what, percentile(waits, 50), "ms", most=p50, note=pace),
        Figure("… p99", percentile(waits, 99), "ms", most=p99),
        Figure("what it costs, of one core", used, "%", most=0.5, note=f"over {size.idle:g} s"),
        Figure("what it holds", memory, "MiB"),
    ]
    if used_by_server is not None:
        figures.insert(3, Figure("what its server costs meanwhile, of one core", used_by_server, "%"))
    return figures


async def _enqueue(folder: Path, calls: int) -> list[int]:
    from pinstripe import open_project

    async with open_project(folder) as opened, opened.workspace(tenant=None) as workspace:

        async def one(number: int) -> None:
            await workspace.enqueue_background_job("stamp", number)

        return await paced(Client(one), calls)
