"""`pinstripe show-schedule JOB`: when a job fires by itself, and what becomes of it where the clock is changed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from pinstripe.clock import to_datetime
from pinstripe.commands.completion import complete_job, complete_tenant
from pinstripe.commands.options import example, json_option, project_option
from pinstripe.commands.screen import aside, table, write_json
from pinstripe.views.schedules import CATCH_UP, look_at_schedules, schedule_json, zone_in_words
from pinstripe.views.text import arguments_of, moment, visible

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from pinstripe.views.schedules import SchedulesView, ScheduleView


@click.command(
    "show-schedule",
    short_help="When a job fires by itself.",
    epilog=example("pinstripe show-schedule send_newsletter", "pinstripe show-schedule send_newsletter --tenant acme"),
)
@click.argument("job", metavar="JOB", shell_complete=complete_job)
@click.option("--tenant", metavar="ID", shell_complete=complete_tenant, help="In this tenant's zone, at its own place.")
@click.option(
    "--next",
    "number",
    metavar="N",
    type=click.IntRange(min=1, max=10_000),
    default=5,
    show_default=True,
    help="How many fires.",
)
@json_option
@project_option
def command(*, job: str, tenant: str | None, number: int, as_json: bool, project: str | None) -> None:
    """Show a job's schedules: in words, their next fires in local time and in UTC, and what the ledger knows of them.

    Where the clock of the zone is changed within 13 months, it says what the schedule does then.
    """
    with aside():
        look = asyncio.run(_look(project, job, tenant, number))
    if as_json:
        write_json([schedule_json(view, look) for view in look.views])
        return
    if not look.views:
        click.echo(f"{visible(look.job)} has no schedule: it runs when it is told to.")
    for place, view in enumerate(look.views):
        for line in ([""] if place else []) + list(_lines(view, look)):
            click.echo(line)
    if look.outside:
        click.echo(
            f"\nThe filter of {visible(look.job)} leaves {visible(str(tenant))} out: it doesn't fire for that one."
        )


async def _look(folder: str | None, job: str, tenant: str | None, number: int) -> SchedulesView:
    from pinstripe.opening import open_project

    async with open_project(folder) as project:
        return await look_at_schedules(project, job, tenant, number)


def _lines(view: ScheduleView, look: SchedulesView) -> Iterator[str]:
    from pinstripe.duration import write_duration

    schedule = view.schedule
    named = f" ({visible(schedule.name)})" if schedule.name else ""
    yield f"{click.style(visible(look.job), bold=True)}  {schedule.in_words()}{named}"
    yield _field("cron", schedule.cron)
    yield _field("zone", zone_in_words(view, look))
    if schedule.args or schedule.kwargs:
        yield _field("arguments", arguments_of(schedule))
    yield _field("catch-up", CATCH_UP[schedule.catch_up])
    if schedule.spread is not None:
        who = "it" if look.tenant is None else visible(look.tenant)
        its = "each tenant has a place of its own in that; --tenant shows one's"
        yield _field(
            "spread",
            f"{write_duration(schedule.spread)}: "
            + (its if view.offset is None else f"{who} is due {write_duration(view.offset)} after each fire"),
        )
    yield from _known(view)
    if view.change is None:
        yield _field("clock", "it is not changed in the next 13 months")
    else:
        yield _field("clock", f"{view.change.in_words().removeprefix('the clock ')}: {view.effect}")
    yield ""
    headings, rows = _fires(view)
    yield from table(headings, rows, indent="  ")


def _known(view: ScheduleView) -> Iterator[str]:
    """Say what the ledger keeps; of several zones, since when the first is known, and the last of all fires."""
    if not view.states:
        yield _field("known", "not yet: it fires once a bot has seen it, by `pinstripe start-server` or `start-worker`")
        return
    several = f", in {len(view.states):,} zones" if len(view.states) > 1 else ""
    fired, missed = (
        max((at for at in times if at is not None), default=None)
        for times in zip(*((state.fired, state.missed) for state in view.states), strict=True)
    )
    yield _field("known", f"since {_at(min(state.since for state in view.states))}{several}")
    yield _field("last fire", _at(fired))
    if missed is not None:
        yield _field("missed", f"{_at(missed)}, the last that was let go")


def _at(time: int | None) -> str:
    return moment(None if time is None else to_datetime(time))


def _fires(view: ScheduleView) -> tuple[list[str], list[list[str]]]:
    """Give the headings and rows of the next fires: local, in UTC, and when a tenant with a place of its own is due."""
    rows = [[_local(view, at), moment(at)] for at in view.fires]
    headings = [f"NEXT, IN {visible(view.zone)}", "IN UTC"]
    if view.offset is None:
        return headings, rows
    due = (_local(view, at + view.offset) for at in view.fires)
    return [*headings, "DUE"], [[*row, shown] for row, shown in zip(rows, due, strict=True)]


def _local(view: ScheduleView, at: datetime) -> str:
    return at.astimezone(view.clock).isoformat(" ", "seconds")


def _field(name: str, value: str) -> str:
    return f"  {name:<11}{value}"
