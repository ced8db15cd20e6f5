"""How long the dashboard's pages take over a long history on PostgreSQL, and what its viewers cost the workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.dashboard import measure_dashboard
from benchmarks.databases import postgres
from benchmarks.postgres_kept import build
from benchmarks.projects import project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.figures import Figure, Size

TITLE = "pages of the dashboard over a long history on PostgreSQL, while 200 executions a second settle"


def measure(size: Size) -> Sequence[Figure]:
    """Make the ledger, serve it, and look at each page several times over."""
    with postgres() as server, project() as folder, server.ledger() as url:
        kept = build(folder, url, size.kept, size.kept_singles)
        return [server.figure(), *measure_dashboard(folder, kept, size)]
