"""`pinstripe list-background-jobs`: every job, what it does, when and for whom, and every file that can't be loaded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from pinstripe.commands.options import example, json_option, project_option
from pinstripe.commands.screen import aside, styled_status, tally_of, write_json
from pinstripe.definition import BrokenJob
from pinstripe.views.jobs import job_json, look_at_jobs
from pinstripe.views.text import arguments_of, moment, short, visible, visible_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pinstripe.views.jobs import JobView


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
        write_json([job_json(job) for job in jobs])
        return
    if not jobs:
        click.echo("No jobs. `pinstripe generate-background-job NAME` makes one.")
    for number, job in enumerate(jobs):
        for line in ([""] if number else []) + list(_lines(job)):
            click.echo(line)


async def _look(folder: str | None) -> list[JobView]:
    from pinstripe.opening import open_project

    async with open_project(folder) as project:
        return await look_at_jobs(project)


def _lines(job: JobView) -> Iterator[str]:
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
