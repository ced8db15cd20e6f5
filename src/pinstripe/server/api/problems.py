"""What is answered where something can't be done: every error becomes a problem, as RFC 9457 has it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from pinstripe.errors import UnknownJob, UnknownTenant
from pinstripe.server.access.identity import is_confined
from pinstripe.server.api.answers import Json
from pinstripe.server.api.validation import in_words, problems_of
from pinstripe.server.problems import MEDIA_TYPE, UNEXPECTED, Problem, Refused, problem_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from starlette.requests import Request

    from pinstripe.server.api.validation import FieldProblem

_UNPROCESSABLE = 422

_logger = logging.getLogger("pinstripe")


class Misfit(Refused):
    """What was asked for isn't what it must be; `.errors` tells of each field what is wrong with it."""

    def __init__(self, errors: Sequence[FieldProblem]) -> None:
        """Take what is wrong with which field."""
        super().__init__(422, "The request doesn't fit", in_words(errors), type_="invalid-request")
        self.errors = list(errors)


class ProblemJson(Json):
    """A problem, as RFC 9457 has it."""

    media_type = MEDIA_TYPE


def answer(request: Request, error: Exception, known: Collection[str] = ()) -> ProblemJson:
    """Answer a request that raised an `error`; `known` are the keys that its body may have.

    What nobody expected is logged, and its text is told to nobody else.
    """
    if isinstance(error, RequestValidationError):
        error = Misfit(problems_of(error.errors(), known))
    if isinstance(error, HTTPException):
        error = _of_http(request, error)
    if isinstance(error, ClientDisconnect):  # there is nobody to answer
        error = Refused(400, "Cut off", "the request ended before its body did", type_="cut-off")
    problem = problem_of(error, is_confined=is_confined(request))
    if isinstance(error, UnknownJob | UnknownTenant):  # what the address itself names is told by the endpoint
        problem = problem._replace(status=_UNPROCESSABLE)
    if problem is UNEXPECTED:
        _logger.error("%s %r failed", request.method, request.url.path, exc_info=error)
    written = problem.to_json()
    if isinstance(error, Misfit):
        written["errors"] = error.errors
    return ProblemJson(written, problem.status, problem.headers)


def send(problem: Problem) -> ProblemJson:
    """Send a problem."""
    return ProblemJson(problem.to_json(), problem.status, problem.headers)


def not_found(request: Request) -> Problem:
    """Say that nothing has this address."""
    detail = f"the API has nothing at {request.url.path[:200]}; its document tells what there is"
    return Problem(404, "not-found", "Nothing is here", detail)


def not_allowed(request: Request, methods: Collection[str]) -> Problem:
    """Say which methods an address has."""
    allowed = ", ".join(sorted(methods))
    detail = f"expected {' or '.join(sorted(methods))} at {request.url.path[:200]}, got {request.method[:20]}"
    return Problem(405, "method-not-allowed", "Not by this method", detail, {"Allow": allowed})


def _of_http(request: Request, error: HTTPException) -> Refused:
    """Give what FastAPI itself raises, as where it can't read a body that was read before."""
    title = "Nothing is here" if error.status_code == 404 else "The request can't be read"  # noqa: PLR2004
    return Refused(error.status_code, title, f"{request.method} {request.url.path[:200]}: {title.lower()}")
