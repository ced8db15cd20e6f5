"""All that is seen at one glance: what runs, what has failed, what waits, what fires next, what should have run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from pinstripe.ledger import RunFilter
from pinstripe.queue import Held
from pinstripe.run import ExecutionStatus, RunStatus
from pinstripe.views.status import bands, look_at_status
from pinstripe.views.waits import has_worker, held_in_words

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from pinstripe.history import FailingTenant, Tally
    from pinstripe.project import Project
    from pinstripe.queue import Waiting
    from pinstripe.run import Run
    from pinstripe.views.status import Seen
    from pinstripe.views.timeline import ComingFire, Timeline

MINUTE = 60_000_000
"""In microseconds."""

DAY = 24 * 60 * MINUTE
"""Microseconds for which a tenant's failure is news."""

MINUTES = 60
"""Of how many minutes it is told how much was finished."""

SHOWN = 20
"""How many runs, fires and failing tenants are told."""

LOOKED_AT = 50
"""Of how many of the last failed runs it is looked whether their jobs have run since."""


class Minute(NamedTuple):
    """How many executions were `finished` in a minute, and how many of those had `failed`; it counts from 1970 on."""

    minute: int
    finished: int
    failed: int


class Overview(NamedTuple):
    """What goes on, at one glance.

    `running` are the newest runs that go on, `failed` the last that failed, newest first, and `failing_jobs` the last
    runs of jobs that have not run well since. `failing` are tenants for which a job failed in the last day. `minutes`
    are those of the last hour, oldest first, each of them. `ready` is how much may start at once, by `bands`; `held`
    says in words why the others wait, and `waiting` is how much a worker is wanted for. `fires` are the next fires, one
    of each schedule.
    """

    seen: Seen
    running: list[Run]
    failed: list[Run]
    failing_jobs: list[Run]
    failing: list[FailingTenant]
    tallies: list[Tally]
    minutes: list[Minute]
    fires: list[ComingFire]
    bands: list[Waiting]
    ready: int
    held: list[str]
    held_total: int
    has_worker: bool
    waiting: int

    @property
    def finished(self) -> int:
        """How many executions were finished in the last hour."""
        return sum(minute.finished for minute in self.minutes)

    @property
    def failures(self) -> int:
        """How many executions failed in the last hour."""
        return sum(minute.failed for minute in self.minutes)


async def look_at_overview(project: Project, timeline: Timeline) -> Overview:
    """Look at all of it, in a few bounded reads; raises `LedgerError`."""
    history, now = project.ledger.history, project.clock.now()
    first = now // MINUTE - MINUTES + 1
    seen, running, (failed, failing_jobs), failing, tallies, fires = await _together(
        look_at_status(project, timeline),
        history.runs(RunFilter(status=RunStatus.RUNNING, limit=SHOWN, failures=False)),
        _failed(project),
        history.failing(now - DAY, SHOWN),
        history.tallies(first),
        timeline.next_fires(SHOWN, each=1),
    )
    status = seen.status
    ready, held_total = sum(band.ready for band in status.waiting), sum(status.held.values())
    return Overview(
        seen=seen,
        running=running.runs,
        failed=failed,
        failing_jobs=failing_jobs,
        failing=failing,
        tallies=tallies,
        minutes=_minutes(tallies, first),
        fires=fires,
        bands=bands(status),
        ready=ready,
        held=held_in_words(status.held, status.next_due, seen.now, lacking=sum(status.lacking.values())),
        held_total=held_total,
        has_worker=has_worker(status.processes, seen.now, seen.lease),
        waiting=ready + status.selecting + held_total - status.held.get(Held.PAUSED, 0),
    )


async def _failed(project: Project) -> tuple[list[Run], list[Run]]:
    """Give the last failed runs, and of their jobs the last runs where those failed, both newest first."""
    page = await project.ledger.history.runs(RunFilter(status=RunStatus.FAILED, limit=LOOKED_AT, failures=False))
    last = await project.ledger.last_runs(list(dict.fromkeys(run.job for run in page.runs)))
    failing = [run for run in last.values() if run.status == RunStatus.FAILED]
    return page.runs[:SHOWN], sorted(failing, key=lambda run: run.created_at, reverse=True)


def _minutes(tallies: Iterable[Tally], first: int) -> list[Minute]:
    finished, failed = [0] * MINUTES, [0] * MINUTES
    for tally in tallies:
        place = tally.minute - first
        if 0 <= place < MINUTES:
            finished[place] += tally.executions
            failed[place] += tally.executions * (tally.status == ExecutionStatus.FAILED)
    return [Minute(first + place, finished[place], failed[place]) for place in range(MINUTES)]


async def _together(*reads: Coroutine[Any, Any, Any]) -> list[Any]:
    """Await all reads at once, over as many connections as the ledger has; of one that fails the others are ended."""
    tasks = [asyncio.ensure_future(read) for read in reads]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
