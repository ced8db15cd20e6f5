"""What the first page shows: what goes on, what has failed, and what should have run; each read is bounded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from pinstripe.clock import to_microseconds
from pinstripe.ledger import RunFilter
from pinstripe.queue import Held
from pinstripe.run import RunStatus
from pinstripe.server.dashboard.charts import MINUTE
from pinstripe.views.status import bands, look_at_status
from pinstripe.views.waits import has_worker, held_in_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pinstripe.history import FailingTenant, Tally
    from pinstripe.project import Project
    from pinstripe.queue import Waiting
    from pinstripe.run import Run
    from pinstripe.views.status import Seen
    from pinstripe.views.timeline import Timeline

DAY = 24 * 60 * MINUTE
"""Microseconds of the time in which failures of tenants are new."""

RUNNING = 8
"""How many runs are shown that go on."""

FAILED = 50
"""Of how many of the last failed runs it is looked whether their jobs have run since."""

JOBS = 8
"""How many jobs are shown that fail."""

TENANTS = 200
"""How many failures of tenants are looked at."""

SHOWN_TENANTS = 5
"""How many tenants of each job are shown."""

MENDED = 20
"""How many runs are shown in which something has succeeded that failed before."""

OVERDUE = 8
"""How much is shown of what should have run."""

FRESH = 2.0
"""Seconds for which what was read is what who watches is shown."""

MINUTES = 60
"""Of how many minutes it is shown what was finished."""


class FailingJob(NamedTuple):
    """A job that fails: its last run did, `last`, or it failed within the day and has not succeeded since for all.

    `run` is where that is seen, `tenants` those that failed last, and `more` how many others are known of; they are
    `failing` in all. `error` is the newest one's, and `at` when that was (microseconds UTC).
    """

    job: str
    run: str
    last: Run | None
    tenants: list[FailingTenant]
    more: int
    error: str
    at: int

    @property
    def failing(self) -> int:
        """For how many tenants it is known to fail still."""
        return len(self.tenants) + self.more


class MendedJob(NamedTuple):
    """A job that failed within the day, and what has succeeded since in a `run`: for these `tenants`, and `more`."""

    job: str
    run: str
    tenants: list[FailingTenant]
    more: int

    @property
    def mended(self) -> int:
        """How many of its failures have been mended: one for each tenant, or one where it has none."""
        return max(len(self.tenants) + self.more, 1)


class Overview(NamedTuple):
    """What the first page shows.

    `running` are runs that go on, `failing` jobs that fail, `mended` what failed within the day and has succeeded
    since; with `many` there may be more of both. `finished` and `failures` count the executions of the last hour.
    `held` says why what is held waits; `waiting` is how much waits for a worker, but for what is paused.
    """

    seen: Seen
    running: list[Run]
    failing: list[FailingJob]
    mended: list[MendedJob]
    many: bool
    tallies: list[Tally]
    finished: int
    failures: int
    bands: list[Waiting]
    ready: int
    held: list[str]
    held_total: int
    has_worker: bool
    waiting: int


class Watched:
    """What the first page shows to all who watch it: read once for all of them, and not more often than it need be."""

    def __init__(self, project: Project, timeline: Timeline) -> None:
        """Take the open project and its timeline; nothing is read yet."""
        self._project = project
        self._timeline = timeline
        self._lock = asyncio.Lock()
        self._read: tuple[float, Overview] | None = None

    async def look(self) -> Overview:
        """Give what was read in the last seconds, or read it; raises `LedgerError`."""
        async with self._lock:
            now = self._project.clock.monotonic()
            if self._read is not None and self._read[0] <= now < self._read[0] + FRESH:
                return self._read[1]
            return await self.look_now()

    async def look_now(self) -> Overview:
        """Read it, however old what was read before is; raises `LedgerError`."""
        now = self._project.clock.monotonic()
        found = await look_over(self._project, self._timeline)
        self._read = now, found
        return found


async def look_over(project: Project, timeline: Timeline) -> Overview:
    """Read what the first page shows; raises `LedgerError`."""
    seen = await look_at_status(project, timeline)
    history, status = project.ledger.history, seen.status
    tallies = await history.tallies(seen.now // MINUTE - MINUTES + 1)
    running = await history.runs(RunFilter(status=RunStatus.RUNNING, limit=RUNNING, failures=False))
    lately = await history.failing(seen.now - DAY, TENANTS)
    lacking = sum(status.lacking.values())
    ready = sum(band.ready for band in status.waiting)
    held_total = sum(status.held.values())
    return Overview(
        seen=seen,
        running=running.runs,
        failing=failing_jobs(await _failed(project), lately),
        mended=mended_jobs(lately),
        many=len(lately) == TENANTS,
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
    return [run for run in last.values() if run.status == RunStatus.FAILED]


def failing_jobs(failed: Sequence[Run], failing: Sequence[FailingTenant]) -> list[FailingJob]:
    """Put together what is told of each job, newest first: its `failed` last run, and tenants it fails for still."""
    last = {run.job: run for run in failed}
    tenants: dict[str, list[FailingTenant]] = {job: [] for job in last}
    for one in failing:
        if one.mended is None:
            tenants.setdefault(one.job, []).append(one)
    found = [_failing_job(job, last.get(job), lately) for job, lately in tenants.items()]
    return sorted(found, key=lambda one: one.at, reverse=True)


def mended_jobs(failing: Sequence[FailingTenant]) -> list[MendedJob]:
    """Put together what has succeeded since, by the job and the run in which it did."""
    found: dict[tuple[str, str], list[FailingTenant]] = {}
    for one in failing:
        if one.mended is not None:
            found.setdefault((one.job, one.mended), []).append(one)
    return [
        MendedJob(job, run, named[:SHOWN_TENANTS], max(len(named) - SHOWN_TENANTS, 0))
        for (job, run), those in found.items()
        for named in [[one for one in those if one.tenant is not None]]
    ]


def _failing_job(job: str, last: Run | None, lately: list[FailingTenant]) -> FailingJob:
    named = [one for one in lately if one.tenant is not None]
    newest = lately[0] if lately else None
    error = newest.error if newest is not None else ((last.error if last is not None else None) or "")
    ended = 0 if last is None else to_microseconds(last.finished_at or last.created_at)
    run = last.id if last is not None else lately[0].run
    at = max(ended, newest.finished_at if newest is not None else 0)
    more = max(len(named) - SHOWN_TENANTS, 0)
    return FailingJob(job, run, last, named[:SHOWN_TENANTS], more, error, at)
