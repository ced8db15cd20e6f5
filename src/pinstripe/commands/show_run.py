"""`pinstripe show-run`: what became of a run, and of one tenant in it, with its log."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from pinstripe.commands.completion import complete_run, complete_tenant
from pinstripe.commands.options import example, json_option, project_option
from pinstripe.commands.problems import counted
from pinstripe.commands.screen import styled_status, tally_of, write_json
from pinstripe.commands.summary import exit_code, failures, retry_advice
from pinstripe.errors import UnknownTenant
from pinstripe.run import ExecutionStatus
from pinstripe.views.executions import attempts_in_words, execution_json
from pinstripe.views.output import harmless
from pinstripe.views.text import as_call, as_json_line, moment, one_line, span, took, visible, visible_lines
from pinstripe.views.waits import of_one, why, why_held

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from pinstripe.project import Project
    from pinstripe.run import Execution, Run

SHOWN = 1_000
"""How many failures are shown: as many as a `Run` lists."""

MOST_REASONS = 3
"""How many reasons are named why tenants were skipped or cancelled."""


@click.command(
    "show-run",
    short_help="What became of a run.",
    epilog=example("pinstripe show-run last", "pinstripe show-run 1f3a9c07 --tenant acme"),
)
@click.argument("reference", metavar="RUN", shell_complete=complete_run)
@click.option("--tenant", metavar="ID", shell_complete=complete_tenant, help="One tenant: its error and its log.")
@click.option("--follow", is_flag=True, help="Wait until it is finished, and show how far it is.")
@json_option
@project_option
def command(*, reference: str, tenant: str | None, follow: bool, as_json: bool, project: str | None) -> int:
    """Show a run: its counts, its times, each failed tenant with its error, and the line that runs those again.

    RUN is an id, the unique end of one, or `last`. With --tenant: that tenant's execution, with the output it kept. A
    run that waits tells why. With --follow the exit code is the run's, as of one by hand, and Ctrl-C ends the
    following only.
    """
    return asyncio.run(_find(reference, tenant, project, follows=follow, as_json=as_json))


async def _find(reference: str, tenant: str | None, folder: str | None, *, follows: bool, as_json: bool) -> int:
    from pinstripe.opening import open_project

    async with open_project(folder) as project:
        run = await project.ledger.find_run(reference)
        return await show(project, run, tenant, folder, follows=follows, as_json=as_json)


async def show(
    project: Project, run: Run, tenant: str | None, folder: str | None, *, follows: bool, as_json: bool
) -> int:
    """Show a run, with `follows` when it is finished; give the exit code, which then tells how it ended.

    Raises `UnknownTenant` where the run has none of the id `tenant`.
    """
    code = 0
    if follows:
        from pinstripe.commands.following import INTERRUPTED, follow

        found = await follow(project, run, folder)
        if found is None:
            return INTERRUPTED
        run, code = found, exit_code(found)
    execution = await project.ledger.find_execution(run.id, tenant)
    if tenant is not None and execution is None:
        message = f"run {run.id} of {run.job} has no tenant {tenant!r}"
        raise UnknownTenant(message)
    if as_json:
        write_json(run.to_json() if tenant is None or execution is None else execution_json(execution))
        return code
    if tenant is None or execution is None:
        shown = _of_run(run, execution, folder, await why(project, run), await _reasons(project, run, execution))
    else:
        shown = _of_tenant(run, execution, project.clock.now())
    for line in shown:
        click.echo(line)
    return code


async def _reasons(project: Project, run: Run, execution: Execution | None) -> dict[str, str | None]:
    """Tell why tenants of a run were skipped, and why cancelled: `paused (2)`. One without tenants tells by itself."""
    reasons: dict[str, str | None] = {}
    for status in (ExecutionStatus.SKIPPED, ExecutionStatus.CANCELLED):
        if execution is None and getattr(run.executions, status):
            page = await project.ledger.history.executions(run.id, status=status, limit=SHOWN)
            counts = Counter(one_line(one.error or "") for one in page.executions)
            or_more = "" if page.next is None else " or more"
            named = [f"{reason} ({count:,}{or_more})" for reason, count in counts.most_common(MOST_REASONS) if reason]
            more = len(counts) - MOST_REASONS
            reasons[status] = "; ".join([*named, counted(more, "other reason")] if more > 0 else named)
    return reasons


def _of_run(
    run: Run, execution: Execution | None, folder: str | None, reason: str | None, reasons: Mapping[str, str | None]
) -> Iterator[str]:
    """Give the lines about a run, which waits for a `reason`; `execution` is its only one, where it has no tenants.

    The `reasons` are those for which tenants were skipped or cancelled.
    """
    yield f"Run {run.id} of {visible(run.job)}"
    yield from _fields(
        status=styled_status(run.status),
        trigger=str(run.trigger),
        arguments=as_call(*run.shown()),
        executions=tally_of(run),
        **reasons,
        waiting=reason if reason is None or run.executions.total > 1 else of_one(reason),
        attempts=None if execution is None or run.finished else attempts_in_words(execution),
        created=moment(run.created_at),
        finished=_finished(run.finished_at, took(run)),
        retry_of=run.retry_of,
        parent=run.parent,
        error=None if run.error is None else visible_lines(run.error),
    )
    if execution is None:
        yield from _result(run.result)
        yield from failures(run, folder, SHOWN)
    else:
        yield from _outcome(execution)
    yield from retry_advice(run, folder)


def _of_tenant(run: Run, execution: Execution, now: int) -> Iterator[str]:
    """Give the lines about one tenant's execution."""
    yield f"Run {run.id} of {visible(run.job)} for {visible(execution.tenant or '')}"
    lasted = None
    if execution.started_at is not None and execution.finished_at is not None:
        lasted = span((execution.finished_at - execution.started_at).total_seconds())
    yield from _fields(
        status=styled_status(execution.status),
        attempts=attempts_in_words(execution) or "0",
        waiting=why_held(execution, now),
        started=None if execution.started_at is None else moment(execution.started_at),
        finished=_finished(execution.finished_at, lasted),
    )
    yield from _outcome(execution)


def _outcome(execution: Execution) -> Iterator[str]:
    """Give what an execution left: its error or reason, its result, its output."""
    if execution.error is not None:
        yield from ("", visible_lines(execution.traceback or execution.error))
    yield from _result(execution.result)
    if execution.log:
        yield from ("", click.style("OUTPUT", dim=True), harmless(execution.log).rstrip("\n"))


def _result(result: Any) -> Iterator[str]:
    if result is not None:
        yield from _fields(result=as_json_line(result))


def _fields(**values: str | None) -> Iterator[str]:
    for name, value in values.items():
        if value:
            yield f"  {name.replace('_', ' '):<11} {value}"


def _finished(at: datetime | None, lasted: str | None) -> str | None:
    return None if at is None else moment(at) + (f", after {lasted}" if lasted else "")
