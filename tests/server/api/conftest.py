"""The API of a project with tenants, asked as clients ask it: over HTTP, with tokens, through the guard."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from pinstripe import BackgroundJob
from pinstripe.server.access.entrance import Entrance
from pinstripe.server.context import WebContext
from pinstripe.server.pages import make_guarded
from tests.shop import open_shop
from tests.working import drain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pinstripe.run import Run
    from tests.conftest import ProjectFolder
    from tests.shop import Shop

PREFIX = "/_pinstripe/api"
TOKENS = {name: f"{name}-token-for-the-tests-only" for name in ("operate", "read", "acme", "looker")}
SETTINGS = f"""
    [tool.pinstripe.server]
    token = "{TOKENS["operate"]}"
    read_token = "{TOKENS["read"]}"
    tokens = ["acme:operate:acme:{TOKENS["acme"]}", "looker:read:acme%20inc birch:{TOKENS["looker"]}"]
"""


class Mail(BackgroundJob):
    """Send a letter.

    It fails for those who are in `bad`.
    """

    multi_tenant = True
    bad: set[str] = set()  # noqa: RUF012 - tests change it

    async def run(self, segment: str = "all", *, copies: int = 1) -> int:
        print(f"letter to {segment}")  # noqa: T201 - it is captured
        assert self.tenant is not None
        if self.tenant.id in self.bad:
            message = "bad address"
            raise ValueError(message)
        return copies


class Tidy(BackgroundJob):
    """Tidy up."""

    schedule = "0 3 * * *"
    timeout = "30s"
    retries = 2

    async def run(self, days: int = 30, /, *more: float, note: str | None = None) -> int:
        return days


class Login(BackgroundJob):
    """Take a password."""

    redact = ("password",)

    async def run(self, user: str, password: str = "hunter2") -> None:
        return None


@dataclass
class Api:
    """The API of an open shop. What is asked by a `token`'s name has that token; None has none."""

    shop: Shop
    client: httpx2.AsyncClient
    app: Any

    async def ask(
        self,
        method: str,
        path: str,
        *,
        token: str | None = "operate",
        headers: dict[str, str] | None = None,
        **what: Any,
    ) -> httpx2.Response:
        """Ask for a path below the API's own; `json` is the body as JSON, `content` as it is."""
        sent = {} if token is None else {"Authorization": f"Bearer {TOKENS[token]}"}
        answer = await self.client.request(method, PREFIX + path, headers={**sent, **(headers or {})}, **what)
        if answer.status_code >= 400 and method != "HEAD":
            problem = answer.json()
            assert answer.headers["content-type"] == "application/problem+json"
            assert problem["status"] == answer.status_code
            assert [*problem][:4] == ["type", "title", "status", "detail"]
        return answer

    async def get(self, path: str, token: str | None = "operate", **query: Any) -> Any:
        """Get what must be there, as JSON."""
        answer = await self.ask("GET", path, token=token, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, body: Any = None, token: str | None = "operate", **headers: str) -> httpx2.Response:
        """Post a body; `headers` are written with underscores."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is None:
            return await self.ask("POST", path, token=token, headers=sent)
        sent["Content-Type"] = "application/json"
        return await self.ask("POST", path, token=token, headers=sent, content=json.dumps(body))

    async def refused(self, path: str, body: Any, status: int = 422, token: str = "operate", **headers: str) -> Any:
        """Post what is refused; give the problem."""
        answer = await self.post(path, body, token, **headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def ran(self, *bad: str, token: str = "operate", **body: Any) -> Run:
        """Start a run of `mail`, which fails for the tenants who are `bad`, and let it end."""
        Mail.bad = {*bad}
        answer = await self.post("/v1/runs", {"job": "mail", **body}, token)
        assert answer.status_code == 202, answer.text
        await drain(self.shop)
        return await self.shop.project.ledger.find_run(answer.json()["id"])


@pytest.fixture
async def api(project_folder: ProjectFolder, ledger_settings: str) -> AsyncIterator[Api]:
    """Give the API of a shop of four tenants, one of whom isn't active, with the jobs `mail`, `tidy` and `login`."""
    Mail.bad = set()
    async with open_shop(project_folder, settings=ledger_settings + SETTINGS) as shop:
        for job in (Mail, Tidy, Login):
            shop.add(job, job.__name__.lower())
        await shop.project.ledger.open(write=True)
        context = WebContext(shop.project, Entrance(shop.project.settings.server))
        app = make_guarded(context)
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield Api(shop, client, app)
