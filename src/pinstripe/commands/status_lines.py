"""What `status` shows, line by line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinstripe.clock import to_datetime
from pinstripe.commands.screen import table
from pinstripe.overdue import MOST
from pinstripe.queue import Held
from pinstripe.views.command_lines import command_line
from pinstripe.views.pauses import since
from pinstripe.views.status import bands, host_of, state_of
from pinstripe.views.text import moment, one_line, short, span, visible
from pinstripe.views.waits import has_worker, held_in_words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from pinstripe.overdue import SchedulesStatus
    from pinstripe.queue import Process, QueueStatus

SHOWN = 20
"""How much of what should have run stands on the screen; `--json` has more."""


def status_lines(
    status: QueueStatus, schedules: SchedulesStatus, now: int, lease: timedelta, folder: str | None
) -> Iterator[str]:
    """Give the lines about what goes on at `now` (microseconds UTC); `folder` is what `--project` was given."""
    yield from _processes(status.processes, now, lease)
    yield ""
    rows = [
        (str(line.priority), f"{line.ready:,}", "-" if line.oldest is None else _ago(line.oldest, now))
        for line in bands(status)
    ]
    yield from table(["QUEUE", "READY", "OLDEST WAITS"], rows)
    yield ""
    yield f"Running: {status.running:,}"
    if status.selecting:
        yield f"Selecting tenants: {status.selecting:,} run{'' if status.selecting == 1 else 's'}"
    lacking = sum(status.lacking.values())
    if any(status.held.values()):
        yield f"Held: {', '.join(held_in_words(status.held, status.next_due, now, lacking=lacking))}"
    elif status.next_due is not None:  # a run whose tenants are selected later
        yield f"Next due: {moment(to_datetime(status.next_due))}"
    yield from _lacking(status)
    if status.pauses:
        yield "Paused:"
    for pause in status.pauses:
        yield f"  {since(pause)}"
    yield from _schedules(schedules, folder)
    yield from _hints(status, schedules, now, lease, folder)


def no_ledger_lines(address: str, trouble: str | None) -> Iterator[str]:
    """Give the lines about a ledger that isn't there, at `address`; `trouble` is what keeps it from being made."""
    yield f"There is no ledger yet: {visible(address)}"
    if trouble is None:
        yield "Whatever runs or is enqueued first makes it."
    else:
        yield f"It can't be made as things are: {visible(trouble)}"


def _lacking(status: QueueStatus) -> Iterator[str]:
    """Tell of which jobs something waits for a worker that has them."""
    if status.lacking or status.lacking_runs:
        yield "No worker that took it has the job:"
    for job in sorted({*status.lacking, *status.lacking_runs}):
        number, runs = status.lacking.get(job, 0), status.lacking_runs.get(job, 0)
        parts = [f"{number:,} {'waits' if number == 1 else 'wait'}"] if number else []
        if runs:
            parts.append(f"{runs:,} run{'' if runs == 1 else 's'} whose tenants are to be selected")
        yield f"  {visible(job)}, {', '.join(parts)}"


def _processes(processes: list[Process], now: int, lease: timedelta) -> Iterator[str]:
    if not processes:
        yield "No process runs anything."
        return
    rows = [
        (
            visible(host_of(process)),
            str(process.pid),
            f"{process.running:,}" + ("" if process.concurrency is None else f" of {process.concurrency:,}"),
            visible(process.code_version),
            f"{_ago(process.beat, now)} ago",
            state_of(process, now, lease),
        )
        for process in processes
    ]
    heading, *lines = table(["HOST", "PID", "RUNS", "VERSION", "HEARD", "STATE"], rows)
    yield heading
    for process, line in zip(processes, lines, strict=True):
        yield line
        for one in process.executions:
            tenant = "" if one.tenant is None else f" for {visible(one.tenant)}"
            yield f"  {visible(one.job)}{tenant}: {_ago(one.started_at, now)} so far, in run {short(one.run)}"
        more = process.running - len(process.executions)
        if more > 0 and process.executions:
            yield f"  + {more:,} more"


def _schedules(schedules: SchedulesStatus, folder: str | None) -> Iterator[str]:
    if schedules.total:
        next_fire = schedules.next_fire
        fires = "fires" if schedules.bots else "is due"
        coming = "" if next_fire is None else f", the next {fires} at {moment(to_datetime(next_fire))}"
        yield f"Schedules: {schedules.total:,}{coming}"
    if not schedules.overdue:
        return
    found = len(schedules.overdue)
    or_more = " or more" if found == MOST else ""
    yield ""
    yield f"Should have run by now: {found:,}{or_more}"
    rows = [
        (
            visible(one.job),
            "-" if one.tenant is None else visible(one.tenant),
            moment(to_datetime(one.due_at)),
            one_line(one.reason),
        )
        for one in schedules.overdue[:SHOWN]
    ]
    yield from table(["JOB", "TENANT", "DUE", "WHY"], rows)
    if found > SHOWN:
        all_of_it = command_line("status", "--json", project=folder)
        yield f"… and {found - SHOWN:,}{or_more} others:  {all_of_it}"


def _hints(
    status: QueueStatus, schedules: SchedulesStatus, now: int, lease: timedelta, folder: str | None
) -> Iterator[str]:
    """Tell what to start, where it is wanted and isn't there."""
    waiting = sum(line.ready for line in status.waiting) + status.selecting
    waiting += sum(number for reason, number in status.held.items() if reason is not Held.PAUSED)
    hints = []
    if schedules.total and not schedules.bots:
        start = command_line("start-server", project=folder)
        hints.append(f"No bot runs, so no schedule fires; start one:  {start}")
    if waiting and not has_worker(status.processes, now, lease):
        hints.append(f"Work waits, and no worker is there; start one:  {command_line('start-worker', project=folder)}")
    if hints:
        yield ""
        yield from hints


def _ago(then: int, now: int) -> str:
    """Write how long ago that was; a clock that was put back makes it now."""
    return span(max(now - then, 0) / 1_000_000)
