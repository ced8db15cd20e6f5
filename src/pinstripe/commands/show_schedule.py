"""`pinstripe show-schedule JOB`: when a job fires by itself, and what becomes of it where the clock is changed."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from pinstripe.clock import to_datetime, to_iso
from pinstripe.commands.completion import complete_job, complete_tenant
from pinstripe.commands.options import example, json_option, project_option
from pinstripe.commands.screen import aside, table, write_json
from pinstripe.errors import ConfigurationError, UnknownTenant
from pinstripe.views.text import arguments_of, moment, visible

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, tzinfo

    from pinstripe.clock_changes import ClockChange
    from pinstripe.definition import Definition
    from pinstripe.fires import ScheduleState
    from pinstripe.project import Project
    from pinstripe.schedule import Schedule
    from pinstripe.tenants import Tenant


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
        write_json([_json(view, look) for view in look.views])
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


class _View(NamedTuple):
    """A schedule as it is in one zone: its next `fires`, the tenant's `offset` in its window, the clock's next change.

    `states` is what the ledger knows of it, in each zone, or in that of the tenant.
    """

    schedule: Schedule
    key: str
    zone: str
    clock: tzinfo
    offset: timedelta | None
    fires: list[datetime]
    change: ClockChange | None
    effect: str | None
    states: list[ScheduleState]


class _Look(NamedTuple):
    """What was found: the `views` of a job's schedules, for a `tenant`, which the job's filter may leave `outside`."""

    job: str
    tenant: str | None
    outside: bool
    views: list[_View]


async def _look(folder: str | None, job: str, id_: str | None, number: int) -> _Look:
    from pinstripe.opening import open_project

    async with open_project(folder) as project:
        definition = project.registry.find(job)
        tenant = None if id_ is None else await _find_tenant(project, definition, id_)
        states = await project.ledger.fires.states() if definition.schedules else []
        views = [_view(project, definition, schedule, tenant, number, states) for schedule in definition.schedules]
        outside = tenant is not None and not await _is_inside(project, definition, tenant)
        return _Look(definition.name, id_, outside, views)


async def _find_tenant(project: Project, definition: Definition, id_: str) -> Tenant:
    from pinstripe.selection import find_tenants

    if not definition.multi_tenant:
        message = f"{definition.name} is not multi-tenant: it runs once, without a tenant; expected no --tenant"
        raise ConfigurationError(message)
    if project.tenants is None:
        message = (
            "this project says nothing of its tenants; expected `source` under [tool.pinstripe.tenants], "
            'as "module:attribute"'
        )
        raise ConfigurationError(message)
    found = (await find_tenants(project.tenants, [id_])).get(id_)
    if found is None:
        message = f"unknown tenant {id_!r}: `pinstripe list-tenants` shows those there are"
        raise UnknownTenant(message)
    return found


async def _is_inside(project: Project, definition: Definition, tenant: Tenant) -> bool:
    from pinstripe.selection import Selection, choose_again

    choice = choose_again(definition, Selection(), project.tenants, project.settings.tenants.active)
    return bool(await choice.by_ids([tenant.id]))


def _view(
    project: Project,
    definition: Definition,
    schedule: Schedule,
    tenant: Tenant | None,
    number: int,
    states: list[ScheduleState],
) -> _View:
    from pinstripe.clock_changes import effect_in_words, next_change
    from pinstripe.time_zones import find_zone

    own = project.settings.time_zone
    by_tenant = schedule.time_zone == "tenant"
    zone = (
        own if by_tenant and tenant is None else _zone_of(project, tenant) if by_tenant else schedule.time_zone or own
    )
    clock, key = find_zone(zone), schedule.key(own)
    now = to_datetime(project.clock.now())
    change = next_change(clock, now)
    known = [
        state
        for state in states
        if (state.job, state.key, state.cron, state.by_tenant) == (definition.name, key, schedule.cron, by_tenant)
        and (state.zone == zone or (by_tenant and tenant is None))
        and not state.gone
    ]
    # Nothing fires at or before these; they are ahead of the clock where that was set back.
    marks = [to_datetime(max(state.since, state.fired or 0)) for state in known if state.zone == zone]
    return _View(
        schedule=schedule,
        key=key,
        zone=zone,
        clock=clock,
        offset=_offset(definition, schedule, tenant),
        fires=list(islice(schedule.fires(max([now, *marks]), clock), number)),
        change=change,
        effect=None if change is None else effect_in_words(schedule.cron, clock, change),
        states=known,
    )


def _zone_of(project: Project, tenant: Tenant | None) -> str:
    from pinstripe.zone_groups import ZoneGroups

    settings = project.settings
    groups = ZoneGroups(
        lambda: project.tenants,
        active=settings.tenants.active,
        attribute=settings.tenants.time_zone,
        default=settings.time_zone,
    )
    return settings.time_zone if tenant is None else groups.of(tenant)


def _offset(definition: Definition, schedule: Schedule, tenant: Tenant | None) -> timedelta | None:
    """Give the place of a tenant, or of a job without tenants, in the schedule's window; None where there is no one."""
    from pinstripe.ledger import NO_TENANT
    from pinstripe.schedule import offset

    if schedule.spread is None or (definition.multi_tenant and tenant is None):
        return None
    microsecond = timedelta(microseconds=1)
    id_ = NO_TENANT if tenant is None else tenant.id
    return offset(definition.name, id_, schedule.spread // microsecond) * microsecond


def _lines(view: _View, look: _Look) -> Iterator[str]:
    from pinstripe.duration import write_duration

    schedule = view.schedule
    named = f" ({visible(schedule.name)})" if schedule.name else ""
    yield f"{click.style(visible(look.job), bold=True)}  {schedule.in_words()}{named}"
    yield _field("cron", schedule.cron)
    yield _field("zone", _zone_in_words(view, look))
    if schedule.args or schedule.kwargs:
        yield _field("arguments", arguments_of(schedule))
    yield _field("catch-up", _CATCH_UP[schedule.catch_up])
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


_CATCH_UP = {
    "latest": "latest: of what is missed, the last is made once, late",
    "none": "none: what is missed is let go",
}


def _zone_in_words(view: _View, look: _Look) -> str:
    name = visible(view.zone)
    if view.schedule.time_zone is None:
        return f"{name}, the project's"
    if view.schedule.time_zone != "tenant":
        return name
    if look.tenant is None:
        return f"each tenant's own; as an example, what follows is for {name}, the project's"
    return f"each tenant's own; {visible(look.tenant)} counts as in {name}"


def _known(view: _View) -> Iterator[str]:
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


def _fires(view: _View) -> tuple[list[str], list[list[str]]]:
    """Give the headings and rows of the next fires: local, in UTC, and when a tenant with a place of its own is due."""
    rows = [[_local(view, at), moment(at)] for at in view.fires]
    headings = [f"NEXT, IN {visible(view.zone)}", "IN UTC"]
    if view.offset is None:
        return headings, rows
    due = (_local(view, at + view.offset) for at in view.fires)
    return [*headings, "DUE"], [[*row, shown] for row, shown in zip(rows, due, strict=True)]


def _local(view: _View, at: datetime) -> str:
    return at.astimezone(view.clock).isoformat(" ", "seconds")


def _field(name: str, value: str) -> str:
    return f"  {name:<11}{value}"


def _json(view: _View, look: _Look) -> dict[str, Any]:
    from pinstripe.duration import write_duration

    schedule, change = view.schedule, view.change
    return {
        "job": look.job,
        "key": view.key,
        "name": schedule.name,
        "cron": schedule.cron,
        "words": schedule.in_words(),
        "time_zone": schedule.time_zone,
        "args": list(schedule.args),
        "kwargs": dict(schedule.kwargs),
        "catch_up": schedule.catch_up,
        "spread": None if schedule.spread is None else write_duration(schedule.spread),
        "tenant": look.tenant,
        "outside": look.outside,
        "zone": view.zone,
        "offset": None if view.offset is None else write_duration(view.offset),
        "next": [
            {
                "at": to_iso(at),
                "local": at.astimezone(view.clock).isoformat(),
                "due_at": to_iso(at if view.offset is None else at + view.offset),
            }
            for at in view.fires
        ],
        "clock_change": None
        if change is None
        else {
            "at": to_iso(change.at),
            "from": change.shown.isoformat(),
            "to": change.put_to.isoformat(),
            "effect": view.effect,
        },
        "known": [
            {
                "zone": state.zone,
                "since": to_iso(to_datetime(state.since)),
                "last_fire": None if state.fired is None else to_iso(to_datetime(state.fired)),
                "last_missed": None if state.missed is None else to_iso(to_datetime(state.missed)),
            }
            for state in view.states
        ],
    }
