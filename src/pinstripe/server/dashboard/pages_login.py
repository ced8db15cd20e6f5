"""The pages of logging in and out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pinstripe.server.access.forms import checked_form
from pinstripe.server.access.guard import find_session
from pinstripe.server.access.login import follow_link, log_in, log_out, own_path
from pinstripe.server.problems import Refused

if TYPE_CHECKING:
    from starlette.requests import Request

    from pinstripe.server.access.login import LoggedIn
    from pinstripe.server.context import WebContext

WRONG = "This is none of the tokens of this server."
STALE = "This login link is no longer valid: it lets in once, within ten minutes. Log in with a token, or start anew."


def routes(context: WebContext) -> list[Route]:
    """Give the routes."""
    entrance, clock = context.entrance, context.clock

    async def show(request: Request) -> Response:
        _require_ours()
        place = own_path(request.query_params.get("next", ""))
        code = request.query_params.get("code")
        if code is not None and request.method == "GET":
            if find_session(entrance, clock, request) is not None:
                return RedirectResponse(place, 303)
            logged_in = await follow_link(entrance, context.history, clock, request, code)
            return _page(request, place, STALE) if logged_in is None else _go_on(place, logged_in)
        if find_session(entrance, clock, request) is not None:
            return RedirectResponse(place, 303)
        return _page(request, place, None)

    async def log(request: Request) -> Response:
        _require_ours()
        form = await checked_form(request)
        place = own_path(form.get("next", [""])[0])
        token = form.get("token", [""])[0]
        try:
            logged_in = await log_in(entrance, context.history, clock, request, token)
        except Refused as refused:
            return _page(request, place, refused.problem.detail, refused)
        return _page(request, place, WRONG) if logged_in is None else _go_on(place, logged_in)

    async def leave(request: Request) -> Response:
        _require_ours()
        await checked_form(request)
        return _with_cookies(RedirectResponse("/_pinstripe/login", 303), log_out(request))

    def _require_ours() -> None:
        if entrance.own_login is not None:
            raise Refused(404, "No such page", "one logs in at the application here", type_="not-found")

    return [
        Route("/login", show, methods=["GET"]),
        Route("/login", log, methods=["POST"]),
        Route("/logout", leave, methods=["POST"]),
    ]


def _page(request: Request, place: str, problem: str | None, refused: Refused | None = None) -> Response:
    """Show the form again, with what is wrong."""
    from pinstripe.server.dashboard.rendering import render

    status = 200 if problem is None else 403
    if refused is None:
        return render(request, "login.html", status=status, next=place, trouble=problem)
    page = render(request, "login.html", status=refused.problem.status, next=place, trouble=problem)
    page.headers.update(refused.problem.headers)
    return page


def _go_on(place: str, logged_in: LoggedIn) -> Response:
    return _with_cookies(RedirectResponse(place, 303), logged_in.cookies)


def _with_cookies(response: Response, cookies: tuple[str, ...]) -> Response:
    for cookie in cookies:
        response.headers.append("Set-Cookie", cookie)
    return response
