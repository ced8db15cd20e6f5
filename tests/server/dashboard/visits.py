"""Somebody who is logged in to the dashboard of an open project, and reads it as a browser without scripts does."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import unescape
from typing import TYPE_CHECKING, Any

import httpx2

from pinstripe.server.access.entrance import Entrance
from pinstripe.server.access.sessions import begin_session
from pinstripe.server.context import WebContext
from pinstripe.server.pages import make_guarded
from tests.server.access.conftest import settings
from tests.shop import FOUR, open_shop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from pinstripe.server.application import ASGI
    from tests.conftest import ProjectFolder
    from tests.shop import Shop

HOST = "localhost:3000"
HOUR = 3600 * 1_000_000

_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
_VALUE = re.compile(r'<(?:input|option|textarea)[^>]*name="(?P<name>[^"]*)"[^>]*value="(?P<value>[^"]*)"')


@dataclass(frozen=True, slots=True)
class Page:
    """What was answered."""

    status: int
    headers: httpx2.Headers
    text: str

    @property
    def location(self) -> str:
        """Where it leads, below `/_pinstripe`; it must lead somewhere."""
        assert self.status == 303, self.text
        return self.headers["location"].removeprefix("/_pinstripe")

    @property
    def words(self) -> str:
        """What a reader sees: no tags, and single spaces."""
        body = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", self.text.partition("<main")[2], flags=re.DOTALL)
        return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())

    def fields(self, name: str) -> list[str]:
        """Give the values of the hidden fields and check boxes of a name."""
        return [unescape(found["value"]) for found in _VALUE.finditer(self.text) if found["name"] == name]


@dataclass
class Visitor:
    """A browser of somebody whose token has a `name`."""

    application: ASGI
    cookie: str
    token: str | None = field(default=None)

    async def get(self, path: str) -> Page:
        """Open a page."""
        return await self._ask("GET", path)

    async def post(self, path: str, *, csrf: str | None = None, **fields: str | list[str]) -> Page:
        """Send a form, with the token that pages have for this visitor; an underscore at a name's end goes."""
        if self.token is None:
            self.token = (_TOKEN.search((await self.get("/runs")).text) or ["", ""])[1]
        sent: dict[str, Any] = {name.rstrip("_").replace("__", "-"): value for name, value in fields.items()}
        return await self._ask("POST", path, {"csrf_token": self.token if csrf is None else csrf, **sent})

    async def _ask(self, method: str, path: str, form: dict[str, Any] | None = None) -> Page:
        transport = httpx2.ASGITransport(self.application, client=("203.0.113.7", 40_000))
        headers = {"cookie": self.cookie, "accept": "text/html"}
        if method == "POST":
            headers |= {"origin": f"http://{HOST}", "sec-fetch-site": "same-origin"}
        async with httpx2.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
            answer = await client.request(method, f"/_pinstripe{path}", headers=headers, data=form)
        return Page(answer.status_code, answer.headers, answer.text)


@dataclass
class House:
    """The dashboard of a shop, and who may come."""

    shop: Shop
    context: WebContext
    application: ASGI

    def visitor(self, name: str = "operator") -> Visitor:
        """Let somebody in: `operator` may do all, `reader` may look, `support` is for acme and globex alone."""
        (bearer,) = (one for one in self.context.entrance.bearers if one.access.name == name)
        ends = self.shop.project.clock.now() + HOUR
        return Visitor(self.application, f"pinstripe_session_3000={begin_session(bearer, ends)}")


@asynccontextmanager
async def open_house(
    folder: ProjectFolder, items: Sequence[object] = FOUR, *, ledger: str | None = None
) -> AsyncIterator[House]:
    """Open a project whose tenants are `items`, with its dashboard; `ledger` is where it is kept, if not in a file."""
    said = "" if ledger is None else f'ledger = "{ledger}"\n'
    async with open_shop(folder, items, settings=said) as shop:
        await shop.project.ledger.open(write=True)
        context = WebContext(shop.project, Entrance(settings(), listens_at=["localhost"]))
        yield House(shop, context, make_guarded(context))
