"""What a ledger's pages and turns cost when it has kept millions of executions."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from benchmarks.figures import Figure, Size, middle
from benchmarks.kept import DAY, KEPT_FOR, build
from benchmarks.pages import figure, measure_pages
from benchmarks.projects import pinstripe, project, spend
from pinstripe.clock import SystemClock
from pinstripe.config import RetentionSettings
from pinstripe.ledgers.sqlite import retention
from pinstripe.ledgers.sqlite.connection import connect, log_ahead
from pinstripe.ledgers.sqlite.ledger import SQLiteLedger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import apsw

    from benchmarks.kept import Kept

T = TypeVar("T")

TITLE = "pages, counts and turns of a ledger with a long history"
RETENTION = RetentionSettings(timedelta(days=7), timedelta(days=30), timedelta(days=1))


def measure(size: Size) -> Sequence[Figure]:
    """Make the ledger, then time each page several times over."""
    with project() as folder:
        path = folder / ".pinstripe" / "ledger.db"
        path.parent.mkdir()
        kept = build(path, size.kept, size.kept_singles)
        made = [
            Figure("executions kept", kept.executions, "", note=f"in {kept.runs:,} runs, made in {kept.seconds:.0f} s"),
            Figure("the file", path.stat().st_size / 2**20, "MiB"),
        ]
        pages = asyncio.run(_measure(path, kept, size))
        return [*made, *pages, *_fan_outs(folder, size), *asyncio.run(_prune(path))]


async def _measure(path: Path, kept: Kept, size: Size) -> list[Figure]:
    clock = SystemClock()
    ledger = SQLiteLedger(path, clock=clock, retention=RETENTION)
    try:
        return await measure_pages(ledger, clock, kept, size)
    finally:
        await ledger.close()


def _fan_outs(folder: Path, size: Size) -> list[Figure]:
    """Run commands in this project: what is kept makes the indexes large that each execution is written to."""
    figures = []
    for tenants in size.fan_outs:
        seconds = [
            spend(pinstripe("run-background-job", "each"), folder, TENANTS=str(tenants)).seconds for _ in range(3)
        ]
        what = f"a fan-out to {tenants:,} tenants, the whole command"
        figures.append(Figure(what, tenants / middle(seconds), "tenants/s", least=25_000))
    return figures


async def _prune(path: Path) -> list[Figure]:
    """Make a pass over a ledger of which all logs and a part of the runs are past their time."""
    connection = connect(path, write=True)
    log_ahead(connection, path)
    transactions: list[float] = []

    async def write(request: Callable[[apsw.Connection], T]) -> T:
        began = time.perf_counter()
        connection.execute("begin immediate")
        answer = request(connection)
        connection.execute("commit")
        transactions.append((time.perf_counter() - began) * 1_000)
        return answer

    clock = _Later(KEPT_FOR // 2 + DAY)
    before = connection.total_changes()
    began = time.perf_counter()
    runs = await retention.prune(write, RETENTION, clock)
    seconds = time.perf_counter() - began
    removed = connection.total_changes() - before
    connection.close()
    rate = f"{removed / seconds:,.0f} rows/s; {runs} whole runs in this pass of {seconds * 1_000:,.0f} ms"
    return [figure("one transaction of a pruning pass", transactions, note=rate)]


class _Later(SystemClock):
    """A clock that is ahead."""

    def __init__(self, ahead: int) -> None:
        self._ahead = ahead

    def now(self) -> int:
        return super().now() + self._ahead
