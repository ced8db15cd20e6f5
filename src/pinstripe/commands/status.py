"""`pinstripe status`: who works, what waits and why, what runs, what is paused, and what should have run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from pinstripe.clock import to_datetime, to_iso
from pinstripe.commands.options import example, json_option, project_option
from pinstripe.commands.screen import write_json
from pinstripe.commands.status_lines import bands, host_of, no_ledger_lines, status_lines
from pinstripe.queue import Held
from pinstripe.views.pauses import pauses_json
from pinstripe.views.waits import count_bots

if TYPE_CHECKING:
    from datetime import timedelta

    from pinstripe.overdue import SchedulesStatus
    from pinstripe.project import Project
    from pinstripe.queue import QueueStatus


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
        write_json(status_json(seen.status, seen.schedules, seen.ledger))
        return
    if not seen.ledger.made:
        for line in no_ledger_lines(seen.ledger.address, seen.ledger.trouble):
            click.echo(line)
        return
    for line in status_lines(seen.status, seen.schedules, seen.now, seen.lease, project):
        click.echo(line)


class LedgerStatus(NamedTuple):
    """Whether the ledger at `address` is made; `trouble` is what keeps it from being made, where it isn't."""

    address: str
    made: bool
    trouble: str | None


class _Seen(NamedTuple):
    """What goes on at `now`, in microseconds UTC; who is silent for longer than the `lease` is dead."""

    status: QueueStatus
    schedules: SchedulesStatus
    now: int
    lease: timedelta
    ledger: LedgerStatus


async def _look(folder: str | None) -> _Seen:
    from pinstripe.opening import open_project
    from pinstripe.overdue import GRACE, MOST, look

    async with open_project(folder) as project:
        ledger, now, lease = project.ledger, project.clock.now(), project.settings.worker.lease
        status = await ledger.queue.status()
        states = await ledger.fires.states()
        late = await ledger.fires.late(now - GRACE, MOST)
        bots = count_bots(status.processes, now, lease)
        schedules = look(states, late, status.pauses, bots, now)
        return _Seen(status, schedules, now, lease, await _look_at_ledger(project))


async def _look_at_ledger(project: Project) -> LedgerStatus:
    address, made = str(project.settings.ledger_address), project.ledger.is_made
    if made:
        return LedgerStatus(address, made=True, trouble=None)
    from pinstripe.ledger_checks import why_not_written

    return LedgerStatus(address, made=False, trouble=await why_not_written(project.settings))


def status_json(status: QueueStatus, schedules: SchedulesStatus, ledger: LedgerStatus) -> dict[str, Any]:
    """Give a status as JSON values, in the documented order."""
    return {
        "ledger": {"made": ledger.made, "trouble": ledger.trouble},
        "processes": [
            {
                "host": host_of(process),
                "pid": process.pid,
                "code_version": process.code_version,
                "running": process.running,
                "concurrency": process.concurrency,
                "bot": process.bot,
                "stopping": process.stopping,
                "started_at": _iso(process.started_at),
                "heard_at": _iso(process.beat),
                "executions": [
                    {"job": one.job, "tenant": one.tenant, "run": one.run, "started_at": _iso(one.started_at)}
                    for one in process.executions
                ],
            }
            for process in status.processes
        ],
        "queue": [
            {"priority": str(line.priority), "ready": line.ready, "oldest_at": _iso(line.oldest)}
            for line in bands(status)
        ],
        "held": {str(reason): status.held.get(reason, 0) for reason in Held},
        "lacking": [
            {"job": job, "waiting": status.lacking.get(job, 0), "selecting": status.lacking_runs.get(job, 0)}
            for job in sorted({*status.lacking, *status.lacking_runs})
        ],
        "running": status.running,
        "selecting": status.selecting,
        "next_due_at": _iso(status.next_due),
        "pauses": pauses_json(status.pauses),
        "schedules": {
            "total": schedules.total,
            "next_fire_at": _iso(schedules.next_fire),
            "bots": schedules.bots,
        },
        "overdue": [
            {
                "job": one.job,
                "schedule": one.schedule,
                "tenant": one.tenant,
                "due_at": _iso(one.due_at),
                "run": one.run,
                "reason": one.reason,
            }
            for one in schedules.overdue
        ],
    }


def _iso(microseconds: int | None) -> str | None:
    return None if microseconds is None else to_iso(to_datetime(microseconds))
