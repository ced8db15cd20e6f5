"""The dashboard of a project with tenants, asked as browsers ask it: through the guard, by who has logged in."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from pinstripe.background_job import BackgroundJob
from pinstripe.server.access.cookies import SESSION
from pinstripe.server.access.entrance import Entrance
from pinstripe.server.access.sessions import begin_session
from pinstripe.server.context import WebContext
from pinstripe.server.pages import make_guarded
from tests.server.dashboard.markup import Node, read_page
from tests.shop import open_shop
from tests.working import drain, enqueue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from pinstripe.run import Run
    from tests.conftest import ProjectFolder
    from tests.shop import Shop

TOKENS = {name: f"{name}-token-for-the-tests-only" for name in ("operate", "read", "acme", "both")}
SETTINGS = f"""
    [tool.pinstripe.server]
    token = "{TOKENS["operate"]}"
    read_token = "{TOKENS["read"]}"
    tokens = ["acme:operate:acme:{TOKENS["acme"]}", "both:read:acme birch:{TOKENS["both"]}"]
"""
NAMES = {"operate": "operator", "read": "reader"}
"""How those are called whose token a setting of its own has."""


class Mail(BackgroundJob):
    """Send a letter.

    It fails for those who are in `bad`.
    """

    multi_tenant = True
    bad: set[str] = set()  # noqa: RUF012 - tests change it

    async def run(self, segment: str = "all") -> int:
        assert self.tenant is not None
        if self.tenant.id in self.bad:
            message = f"no address for {self.tenant.id}"
            raise ValueError(message)
        return len(segment)


class Tidy(BackgroundJob):
    """Tidy up."""

    schedule = "30 2 * * *"

    async def run(self) -> None:
        return None


@dataclass
class Dashboard:
    """The dashboard of an open shop; who asks is named by a token."""

    shop: Shop
    context: WebContext
    client: httpx2.AsyncClient
    sessions: dict[str, str] = field(default_factory=dict)

    async def ask(
        self, path: str, who: str | None = "operate", *, method: str = "GET", form: Any = None, **headers: str
    ) -> httpx2.Response:
        """Ask for a page by its path below the prefix; `who` is logged in, None is nobody."""
        sent = {} if who is None else self.cookie(who)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.request(method, f"/_pinstripe{path}", headers={**sent, **given}, data=form)

    def cookie(self, who: str) -> dict[str, str]:
        """Give the header of a browser in which they have logged in."""
        return {"Cookie": f"{SESSION}={self._session(who)}"}

    async def page(self, path: str, who: str | None = "operate", *, status: int = 200) -> Node:
        """Ask for a page, and read it strictly."""
        answer = await self.ask(path, who)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        return read_page(answer.text)

    async def post(self, path: str, who: str = "operate", **fields: Any) -> httpx2.Response:
        """Send a form, with the token that a page has; `next_` and the like are without the end."""
        shown = await self.page("/runs", who)
        token = shown.all("input", name="csrf_token")[0].attributes["value"]
        form = {"csrf_token": token, **{name.rstrip("_"): value for name, value in fields.items()}}
        return await self.ask(path, who, method="POST", form=form)

    async def ran(self, *bad: str, job: type[BackgroundJob] = Mail, **options: Any) -> Run:
        """Enqueue a run, which fails for the tenants who are `bad`, and let it end."""
        Mail.bad = {*bad}
        run = await enqueue(self.shop, job, **options)
        await drain(self.shop)
        return await self.shop.project.ledger.find_run(run.id)

    def _session(self, who: str) -> str:
        if who in self.sessions:
            return self.sessions[who]
        (bearer,) = (one for one in self.context.entrance.bearers if one.access.name == NAMES.get(who, who))
        ends = self.context.clock.now() + timedelta(hours=1) // timedelta(microseconds=1)
        return self.sessions.setdefault(who, begin_session(bearer, ends))


@asynccontextmanager
async def dashboard_of(shop: Shop, *, makes: bool = True) -> AsyncIterator[Dashboard]:
    """Give the dashboard of an open shop whose settings have the tokens; the server `makes` the ledger, as it does."""
    if makes:
        await shop.project.ledger.open(write=True)
    context = WebContext(shop.project, Entrance(shop.project.settings.server))
    transport = httpx2.ASGITransport(app=make_guarded(context), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield Dashboard(shop, context, client)


@asynccontextmanager
async def open_dashboard(
    folder: ProjectFolder, *, settings: str = "", jobs: Sequence[type[BackgroundJob]] = (Mail, Tidy)
) -> AsyncIterator[Dashboard]:
    """Give the dashboard of a shop of four tenants, one of whom isn't active."""
    Mail.bad = set()
    async with open_shop(folder, settings=settings + SETTINGS) as shop, dashboard_of(shop) as dashboard:
        for job in jobs:
            shop.add(job, job.__name__.lower())
        yield dashboard


@pytest.fixture
async def dashboard(project_folder: ProjectFolder, ledger_settings: str) -> AsyncIterator[Dashboard]:
    """Give the dashboard of a shop of four tenants, one of whom isn't active, with the jobs `mail` and `tidy`."""
    async with open_dashboard(project_folder, settings=ledger_settings) as dashboard:
        yield dashboard
