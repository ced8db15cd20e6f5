"""What looking back costs at a ledger on PostgreSQL that has kept millions of executions of 10,000 tenants."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from benchmarks.databases import postgres
from benchmarks.figures import Figure, Size
from benchmarks.looks import SHAPE, SINGLES, measure_looks
from benchmarks.postgres_kept import build
from benchmarks.projects import project

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.kept import Kept

TITLE = "looks back at a ledger on PostgreSQL with a long history, 95 of 100"


def measure(size: Size) -> Sequence[Figure]:
    """Make the ledger, then time each look many times over."""
    with postgres() as server, project() as folder, server.ledger() as url:
        kept = build(folder, url, size.kept, size.kept // SINGLES, shape=SHAPE)
        note = f"in {kept.runs:,} runs, made in {kept.seconds:.0f} s"
        made = [server.figure(), Figure("executions kept", kept.executions, "", note=note)]
        return [*made, *asyncio.run(_measure(folder, kept, size))]


async def _measure(folder: Path, kept: Kept, size: Size) -> list[Figure]:
    from pinstripe import open_project

    async with open_project(folder) as opened:
        await opened.ledger.open(write=True)
        return await measure_looks(opened.ledger.history, kept, size)
