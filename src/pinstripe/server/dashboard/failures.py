"""What is shown where a page can't be: the error in its own words, and how to mend it, with the right status."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException

from pinstripe.errors import PinstripeError, UnknownTenant
from pinstripe.server.access.identity import is_confined
from pinstripe.server.dashboard.rendering import render
from pinstripe.server.problems import Problem, problem_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

_MEND = {
    "unknown-run": "It may have been pruned; the list of runs has what is kept.",
    "unknown-job": "The list of jobs has those there are.",
    "too-many-wrong-tokens": "Wait a moment, then try again.",
    "ledger-unavailable": "It can be tried again at any time; `pinstripe check` tells what is wrong.",
    "unexpected": "Where the server writes its log there is more about it.",
}
"""What to do about a problem of a type, beside what it says itself."""

_TITLES = {404: "No such page", 405: "This isn't done so", 413: "That is too large"}
"""What is said of what no page of ours has answered."""

_AGAIN = {429, 500, 503}
"""After which a page may be there the next time."""


def handlers() -> Mapping[Any, Any]:
    """Give what answers for each kind of error."""
    return {HTTPException: _of_http, PinstripeError: _of_any, Exception: _of_any}


def show(request: Request, problem: Problem) -> Response:
    """Make the page about a problem."""
    again = request.url.path if request.method == "GET" and problem.status in _AGAIN else None
    answer = render(request, "error.html", problem.status, problem=problem, mend=_MEND.get(problem.type), again=again)
    answer.headers.update(problem.headers)
    return answer


async def _of_http(request: Request, error: HTTPException) -> Response:
    phrase = HTTPStatus(error.status_code).phrase
    title = _TITLES.get(error.status_code, phrase)
    detail = error.detail
    if error.status_code == HTTPStatus.NOT_FOUND and detail == phrase:
        detail = f"There is no page {request.url.path}"
    return show(request, Problem(error.status_code, "http", title, detail, error.headers or {}))


async def _of_any(request: Request, error: Exception) -> Response:
    problem = problem_of(error, is_confined=is_confined(request))
    if isinstance(error, UnknownTenant):  # what the command line has to tell who there are is no help here
        problem = problem._replace(detail=error.reason)
    return show(request, problem)
