"""How a request comes to its endpoint: allowed, with known parameters, and a body that was read strictly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from fastapi.routing import APIRoute
from starlette.routing import Match

from pinstripe.server.access.identity import access_of
from pinstripe.server.access.require import require_operate
from pinstripe.server.api.bodies import read_request
from pinstripe.server.api.problems import Misfit, ProblemJson, answer, not_allowed, not_found, send
from pinstripe.server.api.validation import FieldProblem, unknown_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine

    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response

VERSION = "/v1"
"""What all paths of this version of the API begin with; what may break clients is for another one."""

SAFE = frozenset({"GET", "HEAD"})
"""The methods that change nothing, which everybody may use who was let in."""

_LOOKING = "pinstripe_changes_nothing"

_REFUSING = "pinstripe_refuses"

F = TypeVar("F", bound="Callable[..., Any]")


def changing_nothing(endpoint: F) -> F:
    """Mark an endpoint that changes nothing, though others with its method do: who may look may use it."""
    setattr(endpoint, _LOOKING, True)
    return endpoint


class Route(APIRoute):
    """A route whose errors are problems, and whose requests may have nothing that it doesn't know."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Check what FastAPI doesn't, let it do the rest, and answer with a problem where that fails."""
        handle = super().get_route_handler()
        parameters = [str(one.alias) for one in self.dependant.query_params]
        for dependency in self.dependant.dependencies:
            parameters += [str(one.alias) for one in dependency.query_params]
        body = self.body_field
        keys = [] if body is None else [*_keys(body.field_info.annotation)]
        required = body is not None and body.field_info.is_required()

        async def handle_strictly(request: Request) -> Response:
            try:
                if request.method not in SAFE and not hasattr(self.endpoint, _LOOKING):
                    require_operate(access_of(request))
                _check_parameters(request, parameters)
                if body is not None:
                    request = await read_request(request, required=required)
                return await handle(request)
            except Exception as error:  # noqa: BLE001 - each becomes a problem; what nobody expected is logged
                return answer(request, error, keys)

        return handle_strictly


def refusing(endpoint: F) -> F:
    """Mark an endpoint that only says that its method isn't the path's."""
    setattr(endpoint, _REFUSING, True)
    return endpoint


def _keys(annotation: Any) -> Collection[str]:
    """Give the keys that a body may have, which is optional or not."""
    for one in (annotation, *getattr(annotation, "__args__", ())):
        if hasattr(one, "model_fields"):
            return [*one.model_fields]
    return []


def _check_parameters(request: Request, known: Collection[str]) -> None:
    """Refuse what nobody would look at, or would read in part: a filter that is mistyped must not filter nothing."""
    problems: list[FieldProblem] = []
    seen: set[str] = set()
    for name, value in request.query_params.multi_items():
        if name not in known:
            problems.append(unknown_name("parameter", name, known))
        elif name in seen:
            problems.append(FieldProblem(name, "expected it once, got it twice"))
        elif "\0" in value:
            problems.append(FieldProblem(name, "expected text, got a NUL character in it"))
        seen.add(name)
    if problems:
        raise Misfit(problems[:20])


def refuse_method(request: Request) -> ProblemJson:
    """Answer with the methods that the path has in all of the application's routes.

    Those that are of this very path go before those of all paths like it.
    """
    app: FastAPI = request.app
    found = [route for route in app.state.routes if route.matches(request.scope)[0] is not Match.NONE]
    found = [route for route in found if "{" not in route.path] or found
    methods = {method for route in found if not hasattr(route.endpoint, _REFUSING) for method in route.methods}
    if "GET" in methods:
        methods.add("HEAD")
    return send(not_allowed(request, methods))


def refuse_path(request: Request) -> ProblemJson:
    """Answer that nothing is there."""
    return send(not_found(request))
