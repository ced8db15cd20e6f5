from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from starlette.requests import Request

from pinstripe.server.access.forms import LARGEST, SCOPE_KEY, checked_form
from pinstripe.server.problems import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.server.access.conftest import Gate

pytestmark = pytest.mark.anyio

PLAIN = "application/x-www-form-urlencoded"


def request(body: bytes, kind: str = PLAIN, token: str = "right", size: int = 1_000) -> Request:
    parts = [body[at : at + size] for at in range(0, len(body), size)] or [b""]

    async def receive() -> Any:
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", kind.encode())], SCOPE_KEY: token}
    return Request(scope, receive)


async def refused(of: Request) -> int:
    with pytest.raises(Refused) as caught:
        await checked_form(of)
    return caught.value.problem.status


async def test_a_form_is_its_fields_without_the_token() -> None:
    fields = [("csrf_token", "right"), ("tenant", "a/b&c=ä\0\r\n"), ("tenant", ""), ("<b>", "1")]
    form = await checked_form(request(urlencode(fields).encode(), f"{PLAIN}; charset=UTF-8"))
    assert form == {"tenant": ["a/b&c=ä\0\r\n", ""], "<b>": ["1"]}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"job=x",
        b"csrf_token=",
        b"csrf_token=wrong",
        b"csrf_token=Right",
        b"csrf_token=right+",
        b"csrf_token=wrong&csrf_token=right",
        b"CSRF_TOKEN=right",
        b"csrf_token=%C3%A4",
    ],
)
async def test_without_its_token_it_is_refused(body: bytes) -> None:
    assert await refused(request(body)) == 403


@pytest.mark.parametrize("token", ["", "x"])
async def test_where_nobody_gave_a_token_none_is_right(token: str) -> None:
    assert await refused(request(f"csrf_token={token}".encode(), token="")) == 403


@pytest.mark.parametrize("kind", ["", "text/plain", "multipart/form-data; boundary=x", "application/json", f"x{PLAIN}"])
async def test_only_a_browser_s_plain_form_is_read(kind: str) -> None:
    assert await refused(request(b"csrf_token=right", kind)) == 415


async def test_a_form_has_a_size() -> None:
    begin = b"csrf_token=right&x="
    whole = await checked_form(request(begin + b"y" * (LARGEST - len(begin)), size=65_536))
    assert len(whole["x"][0]) == LARGEST - len(begin)
    assert await refused(request(begin + b"y" * LARGEST, size=65_536)) == 413
    assert await refused(request(begin + b"&a=b" * 1_001)) == 400


@pytest.mark.parametrize("body", [b"csrf_token=right&x=%FF", b"csrf_token=right&x=\xff"])
async def test_what_is_not_utf8_is_refused(body: bytes) -> None:
    assert await refused(request(body)) == 400


async def test_a_form_of_one_session_is_not_another_s(gate: Gate) -> None:
    mine, theirs = gate.cookie(), gate.cookie()
    token = (await gate.ask("/runs", cookie=mine)).json()["token"]
    sent = await gate.ask("/pause", method="POST", form={"csrf_token": token, "job": "x"}, cookie=mine)
    assert sent.json()["form"] == {"job": ["x"]}
    assert (await gate.ask("/pause", method="POST", form={"csrf_token": token}, cookie=theirs)).status_code == 403
    assert (await gate.ask("/pause", method="POST", cookie=mine)).status_code == 415


async def test_with_a_session_there_is_no_second_cookie(gate: Gate) -> None:
    assert "set-cookie" not in (await gate.ask("/runs", cookie=gate.cookie())).headers
    assert "set-cookie" not in (await gate.ask("/static/a.css")).headers


async def test_before_the_login_a_form_is_told_by_a_cookie(make_gate: Callable[..., Gate]) -> None:
    gate = make_gate()
    first = await gate.ask("/login")
    cookie, _, rest = first.headers["set-cookie"].partition(";")
    assert cookie.startswith("pinstripe_form_3000=")
    assert rest == " Path=/_pinstripe; HttpOnly; SameSite=Strict"
    token = first.json()["token"]
    assert cookie.partition("=")[2] not in token
    second = await gate.ask("/login", cookie=cookie)
    assert second.json()["token"] == token
    assert "set-cookie" not in second.headers
    assert (await gate.ask("/login", method="POST", form={"csrf_token": token}, cookie=cookie)).status_code == 200
    assert (await gate.ask("/login", method="POST", form={"csrf_token": token})).status_code == 403


async def test_cookies_are_secure_where_the_way_is(make_gate: Callable[..., Gate]) -> None:
    gate = make_gate()
    gate.scheme = "https"
    answer = await gate.ask("/login", host="jobs.example.org")
    assert answer.headers["set-cookie"].startswith("pinstripe_form=")
    assert answer.headers["set-cookie"].endswith("; Secure")
