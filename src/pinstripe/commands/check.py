"""`pinstripe check`: everything that can be found wrong before a job runs; it starts nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from pinstripe.commands.options import example, json_option, project_option
from pinstripe.commands.screen import aside, write_json
from pinstripe.views.text import visible, visible_lines

if TYPE_CHECKING:
    from pathlib import Path

    from pinstripe.checks import Problem


@click.command("check", short_help="Look for anything wrong.", epilog=example("pinstripe check"))
@json_option
@project_option
def command(*, as_json: bool, project: str | None) -> int:
    """Look for anything wrong, and start nothing.

    Imports every job and service, reads every schedule, connects to the ledger and to the application's database, looks
    at its tables and at row-level security, asks the tenant source for its first page under each job's filter, looks at
    the tenants' time zones where a schedule fires in them and for misspelled attributes, imports the application that
    start-server serves, and asks git whether it ignores the jobs. Exits with 1 where it found something.
    """
    from pinstripe.checks import look
    from pinstripe.config import find_project

    folder = find_project(project)
    with aside():
        problems = asyncio.run(look(folder))
    if as_json:
        write_json([problem._asdict() for problem in problems])
    else:
        _print(problems, folder)
    return 1 if problems else 0


def _print(problems: list[Problem], folder: Path) -> None:
    for problem in problems:
        where = problem.where.removeprefix(f"{folder}/")
        click.echo(f"{click.style(visible(where), bold=True)}: {visible_lines(problem.reason)}")
    if problems:
        click.echo(f"{len(problems):,} problem{'' if len(problems) == 1 else 's'} found.")
    else:
        click.echo("Everything looks right.")
