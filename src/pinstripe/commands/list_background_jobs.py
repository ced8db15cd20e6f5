"""`pinstripe list-background-jobs`: every job, what it does, when and for whom, and every file that can't be loaded."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from pinstripe.clock import to_datetime, to_iso
from pinstripe.commands.options import example, json_option, project_option
from pinstripe.commands.screen import aside, styled_status, tally_of, write_json
from pinstripe.definition import BrokenJob
from pinstripe.views.filters import filter_in_force
from pinstripe.views.text import arguments_of, moment, short, visible, visible_lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from pinstripe.definition import Definition
    from pinstripe.project import Project
    from pinstripe.run import Run
    from pinstripe.schedule import Schedule


@click.command(
    "list-background-jobs",
    short_help="All jobs, when they run, and for whom.",
    epilog=example("pinstripe list-background-jobs"),
)
@json_option
@project_option
def command(*, as_json: bool, project: str | None) -> None:
    """List every job: its name, what it does, its schedule and next fire, its last run, and the filter in force.

    A file that can't be loaded is listed with its line and the reason; `pinstripe check` looks at more.
    """
    with aside():
        jobs = asyncio.run(_look(project))
    if as_json:
        write_json([_json(job) for job in jobs])
        return
    if not jobs:
        click.echo("No jobs. `pinstripe generate-background-job NAME` makes one.")
    for number, job in enumerate(jobs):
        for line in ([""] if number else []) + list(_lines(job)):
            click.echo(line)


@dataclass(frozen=True, slots=True)
class _Fires:
    """A schedule's `next` fire, as it is in a `zone`: that of the schedule, or else the project's."""

    schedule: Schedule
    zone: str
    next: datetime | None

    @property
    def is_example(self) -> bool:
        """Whether it fires at another time in each tenant's own zone, for which the project's stands here."""
        return self.schedule.time_zone == "tenant"


@dataclass(frozen=True, slots=True)
class _Job:
    found: Definition | BrokenJob
    file: str | None
    fires: tuple[_Fires, ...] = ()
    filter: str | None = None
    last_run: Run | None = None


async def _look(folder: str | None) -> list[_Job]:
    from pinstripe.opening import open_project

    async with open_project(folder) as project:
        found = project.registry.load_all()
        runs = await project.ledger.last_runs([job.name for job in found])
        now = to_datetime(project.clock.now())
        return [
            _Job(job, file=_place(job.path, project), last_run=runs.get(job.name))
            if isinstance(job, BrokenJob)
            else _Job(
                job,
                file=_place(job.path, project),
                fires=tuple(_fires(schedule, now, project) for schedule in job.schedules),
                filter=filter_in_force(job, project),
                last_run=runs.get(job.name),
            )
            for job in found
        ]


def _place(path: Path | None, project: Project) -> str | None:
    """Give a file's path from the project's folder, where it is in it."""
    if path is None:
        return None
    folder = project.settings.folder
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def _fires(schedule: Schedule, now: datetime, project: Project) -> _Fires:
    own = project.settings.time_zone
    zone = own if schedule.time_zone in {None, "tenant"} else schedule.time_zone
    return _Fires(schedule, zone or own, next(schedule.fires(now, own), None))


def _lines(job: _Job) -> Iterator[str]:
    found = job.found
    if isinstance(found, BrokenJob):
        yield f"{click.style(visible(found.name), bold=True)}  {click.style('not loaded', fg='red')}"
        if job.file is not None:
            yield _field("file", visible(job.file) + (f":{found.line}" if found.line else ""))
        yield _field("reason", visible_lines(found.reason))
    else:
        yield click.style(visible(found.name), bold=True) + (f"  {visible(found.summary)}" if found.summary else "")
        for fires in job.fires:
            name = f" ({visible(fires.schedule.name)})" if fires.schedule.name else ""
            arguments = arguments_of(fires.schedule)
            called = f", with ({arguments})" if arguments else ""
            example = f" for tenants in {visible(fires.zone)}" if fires.is_example else ""
            yield _field("schedule", f"{fires.schedule.in_words()}{called}{name}; next {moment(fires.next)}{example}")
        if job.filter is not None:
            yield _field("tenants", visible(job.filter))
    if job.last_run is not None:
        run = job.last_run
        yield _field(
            "last run",
            f"{short(run.id)}  {moment(run.created_at)}  {styled_status(run.status)}: {tally_of(run)}",
        )


def _field(name: str, value: str) -> str:
    return f"  {name:<10}{value}"


def _json(job: _Job) -> dict[str, Any]:
    found = job.found
    run = None if job.last_run is None else job.last_run.to_json(tracebacks=False)
    if isinstance(found, BrokenJob):
        problem = {"line": found.line, "reason": found.reason}
        return {"job": found.name, "file": job.file, "problem": problem, "last_run": run}
    return {
        "job": found.name,
        "file": job.file,
        "problem": None,
        "summary": found.summary,
        "multi_tenant": found.multi_tenant,
        "filter": job.filter,
        "schedules": [
            {
                "cron": fires.schedule.cron,
                "name": fires.schedule.name,
                "time_zone": fires.schedule.time_zone,
                "args": list(fires.schedule.args),
                "kwargs": dict(fires.schedule.kwargs),
                "words": fires.schedule.in_words(),
                "next_fire": None if fires.next is None else to_iso(fires.next),
                "zone": fires.zone,
            }
            for fires in job.fires
        ],
        "last_run": run,
    }
