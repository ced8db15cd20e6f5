"""Following a run that others execute: how far it is, or why it waits, until it is finished."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import click

from pinstripe.commands.progress import new_screen
from pinstripe.commands.screen import command_line, moment, short, visible
from pinstripe.commands.waiting import why

if TYPE_CHECKING:
    from pinstripe.commands.progress import Progress
    from pinstripe.project import Project
    from pinstripe.run import Run

LOOK_EVERY = 0.25
"""How many seconds lie between two looks into the ledger."""

ASK_EVERY = 8
"""After how many looks it is asked why nothing runs, and whether the process that ran it has died."""

INTERRUPTED = 130


async def follow(project: Project, run: Run, folder: str | None) -> Run | None:
    """Show how far a run is until it is finished; give it then, or None where Ctrl-C ended the following.

    `folder` is what `--project` was given, for the commands that are named.
    """
    if run.finished:
        return run
    screen = new_screen(project.clock)
    screen.created(run)
    screen.say(f"Following run {short(run.id)} of {visible(run.job)}, {moment(run.created_at)}")
    try:
        await _look_until_finished(project, run, screen)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()  # it has been heard: the project is closed in peace
        screen.close()
        _tell_of_leaving(run, folder)
        return None
    finally:
        screen.close()
    return await project.ledger.find_run(run.id)


async def _look_until_finished(project: Project, run: Run, screen: Progress) -> None:
    looks = 0
    selecting = True
    while not run.finished:
        if run.selecting:
            if run.executions.total:  # before there are any, it may be that nobody selects them yet
                screen.selecting(run, run.executions.total)
        elif selecting:
            selecting = False
            screen.selected(run, run.executions.total)
        screen.advanced(run, run.executions, ())
        if looks % ASK_EVERY == 0:
            # Its process may have died meanwhile, and nobody else need be there to notice.
            await project.ledger.rescue()
            screen.waiting(run, None if run.executions.running else await why(project, run))
        elif run.executions.running:
            screen.waiting(run, None)
        looks += 1
        await asyncio.sleep(LOOK_EVERY)
        run = await project.ledger.find_run(run.id, failures=False)


def _tell_of_leaving(run: Run, folder: str | None) -> None:
    """Say what Ctrl-C did, and what it didn't."""
    if sys.stderr.isatty():
        click.echo(err=True)  # the line has a ^C on it
    click.echo(f"No longer following; run {short(run.id)} of {visible(run.job)} goes on.", err=True)
    click.echo(f"Follow it:  {command_line('show-run', short(run.id), '--follow', project=folder)}", err=True)
    click.echo(f"End it:     {command_line('cancel-run', short(run.id), project=folder)}", err=True)
