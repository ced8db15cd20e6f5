from __future__ import annotations

import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe import open_project
from pinstripe.actor import Actor, Door
from pinstripe.history import Action
from pinstripe.server.access.entrance import Entrance
from pinstripe.server.access.login import HOME, own_path
from pinstripe.server.access.own_login import OwnLogin
from pinstripe.server.access.throttle import FREE, FREE_IN_ALL
from pinstripe.server.context import WebContext
from pinstripe.server.pages import make_guarded
from pinstripe.web import Access, Role
from tests.server.access.conftest import ACME, OTHER, READ, TOKEN, settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.conftest import ProjectFolder
    from tests.ledgers.conftest import HandClock

pytestmark = pytest.mark.anyio

LOGIN = "/_pinstripe/login"


class Browser(httpx2.AsyncClient):
    """A browser, with the dashboard of a project of its own."""

    context: WebContext
    clock: HandClock

    async def shown(self, path: str = LOGIN) -> str:
        """Go to a page; give the token of its form."""
        found = re.search(r'name="csrf_token" value="([^"]+)"', (await self.get(path)).text)
        assert found is not None
        return found[1]

    async def log_in(self, token: str, **fields: str) -> httpx2.Response:
        """Fill in the form of the login page, and send it."""
        return await self.post(LOGIN, data={"csrf_token": await self.shown(), "token": token, **fields})

    async def audit(self) -> list[tuple[Actor, str | None, str | None]]:
        """Give who logged in."""
        page = await self.context.history.audit(filters={"action": Action.LOGIN})
        return [(entry.actor, entry.detail, entry.outcome) for entry in page.entries]


@asynccontextmanager
async def browsing(folder: ProjectFolder, clock: HandClock, **options: Any) -> AsyncIterator[Browser]:
    """Open the dashboard in a browser."""
    said = {name: options.pop(name) for name in ("token", "read_token", "tokens") if name in options}
    async with open_project(folder.path) as project:
        await project.ledger.open(write=True)
        project.clock = clock
        entrance = Entrance(settings(**said), monotonic=lambda: clock.seconds, **options)
        context = WebContext(project, entrance)
        transport = httpx2.ASGITransport(make_guarded(context), client=("203.0.113.7", 1), raise_app_exceptions=False)
        async with Browser(transport=transport, base_url="http://localhost:3000") as browser:
            browser.context, browser.clock = context, clock
            yield browser


async def test_who_has_a_token_is_let_in_to_where_they_wanted(project_folder: ProjectFolder, clock: HandClock) -> None:
    async with browsing(project_folder, clock) as browser:
        away = await browser.get("/_pinstripe/runs?job=a%26b")
        assert away.status_code == 303
        page = await browser.get(away.headers["location"])
        assert 'value="/_pinstripe/runs?job=a%26b"' in page.text
        answer = await browser.log_in(TOKEN, next="/_pinstripe/runs?job=a%26b")
        assert (answer.status_code, answer.headers["location"]) == (303, "/_pinstripe/runs?job=a%26b")
        cookie = answer.headers["set-cookie"]
        assert re.fullmatch(
            r"pinstripe_session_3000=[\w-]+\.[\w-]+; Path=/_pinstripe; Max-Age=43200; HttpOnly; SameSite=Strict", cookie
        )
        assert (await browser.get(HOME)).status_code == 200
        for path in ("/_pinstripe", "/_pinstripe/api"):
            place = await browser.get(path)
            assert (place.status_code, place.headers["location"]) == (308, f"{path}/")
        again = await browser.get(f"{LOGIN}?next=/_pinstripe/jobs")
        assert (again.status_code, again.headers["location"]) == (303, "/_pinstripe/jobs")
        assert await browser.audit() == [(Actor(Door.DASHBOARD, "operator"), "by a token", "logged in")]


async def test_a_wrong_token_is_told_and_then_slowed_down(
    project_folder: ProjectFolder, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with browsing(project_folder, clock) as browser:
        for _ in range(FREE + 1):
            answer = await browser.log_in(OTHER)
            assert answer.status_code == 403
            assert "none of the tokens" in answer.text
            assert OTHER not in answer.text
            assert "pinstripe_session" not in answer.headers.get("set-cookie", "")
        answer = await browser.log_in(TOKEN)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        clock.seconds += 1
        assert (await browser.log_in(TOKEN)).status_code == 303
        assert "a wrong token was presented to the dashboard from 203.0.113.7" in caplog.text
        assert OTHER not in caplog.text
        assert TOKEN not in caplog.text
        assert len(await browser.audit()) == 1


async def test_guessers_lock_nobody_out_who_was_there_before(project_folder: ProjectFolder, clock: HandClock) -> None:
    async with browsing(project_folder, clock) as browser:
        assert (await browser.log_in(TOKEN)).status_code == 303
        browser.cookies.clear()
        throttle = browser.context.entrance.throttle
        for number in range(FREE_IN_ALL + 10):
            throttle.failed(f"198.51.100.{number}")
        assert (await browser.log_in(READ)).status_code == 429
        assert (await browser.log_in(TOKEN)).status_code == 303


async def test_a_login_form_of_another_site_is_refused(project_folder: ProjectFolder, clock: HandClock) -> None:
    async with browsing(project_folder, clock) as browser:
        assert (await browser.post(LOGIN, data={"token": TOKEN})).status_code == 403
        token = await browser.shown()
        browser.cookies.clear()
        assert (await browser.post(LOGIN, data={"token": TOKEN, "csrf_token": token})).status_code == 403
        token = await browser.shown()
        answer = await browser.post(
            LOGIN, data={"token": TOKEN, "csrf_token": token}, headers={"origin": "https://evil.example"}
        )
        assert answer.status_code == 403
        assert await browser.audit() == []


@pytest.mark.parametrize("fields", [{}, {"token": ""}, {"token": " "}, {"token": "\0"}, {"token": "ä" * 5_000}])
async def test_a_form_without_a_token_lets_nobody_in(
    project_folder: ProjectFolder, clock: HandClock, fields: dict[str, str]
) -> None:
    async with browsing(project_folder, clock) as browser:
        answer = await browser.post(LOGIN, data={"csrf_token": await browser.shown(), **fields})
        assert answer.status_code == 403
        large = await browser.post(LOGIN, data={"csrf_token": await browser.shown(), "token": "x" * 1_000_000})
        assert large.status_code == 413


async def test_who_logs_out_is_nobody(project_folder: ProjectFolder, clock: HandClock) -> None:
    async with browsing(project_folder, clock) as browser:
        await browser.log_in(READ)
        assert (await browser.get("/_pinstripe/logout")).status_code == 405
        assert (await browser.post("/_pinstripe/logout", data={"csrf_token": "x"})).status_code == 403
        token = await browser.shown(HOME)
        answer = await browser.post("/_pinstripe/logout", data={"csrf_token": token})
        assert (answer.status_code, answer.headers["location"]) == (303, LOGIN)
        assert not list(browser.cookies.jar)
        assert (await browser.get(HOME)).status_code == 303


async def test_the_login_link_lets_in_once(project_folder: ProjectFolder, clock: HandClock) -> None:
    nobody: dict[str, Any] = {"token": None, "read_token": None, "tokens": ()}
    async with browsing(project_folder, clock, local_secret=OTHER, **nobody) as browser:
        link = browser.context.entrance.link
        assert link is not None
        address = f"{LOGIN}?code={link.code}"
        assert (await browser.head(address)).status_code == 200, "who only looks uses nothing up"
        assert (await browser.get(f"{LOGIN}?code=wrong")).status_code == 403
        answer = await browser.get(address)
        assert (answer.status_code, answer.headers["location"]) == (303, HOME)
        assert (await browser.get(HOME)).status_code == 200
        assert (await browser.get(address)).status_code == 303, "who is in goes on"
        browser.cookies.clear()
        stale = await browser.get(address)
        assert stale.status_code == 403
        assert "no longer valid" in stale.text
        assert link.code not in stale.text
        assert [actor.name for actor, _, _ in await browser.audit()] == ["local"]


async def test_the_login_link_is_stale_after_ten_minutes(project_folder: ProjectFolder, clock: HandClock) -> None:
    async with browsing(project_folder, clock, local_secret=OTHER) as browser:
        link = browser.context.entrance.link
        assert link is not None
        clock.seconds += 600
        assert (await browser.get(f"{LOGIN}?code={link.code}")).status_code == 403


async def test_a_token_named_local_is_not_the_link_s(project_folder: ProjectFolder, clock: HandClock) -> None:
    tokens = (f"local:read:acme:{ACME}",)
    async with browsing(project_folder, clock, local_secret=OTHER, tokens=tokens) as browser:
        assert browser.context.entrance.local.access.may_operate
        assert not browser.context.entrance.local.access.is_confined


async def test_without_a_link_no_code_lets_in(project_folder: ProjectFolder, clock: HandClock) -> None:
    async with browsing(project_folder, clock) as browser:
        for code in ("", "x", "None"):
            assert (await browser.get(f"{LOGIN}?code={code}")).status_code == 403


async def test_with_a_login_of_one_s_own_there_is_none_of_ours(project_folder: ProjectFolder, clock: HandClock) -> None:
    own = OwnLogin(lambda request: None, "web:who")
    async with browsing(project_folder, clock, own_login=own) as browser:
        assert (await browser.get(LOGIN)).status_code == 404
        assert (await browser.get(f"{LOGIN}?code=x")).status_code == 404
        assert (await browser.post(LOGIN, data={"token": TOKEN})).status_code == 404
        away = await browser.get(HOME)
        assert away.status_code == 401
        assert LOGIN not in away.text
    own = OwnLogin(lambda request: Access("ada", Role.READ), "web:who")
    async with browsing(project_folder, clock, own_login=own) as browser:
        assert "logout" not in (await browser.get(HOME)).text
    async with browsing(project_folder, clock) as browser:
        await browser.log_in(READ)
        assert "logout" in (await browser.get(HOME)).text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "/login",
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/_pinstripe",
        "/_pinstripe@evil.example",
        "/_pinstripe/../../evil",
        "/_pinstripe/%2e%2e/x",
        "/_pinstripe/..%2f..%2fx",
        "/_pinstripe//evil.example",
        "/_pinstripe/\\evil",
        "/_pinstripe/\r\nSet-Cookie: x",
        "/_pinstripe/\t",
        " /_pinstripe/runs",
        "/_pinstripe/ x",
        "javascript:alert(1)",
        "/_pinstripe/login?next=/_pinstripe/login",
        "/_pinstripe/logout",
        "/_pinstripe/%6cogin",
        "/_pinstripe/" + "x" * 2_000,
    ],
)
def test_nobody_is_led_elsewhere(text: str) -> None:
    assert own_path(text) == HOME


@pytest.mark.parametrize(
    "text", [HOME, "/_pinstripe/runs?job=a%2Fb&next=//x", "/_pinstripe/jobs/a/b", "/_pinstripe/tenant?id=%2F..%2F"]
)
def test_pages_of_ours_are_gone_on_to(text: str) -> None:
    assert own_path(text) == text


@given(st.text(alphabet=st.sampled_from("/\\.:@?#%25eE2fF_pinstripe \t\r\nevil"), max_size=40))
def test_whatever_is_said_one_stays_here(text: str) -> None:
    for said in (text, f"/_pinstripe/{text}", f"/_pinstripe{text}"):
        assert own_path(said).startswith(HOME)
        assert "//" not in own_path(said).partition("?")[0].partition("#")[0]
