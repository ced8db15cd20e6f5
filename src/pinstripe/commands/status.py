"""`pinstripe status`: who works, what waits and why, what runs, and what is paused."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from pinstripe.clock import to_datetime, to_iso
from pinstripe.commands.options import example, json_option, project_option
from pinstripe.commands.pauses import pauses_json, since
from pinstripe.commands.screen import command_line, moment, span, table, visible, write_json
from pinstripe.commands.waiting import has_worker, held_in_words, is_silent
from pinstripe.priority import Priority
from pinstripe.queue import Held, Waiting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from pinstripe.queue import Process, QueueStatus


@click.command(
    "status",
    short_help="Who works, what waits and why, what runs.",
    epilog=example("pinstripe status"),
)
@json_option
@project_option
def command(*, as_json: bool, project: str | None) -> None:
    """Show what goes on: the processes that run something, what waits by priority, what is held back, what is paused.

    It only looks, and works without a worker.
    """
    status, now, lease = asyncio.run(_look(project))
    if as_json:
        write_json(status_json(status))
        return
    for line in _lines(status, now, lease, project):
        click.echo(line)


async def _look(folder: str | None) -> tuple[QueueStatus, int, timedelta]:
    from pinstripe.opening import open_project

    async with open_project(folder) as project:
        return await project.ledger.queue.status(), project.clock.now(), project.settings.worker.lease


def _lines(status: QueueStatus, now: int, lease: timedelta, folder: str | None) -> Iterator[str]:
    yield from _processes(status.processes, now, lease)
    yield ""
    rows = [
        (str(line.priority), f"{line.ready:,}", "-" if line.oldest is None else _ago(line.oldest, now))
        for line in _bands(status)
    ]
    yield from table(["QUEUE", "READY", "OLDEST WAITS"], rows)
    yield ""
    yield f"Running: {status.running:,}"
    if status.selecting:
        yield f"Selecting tenants: {status.selecting:,} run{'' if status.selecting == 1 else 's'}"
    if any(status.held.values()):
        yield f"Held: {', '.join(held_in_words(status.held, status.next_due, now))}"
    elif status.next_due is not None:  # a run whose tenants are selected later
        yield f"Next due: {moment(to_datetime(status.next_due))}"
    if status.pauses:
        yield "Paused:"
    for pause in status.pauses:
        yield f"  {since(pause)}"
    waiting = sum(line.ready for line in status.waiting) + status.selecting
    waiting += sum(number for reason, number in status.held.items() if reason is not Held.PAUSED)
    if waiting and not has_worker(status.processes, now, lease):
        yield ""
        yield f"Work waits, and no worker is there; start one:  {command_line('start-worker', project=folder)}"


def _processes(processes: list[Process], now: int, lease: timedelta) -> Iterator[str]:
    if not processes:
        yield "No process runs anything."
        return
    rows = [
        (
            visible(_host(process)),
            str(process.pid),
            f"{process.running:,}" + ("" if process.concurrency is None else f" of {process.concurrency:,}"),
            visible(process.code_version),
            f"{_ago(process.beat, now)} ago",
            _state(process, now, lease),
        )
        for process in processes
    ]
    yield from table(["HOST", "PID", "RUNS", "VERSION", "HEARD", "STATE"], rows)


def _state(process: Process, now: int, lease: timedelta) -> str:
    if is_silent(process, now, lease):
        return "silent"
    if process.stopping:
        return "stopping"
    return "by hand" if process.concurrency is None else "works"


def _host(process: Process) -> str:
    """Give the host's name without the container's number, which only the ledger needs."""
    return process.host.partition("/")[0]


def _ago(then: int, now: int) -> str:
    """Write how long ago that was; a clock that was put back makes it now."""
    return span(max(now - then, 0) / 1_000_000)


def _bands(status: QueueStatus) -> list[Waiting]:
    """Give what waits in each band, also where nothing does."""
    found = {line.priority: line for line in status.waiting}
    return [found.get(priority) or Waiting(priority, 0, None) for priority in Priority]


def status_json(status: QueueStatus) -> dict[str, Any]:
    """Give a status as JSON values, in the documented order."""
    return {
        "processes": [
            {
                "host": _host(process),
                "pid": process.pid,
                "code_version": process.code_version,
                "running": process.running,
                "concurrency": process.concurrency,
                "stopping": process.stopping,
                "started_at": _iso(process.started_at),
                "heard_at": _iso(process.beat),
            }
            for process in status.processes
        ],
        "queue": [
            {"priority": str(line.priority), "ready": line.ready, "oldest_at": _iso(line.oldest)}
            for line in _bands(status)
        ],
        "held": {str(reason): status.held.get(reason, 0) for reason in Held},
        "running": status.running,
        "selecting": status.selecting,
        "next_due_at": _iso(status.next_due),
        "pauses": pauses_json(status.pauses),
    }


def _iso(microseconds: int | None) -> str | None:
    return None if microseconds is None else to_iso(to_datetime(microseconds))
