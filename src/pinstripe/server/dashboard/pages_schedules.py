"""The schedules: when each job fires by itself, what was fired and missed, and what the next clock change does."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from starlette.routing import Route

from pinstripe.definition import BrokenJob
from pinstripe.duration import write_duration
from pinstripe.server.access.identity import access_of
from pinstripe.server.access.require import require_all
from pinstripe.server.dashboard.asking import asked_text
from pinstripe.server.dashboard.links import url
from pinstripe.server.dashboard.pages_jobs import is_paused, load, matching
from pinstripe.server.dashboard.rendering import render
from pinstripe.views.schedules import look_at_schedules_of, zone_in_words
from pinstripe.views.text import arguments_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from pinstripe.definition import Definition
    from pinstripe.project import Project
    from pinstripe.server.context import WebContext
    from pinstripe.views.schedules import ScheduleView

LIMIT = 25
"""How many jobs with schedules stand on a page."""

LOOKED = 500
"""Among how many jobs they are looked for at once."""


def routes(context: WebContext) -> list[BaseRoute]:
    """Give the route of the list."""
    project = context.project

    async def page(request: Request) -> Response:
        require_all(access_of(request))
        search, after = asked_text(request, "search"), asked_text(request, "after")
        names = [name for name in matching(project.registry.names(), search) if after is None or name > after]
        found, last = _scheduled(project, names)
        looks = await look_at_schedules_of(project, found, number=1)
        return render(
            request,
            "schedules.html",
            looks=looks,
            search=search,
            summaries={definition.name: definition.summary for definition in found},
            fired=partial(_latest, "fired"),
            missed=partial(_latest, "missed"),
            is_paused=partial(is_paused, pauses=await project.ledger.queue.pauses()),
            zone_in_words=zone_in_words,
            arguments_of=arguments_of,
            write_duration=write_duration,
            next_page=None if last is None else url("/schedules", search=search, after=last),
            first_page=None if after is None else url("/schedules", search=search),
        )

    return [Route("/schedules", page, methods=["GET", "HEAD"])]


def _scheduled(project: Project, names: Sequence[str]) -> tuple[list[Definition], str | None]:
    """Give the next jobs that have schedules, and the name after which to go on; None at the end."""
    found: list[Definition] = []
    for place, name in enumerate(names):
        if len(found) == LIMIT or place == LOOKED:
            return found, names[place - 1]
        found += [one for one in load(project, [name]) if not isinstance(one, BrokenJob) and one.schedules]
    return found, None


def _latest(what: str, view: ScheduleView) -> int | None:
    """Give the last fire, or the last that was missed, of a schedule in all its zones."""
    return max((at for at in (getattr(state, what) for state in view.states) if at is not None), default=None)
