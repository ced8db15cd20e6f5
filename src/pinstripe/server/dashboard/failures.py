"""What is shown where a page can't be: the error in its own words, and how to mend it, with the right status."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException

from pinstripe.errors import PinstripeError
from pinstripe.server.dashboard.rendering import render
from pinstripe.server.problems import Problem, problem_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

_MEND = {
    403: "Who may do more has a token with another role, or one for all tenants.",
    404: "What was there may have been pruned; the lists have what is kept.",
    429: "Wait a moment, then try again.",
    503: "It can be tried again at any time; `pinstripe check` tells what is wrong.",
}
"""What to do about an error with a status, beside what it says itself."""

_AGAIN = {429, 500, 503}
"""After which a page may be there the next time."""


def handlers() -> Mapping[Any, Any]:
    """Give what answers for each kind of error."""
    return {HTTPException: _of_http, PinstripeError: _of_any, Exception: _of_any}


def show(request: Request, problem: Problem) -> Response:
    """Make the page about a problem."""
    again = request.url.path if request.method == "GET" and problem.status in _AGAIN else None
    answer = render(request, "error.html", problem.status, problem=problem, mend=_MEND.get(problem.status), again=again)
    answer.headers.update(problem.headers)
    return answer


async def _of_http(request: Request, error: HTTPException) -> Response:
    phrase = HTTPStatus(error.status_code).phrase
    detail = error.detail
    if error.status_code == HTTPStatus.NOT_FOUND and detail == phrase:
        detail = f"There is no page {request.url.path}"
    return show(request, Problem(error.status_code, "http", phrase, detail, error.headers or {}))


async def _of_any(request: Request, error: Exception) -> Response:
    return show(request, problem_of(error))
