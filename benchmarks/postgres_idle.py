"""An idle worker whose ledger is on PostgreSQL: how soon it starts what comes, and what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.databases import postgres
from benchmarks.idle import meet_idle_worker
from benchmarks.projects import project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.figures import Figure, Size

TITLE = "an idle `pinstripe start-worker` on PostgreSQL"


def measure(size: Size) -> Sequence[Figure]:
    """Enqueue one after a pause, again and again, from another process; then leave it alone."""
    with postgres() as server, project() as folder, server.ledger():
        own = server if server.server is not None else None
        return [server.figure(), *meet_idle_worker(folder, size, p50=6, p99=20, server=own)]
