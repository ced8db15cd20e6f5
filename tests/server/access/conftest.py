"""A guard around an application that says who was let in, with a clock that is turned by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pinstripe.config import ServerSettings
from pinstripe.server.access.entrance import Entrance
from pinstripe.server.access.forms import checked_form, csrf_token
from pinstripe.server.access.guard import Guard
from pinstripe.server.access.identity import SCOPE_KEY
from pinstripe.server.access.sessions import begin_session
from pinstripe.server.problems import Problem, problem_response
from tests.ledgers.conftest import HandClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from pinstripe.server.access.own_login import OwnLogin
    from pinstripe.server.application import Receive, Scope, Send

TOKEN = "open-sesame-open-sesame"
READ = "look-but-do-not-touch-it"
ACME = "for-those-who-support-acme"
OTHER = "nobody-knows-this-one-yet"

HOST = "localhost:3000"


def settings(**said: Any) -> ServerSettings:
    """Give settings: those of all kinds of tokens where nothing is said."""
    values: dict[str, Any] = {
        "token": TOKEN,
        "read_token": READ,
        "tokens": (f"support:operate:acme globex:{ACME}",),
        "hosts": ("jobs.example.org",),
        "access": None,
        "session": timedelta(hours=12),
    }
    return ServerSettings(**{**values, **said})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Say who was let in, and what a form says; fail where that is asked for."""
    request = Request(scope, receive)
    if request.url.path.endswith("/boom"):
        raise RuntimeError("a secret that nobody may see")
    access = scope.get(SCOPE_KEY)
    who = None if access is None else [access.name, access.role, sorted(access.tenants or ["*"])]
    form = await checked_form(request) if request.method == "POST" and "/api/" not in request.url.path else None
    headers = {"Cache-Control": "public, max-age=9", "Access-Control-Allow-Origin": "*", "X-Frame-Options": "ALLOWALL"}
    await JSONResponse({"who": who, "token": csrf_token(request), "form": form}, headers=headers)(scope, receive, send)


@dataclass
class Gate:
    """The guard, and what it is made with."""

    entrance: Entrance
    clock: HandClock
    error_page: Callable[[Request, Problem], Response] | None = None
    address: str = "203.0.113.7"
    scheme: str = "http"
    guard: Guard = field(init=False)

    def __post_init__(self) -> None:
        self.guard = Guard(echo, self.entrance, self.clock, error_page=self.error_page)

    async def ask(
        self,
        path: str,
        *,
        method: str = "GET",
        host: str | None = HOST,
        form: dict[str, str] | None = None,
        **headers: Any,
    ) -> httpx2.Response:
        """Send a request; underscores in names of headers are hyphens."""
        transport = httpx2.ASGITransport(self.guard, raise_app_exceptions=False, client=(self.address, 40_000))
        sent = {name.replace("_", "-").encode(): value.encode("latin-1") for name, value in headers.items()}
        async with httpx2.AsyncClient(transport=transport, base_url=f"{self.scheme}://{host}") as client:
            return await client.request(method, f"/_pinstripe{path}", headers=sent, data=form)

    async def bearer(self, token: str, path: str = "/api/v1/jobs", **options: Any) -> httpx2.Response:
        """Ask the API with a token."""
        return await self.ask(path, authorization=f"Bearer {token}", **options)

    def cookie(self, name: str = "operator", *, lasts: timedelta = timedelta(hours=1)) -> str:
        """Give the header of a browser in which that bearer has logged in."""
        (bearer,) = (one for one in self.entrance.bearers if one.access.name == name)
        ends = self.clock.microseconds + lasts // timedelta(microseconds=1)
        return f"pinstripe_session_3000={begin_session(bearer, ends)}"


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def make_gate(clock: HandClock) -> Callable[..., Gate]:
    def make(*, local_secret: str | None = None, own_login: OwnLogin | None = None, **said: Any) -> Gate:
        entrance = Entrance(
            settings(**said),
            listens_at=["box"],
            local_secret=local_secret,
            own_login=own_login,
            monotonic=lambda: clock.seconds,
        )
        return Gate(entrance, clock)

    return make


@pytest.fixture
def gate(make_gate: Callable[..., Gate]) -> Gate:
    return make_gate()


def page_of(request: Request, problem: Problem) -> Response:
    """Stand for the dashboard's page about an error."""
    return problem_response(problem)
