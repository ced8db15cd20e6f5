"""`pinstripe generate-background-job NAME`: the file of a new job."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import click

from pinstripe.commands.options import example, project_option

if TYPE_CHECKING:
    from pathlib import Path


@click.command(
    "generate-background-job",
    epilog=example(
        "pinstripe generate-background-job purge_old_sessions --schedule '0 * * * *'",
        "pinstripe generate-background-job billing/close_month --multi-tenant",
    ),
)
@click.argument("name")
@click.option("--schedule", metavar="CRON", help="When it runs by itself, such as '0 * * * *' or @daily.")
@click.option("--multi-tenant", is_flag=True, help="Run it once for every matching tenant.")
@project_option
def command(name: str, schedule: str | None, project: str | None, *, multi_tenant: bool) -> None:
    """Write the file of a new background job.

    NAME becomes snake_case; a slash in it makes a folder. An existing file is never overwritten.
    """
    from pinstripe.commands.generated import warn_if_ignored, write_file
    from pinstripe.config import find_project, load_settings
    from pinstripe.names import class_name
    from pinstripe.views.command_lines import command_line
    from pinstripe.views.text import visible

    job = _job_name(name)
    line = _schedule_line(schedule)
    settings = load_settings(find_project(project))
    path = settings.background_jobs.joinpath(*job.split("/")).with_suffix(".py")
    _refuse_namesake(job, path, settings.background_jobs)
    attributes = [line, "    multi_tenant = True"] if multi_tenant else [line]
    write_file(
        path,
        "background_job.py",
        class_name=class_name(job),
        attributes="".join(f"{attribute}\n" for attribute in attributes if attribute)
        + ("\n" if any(attributes) else ""),
        message=f'"{job} ran for %s", self.tenant.id' if multi_tenant else f'"{job} ran"',
    )
    click.echo(f"Wrote {visible(str(path))}")
    if multi_tenant and settings.tenants.source is None:
        click.echo("It needs tenants: say where they are, with [tool.pinstripe.tenants] source in pyproject.toml.")
    click.echo(f"Run it:  {command_line('run-background-job', job, project=project)}")
    warn_if_ignored(path)


def _job_name(name: str) -> str:
    from pinstripe.names import normalise_job_name

    try:
        job = normalise_job_name(name)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="NAME") from None
    for part in job.split("/"):
        if not part.isidentifier():
            message = f"its file is imported, and {part!r} is not a Python name: expected a letter first, not a digit"
            raise click.BadParameter(message, param_hint="NAME")
    return job


def _schedule_line(schedule: str | None) -> str:
    from pinstripe.schedule import Schedule

    if schedule is None:
        return ""
    try:
        Schedule(schedule)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--schedule") from None
    # A line that is cron has neither quotes nor backslashes in it.
    return f'    schedule = "{" ".join(schedule.split())}"'


def _refuse_namesake(job: str, path: Path, folder: Path) -> None:
    """Refuse a name that some file has already, in another spelling, or that would hide other jobs' folder."""
    from pinstripe.names import normalise_job_name

    for other in folder.rglob("*.py"):
        place = other.relative_to(folder)
        if other == path or any(part.startswith("_") for part in place.parts):  # the latter are no jobs
            continue
        with suppress(ValueError):  # a file whose name has no letter is none either
            name = normalise_job_name(place.with_suffix("").as_posix())
            _refuse_clash(job, name, other)


def _refuse_clash(job: str, name: str, other: Path) -> None:
    from pinstripe.views.text import visible

    if name == job:
        message = f"{visible(str(other))} is the job {job!r} already; choose another name."
        raise click.ClickException(message)
    if job.startswith(f"{name}/") or name.startswith(f"{job}/"):
        # `lib.background_jobs.billing` can be imported as a file or as a folder, not as both.
        message = f"{job!r} and {visible(str(other))} can't both be imported: one's file has the other's folder's name."
        raise click.ClickException(message)
