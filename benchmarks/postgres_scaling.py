"""What further worker processes add on PostgreSQL, where jobs mostly wait; and what the server takes for it."""

from __future__ import annotations

import asyncio
import os
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchmarks import evidence
from benchmarks.databases import postgres
from benchmarks.enqueueing import PAGE
from benchmarks.figures import Figure, Size, middle
from benchmarks.projects import memory_folder, pinstripe, project
from benchmarks.workers import worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.databases import Postgres

TITLE = "more worker processes on PostgreSQL, jobs that wait"
WAIT = 20
"""Milliseconds that each job waits. A process executes 20 at once by default, so it could do 1,000 a second."""

JOB = """\
import asyncio

from evidence import note
from pinstripe import BackgroundJob


class Nap(BackgroundJob):
    multi_tenant = False

    async def run(self, number: int):
        note(number)
        await asyncio.sleep({seconds})
"""


def measure(size: Size) -> Sequence[Figure]:
    """Drain a number that grows with the processes, so that each time it takes as long at best."""
    rates: dict[int, list[float]] = {number: [] for number in size.processes}
    shares: dict[int, list[float]] = {number: [] for number in size.processes}
    cores = len(os.sched_getaffinity(0))
    with postgres() as server, project() as folder:
        (folder / "lib/background_jobs/nap.py").write_text(JOB.format(seconds=WAIT / 1_000), "utf-8")
        for _ in range(size.fan_out_rounds):
            for number in size.processes:
                with server.ledger():
                    rate, share = _drain(server, folder, size.waiting // 4 * number, number)
                rates[number].append(rate)
                if share is not None:
                    shares[number].append(share)
        figures = [server.figure()]
    alone = middle(rates[1])
    for number in size.processes:
        note = f"{middle(rates[number]) / alone:.2f} x; " if number > 1 else ""
        if shares[number]:
            note += f"PostgreSQL takes {middle(shares[number]):.0f} % of a core, of {cores}"
        what = f"jobs that wait for {WAIT} ms, `start-worker --processes {number}`"
        figures.append(Figure(what, middle(rates[number]), "jobs/s", note=note.removesuffix("; ")))
    return figures


def _drain(server: Postgres, folder: Path, calls: int, processes: int) -> tuple[float, float | None]:
    """Give the jobs a second of the middle three fifths, and the percentage of a core that the server takes meanwhile.

    That is None where the server isn't one of this machine's own.
    """
    asyncio.run(_enqueue(folder, calls))
    first, last = calls // 5, calls - calls // 5 - 1
    with TemporaryDirectory(dir=memory_folder()) as place:
        notes = Path(place) / "entries"
        notes.touch()
        command = pinstripe("start-worker", "--processes", str(processes))
        with worker(command, folder, **{evidence.VARIABLE: str(notes)}) as started:
            used, at = [], []
            for wanted in (first, last):
                started.wait_until(partial(_noted, notes, wanted + 1), f"{wanted + 1} jobs")
                used.append(server.seconds() if server.server is not None else 0)
                at.append(time.perf_counter())
            started.wait_until(partial(_noted, notes, calls), f"{calls} jobs")
        began = sorted(entry.at for entry in evidence.entries(notes))
    share = (used[1] - used[0]) / (at[1] - at[0]) * 100 if server.server is not None else None
    return (last - first) / (began[last] - began[first]) * 1e9, share


async def _enqueue(folder: Path, calls: int) -> None:
    from pinstripe import open_project

    async with open_project(folder) as opened, opened.workspace(tenant=None) as workspace:
        for first in range(0, calls, PAGE):
            numbers = range(first, min(first + PAGE, calls))
            await workspace.enqueue_background_jobs("nap", [(number,) for number in numbers])


def _noted(notes: Path, number: int) -> bool:
    return evidence.count(notes) >= number
