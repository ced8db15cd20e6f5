"""What goes on: who works, what waits, what runs, what is paused, and what should have run by now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pinstripe.clock import to_datetime, to_iso
from pinstripe.priority import Priority
from pinstripe.queue import Held, Waiting
from pinstripe.views.pauses import pauses_json
from pinstripe.views.waits import count_bots, is_silent

if TYPE_CHECKING:
    from datetime import timedelta

    from pinstripe.overdue import SchedulesStatus
    from pinstripe.project import Project
    from pinstripe.queue import Process, QueueStatus
    from pinstripe.views.timeline import Timeline


class LedgerStatus(NamedTuple):
    """Whether the ledger at `address` is made; `trouble` is what keeps it from being made, where it isn't."""

    address: str
    made: bool
    trouble: str | None


class Seen(NamedTuple):
    """What goes on at `now`, in microseconds UTC; who is silent for longer than the `lease` is dead."""

    status: QueueStatus
    schedules: SchedulesStatus
    now: int
    lease: timedelta
    ledger: LedgerStatus


async def look_at_status(project: Project, timeline: Timeline | None = None) -> Seen:
    """Look what goes on in an open project; nothing is changed, nor made where there is no ledger yet.

    Who looks again and again gives the project's `timeline`, which has just read what is kept of schedules.
    """
    from pinstripe.overdue import GRACE, MOST, look
    from pinstripe.views.slices import due_times_of, find_due_times

    ledger, now, lease = project.ledger, project.clock.now(), project.settings.worker.lease
    status = await ledger.queue.status()
    states = await (ledger.fires.states() if timeline is None else timeline.states())
    late = await ledger.fires.late(now - GRACE, MOST)
    bots = count_bots(status.processes, now, lease)
    times = due_times_of(project)
    await find_due_times(times, states, now)
    schedules = look(states, late, status.pauses, bots, now, times=times)
    return Seen(status, schedules, now, lease, await _look_at_ledger(project))


async def _look_at_ledger(project: Project) -> LedgerStatus:
    address, made = str(project.settings.ledger_address), project.ledger.is_made
    if made:
        return LedgerStatus(address, made=True, trouble=None)
    from pinstripe.ledger_checks import why_not_written

    return LedgerStatus(address, made=False, trouble=await why_not_written(project.settings))


def bands(status: QueueStatus) -> list[Waiting]:
    """Give what waits in each band, also where nothing does."""
    found = {line.priority: line for line in status.waiting}
    return [found.get(priority) or Waiting(priority, 0, None) for priority in Priority]


def host_of(process: Process) -> str:
    """Give the host's name without the container's number, which only the ledger needs."""
    return process.host.partition("/")[0]


def state_of(process: Process, now: int, lease: timedelta) -> str:
    """Write what a process does: `works`, `works, bot`, `bot`, `by hand`, `stopping` or `silent`."""
    if is_silent(process, now, lease):
        return "silent"
    if process.stopping:
        return "stopping"
    works = [] if process.concurrency is None else ["works"]
    return ", ".join([*works, "bot"] if process.bot else works) or "by hand"


def status_json(seen: Seen) -> dict[str, Any]:
    """Give a status as JSON values, in the documented order."""
    status, schedules, ledger = seen.status, seen.schedules, seen.ledger
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
