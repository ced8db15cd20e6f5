"""What endpoints ask for of a request: who it is from, what it is about, and the parameters that many lists have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode

from fastapi import Depends, Path, Query
from pydantic import BeforeValidator, Field
from starlette.requests import Request

from pinstripe.duration import parse_duration
from pinstripe.names import normalise_job_name
from pinstripe.server.access import identity
from pinstripe.server.access.identity import Access
from pinstripe.server.api.answers import Json
from pinstripe.server.api.cursors import MAX_LENGTH, NotACursor, Position, read_cursor, write_cursor
from pinstripe.server.api.problems import Misfit
from pinstripe.server.api.validation import EXPECTED, FieldProblem
from pinstripe.server.context import WebContext

MAX_PAGE = 200
"""How many items a page of a list may have."""


def _context(request: Request) -> WebContext:
    context: WebContext = request.app.state.context
    return context


def _access(request: Request) -> Access:
    return identity.access_of(request)


Context = Annotated[WebContext, Depends(_context)]
Caller = Annotated[Access, Depends(_access)]


def _whole(value: Any) -> Any:
    """Read a number of plain digits: Python would also take `1_0`, and digits of other scripts."""
    if isinstance(value, str) and not (value.isascii() and value.isdecimal() and len(value) < 10):  # noqa: PLR2004
        raise ValueError(value)
    return value


Reference = Annotated[
    str,
    Path(description="A run's id, the unique end of one, or `last`.", examples=["1f3a9c0753e1", "last"]),
]
Limit = Annotated[
    Annotated[int, Field(ge=1, le=MAX_PAGE), BeforeValidator(_whole)],
    Query(description="How many items the page may have.", examples=[50]),
]
Cursor = Annotated[
    str | None,
    Query(max_length=MAX_LENGTH, description="Where the page begins: the `next` of the one before, as it was given."),
]
JobFilter = Annotated[
    str | None, Query(min_length=1, description="Only what is of this job.", examples=["send_newsletter"])
]
TenantFilter = Annotated[
    str | None, Query(min_length=1, description="Only what is for this tenant.", examples=["acme"])
]
Tenant = Annotated[str, Query(min_length=1, description="A tenant's id.", examples=["acme"])]
OneTenant = Annotated[
    str | None,
    Query(min_length=1, description="The tenant; left away for a job that is not multi-tenant.", examples=["acme"]),
]


def job_filter(job: str | None) -> str | None:
    """Give a job's name as runs have it; a job whose file is gone still has its runs. Raises `Misfit`."""
    if job is None:
        return None
    try:
        return normalise_job_name(job)
    except ValueError as error:
        raise Misfit([FieldProblem("job", str(error))]) from None


def since_filter(since: str | None, now: int) -> int | None:
    """Give when that duration before `now` was, in microseconds UTC; raises `Misfit` for what is no duration."""
    if since is None:
        return None
    try:
        before = parse_duration(since)
    except ValueError as error:
        raise Misfit([FieldProblem("since", str(error))]) from None
    return max(now - before // timedelta(microseconds=1), 0)


class Paging:
    """Which page of a list is asked for."""

    def __init__(self, request: Request, limit: Limit = 50, cursor: Cursor = None) -> None:
        """Take how many items it may have, and where it begins."""
        self.limit = limit
        self._request = request
        self._cursor = cursor

    def position(self, of: Mapping[str, object], kind: type[Position]) -> Any:
        """Give where it begins in the list that is asked for by `of`: a position of that `kind`, or None.

        Raises `Misfit` for the cursor of another list.
        """
        if self._cursor is None:
            return None
        try:
            return read_cursor(self._cursor, of, kind)
        except NotACursor:
            message = f"expected {EXPECTED['cursor']}, with the same filters, got something else"
            raise Misfit([FieldProblem("cursor", message)]) from None

    def answer(self, items: Sequence[Any], position: Position | None, of: Mapping[str, object]) -> Json:
        """Answer with the page; the next one, where there is one, begins at a `position` in the list."""
        if position is None:
            return Json({"items": [*items], "next": None})
        cursor = write_cursor(position, of)
        url = self._request.url
        asked = [pair for pair in parse_qsl(url.query, keep_blank_values=True) if pair[0] != "cursor"]
        link = f"{url.path}?{urlencode([*asked, ('cursor', cursor)])}"
        return Json({"items": [*items], "next": cursor}, headers={"Link": f'<{link}>; rel="next"'})


Page = Annotated[Paging, Depends()]
