"""What looking back costs at a ledger that has kept millions of executions of 10,000 tenants."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from benchmarks.figures import Figure, Size
from benchmarks.history import RETENTION
from benchmarks.kept import build
from benchmarks.looks import SHAPE, SINGLES, measure_looks
from benchmarks.projects import project
from pinstripe.clock import SystemClock
from pinstripe.ledgers.sqlite.ledger import SQLiteLedger

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.kept import Kept

TITLE = "looks back at a ledger with a long history, 95 of 100"


def measure(size: Size) -> Sequence[Figure]:
    """Make the ledger, then time each look many times over."""
    with project() as folder:
        path = folder / ".pinstripe" / "ledger.db"
        path.parent.mkdir()
        kept = build(path, size.kept, size.kept // SINGLES, shape=SHAPE)
        note = f"in {kept.runs:,} runs, made in {kept.seconds:.0f} s"
        return [Figure("executions kept", kept.executions, "", note=note), *asyncio.run(_measure(path, kept, size))]


async def _measure(path: Path, kept: Kept, size: Size) -> list[Figure]:
    ledger = SQLiteLedger(path, clock=SystemClock(), retention=RETENTION)
    await ledger.open()
    try:
        return await measure_looks(ledger.history, kept, size)
    finally:
        await ledger.close()
