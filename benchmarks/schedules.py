"""Schedules: how late a fire is when many are due at once, and what it costs to wait for ten times as many."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchmarks import evidence
from benchmarks.figures import Figure, Size, percentile
from benchmarks.projects import memory_folder, pinstripe, project
from benchmarks.workers import worker

if TYPE_CHECKING:
    from collections.abc import Sequence

TITLE = "schedules, in `pinstripe start-worker` and in `pinstripe start-server`"

JOB = """\
import os
import time

from evidence import note
from pinstripe import BackgroundJob, Schedule


class Due(BackgroundJob):
    multi_tenant = False
    schedule = [
        Schedule({cron!r}, name=f"number {{number}}") for number in range({schedules})
    ]

    async def run(self):
        note(int((time.time() - self.attempt.scheduled_for.timestamp()) * 1_000_000))
"""


def measure(size: Size) -> Sequence[Figure]:
    """Have many schedules due at once a few times; then wait with more of them that never are."""
    figures: list[Figure] = []
    for command in ("start-worker", "start-server"):
        figures += _lateness(command, size)
    for command in ("start-worker", "start-server"):
        figures += _waiting(command, size)
    return figures


def _lateness(command: str, size: Size) -> list[Figure]:
    with project() as folder, TemporaryDirectory(dir=memory_folder()) as place:
        notes = Path(place) / "entries"
        notes.touch()
        (folder / "lib/background_jobs/due.py").write_text(
            JOB.format(cron=f"*/{size.beat} * * * * *", schedules=size.due)
        )
        with worker(_command(command), folder, **{evidence.VARIABLE: str(notes)}) as started:
            wanted = size.due * (size.fires + 1)
            started.wait_until(lambda: evidence.count(notes) >= wanted, f"{wanted} fires")
        late = [number / 1_000 for number, _ in evidence.entries(notes)[size.due : wanted]]  # the first warms it up
    what = f"{size.due:,} due at once: from their time to the job's first line, by {command}, p50"
    return [
        Figure(what, percentile(late, 50), "ms", note=f"{size.fires} times; the latest {max(late):,.1f} ms"),
        Figure(f"… p99, by {command}", percentile(late, 99), "ms", most=50),
    ]


def _waiting(command: str, size: Size) -> list[Figure]:
    schedules = size.due * 10
    with project() as folder:
        (folder / "lib/background_jobs/due.py").write_text(JOB.format(cron="0 0 29 2 *", schedules=schedules))
        with worker(_command(command), folder) as started:
            ready = "Letting" if command == "start-worker" else "http"
            started.wait_until(lambda: ready in started.output.read_text("utf-8"), "a beginning")
            time.sleep(size.idle)  # it loads jobs, and finds their times
            before = started.seconds()
            time.sleep(size.idle)
            used = (started.seconds() - before) / size.idle * 100
            memory = started.memory()
    return [
        Figure(
            f"waiting with {schedules:,} by {command}, of one core", used, "%", most=1, note=f"over {size.idle:g} s"
        ),
        Figure(f"… what {command} holds", memory, "MiB"),
    ]


def _command(command: str) -> list[str]:
    return pinstripe(command, *(["--host", "127.0.0.1:0"] if command == "start-server" else []))
