"""`pinstripe list-runs`: the runs that the ledger keeps, newest first."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from pinstripe.commands.completion import complete_job, complete_tenant
from pinstripe.commands.options import example, json_option, project_option, read_duration
from pinstripe.commands.screen import styled_status, table, write_json
from pinstripe.run import RunStatus
from pinstripe.views.text import moment, one_line, short, tally_in_short, took, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pinstripe.run import Run


MOST = 1_000_000
"""The most runs that may be asked for."""


@click.command(
    "list-runs",
    short_help="The runs, newest first.",
    epilog=example("pinstripe list-runs --job send_newsletter --status failed --since 2d"),
)
@click.option("--job", metavar="NAME", shell_complete=complete_job, help="Only runs of this job.")
@click.option("--tenant", metavar="ID", shell_complete=complete_tenant, help="Only runs that had this tenant.")
@click.option("--status", type=click.Choice([str(status) for status in RunStatus]), help="Only runs of this status.")
@click.option("--since", metavar="DURATION", callback=read_duration, help="Only runs not older than that, as 2h or 2d.")
@click.option(
    "--limit", metavar="N", type=click.IntRange(min=1, max=MOST), default=50, show_default=True, help="At most so many."
)
@json_option
@project_option
def command(
    *,
    job: str | None,
    tenant: str | None,
    status: str | None,
    since: timedelta | None,
    limit: int,
    as_json: bool,
    project: str | None,
) -> None:
    """List the runs that the ledger keeps, newest first: all that are asked for by options must hold."""
    from pinstripe.ledger import RunFilter
    from pinstripe.opening import open_project

    async def listed() -> list[Run]:
        async with open_project(project) as opened:
            from_ = None if since is None else opened.clock.now() - since // timedelta(microseconds=1)
            only = RunFilter(
                job=None if job is None else _normalised(job),
                tenant=tenant,
                status=None if status is None else RunStatus(status),
                since=from_,
                limit=limit,
                failures=as_json,
            )
            runs = await opened.ledger.list_runs(only)
            if not runs and only.job and only.job not in opened.registry.names():
                opened.registry.find(only.job)  # says which names are near
            return runs

    runs = asyncio.run(listed())
    if as_json:
        write_json([run.to_json(tracebacks=False) for run in runs])
        return
    for line in _lines(runs):
        click.echo(line)


def _normalised(job: str) -> str:
    """Give the name as runs have it; a job whose file is gone still has its runs."""
    from pinstripe.names import normalise_job_name

    try:
        return normalise_job_name(job)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _lines(runs: list[Run]) -> Iterator[str]:
    if not runs:
        yield "No runs."
        return
    headings = ["RUN", "JOB", "STATUS", "TRIGGER", "CREATED", "TOOK", "EXECUTIONS"]
    rows = [
        [
            short(run.id),
            visible(run.job),
            str(run.status),
            str(run.trigger),
            moment(run.created_at),
            took(run) or "-",
            tally_in_short(run) + (f"  {one_line(run.error, 60)}" if run.error else ""),
        ]
        for run in runs
    ]
    first, *lines = table(headings, rows)
    yield first
    for run, line in zip(runs, lines, strict=True):
        yield line.replace(f"  {run.status}  ", f"  {styled_status(run.status)}  ", 1)
