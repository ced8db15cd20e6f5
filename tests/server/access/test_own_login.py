from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from pinstripe.errors import ConfigurationError
from pinstripe.server.access.entrance import make_entrance
from pinstripe.server.access.own_login import OwnLogin, load_own_login
from pinstripe.web import Access, Role
from tests.server.access.conftest import HOST, READ, TOKEN, settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.requests import Request

    from tests.server.access.conftest import Gate

pytestmark = pytest.mark.anyio

ADA = Access("ada", Role.OPERATE, frozenset({"acme"}))


def by_cookie(request: Request) -> Access | None:
    """Know two people by a cookie of the application's."""
    return {"1": ADA, "2": Access("bob", Role.READ)}.get(request.cookies.get("user", ""))


@pytest.fixture
def owned(make_gate: Callable[..., Gate]) -> Callable[..., Gate]:
    def make(function: Any, **said: Any) -> Gate:
        return make_gate(own_login=OwnLogin(function, "web:who"), **said)

    return make


async def test_a_plain_function_is_asked_in_a_thread(owned: Callable[..., Gate]) -> None:
    threads = []

    def who(request: Request) -> Access | None:
        threads.append(threading.current_thread())
        return by_cookie(request)

    gate = owned(who)
    assert (await gate.ask("/runs", cookie="user=1")).json()["who"] == ["ada", "operate", ["acme"]]
    assert (await gate.ask("/api/v1/runs", cookie="user=2")).json()["who"] == ["bob", "read", ["*"]]
    assert threading.current_thread() not in threads


async def test_an_async_function_is_awaited_and_so_is_an_object_s(owned: Callable[..., Gate]) -> None:
    async def who(request: Request) -> Access | None:
        return by_cookie(request)

    class Who:
        async def __call__(self, request: Request) -> Access | None:
            return by_cookie(request)

    def promised(request: Request) -> Any:
        return who(request)

    for function in (who, Who(), promised):
        assert (await owned(function).ask("/runs", cookie="user=1")).json()["who"][0] == "ada"


async def test_who_is_nobody_is_told_to_log_in_at_the_application(owned: Callable[..., Gate]) -> None:
    gate = owned(by_cookie)
    page = await gate.ask("/runs", cookie="user=3")
    assert (page.status_code, page.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert "log in at the application" in page.text
    api = await gate.ask("/api/v1/runs")
    assert (api.status_code, api.headers["content-type"]) == (401, "application/problem+json")
    assert (await gate.ask("/runs", cookie=gate.cookie("operator"))).status_code == 401, "tokens open no page then"


async def test_tokens_open_the_api_beside_it(owned: Callable[..., Gate]) -> None:
    gate = owned(by_cookie)
    assert (await gate.bearer(READ)).json()["who"][0] == "reader"
    assert (await gate.bearer("x" * 30, cookie="user=1")).status_code == 401
    assert (await gate.ask("/api/v1/runs", authorization="Basic eDp5", cookie="user=1")).json()["who"][0] == "ada"
    assert (await gate.ask("/api/v1/runs", authorization="Basic eDp5")).status_code == 401
    alone = owned(by_cookie, token=None, read_token=None, tokens=())
    assert alone.entrance.is_open
    answer = await alone.ask("/api/v1/runs")
    assert answer.status_code == 401
    assert "log in at the application" in answer.text, "there is no token to ask for"
    assert (await alone.bearer(TOKEN, cookie="user=1")).json()["who"][0] == "ada"


async def test_it_may_lead_to_its_own_login(owned: Callable[..., Gate]) -> None:
    gate = owned(lambda request: RedirectResponse(f"/login?next={request.url.path}", 302))
    page = await gate.ask("/runs")
    assert (page.status_code, page.headers["location"]) == (302, "/login?next=/_pinstripe/runs")
    assert page.headers["x-frame-options"] == "DENY"
    assert (await gate.ask("/api/v1/runs")).status_code == 401


async def test_it_may_refuse(owned: Callable[..., Gate]) -> None:
    def who(request: Request) -> Access:
        raise HTTPException(403, "not in your plan", {"X-Why": "plan"})

    for path in ("/runs", "/api/v1/runs"):
        answer = await owned(who).ask(path)
        assert (answer.status_code, answer.headers["x-why"]) == (403, "plan")
        assert "not in your plan" in answer.text


@pytest.mark.parametrize(
    "told",
    [
        True,
        "ada",
        {"name": "ada", "role": "operate"},
        Access("", Role.READ),
        Access(7, Role.READ),  # type: ignore[arg-type]
        Access("ada", "admin"),  # type: ignore[arg-type]
        Access("ada", Role.READ, "acme"),  # type: ignore[arg-type]
        Access("ada", Role.READ, frozenset({7})),  # type: ignore[arg-type]
        Access("ada", Role.READ, 7),  # type: ignore[arg-type]
    ],
)
async def test_whatever_else_it_gives_lets_nobody_in(owned: Callable[..., Gate], told: object) -> None:
    gate = owned(lambda request: told)
    for path in ("/runs", "/api/v1/runs", "/metrics"):
        assert (await gate.ask(path)).status_code == 500


async def test_nor_does_one_that_raises_and_its_words_stay_here(owned: Callable[..., Gate]) -> None:
    def who(request: Request) -> Access:
        raise RuntimeError("the session's key is k3y")

    for path in ("/runs", "/api/v1/runs"):
        answer = await owned(who).ask(path)
        assert answer.status_code == 500
        assert "k3y" not in answer.text


async def test_what_it_gives_is_taken_in_its_plain_form(owned: Callable[..., Gate]) -> None:
    told = Access("ada", "read", ["acme", "globex"])  # type: ignore[arg-type]
    assert (await owned(lambda request: told).ask("/runs")).json()["who"] == ["ada", "read", ["acme", "globex"]]
    nobody_s = Access("ada", Role.READ, frozenset())
    assert (await owned(lambda request: nobody_s).ask("/metrics")).status_code == 403


async def test_forms_are_told_by_a_cookie_of_ours_and_by_the_name(owned: Callable[..., Gate]) -> None:
    gate = owned(by_cookie)
    page = await gate.ask("/runs", cookie="user=1")
    nonce, token = page.headers["set-cookie"].partition(";")[0], page.json()["token"]
    form = {"csrf_token": token}

    async def send(cookie: str, **headers: str) -> int:
        sent = await gate.ask("/pause", method="POST", form=form, cookie=cookie, **headers)
        return sent.status_code

    assert await send(f"user=1; {nonce}") == 200
    assert await send(f"user=1; {nonce}", origin=f"http://{HOST}") == 200
    assert await send(f"user=1; {nonce}", origin="https://evil.example") == 403
    assert await send("user=1") == 403
    assert await send(f"user=2; {nonce}") == 403, "another one has logged in since"
    assert await send(nonce) == 401


async def test_a_page_elsewhere_does_not_use_the_application_s_cookie_by_the_api(owned: Callable[..., Gate]) -> None:
    gate = owned(by_cookie)
    elsewhere: list[dict[str, Any]] = [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec_fetch_site": "same-site"},
    ]
    for headers in elsewhere:
        answer = await gate.ask("/api/v1/runs", method="POST", cookie="user=1", **headers)
        assert answer.status_code == 403
    answer = await gate.ask("/api/v1/runs", method="POST", cookie="user=1", origin=f"http://{HOST}")
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("", "has no attribute 'who'"),
        ("who = 7", "to be a function, got an int"),
        ("class who: pass", "to be a function, got the class who"),
        ("raise ValueError('not today')", "ValueError: not today"),
    ],
)
def test_what_is_no_function_is_told_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, reason: str, request: pytest.FixtureRequest
) -> None:
    name = f"own_login_of_test_{abs(hash(source))}"
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"server\.access") as caught:
        make_entrance(settings(access=f"{name}:who"))
    assert reason in str(caught.value)


def test_a_function_is_found_by_its_name() -> None:
    assert isinstance(load_own_login("tests.server.access.test_own_login:by_cookie"), OwnLogin)
    assert make_entrance(settings(access="tests.server.access.test_own_login:by_cookie")).own_login is not None
    assert make_entrance(settings(token=None, read_token=None, tokens=())).is_open is False
