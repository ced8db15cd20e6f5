"""The jobs as they are loaded: what each does, when and for whom it runs, and why one can't be loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pinstripe.clock import to_datetime, to_iso
from pinstripe.definition import BrokenJob
from pinstripe.views.filters import filter_in_force
from pinstripe.views.slices import Slices, due_times_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from pinstripe.definition import Definition
    from pinstripe.due_times import DueTimes
    from pinstripe.project import Project
    from pinstripe.run import Run
    from pinstripe.schedule import Schedule


class JobFires(NamedTuple):
    """A schedule's `next` fire, as it is in a `zone`: that of the schedule, or else the project's."""

    schedule: Schedule
    zone: str
    next: datetime | None

    @property
    def is_example(self) -> bool:
        """Whether it fires at another time in each tenant's own zone, for which the project's stands here."""
        return self.schedule.time_zone == "tenant"


class JobView(NamedTuple):
    """A job as it was `found`, loaded or not, with its `file` (from the project's folder, where it is in it).

    `filter` is in words which tenants it is for; None for a job that is not multi-tenant.
    """

    found: Definition | BrokenJob
    file: str | None
    fires: tuple[JobFires, ...] = ()
    filter: str | None = None
    last_run: Run | None = None


async def look_at_jobs(project: Project, found: Sequence[Definition | BrokenJob] | None = None) -> list[JobView]:
    """Look at all jobs of an open project, by name, or at those that were `found`; one that isn't loaded tells why."""
    return await _look(project, project.registry.load_all() if found is None else found)


async def look_at_job(project: Project, name: str) -> JobView:
    """Look at one job, named in any spelling.

    Raises `UnknownJob`, with the nearest names, where there is none; one that can't be loaded tells why in its view.
    """
    from pinstripe.errors import InvalidJob
    from pinstripe.names import normalise_job_name

    found: Definition | BrokenJob
    try:
        found = project.registry.find(name)
    except InvalidJob as error:
        found = BrokenJob(normalise_job_name(name), error.path, error.line, error.reason)
    (view,) = await _look(project, [found])
    return view


async def _look(project: Project, found: Sequence[Definition | BrokenJob]) -> list[JobView]:
    runs = await project.ledger.last_runs([job.name for job in found])
    now, slices = project.clock.now(), Slices()
    views = []
    for job in found:
        views.append(_view(project, job, runs, now))
        await slices.pause()
    return views


def _view(project: Project, job: Definition | BrokenJob, runs: Mapping[str, Run], now: int) -> JobView:
    file, run = _place(job.path, project), runs.get(job.name)
    if isinstance(job, BrokenJob):
        return JobView(job, file, last_run=run)
    times, own = due_times_of(project), project.settings.time_zone
    fires = tuple(_fires(schedule, now, times, own) for schedule in job.schedules)
    return JobView(job, file, fires, filter_in_force(job, project), run)


def _place(path: Path | None, project: Project) -> str | None:
    """Give a file's path from the project's folder, where it is in it."""
    if path is None:
        return None
    folder = project.settings.folder
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def _fires(schedule: Schedule, now: int, times: DueTimes, own: str) -> JobFires:
    zone = own if schedule.time_zone in {None, "tenant"} else schedule.time_zone or own
    due = times.first_after(now, schedule.cron, zone)
    return JobFires(schedule, zone, None if due is None else to_datetime(due))


def job_json(view: JobView) -> dict[str, Any]:
    """Give a job as JSON values, in the documented order."""
    found = view.found
    run = None if view.last_run is None else view.last_run.to_json(tracebacks=False)
    if isinstance(found, BrokenJob):
        problem = {"line": found.line, "reason": found.reason}
        return {"job": found.name, "file": view.file, "problem": problem, "last_run": run}
    return {
        "job": found.name,
        "file": view.file,
        "problem": None,
        "summary": found.summary,
        "multi_tenant": found.multi_tenant,
        "filter": view.filter,
        "schedules": [
            {
                "cron": fires.schedule.cron,
                "name": fires.schedule.name,
                "time_zone": fires.schedule.time_zone,
                "args": list(fires.schedule.shown()[0]),
                "kwargs": fires.schedule.shown()[1],
                "words": fires.schedule.in_words(),
                "next_fire": None if fires.next is None else to_iso(fires.next),
                "zone": fires.zone,
            }
            for fires in view.fires
        ],
        "last_run": run,
    }
