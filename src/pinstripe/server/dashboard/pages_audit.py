"""The audit trail: who did what to what, by which way, and what came of it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from starlette.routing import Route

from pinstripe.duration import parse_duration
from pinstripe.errors import UnknownRun
from pinstripe.history import Action, AuditPage
from pinstripe.server.access.identity import access_of
from pinstripe.server.access.require import require_all
from pinstripe.server.dashboard.asking import asked_exactly, asked_number
from pinstripe.server.dashboard.links import url
from pinstripe.server.dashboard.rendering import render

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from pinstripe.ledger import Ledger
    from pinstripe.server.context import WebContext

FIELDS = ("name", "action", "job", "tenant", "run")
"""By what entries are found."""

LIMIT = 50
"""How many entries stand on a page."""

SHOWN = 200
"""How many characters of a detail are shown."""

_WHOLE_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Piece(NamedTuple):
    """A part of a detail: a `text`, which may be the id of a run."""

    text: str
    is_run: bool


def routes(context: WebContext) -> list[BaseRoute]:
    """Give the route of the trail."""
    ledger = context.project.ledger

    async def page(request: Request) -> Response:
        require_all(access_of(request))
        asked = {name: asked_exactly(request, name) for name in (*FIELDS, "since")}
        before = asked_number(request, "before")
        found, trouble = AuditPage([], None), None
        try:
            filters = await _filters(ledger, asked)
            after = _after(asked["since"], context.project.clock.now())
        except (ValueError, UnknownRun) as error:
            trouble = str(error)
        else:
            found = _since(await context.history.audit(before=before, limit=LIMIT, filters=filters), after)
        return render(
            request,
            "audit.html",
            422 if trouble else 200,
            entries=found.entries,
            pieces=_pieces,
            asked=asked,
            is_narrowed=any(value is not None for value in asked.values()),
            trouble=trouble,
            actions=[("", "any"), *((str(action), str(action)) for action in Action)],
            next_page=None if found.next is None else url("/audit", **asked, before=found.next),
            first_page=None if before is None else url("/audit", **asked),
        )

    return [Route("/audit", page, methods=["GET", "HEAD"])]


async def _filters(ledger: Ledger, asked: dict[str, str | None]) -> dict[str, str]:
    """Give what entries are found by; raises `ValueError` and `UnknownRun`, which say what is wrong."""
    filters = {name: value for name in FIELDS if (value := asked[name]) is not None}
    if filters.get("action", Action.START) not in [*Action]:
        raise ValueError(f"expected an action of {', '.join(Action)}, got {asked['action']!r}")
    if "run" in filters:
        run = filters["run"].strip().lower()
        # One that was removed is in the trail still, by its whole id.
        filters["run"] = run if _WHOLE_ID.fullmatch(run) else (await ledger.find_run(run, failures=False)).id
    return filters


def _after(since: str | None, now: int) -> int:
    """Give from when on entries are asked for, in microseconds UTC; raises `ValueError`."""
    return 0 if since is None else max(now - parse_duration(since.strip()) // timedelta(microseconds=1), 0)


def _since(page: AuditPage, after: int) -> AuditPage:
    """Leave out what is older; entries come newest first, so there is nothing more behind such a one."""
    young = [entry for entry in page.entries if entry.at >= after]
    return page if len(young) == len(page.entries) else AuditPage(young, None)


def _pieces(detail: str) -> list[Piece]:
    """Part a detail at the ids of runs in it, which lead to them."""
    pieces, at, shown = [], 0, detail[:SHOWN]
    for found in _WHOLE_ID.finditer(shown):
        pieces += [Piece(shown[at : found.start()], is_run=False), Piece(found[0], is_run=True)]
        at = found.end()
    rest = shown[at:] + ("…" if len(detail) > SHOWN else "")
    return [piece for piece in (*pieces, Piece(rest, is_run=False)) if piece.text]
