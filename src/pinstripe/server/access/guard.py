"""The guard around the dashboard, the HTTP API and the metrics: it lets in whom the entrance knows, and nobody else."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from pinstripe.log import Log
from pinstripe.server.access import forms
from pinstripe.server.access.answers import doorstep, plain_page, with_headers
from pinstripe.server.access.bearers import digest_of, find_bearer
from pinstripe.server.access.cookies import NONCE, SESSION, read_cookies, set_cookie
from pinstripe.server.access.hosts import is_number, is_same_origin, read_host
from pinstripe.server.access.identity import OWN_LOGIN_KEY, SCOPE_KEY, access_of
from pinstripe.server.access.sessions import form_token_of, new_nonce, read_session
from pinstripe.server.problems import UNEXPECTED, Problem, Refused, problem_response

if TYPE_CHECKING:
    from collections.abc import Callable

    from pinstripe.clock import Clock
    from pinstripe.server.access.entrance import Entrance
    from pinstripe.server.access.identity import Access
    from pinstripe.server.access.sessions import Session
    from pinstripe.server.application import ASGI, Receive, Scope, Send

PREFIX = "/_pinstripe"
"""The path that is Pinstripe's, with all below it."""

LOGIN = f"{PREFIX}/login"
"""Where somebody logs in."""

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""The methods that change nothing."""

LONGEST_WAY_BACK = 2_000
"""How many characters the address of a page may have to which one is led back after the login."""

MISDIRECTED = 421
"""The status of a request for another server."""

_log = Log()


class Area(StrEnum):
    """The parts behind the guard; each lets people in by its own way."""

    API = "api"
    METRICS = "metrics"
    DASHBOARD = "dashboard"
    PUBLIC = "public"


def area_of(path: str) -> Area:
    """Tell of which part a path is, as it stands in the ASGI scope."""
    below = path.removeprefix(PREFIX)
    if below == "/api" or below.startswith("/api/"):
        return Area.API
    if below == "/metrics":
        return Area.METRICS
    if below == "/login" or (below.startswith("/static/") and "/" not in below.removeprefix("/static/")):
        return Area.PUBLIC
    return Area.DASHBOARD


class Guard:
    """An ASGI application around another one, which gets the requests of those who are let in."""

    def __init__(
        self,
        application: ASGI,
        entrance: Entrance,
        clock: Clock,
        *,
        error_page: Callable[[Request, Problem], Response] | None = None,
    ) -> None:
        """Take what is guarded; `error_page` renders what is refused to a browser."""
        self._application = application
        self._entrance = entrance
        self._clock = clock
        self._error_page = error_page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it."""
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return
        request = Request(scope, receive)
        area = area_of(scope["path"])
        scope[OWN_LOGIN_KEY] = self._entrance.own_login is not None
        is_static = area is Area.PUBLIC and scope["path"] != LOGIN
        started = False

        async def sending(message: Any) -> None:
            nonlocal started
            started = True
            await guarded(message)

        guarded = with_headers(send, may_be_kept=is_static)
        try:
            self._check_host(request)
            self._check_origin(request, area)
            if scope["path"] == LOGIN:
                guarded = with_headers(send, cookie=_give_form_token(request))
            answer = None if area is Area.PUBLIC else await self._let_in(request, area)
            if answer is None and area is Area.DASHBOARD and forms.SCOPE_KEY not in scope:
                guarded = with_headers(send, cookie=_give_form_token(request, access_of(request).name))
            await (self._application if answer is None else answer)(scope, receive, sending)
        except Refused as refused:
            await self._refuse(request, area, refused.problem)(scope, receive, sending)
        except Exception:
            if not started:
                await self._refuse(request, area, UNEXPECTED)(scope, receive, sending)
            raise  # the web server logs it

    def _check_host(self, request: Request) -> None:
        """Refuse a name that isn't ours, which a page elsewhere may have turned to this machine."""
        written = request.headers.getlist("host")
        host = read_host(written[0]) if len(written) == 1 else None
        if host is None or not self._entrance.hosts.knows(host):
            raise Refused(
                MISDIRECTED,
                "Unknown host",
                "this server isn't known by the name that it was asked by; name it in the setting server.hosts",
                type_="unknown-host",
            )

    def _check_origin(self, request: Request, area: Area) -> None:
        """Refuse to have a page elsewhere change something."""
        if request.method in SAFE:
            return
        site = request.headers.get("sec-fetch-site")
        origin = request.headers.get("origin")
        if site is not None:
            is_ours = site in {"same-origin", "none"} and (origin in {None, "null"} or self._is_ours(request, origin))
        elif origin == "null":
            # So is our own form's, since no page says where it comes from; its token tells it from another's.
            is_ours = area in {Area.DASHBOARD, Area.PUBLIC}
        else:
            is_ours = origin is None or self._is_ours(request, origin)
        if not is_ours:
            raise Refused(
                403,
                "Asked from elsewhere",
                "a page of another site can't change anything here; if this is none, have the proxy pass on the header "
                "Host as the browser sends it, with its port",
            )

    def _is_ours(self, request: Request, origin: str | None) -> bool:
        host = read_host(request.headers["host"])
        return host is not None and origin is not None and is_same_origin(origin, host)

    async def _let_in(self, request: Request, area: Area) -> Response | None:
        """Find out who it is; give the answer where they aren't let in. Raises `Refused`."""
        found = await self._find(request, area)
        if isinstance(found, Response):
            return found
        if found is None:
            return self._send_away(request, area)
        if area is Area.METRICS and found.is_confined:
            raise Refused(403, "This is about all tenants", f"{found.name!r} is confined to some tenants")
        request.scope[SCOPE_KEY] = found
        return None

    async def _find(self, request: Request, area: Area) -> Access | Response | None:
        written = request.headers.getlist("authorization")
        own = self._entrance.own_login
        is_bearer = own is None or any(one[:7].lower() == "bearer " for one in written)
        if area in {Area.API, Area.METRICS} and written and is_bearer and self._entrance.bearers:
            return self._find_bearer(request, written)
        if own is not None:
            try:
                told = await own.who(request)
            except HTTPException as error:
                raise Refused(error.status_code, "Not let in", error.detail, headers=error.headers) from error
            if isinstance(told, Response) and area in {Area.API, Area.METRICS}:
                return None
            return told
        if area is not Area.DASHBOARD and request.method not in SAFE:
            return None  # a cookie comes by itself, so it changes nothing but by a form
        session = find_session(self._entrance, self._clock, request)
        if session is None:
            return None
        request.scope[forms.SCOPE_KEY] = session.form_token
        return session.access

    def _find_bearer(self, request: Request, written: list[str]) -> Access:
        scheme, _, presented = written[0].partition(" ")
        presented, address = presented.strip(), address_of(request)
        throttle = self._entrance.throttle
        if len(written) == 1 and scheme.lower() == "bearer" and len(presented) <= _LONGEST_TOKEN:
            digest = digest_of(presented)
            if not throttle.remembers(address, digest) and (wait := throttle.wait(address)):
                raise too_many(wait)
            bearer = find_bearer(self._entrance.bearers, presented)
            if bearer is not None:
                throttle.remember(address, digest)
                return bearer.access
            throttle.failed(address)
            _log.warning("a wrong token was presented to the HTTP API from %s", address)
        raise Refused(
            401,
            "Not known",
            "expected one header `Authorization: Bearer TOKEN` with a token of this server's settings",
            type_="unauthorized",
            headers={"WWW-Authenticate": 'Bearer realm="pinstripe", error="invalid_token"'},
        )

    def _send_away(self, request: Request, area: Area) -> Response:
        """Tell nobody where to log in."""
        is_navigation = request.method in {"GET", "HEAD"} and (
            request.headers.get("sec-fetch-mode", "navigate") == "navigate"
        )
        wants_page = area is Area.DASHBOARD or "text/html" in request.headers.get("accept", "")
        if wants_page and self._entrance.own_login is None and (is_navigation or area is Area.DASHBOARD):
            path = _path_of(request)
            if not is_navigation:
                if request.method in {"GET", "HEAD"}:
                    raise Refused(401, "Not logged in", "log in, and reload the page", type_="unauthorized")
                return RedirectResponse(LOGIN, 303)
            if request.headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
                return doorstep(path)
            back = f"?next={quote(path, safe='/')}" if len(path) <= LONGEST_WAY_BACK else ""
            return RedirectResponse(f"{LOGIN}{back}", 303)
        if area is Area.DASHBOARD or not self._entrance.bearers:
            raise Refused(401, "Not logged in", "log in at the application, then come back", type_="unauthorized")
        raise Refused(
            401,
            "Not known",
            "expected a header `Authorization: Bearer TOKEN` with a token of this server's settings",
            type_="unauthorized",
            headers={"WWW-Authenticate": 'Bearer realm="pinstripe"'},
        )

    def _refuse(self, request: Request, area: Area, problem: Problem) -> Response:
        if area in {Area.API, Area.METRICS}:
            return problem_response(problem)
        # To a name that isn't ours nothing more is told, not even whose server this is.
        if self._error_page is not None and problem.status != MISDIRECTED:
            try:
                return self._error_page(request, problem)
            except Exception:  # noqa: BLE001 - what is to be told is told in any case
                _log.exception("the page of an error can't be rendered")
        return plain_page(problem)


_LONGEST_TOKEN = 1_000


def find_session(entrance: Entrance, clock: Clock, request: Request) -> Session | None:
    """Find the session of a request; None where there is none, or it is over."""
    now = clock.now()
    for cookie in read_cookies(SESSION, request):
        if session := read_session(cookie, entrance.bearers, now):
            return session
    return None


def address_of(request: Request) -> str:
    """Give the address of who asks, as the web server believes it; what is none is nobody's in particular."""
    address = request.client.host if request.client is not None else ""
    return address if is_number(address) else "unknown"


def too_many(wait: int) -> Refused:
    """Say that somebody has guessed too often."""
    return Refused(
        429,
        "Too many wrong tokens",
        f"wait {wait} s, then try again; who has logged in already isn't concerned",
        type_="too-many-wrong-tokens",
        headers={"Retry-After": str(wait)},
    )


def _give_form_token(request: Request, name: str = "") -> str | None:
    """Have forms without a session of ours told by a cookie; give what sets it, None where the browser has one."""
    cookies = read_cookies(NONCE, request)
    nonce = cookies[0] if cookies else new_nonce()
    request.scope[forms.SCOPE_KEY] = form_token_of(nonce, name)
    return None if cookies else set_cookie(NONCE, request, nonce)


def _path_of(request: Request) -> str:
    """Give what was asked for, as a path of ours."""
    query = request.url.query
    path = quote(request.scope["path"], safe="/:@!$&'()*+,;=~")
    return f"{path}?{query}" if query else path
