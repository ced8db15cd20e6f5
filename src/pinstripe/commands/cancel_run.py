"""`pinstripe cancel-run`: ask for the end of a run, whoever runs it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from pinstripe.commands.completion import complete_open_run
from pinstripe.commands.options import example, json_option, project_option
from pinstripe.commands.screen import styled_status, write_json
from pinstripe.views.command_lines import command_line
from pinstripe.views.text import short, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pinstripe.operations import Cancelled
    from pinstripe.run import Run


@click.command(
    "cancel-run",
    short_help="End a run, wherever it runs.",
    epilog=example("pinstripe cancel-run 1f3a9c07"),
)
@click.argument("reference", metavar="RUN", shell_complete=complete_open_run)
@json_option
@project_option
def command(*, reference: str, as_json: bool, project: str | None) -> None:
    """Ask for the end of RUN: what waits is cancelled at once, and whoever runs the rest is told to stop it.

    RUN is an id, the unique end of one, or `last`; it may be enqueued or run by hand in another process. A run that is
    finished stays as it is. `pinstripe retry-run` runs again what was cancelled.
    """
    before, after, again = asyncio.run(_cancel(reference, project))
    if as_json:
        write_json(after.to_json())
        return
    for line in _lines(before, after, project, again=again):
        click.echo(line)


async def _cancel(reference: str, folder: str | None) -> Cancelled:
    from pinstripe.commands.actors import whoever_types
    from pinstripe.opening import open_project

    async with open_project(folder) as project:
        return await project.cancel(reference, actor=whoever_types())


def _lines(before: Run, after: Run, folder: str | None, *, again: bool) -> Iterator[str]:
    name = f"Run {short(after.id)} of {visible(after.job)}"
    if before.finished:
        yield f"{name} is finished already: {styled_status(after.status)}."
        return
    if again:
        yield f"The end of run {short(after.id)} of {visible(after.job)} has been asked for already."
    parts = []
    cancelled = max(after.executions.cancelled - before.executions.cancelled, 0)
    if cancelled:
        parts.append(f"{_number(cancelled, 'waited')} cancelled")
    if after.executions.running:
        parts.append(f"{_number(after.executions.running, 'runs', 'run')} told to stop")
    if after.executions.queued:
        parts.append(f"{_number(after.executions.queued, 'waits', 'wait')} about to be cancelled")
    if after.selecting:
        parts.append("its tenants are selected no further")
    if before.selecting and after.finished:
        parts.append("its tenants will not be selected")
    yield f"{name}: {', '.join(parts) or 'it had nothing left to cancel'}."
    if not after.finished:
        yield f"Follow it:  {command_line('show-run', short(after.id), '--follow', project=folder)}"


def _number(number: int, one: str, many: str | None = None) -> str:
    """Write `1 that waited is`, `3 that run are`."""
    return f"{number:,} that {one} is" if number == 1 else f"{number:,} that {many or one} are"
