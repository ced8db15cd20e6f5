"""`pinstripe start-server`: the application's pages and our own, with a bot and with workers, until told to stop."""

from __future__ import annotations

import asyncio
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import click

from pinstripe.commands.log_format import begin_log, log_format_option, log_words, settle_log
from pinstripe.commands.options import example, project_option
from pinstripe.errors import PinstripeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pinstripe.commands.stop_signals import StopSignals
    from pinstripe.config import Settings
    from pinstripe.opening import Opening
    from pinstripe.project import Project
    from pinstripe.server.addresses import Address, Listener
    from pinstripe.server.serving import Server
    from pinstripe.supervisor import Supervisor


MEDDLED = "the application cancelled tasks of the event loop that are not its own, so the server ends"
"""What is said of an application that ended the server."""


class _Options(NamedTuple):
    """What the command was given."""

    hosts: tuple[str, ...]
    has_bot: bool
    has_workers: bool
    concurrency: int | None
    processes: int | None
    project: str | None
    has_link: bool = False
    log_format: str | None = None


@click.command(
    "start-server",
    short_help="Serve the application, let schedules fire, execute what is queued.",
    epilog=example(
        "pinstripe start-server",
        "pinstripe start-server --reload --dashboard",
        "pinstripe start-server --host 0.0.0.0:80 --host [::]:80 --processes 4",
    ),
)
@click.option(
    "--host",
    "hosts",
    metavar="HOST:PORT",
    multiple=True,
    default=["127.0.0.1:3000"],
    help="Where to listen; repeatable. 127.0.0.1:3000 where nothing is said.",
)
@click.option("--without-bot", is_flag=True, help="Let no schedule fire from here.")
@click.option("--without-workers", is_flag=True, help="Execute nothing of what is queued.")
@click.option("--reload", is_flag=True, help="Start anew when a file of the project changes; for development.")
@click.option("--dashboard", is_flag=True, help="Open the dashboard, and print a link that logs in; on this machine.")
@click.option("--concurrency", metavar="N", type=click.IntRange(min=1), help="How many executions at once a process.")
@click.option("--processes", metavar="N", type=click.IntRange(min=1), help="How many processes execute them.")
@log_format_option
@project_option
def command(  # noqa: PLR0913 - one for each option
    *,
    hosts: tuple[str, ...],
    without_bot: bool,
    without_workers: bool,
    reload: bool,
    dashboard: bool,
    concurrency: int | None,
    processes: int | None,
    log_format: str | None,
    project: str | None,
) -> int:
    """Serve the application, let schedules fire, and execute what is queued, until told to stop.

    The application is the one that the setting `app` names, ASGI or WSGI. What begins with /_pinstripe is Pinstripe's:
    /_pinstripe/health/live and /_pinstripe/health/ready tell how the server is. Workers are processes of their own.

    The dashboard at /_pinstripe/ and the HTTP API need a token, of the settings server.token, server.read_token and
    server.tokens, or your own login, server.access. Without any of them they aren't there, unless --dashboard opens
    them for whoever follows the link that it prints.

    The first SIGTERM or Ctrl-C lets requests and jobs that go on end within the grace (the setting
    worker.shutdown_grace), then cancels them; the second cancels them at once. Jobs that didn't end are queued again.

    Exit codes: 1 the application failed at its start or the web server ended, 2 wrong usage or configuration, 4 the
    ledger can't be used, 130 and 143 interrupted.
    """
    if without_workers and (processes or concurrency):
        message = (
            f"--{'processes' if processes else 'concurrency'} is for workers; it doesn't go with --without-workers"
        )
        raise click.UsageError(message)
    options = _Options(
        hosts, not without_bot, not without_workers, concurrency, processes, project, dashboard, log_format
    )
    return asyncio.run(_reload(options) if reload else _serve(options))


async def _serve(options: _Options) -> int:
    """Serve in this process, which somebody may replace with another when the code changes."""
    from pinstripe.commands.by_hand import leave
    from pinstripe.commands.ledger_there import opened
    from pinstripe.commands.stop_signals import StopSignals
    from pinstripe.duration import write_duration
    from pinstripe.server.addresses import listen, parse_address
    from pinstripe.server.reloading import inherited
    from pinstripe.supervisor import end_with, find_supervisor

    threads = frozenset(threading.enumerate())
    reloader = find_supervisor()
    opening = _open(options)
    begin_log(opening.settings)
    addresses = [parse_address(host) for host in options.hosts]
    secret = local_secret(opening.settings, addresses) if options.has_link else None
    listeners = inherited(addresses)
    reloads = listeners is not None
    if listeners is None:
        listeners = listen(addresses)
    grace = write_duration(opening.settings.worker.shutdown_grace)
    async with StopSignals(grace, quiet=reloads) as signals, opened(opening, signals) as project:
        server, started = await _make(project, listeners, options, signals, reloads=reloads, secret=secret)
        signals.hand_to(server.stop)
        watch = None if reloader is None else asyncio.create_task(end_with(reloader, server.stop))
        try:
            await server.serve(started=started)
        except asyncio.CancelledError as error:  # which nobody else does, for signals go another way
            raise PinstripeError(MEDDLED) from error
        finally:
            if watch is not None:
                watch.cancel()
    code = signals.code or 0
    await leave(code, threads, by="a request")
    return code


async def _reload(options: _Options) -> int:
    """Serve in a process that is replaced when the code changes."""
    from pinstripe.commands.stop_signals import StopSignals
    from pinstripe.duration import write_duration
    from pinstripe.server.addresses import listen, parse_address
    from pinstripe.server.reloading import Reloader

    settings = _open(options).settings
    begin_log(settings)
    addresses = [parse_address(host) for host in options.hosts]
    secret = local_secret(settings, addresses) if options.has_link else None
    listeners = listen(addresses)
    async with StopSignals(write_duration(settings.worker.shutdown_grace), quiet=False) as signals:
        reloader = Reloader(
            child_command(settings, options),
            listeners,
            settings,
            tell=lambda sentence: click.echo(sentence, err=True),
            secret=secret,
        )
        signals.hand_to(reloader.stop)
        await reloader.reload()
    return signals.code or 0


def _open(options: _Options) -> Opening:
    from pinstripe.opening import open_project

    flags = {"worker.concurrency": options.concurrency, "worker.processes": options.processes}
    return open_project(options.project, flags=flags | {"log_format": options.log_format})


def child_command(settings: Settings, options: _Options) -> list[str]:
    """Give the command line of a server that a reloader starts; its addresses are added to it."""
    said = [
        *([] if options.has_bot else ["--without-bot"]),
        *([] if options.has_workers else ["--without-workers"]),
        *(["--dashboard"] if options.has_link else []),
        *([] if options.concurrency is None else ["--concurrency", str(options.concurrency)]),
        *([] if options.processes is None else ["--processes", str(options.processes)]),
        *log_words(settings),
    ]
    return [sys.executable, "-m", "pinstripe", "start-server", *said, "--project", str(settings.folder)]


async def _make(
    project: Project,
    listeners: Sequence[Listener],
    options: _Options,
    signals: StopSignals,
    *,
    reloads: bool,
    secret: str | None,
) -> tuple[Server, Callable[[], None]]:
    """Load the application and the jobs, and open the ledger; give the server, and what introduces it."""
    from pinstripe.commands.bot_beside import BotBeside
    from pinstripe.commands.ledger_there import outlast
    from pinstripe.commands.problems import load_and_tell
    from pinstripe.server.access.entrance import make_entrance
    from pinstripe.server.application import load_application
    from pinstripe.server.serving import Server

    settle_log(project)
    loaded = load_and_tell(project)
    target = project.settings.app
    application = None if target is None else load_application(target)
    entrance = make_entrance(
        project.settings.server, listens_at=[one.address.host for one in listeners], local_secret=secret
    )
    await outlast(partial(project.ledger.open, write=True), project.settings, signals)
    server = Server(
        project,
        listeners,
        application,
        workers=_supervisor(project) if options.has_workers else None,
        bot=BotBeside(project, catch_up=not reloads) if options.has_bot else None,
        entrance=entrance,
    )

    def introduce() -> None:
        from pinstripe.commands.problems import counted
        from pinstripe.views.text import visible

        settings = project.settings
        what = "no application (the setting `app` names none)" if target is None else target
        click.echo(f"Serving {visible(what)} at {visible(', '.join(listener.url for listener in listeners))}")
        worker = settings.worker
        at_once = f"{counted(worker.concurrency, 'execution')} at once{'' if worker.processes == 1 else ' each'}"
        processes = counted(worker.processes, "worker process", "es")
        workers = f"{processes} with {at_once}" if options.has_workers else "no workers"
        bot = f"bot on for {counted(loaded.schedules, 'schedule')}" if options.has_bot else "bot off"
        click.echo(f"{counted(loaded.jobs, 'job')}, {workers}, {bot}")
        if entrance.is_open:
            query = "" if entrance.link is None else f"login?code={entrance.link.code}"
            click.echo(f"Dashboard: {visible(listeners[0].local_url)}/_pinstripe/{query}")
        click.echo(f"Ledger: {visible(str(settings.ledger_address))}")
        if sys.stdout.isatty():
            click.echo(click.style("Press Ctrl-C to stop.", dim=True))
        sys.stdout.flush()

    return server, introduce


def local_secret(settings: Settings, addresses: Sequence[Address]) -> str:
    """Give the secret that the login link of `--dashboard` stands for: of this process, or of the one before it.

    Raises `UsageError` where others than this machine reach the server, or the application has a login of its own.
    """
    import secrets

    from pinstripe.server.access.hosts import is_loopback
    from pinstripe.server.reloading import inherited_secret

    for address in addresses:
        if not is_loopback(address.host):
            message = (
                f"--dashboard is for this machine alone, but --host {address} is reached from elsewhere; for that set "
                "server.token (in the environment, PINSTRIPE_SERVER_TOKEN) or server.access, and leave --dashboard out"
            )
            raise click.UsageError(message)
    if settings.server.access is not None:
        message = (
            "--dashboard doesn't go with server.access, by which one logs in at the application; leave one of them out"
        )
        raise click.UsageError(message)
    return inherited_secret() or secrets.token_urlsafe(32)


def _supervisor(project: Project) -> Supervisor:
    from pinstripe.commands.start_worker import child_command as worker_command
    from pinstripe.supervisor import KILL_MARGIN, Supervisor

    worker = project.settings.worker
    return Supervisor(
        worker_command(project.settings, drain=False),
        worker.processes,
        queue=project.ledger.queue,
        grace=worker.shutdown_grace.total_seconds() + KILL_MARGIN,
        tell=lambda sentence: click.echo(f"Warning: {sentence}", err=True),
    )
