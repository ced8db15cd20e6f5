"""What is said of a run when it is over, and the exit code that says the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinstripe.commands.screen import SHOWN_FAILURES, styled_status, table, tally
from pinstripe.run import RunStatus
from pinstripe.views.command_lines import command_line
from pinstripe.views.text import as_json_line, one_line, short, took, visible, visible_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pinstripe.queue import Pause
    from pinstripe.run import Run

NOTHING_RAN = 3

MOST_PAUSES = 3
"""How many pauses are named in a summary; `status` has them all."""


def exit_code(run: Run) -> int:
    """Give what a finished run means to whoever called: 0 done, 1 failed or cancelled, 3 nothing ran."""
    if run.status != RunStatus.SUCCEEDED:
        return 1
    return NOTHING_RAN if run.executions.skipped == run.executions.total else 0


def summary(run: Run, project: str | None, pauses: Sequence[Pause] = (), reason: str | None = None) -> Iterator[str]:
    """Give the lines that end a run by hand: what happened, what failed, and the command that tries that again.

    Of the `pauses` there are, those are named for which something of it may have been skipped. The `reason` tells why
    its only execution was cancelled.
    """
    yield _headline(run)
    if reason is not None:
        yield visible_lines(reason)
    if run.error is not None:
        yield f"Error: {one_line(run.error, 2_000)}"
    if run.executions.total == 1 and not run.error:
        yield from _only_failure(run)
    else:
        yield from failures(run, project)
    if run.executions.skipped:
        yield from _paused(run, pauses)
    if run.result is not None:
        yield f"Result: {as_json_line(run.result)}"
    yield from retry_advice(run, project)


def _headline(run: Run) -> str:
    counts = run.executions
    end = f"in {took(run) or '0 ms'} (run {short(run.id)})"
    status = styled_status(run.status)
    if run.error is not None and not counts.done:
        return f"{run.job} {status} {end}"
    if counts.total == 0 and run.retry_of is not None:
        return f"{run.job}: nothing was left to retry, another retry was quicker (run {short(run.id)})"
    if counts.total == 0:
        return f"{run.job}: no tenant matched, nothing ran (run {short(run.id)})"
    if counts.skipped == counts.total:
        return f"{run.job}: {'all ' if counts.total > 1 else ''}{styled_status('skipped')}, nothing ran {end}"
    if counts.total == 1:
        tenant = next((failure.tenant for failure in run.failures), None)
        return f"{run.job} {status}{f' for {visible(tenant)}' if tenant else ''} {end}"
    return f"{run.job} {status}: {tally(counts)} {end}"


def _only_failure(run: Run) -> Iterator[str]:
    for failure in run.failures:
        yield visible_lines(failure.traceback or failure.error)


def _paused(run: Run, pauses: Sequence[Pause]) -> Iterator[str]:
    """Name what is paused of a run's job, as far as it can be named in a line."""
    from pinstripe.views.pauses import Scope, scope_of

    named = [scope.in_words() for scope in map(scope_of, pauses) if scope.meets(Scope(run.job))]
    if named:
        more = f" and {len(named) - MOST_PAUSES:,} more" if len(named) > MOST_PAUSES else ""
        yield f"Paused: {', '.join(named[:MOST_PAUSES])}{more}; --force runs it all the same."


def failures(run: Run, project: str | None, limit: int = SHOWN_FAILURES) -> Iterator[str]:
    """Give a table of what failed, at most `limit` lines of it, and how to see the rest."""
    if not run.failures:
        return
    yield ""
    rows = [(visible(failure.tenant or "-"), one_line(failure.error)) for failure in run.failures[:limit]]
    yield from table(["FAILED", "ERROR"], rows)
    more = run.executions.failed - len(rows)
    if more > 0:
        yield f"… and {more:,} more: {command_line('show-run', short(run.id), '--json', project=project)}"


def retry_advice(run: Run, project: str | None) -> Iterator[str]:
    """Give the line that runs again what failed or was cancelled, if anything did."""
    counts = run.executions
    if not run.finished or not (counts.failed or counts.cancelled or run.error):
        return
    yield ""
    first = next((failure.tenant for failure in run.failures if failure.tenant), None)
    if first and counts.total > 1:
        yield f"See one:    {command_line('show-run', short(run.id), '--tenant', first, project=project)}"
    yield f"Run again:  {command_line('retry-run', short(run.id), project=project)}"
