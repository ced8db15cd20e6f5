"""What the first page shows: what goes on, what has failed, and what should have run; each read is bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pinstripe.ledger import RunFilter
from pinstripe.queue import Held
from pinstripe.run import RunStatus
from pinstripe.server.dashboard.charts import MINUTE
from pinstripe.views.status import bands, look_at_status
from pinstripe.views.waits import has_worker, held_in_words

if TYPE_CHECKING:
    from pinstripe.history import FailingTenant, Tally
    from pinstripe.project import Project
    from pinstripe.queue import Waiting
    from pinstripe.run import Run
    from pinstripe.views.status import Seen

DAY = 24 * 60 * MINUTE
"""Microseconds of the time in which failures of tenants are new."""

RUNNING = 8
"""How many runs are shown that go on."""

FAILED = 50
"""Of how many of the last failed runs it is looked whether their jobs have run since."""

JOBS = 8
"""How many jobs are shown whose last run failed."""

TENANTS = 50
"""How many failures of tenants are looked at."""

SHOWN_TENANTS = 8
"""How many of them are shown."""

OVERDUE = 8
"""How much is shown of what should have run."""

MINUTES = 60
"""Of how many minutes it is shown what was finished."""


class Overview(NamedTuple):
    """What the first page shows.

    `failed` are jobs' last runs, where those failed; `running` runs that go on. `finished` and `failures` count the
    executions of the last hour. `held` says why what is held waits;
    `waiting` is how much waits for a worker, but for what is paused.
    """

    seen: Seen
    running: list[Run]
    failed: list[Run]
    failing: list[FailingTenant]
    tallies: list[Tally]
    finished: int
    failures: int
    bands: list[Waiting]
    ready: int
    held: list[str]
    held_total: int
    has_worker: bool
    waiting: int


async def look_over(project: Project) -> Overview:
    """Read what the first page shows."""
    seen = await look_at_status(project)
    history, status = project.ledger.history, seen.status
    tallies = await history.tallies(seen.now // MINUTE - MINUTES + 1)
    running = await history.runs(RunFilter(status=RunStatus.RUNNING, limit=RUNNING, failures=False))
    lacking = sum(status.lacking.values())
    ready = sum(band.ready for band in status.waiting)
    held_total = sum(status.held.values())
    return Overview(
        seen=seen,
        running=running.runs,
        failed=await _failed(project),
        failing=await history.failing(seen.now - DAY, TENANTS),
        tallies=tallies,
        finished=sum(one.executions for one in tallies),
        failures=sum(one.executions for one in tallies if one.status == "failed"),
        bands=bands(status),
        ready=ready,
        held=held_in_words(status.held, status.next_due, seen.now, lacking=lacking),
        held_total=held_total,
        has_worker=has_worker(status.processes, seen.now, seen.lease),
        waiting=ready + status.selecting + held_total - status.held.get(Held.PAUSED, 0),
    )


async def _failed(project: Project) -> list[Run]:
    """Give the last runs of jobs where those failed, newest first."""
    page = await project.ledger.history.runs(RunFilter(status=RunStatus.FAILED, limit=FAILED, failures=False))
    jobs = list(dict.fromkeys(run.job for run in page.runs))
    last = await project.ledger.last_runs(jobs)
    failed = [run for run in last.values() if run.status == RunStatus.FAILED]
    return sorted(failed, key=lambda run: run.created_at, reverse=True)
