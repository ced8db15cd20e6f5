"""What the pages and turns of a ledger on PostgreSQL cost when it has kept millions of executions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from benchmarks.databases import postgres
from benchmarks.figures import Figure, Size
from benchmarks.pages import measure_pages
from benchmarks.postgres_kept import build, size_of
from benchmarks.projects import project
from pinstripe.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.kept import Kept

TITLE = "pages, counts and turns of a ledger on PostgreSQL with a long history"


def measure(size: Size) -> Sequence[Figure]:
    """Make the ledger, then time each page several times over."""
    with postgres() as server, project() as folder, server.ledger() as url:
        kept = build(folder, url, size.kept, size.kept_singles)
        return [
            server.figure(),
            Figure("executions kept", kept.executions, "", note=f"in {kept.runs:,} runs, made in {kept.seconds:.0f} s"),
            Figure("the database", size_of(url), "MiB"),
            *asyncio.run(_measure(folder, kept, size)),
        ]


async def _measure(folder: Path, kept: Kept, size: Size) -> list[Figure]:
    from pinstripe import open_project

    async with open_project(folder) as opened:
        return await measure_pages(opened.ledger, SystemClock(), kept, size)
