"""`pinstripe status`: who works, what waits and why, what runs, what is paused, and what should have run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from pinstripe.commands.options import example, json_option, project_option
from pinstripe.commands.screen import write_json
from pinstripe.commands.status_lines import no_ledger_lines, status_lines
from pinstripe.views.status import look_at_status, status_json

if TYPE_CHECKING:
    from pinstripe.views.status import Seen


@click.command(
    "status",
    short_help="Who works, what waits and why, what should have run.",
    epilog=example("pinstripe status"),
)
@json_option
@project_option
def command(*, as_json: bool, project: str | None) -> None:
    """Show what goes on: the processes and what each runs, what waits by priority, what is held back, what is paused.

    It also tells for which jobs and tenants a schedule should have let something run by now, and didn't. It only looks,
    and works without a worker or a bot; where there is no ledger yet, it says so, and what keeps it from being made.
    """
    seen = asyncio.run(_look(project))
    if as_json:
        write_json(status_json(seen))
        return
    if not seen.ledger.made:
        for line in no_ledger_lines(seen.ledger.address, seen.ledger.trouble):
            click.echo(line)
        return
    for line in status_lines(seen.status, seen.schedules, seen.now, seen.lease, project):
        click.echo(line)


async def _look(folder: str | None) -> Seen:
    from pinstripe.opening import open_project

    async with open_project(folder) as project:
        return await look_at_status(project)
