"""When a job fires by itself, and what becomes of it where the clock is changed."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from pinstripe.clock import to_datetime, to_iso
from pinstripe.errors import ConfigurationError, UnknownTenant
from pinstripe.views.text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, tzinfo

    from pinstripe.clock_changes import ClockChange
    from pinstripe.definition import Definition
    from pinstripe.fires import ScheduleState
    from pinstripe.project import Project
    from pinstripe.schedule import Schedule
    from pinstripe.tenants import Tenant

CATCH_UP: Mapping[str, str] = {
    "latest": "latest: of what is missed, the last is made once, late",
    "none": "none: what is missed is let go",
}
"""What becomes of missed fires, by a schedule's `catch_up`."""


class ScheduleView(NamedTuple):
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


class SchedulesView(NamedTuple):
    """What was found: the `views` of a job's schedules, for a `tenant`, which the job's filter may leave `outside`."""

    job: str
    tenant: str | None
    outside: bool
    views: list[ScheduleView]


async def look_at_schedules(project: Project, job: str, tenant: str | None = None, number: int = 5) -> SchedulesView:
    """Look at the schedules of a job, with the next `number` fires of each, in the zone of a `tenant` if one is named.

    Raises `UnknownJob`, `InvalidJob`, `UnknownTenant`, and `ConfigurationError` for a tenant where there are none.
    """
    definition = project.registry.find(job)
    found = None if tenant is None else await _find_tenant(project, definition, tenant)
    states = await project.ledger.fires.states() if definition.schedules else []
    views = [_view(project, definition, schedule, found, number, states) for schedule in definition.schedules]
    outside = found is not None and not await _is_inside(project, definition, found)
    return SchedulesView(definition.name, tenant, outside, views)


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
) -> ScheduleView:
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
    return ScheduleView(
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


def zone_in_words(view: ScheduleView, look: SchedulesView) -> str:
    """Say in which zone a schedule fires, and for whom what is shown is meant."""
    name = visible(view.zone)
    if view.schedule.time_zone is None:
        return f"{name}, the project's"
    if view.schedule.time_zone != "tenant":
        return name
    if look.tenant is None:
        return f"each tenant's own; as an example, what follows is for {name}, the project's"
    return f"each tenant's own; {visible(look.tenant)} counts as in {name}"


def schedule_json(view: ScheduleView, look: SchedulesView) -> dict[str, Any]:
    """Give one schedule as JSON values, in the documented order."""
    from pinstripe.duration import write_duration

    schedule, change = view.schedule, view.change
    args, kwargs = schedule.shown()
    return {
        "job": look.job,
        "key": view.key,
        "name": schedule.name,
        "cron": schedule.cron,
        "words": schedule.in_words(),
        "time_zone": schedule.time_zone,
        "args": list(args),
        "kwargs": kwargs,
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
