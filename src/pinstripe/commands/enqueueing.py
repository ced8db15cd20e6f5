"""`--enqueue`: a run that is written down for workers instead of being run here, and followed if asked to."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pinstripe.commands.screen import aside, styled_status, write_json
from pinstripe.commands.summary import NOTHING_RAN
from pinstripe.views.command_lines import command_line
from pinstripe.views.text import short, visible

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from datetime import timedelta

    from pinstripe.options import Terms
    from pinstripe.project import Project
    from pinstripe.run import Run

F = TypeVar("F", bound="Callable[..., Any]")

_HERE_ONLY: Mapping[str, tuple[str, str]] = {
    "dry_run": ("--dry-run", "it shows what would run, and enqueues nothing"),
    "concurrency": ("--concurrency", "workers run as many at once as they are set to"),
    "fail_fast": ("--fail-fast", "an enqueued run finishes all of its tenants"),
    "no_capture": ("--no-capture", "a worker always keeps the output"),
    "timeout": ("--timeout", "an enqueued run keeps none; expected `timeout` in the job"),
}
"""The options that are for a run in this process, and why they don't go with --enqueue."""

_ENQUEUED_ONLY: Mapping[str, str] = {
    "wait": "--wait",
    "at": "--at",
    "delay": "--delay",
    "key": "--key",
    "priority": "--priority",
}


def enqueue_options(function: F) -> F:
    """Add `--enqueue` and `--wait`."""
    for option in (
        click.option("--wait", is_flag=True, help="With --enqueue: follow the run to its end, and tell how it ended."),
        click.option("--enqueue", is_flag=True, help="Leave it to the workers, and return at once."),
    ):
        function = option(function)
    return function


def terms_options(function: F) -> F:
    """Add what tells how an enqueued run waits: `--at`, `--delay`, `--key` and `--priority`."""
    from pinstripe.commands.options import read_duration
    from pinstripe.priority import Priority

    for option in (
        click.option(
            "--priority", type=click.Choice([str(one) for one in Priority]), help="With --enqueue: how urgent it is."
        ),
        click.option(
            "--key",
            metavar="TEXT",
            callback=_read_key,
            help="With --enqueue: unless a run of the job has this key already.",
        ),
        click.option("--delay", metavar="DURATION", callback=read_duration, help="With --enqueue: start it so late."),
        click.option("--at", metavar="TIME", callback=_read_time, help="With --enqueue: not before, ISO 8601."),
    ):
        function = option(function)
    return function


def read_terms(
    project: Project, *, at: datetime | None, delay: timedelta | None, key: str | None, priority: str | None
) -> Terms:
    """Make of these options how the run waits; an `at` without a time zone is in the project's."""
    from pinstripe.options import Terms
    from pinstripe.time_zones import find_zone

    if at is not None and at.utcoffset() is None:
        at = at.replace(tzinfo=find_zone(project.settings.time_zone))
    return Terms.of(at=at, delay=delay, key=key, priority=priority)


def check_options(given: Mapping[str, Any], *, enqueue: bool) -> None:
    """Raise `UsageError` for an option that doesn't go with `--enqueue`, or goes only with it."""
    context = click.get_current_context()
    if not enqueue:
        for name, option in _ENQUEUED_ONLY.items():
            if given.get(name) not in {None, False}:
                message = f"{option} is for an enqueued run; expected --enqueue with it"
                raise click.UsageError(message, context)
        return
    for name, (option, reason) in _HERE_ONLY.items():
        if given.get(name) not in {None, False}:
            message = f"{option} doesn't go with --enqueue: {reason}"
            raise click.UsageError(message, context)
    if given.get("at") is not None and given.get("delay") is not None:
        message = "--at and --delay both say when; expected one of them"
        raise click.UsageError(message, context)


def enqueue_by_hand(
    start: Callable[[Project], Awaitable[Run | None]], *, project: str | None, as_json: bool, wait: bool
) -> int:
    """Open the project, enqueue by `start`, and tell of it, with `wait` when the run is finished; give the exit code.

    `start` gives None where there is nothing to enqueue.
    """
    return asyncio.run(_enqueue(start, project, as_json=as_json, wait=wait))


async def _enqueue(
    start: Callable[[Project], Awaitable[Run | None]], folder: str | None, *, as_json: bool, wait: bool
) -> int:
    from pinstripe.opening import open_project

    async with open_project(folder) as project:
        began = project.clock.now()
        with aside():  # what the project's own files print
            run = await start(project)
        if run is None:
            return NOTHING_RAN
        if as_json and not wait:
            write_json(run.to_json())
            return 0
        for line in _lines(run, folder, began, wait=wait):
            click.echo(line, err=as_json)
        if wait:
            from pinstripe.commands.show_run import show

            return await show(project, run, None, folder, follows=True, as_json=as_json)
        await _tell_of_no_worker(project, run, folder)
        return 0


def _lines(run: Run, folder: str | None, began: int, *, wait: bool) -> Iterator[str]:
    from pinstripe.clock import to_microseconds

    name, total = visible(run.job), run.executions.total
    if to_microseconds(run.created_at) < began:
        yield f"{name} was enqueued with this key before: run {short(run.id)}, {styled_status(run.status)}"
    else:
        yield f"Enqueued {name}{f' for {total:,} tenants' if total > 1 else ''} (run {short(run.id)})"
    if not wait:
        yield f"Follow it:  {command_line('show-run', short(run.id), '--follow', project=folder)}"


async def _tell_of_no_worker(project: Project, run: Run, folder: str | None) -> None:
    if run.finished:
        return
    from pinstripe.views.waits import has_worker

    status = await project.ledger.queue.status()
    if not has_worker(status.processes, project.clock.now(), project.settings.worker.lease):
        line = command_line("start-worker", project=folder)
        click.echo(f"No worker is there to run it; start one:  {line}", err=True)


def _read_key(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuse a key that can't be one: an empty text must never be the one key of many runs."""
    from pinstripe.options import MAX_KEY

    if value is not None and not 0 < len(value) <= MAX_KEY:
        message = f"expected a text of 1 to {MAX_KEY} characters, got {len(value):,}"
        raise click.BadParameter(message, ctx, param)
    return value


def _read_time(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    """Read `2026-12-01 09:00`, with or without a time zone."""
    if value is None:
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        message = f"expected a time as 2026-12-01T09:00 or 2026-12-01T09:00+01:00, got {value!r}"
        raise click.BadParameter(message, ctx, param) from None
