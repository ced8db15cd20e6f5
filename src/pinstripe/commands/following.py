"""Following a run that others execute: how far it is, or why it waits, until it is finished."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING

import click

from pinstripe.commands.progress import new_screen
from pinstripe.errors import LedgerError
from pinstripe.views.command_lines import command_line
from pinstripe.views.text import moment, short, visible
from pinstripe.views.waits import why

if TYPE_CHECKING:
    from pinstripe.commands.progress import Progress
    from pinstripe.project import Project
    from pinstripe.run import Run

LOOK_EVERY = 0.25
"""How many seconds lie between two looks into the ledger."""

ASK_EVERY = 8
"""After how many looks it is asked why nothing runs, and whether the process that ran it has died."""

PATIENCE = 60.0
"""For how many seconds a ledger may be away meanwhile, as a database's server is that starts anew."""

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
    away_since: float | None = None
    while not run.finished:
        if run.selecting:
            if run.executions.total:  # before there are any, it may be that nobody selects them yet
                screen.selecting(run, run.executions.total)
        elif selecting:
            selecting = False
            screen.selected(run, run.executions.total)
        screen.advanced(run, run.executions, ())
        try:
            run = await _look_again(project, run, screen, ask=looks % ASK_EVERY == 0)
        except LedgerError as error:
            if away_since is None:
                away_since = time.monotonic()
                screen.say(f"How far it is can't be seen, which is tried again for {PATIENCE:g} s: {error}")
            elif time.monotonic() - away_since > PATIENCE:
                raise
            await asyncio.sleep(LOOK_EVERY)
        else:
            away_since = None
            looks += 1


async def _look_again(project: Project, run: Run, screen: Progress, *, ask: bool) -> Run:
    """Give the run as it is a moment later; with `ask` it is told why nothing of it runs."""
    if ask:
        # Its process may have died meanwhile, and nobody else need be there to notice.
        await project.ledger.rescue()
        screen.waiting(run, None if run.executions.running else await why(project, run))
    elif run.executions.running:
        screen.waiting(run, None)
    await asyncio.sleep(LOOK_EVERY)
    return await project.ledger.find_run(run.id, failures=False)


def _tell_of_leaving(run: Run, folder: str | None) -> None:
    """Say what Ctrl-C did, and what it didn't."""
    if sys.stderr.isatty():
        click.echo(err=True)  # the line has a ^C on it
    click.echo(f"No longer following; run {short(run.id)} of {visible(run.job)} goes on.", err=True)
    click.echo(f"Follow it:  {command_line('show-run', short(run.id), '--follow', project=folder)}", err=True)
    click.echo(f"End it:     {command_line('cancel-run', short(run.id), project=folder)}", err=True)
