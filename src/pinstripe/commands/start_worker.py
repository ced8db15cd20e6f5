"""`pinstripe start-worker`: lets schedules fire and executes what is queued, until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from contextlib import nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import click

from pinstripe.commands.bot_beside import BotBeside
from pinstripe.commands.by_hand import leave
from pinstripe.commands.ledger_there import opened, outlast
from pinstripe.commands.log_format import begin_log, log_format_option, log_words, settle_log
from pinstripe.commands.options import example, project_option
from pinstripe.commands.problems import counted, load_and_tell
from pinstripe.commands.stop_signals import StopSignals
from pinstripe.duration import write_duration
from pinstripe.errors import LedgerError
from pinstripe.opening import open_project
from pinstripe.supervisor import KILL_MARGIN, Supervisor, end_with, find_supervisor
from pinstripe.tracing import FLUSH_LIMIT, flush

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pinstripe.config import Settings
    from pinstripe.project import Project
    from pinstripe.queue import QueueStatus

MEDDLED = (
    "Error: a job cancelled tasks of the event loop that all jobs share, or ended it (as sys.exit does in a task that "
    "a job starts), so this worker ends as by a crash. What it ran runs again, each alone in a process of its own."
)
"""What is said of a job that ended its worker."""


class _Options(NamedTuple):
    """What the command was given."""

    concurrency: int | None
    processes: int | None
    drain: bool
    project: str | None
    without_bot: bool
    log_format: str | None


@click.command(
    "start-worker",
    short_help="Execute what is due and queued, until told to stop.",
    epilog=example(
        "pinstripe start-worker",
        "pinstripe start-worker --processes 4 --concurrency 50",
        "pinstripe start-worker --without-bot",
        "pinstripe start-worker --drain",
    ),
)
@click.option("--concurrency", metavar="N", type=click.IntRange(min=1), help="How many executions at once a process.")
@click.option(
    "--processes", metavar="N", type=click.IntRange(min=1), help="How many processes; one that dies is replaced."
)
@click.option("--without-bot", is_flag=True, help="Let no schedule fire from here.")
@click.option("--drain", is_flag=True, help="End when nothing is ready any more, instead of waiting for more.")
@log_format_option
@project_option
def command(
    *,
    concurrency: int | None,
    processes: int | None,
    without_bot: bool,
    drain: bool,
    log_format: str | None,
    project: str | None,
) -> int:
    """Let schedules fire and execute what is queued, until told to stop.

    Any number of them may go on beside each other: each schedule fires once. With --drain none fires.

    The first SIGTERM or Ctrl-C lets what runs go on for the grace (the setting worker.shutdown_grace), then cancels it;
    the second cancels it at once. What didn't end is queued again, for other workers, its attempt not counted.

    Exit codes: 0 drained, 1 a job ended the worker, 2 wrong usage or configuration, 4 the ledger can't be used, 130 and
    143 interrupted.
    """
    return asyncio.run(_start(_Options(concurrency, processes, drain, project, without_bot, log_format)))


async def _start(options: _Options) -> int:
    threads = frozenset(threading.enumerate())
    supervisor = find_supervisor()
    flags = {"worker.concurrency": options.concurrency, "worker.processes": options.processes}
    opening = open_project(options.project, flags=flags | {"log_format": options.log_format})
    settings = opening.settings
    begin_log(settings)
    stop_signals = StopSignals(write_duration(settings.worker.shutdown_grace), quiet=supervisor is not None)
    async with stop_signals as signals, opened(opening, signals) as project:
        settle_log(project)
        has_bot = not (options.without_bot or options.drain or supervisor is not None)
        if supervisor is None:
            _introduce(project, drain=options.drain, has_bot=has_bot)
        await outlast(partial(project.ledger.open, write=True), settings, signals)
        bot = BotBeside(project) if has_bot else None
        async with nullcontext() if bot is None else bot.at_work():
            if settings.worker.processes == 1:
                await _work(project, signals, supervisor, bot, drain=options.drain)
            else:
                await _supervise(project, signals, bot, drain=options.drain)
        if options.drain and signals.code is None and supervisor is None:
            for line in _rest(await project.ledger.queue.status(), project.clock.now()):
                click.echo(line)
    code = signals.code or 0
    await leave(code, threads)
    return code


async def _work(
    project: Project, signals: StopSignals, supervisor: int | None, bot: BotBeside | None, *, drain: bool
) -> None:
    """Work in this process."""
    from pinstripe.commands.worker_output import worker_output
    from pinstripe.views.text import visible

    worker = project.worker(watcher=worker_output())
    signals.hand_to(_both(bot, worker.stop))
    watch = None if supervisor is None else asyncio.create_task(end_with(supervisor, worker.stop))
    try:
        await worker.work(drain=drain)
    except asyncio.CancelledError:  # which nobody else does, for signals go another way
        with suppress(OSError):
            click.echo(MEDDLED, err=True)
        _end(signals.code or 1)
    except LedgerError as error:
        if not worker.left:
            raise
        with suppress(OSError):
            click.echo(f"Error: {visible(str(error))}", err=True)
        _end(4)  # as any command does; but to close the project would be to wait for threads
    finally:
        if watch is not None:
            watch.cancel()
    if worker.left:
        # Threads can't be stopped, and to close the project would wait for them. All else has been given back, and what
        # they do is given back by the others, who know that this process ends by intent.
        _end(signals.code or 0)


def _both(bot: BotBeside | None, stop: Callable[[], None]) -> Callable[[], None]:
    """Give what stops the bot, where there is one, before it stops the rest."""

    def both() -> None:
        if bot is not None:
            bot.stop()
        stop()

    return both


async def _supervise(project: Project, signals: StopSignals, bot: BotBeside | None, *, drain: bool) -> None:
    """Have several processes work; a bot goes on in this one, which no job can harm."""
    worker = project.settings.worker
    supervisor = Supervisor(
        child_command(project.settings, drain=drain),
        worker.processes,
        queue=project.ledger.queue,
        grace=worker.shutdown_grace.total_seconds() + KILL_MARGIN,
        tell=lambda sentence: click.echo(f"Warning: {sentence}", err=True),
        drains=drain,
    )
    signals.hand_to(_both(bot, supervisor.stop))
    await supervisor.supervise()


def child_command(settings: Settings, *, drain: bool) -> list[str]:
    """Give the command line of one process that a supervisor starts."""
    words = ["start-worker", "--without-bot", "--processes", "1", "--concurrency", str(settings.worker.concurrency)]
    return [
        *(sys.executable, "-m", "pinstripe", *words),
        *(["--drain"] if drain else []),
        *log_words(settings),
        *("--project", str(settings.folder)),
    ]


def _introduce(project: Project, *, drain: bool, has_bot: bool) -> None:
    """Say what this worker works on, and which of the project's files it can't use."""
    from pinstripe.views.text import visible

    loaded = load_and_tell(project)
    worker, ledger = project.settings.worker, project.settings.ledger_address
    at_once = f"{counted(worker.concurrency, 'execution')} at once"
    processes = "" if worker.processes == 1 else f" in each of {worker.processes} processes"
    click.echo(f"Working on {counted(loaded.jobs, 'job')}, {at_once}{processes}, by the ledger {visible(str(ledger))}")
    if has_bot and loaded.schedules:
        click.echo(f"Letting {counted(loaded.schedules, 'schedule')} fire")
    if sys.stdout.isatty() and not drain:
        click.echo(click.style("Press Ctrl-C to stop.", dim=True))
    sys.stdout.flush()


def _rest(status: QueueStatus, now: int) -> Iterator[str]:
    """Tell what a drained queue still has."""
    from pinstripe.views.waits import held_in_words

    left = held_in_words(status.held, status.next_due, now, lacking=sum(status.lacking.values()))
    if status.selecting:
        left.append(f"{counted(status.selecting, 'run')} whose tenants are to be selected")
    yield f"Nothing is ready any more. Left: {'; '.join(left)}" if left else "Nothing is left."


def _end(code: int) -> None:
    """End the process as it is."""
    flush(FLUSH_LIMIT)
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # whatever a job has made of it
            stream.flush()
    os._exit(code)
