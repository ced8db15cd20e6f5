"""`pinstripe retry-run`: what failed or was cancelled in a run, once more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pinstripe.commands.by_hand import run_by_hand
from pinstripe.commands.completion import complete_run
from pinstripe.commands.enqueueing import check_options, enqueue_by_hand, enqueue_options
from pinstripe.commands.options import example, json_option, project_option, read_duration, run_options

if TYPE_CHECKING:
    from pinstripe.project import Project
    from pinstripe.run import Run
    from pinstripe.watcher import Watcher


@click.command(
    "retry-run",
    short_help="Run again what failed in a run.",
    epilog=example("pinstripe retry-run last", "pinstripe retry-run 1f3a9c07 --skipped"),
)
@click.argument("reference", metavar="RUN", shell_complete=complete_run)
@click.option("--skipped", is_flag=True, help="Also what was skipped.")
@click.option(
    "--timeout", metavar="DURATION", callback=read_duration, help="The limit of each execution, as 30s or 5m."
)
@run_options
@enqueue_options
@json_option
@project_option
def command(
    *,
    reference: str,
    skipped: bool,
    no_capture: bool,
    enqueue: bool,
    wait: bool,
    as_json: bool,
    project: str | None,
    **how: Any,
) -> int:
    """Run again what failed or was cancelled in RUN and has not succeeded in a later retry, with the same arguments.

    RUN is an id, the unique end of one, or `last`. The retry is a run of its own, here and now, or with --enqueue one
    for the workers. Exit codes are those of run-background-job; 3 says that there is nothing to retry.
    """
    check_options(click.get_current_context().params, enqueue=enqueue)
    if enqueue:

        async def write_down(opened: Project) -> Run | None:
            from pinstripe.commands.actors import whoever_types

            run = await opened.enqueue_retry(reference, skipped=skipped, actor=whoever_types())
            return await _told(opened, run, reference, skipped=skipped)

        return enqueue_by_hand(write_down, project=project, as_json=as_json, wait=wait)

    async def start(opened: Project, watcher: Watcher) -> Run | None:
        run = await opened.retry(
            reference,
            skipped=skipped,
            watcher=watcher,
            **how,
        )
        return await _told(opened, run, reference, skipped=skipped)

    return run_by_hand(start, project=project, as_json=as_json, capture=not no_capture)


async def _told(project: Project, run: Run | None, reference: str, *, skipped: bool) -> Run | None:
    """Say where there is nothing to retry, and by which run that is done already."""
    if run is not None:
        return run
    from pinstripe.retrying import under_way
    from pinstripe.views.text import short

    ledger = project.ledger
    open_ = await under_way(ledger, (await ledger.find_run(reference, failures=False)).id)
    if open_:
        words = f"a retry of run {reference} is under way: run {short(open_[0].id)}"
    else:
        kinds = "failed, was cancelled or was skipped" if skipped else "failed or was cancelled"
        words = f"all that {kinds} in run {reference} has succeeded since, or nothing did"
    click.echo(f"Nothing to retry: {words}.", err=True)
    return None
