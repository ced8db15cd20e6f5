from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.server.access.answers import CONTENT_POLICY
from pinstripe.server.access.guard import Area, Guard, area_of
from tests.server.access.conftest import ACME, HOST, OTHER, READ, TOKEN, echo

if TYPE_CHECKING:
    from tests.ledgers.conftest import HandClock
    from tests.server.access.conftest import Gate

pytestmark = pytest.mark.anyio

STATIC = "/static/pinstripe.css"


@pytest.mark.parametrize(
    ("path", "area"),
    [
        ("/_pinstripe", Area.DASHBOARD),
        ("/_pinstripe/", Area.DASHBOARD),
        ("/_pinstripe/api", Area.API),
        ("/_pinstripe/api/v1/jobs", Area.API),
        ("/_pinstripe/apiary", Area.DASHBOARD),
        ("/_pinstripe//api/v1/jobs", Area.DASHBOARD),
        ("/_pinstripe/./api/v1/jobs", Area.DASHBOARD),
        ("/_pinstripe/API/v1/jobs", Area.DASHBOARD),
        ("/_pinstripe/metrics", Area.METRICS),
        ("/_pinstripe/metrics/", Area.DASHBOARD),
        ("/_pinstripe/login", Area.PUBLIC),
        ("/_pinstripe/login/", Area.DASHBOARD),
        ("/_pinstripe/login/../runs", Area.DASHBOARD),
        ("/_pinstripe/logout", Area.DASHBOARD),
        ("/_pinstripe/static/a.css", Area.PUBLIC),
        ("/_pinstripe/static", Area.DASHBOARD),
        ("/_pinstripe/static/../runs", Area.DASHBOARD),
        ("/_pinstripe/static/a/b", Area.DASHBOARD),
        ("/_pinstripe/static/..%2fruns", Area.PUBLIC),
    ],
)
def test_every_path_has_one_area_by_its_very_letters(path: str, area: Area) -> None:
    assert area_of(path) == area


@pytest.mark.parametrize("path", ["/", "/runs", "/nothing", "//api/v1/jobs", "/login/", "/static/a/b", "/metrics/"])
async def test_nobody_sees_a_page_and_is_led_to_the_login_and_back(gate: Gate, path: str) -> None:
    answer = await gate.ask(path)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/_pinstripe/login?next=/_pinstripe{path}"
    assert "set-cookie" not in answer.headers


async def test_the_way_back_keeps_the_question_and_names_no_other_site(gate: Gate) -> None:
    answer = await gate.ask("/tenant?id=a%2Fb%26c&x=1")
    assert answer.headers["location"] == "/_pinstripe/login?next=/_pinstripe/tenant%3Fid%3Da%252Fb%2526c%26x%3D1"
    answer = await gate.ask("/%0d%0aSet-Cookie:x")
    assert answer.headers["location"] == "/_pinstripe/login?next=/_pinstripe/%250D%250ASet-Cookie%3Ax"


async def test_what_is_no_navigation_is_told_and_not_led_on(gate: Gate) -> None:
    assert (await gate.ask("/runs/1/events", sec_fetch_mode="cors")).status_code == 401
    sent = await gate.ask("/pause", method="POST", form={"job": "x"})
    assert (sent.status_code, sent.headers["location"]) == (303, "/_pinstripe/login")


async def test_a_link_from_elsewhere_is_asked_once_more_from_here(gate: Gate) -> None:
    link = '/tenant?id="><script>'
    answer = await gate.ask(link, sec_fetch_mode="navigate", sec_fetch_site="cross-site")
    assert answer.status_code == 200
    assert '<meta http-equiv="refresh" content="0; url=/_pinstripe/tenant?id=' in answer.text
    assert "<script>" not in answer.text
    again = await gate.ask(link, sec_fetch_mode="navigate", sec_fetch_site="same-origin")
    assert again.status_code == 303
    inside = await gate.ask(link, sec_fetch_mode="navigate", sec_fetch_site="cross-site", cookie=gate.cookie())
    assert inside.json()["who"][0] == "operator"


@pytest.mark.parametrize(
    ("token", "who"),
    [
        (TOKEN, ["operator", "operate", ["*"]]),
        (READ, ["reader", "read", ["*"]]),
        (ACME, ["support", "operate", ["acme", "globex"]]),
    ],
)
async def test_each_token_is_somebody_else(gate: Gate, token: str, who: list[Any]) -> None:
    answer = await gate.bearer(token)
    assert (answer.status_code, answer.json()["who"]) == (200, who)
    assert (await gate.ask("/api/v1/jobs", authorization=f"bEaReR   {token}")).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN.upper()}",
        f"Bearer {'x' * 1_001}",
        f"Bearer {TOKEN}, Bearer {TOKEN}",
        f"Bearer\t{TOKEN}",
        "Bearer \xe9\xff",
    ],
)
async def test_what_is_no_token_is_a_problem_that_repeats_nothing(gate: Gate, header: str) -> None:
    answer = await gate.ask("/api/v1/jobs", authorization=header)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert answer.json()["status"] == 401
    assert TOKEN[:-1] not in answer.text


async def test_two_headers_of_which_one_is_right_are_none(gate: Gate) -> None:
    from starlette.requests import Request

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    headers = [(b"host", HOST.encode()), *[(b"authorization", f"Bearer {one}".encode()) for one in (TOKEN, OTHER)]]
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/_pinstripe/api/v1/jobs",
        "query_string": b"",
        "headers": headers,
        "client": ("203.0.113.7", 1),
        "scheme": "http",
        "server": ("x", 80),
    }
    await gate.guard(scope, receive, send)
    assert sent[0]["status"] == 401
    assert Request(scope).headers.getlist("authorization")[0].endswith(TOKEN)


async def test_the_api_s_own_page_is_for_browsers_too(gate: Gate) -> None:
    answer = await gate.ask("/api/", accept="text/html")
    assert (answer.status_code, answer.headers["location"]) == (303, "/_pinstripe/login?next=/_pinstripe/api/")
    assert (await gate.ask("/api/", accept="text/html", cookie=gate.cookie("reader"))).status_code == 200
    assert (await gate.ask("/api/")).status_code == 401


async def test_a_cookie_changes_nothing_by_the_api(gate: Gate) -> None:
    assert (await gate.ask("/api/v1/runs", method="GET", cookie=gate.cookie())).status_code == 200
    for method in ("POST", "DELETE", "PUT", "PATCH", "TRACE", "FROB"):
        answer = await gate.ask("/api/v1/runs", method=method, cookie=gate.cookie(), origin=f"http://{HOST}")
        assert answer.status_code == 401, method
        assert (await gate.bearer(TOKEN, method=method)).status_code == 200


async def test_a_token_opens_no_page(gate: Gate) -> None:
    assert (await gate.bearer(TOKEN, "/runs")).status_code == 303


async def test_metrics_are_about_all_tenants(gate: Gate) -> None:
    assert (await gate.bearer(READ, "/metrics")).status_code == 200
    assert (await gate.ask("/metrics", cookie=gate.cookie("reader"))).status_code == 200
    assert (await gate.bearer(ACME, "/metrics")).status_code == 403
    assert (await gate.ask("/metrics")).status_code == 401


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:3000",
        "localhost.:3000",
        "127.0.0.1:3000",
        "10.1.2.3",
        "[::1]:3000",
        "[2001:db8::1]",
        "box:3000",
        "jobs.example.org",
        "Jobs.Example.org:8443",
    ],
)
async def test_the_server_is_known_by_numbers_and_by_its_names(gate: Gate, host: str) -> None:
    assert (await gate.bearer(TOKEN, host="ignored", Host=host)).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:3000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "jobs.example.org.evil.example",
        "xjobs.example.org",
        "",
        "localhost:3000:1",
        "localhost/",
        "localhost@evil",
        "::1",
        "[::1",
        "[localhost]",
        "0x7f.1",
        "localhost:999999",
        "a" * 300,
        "\xff",
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/jobs", "/runs", "/login", STATIC, "/metrics"])
async def test_by_another_name_nobody_gets_anything(gate: Gate, host: str, path: str) -> None:
    answer = await gate.bearer(TOKEN, path, host="ignored", cookie=gate.cookie(), Host=host)
    assert answer.status_code == 421
    assert "server.hosts" in answer.text
    assert "evil" not in answer.text


@pytest.mark.parametrize(
    "path", ["/", "/login", STATIC, "/api/v1/jobs", "/boom", "/api/v1/boom", "/metrics", "/nothing"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize("host", [HOST, "evil.example"])
@pytest.mark.parametrize("is_in", [True, False])
async def test_every_answer_has_the_headers(gate: Gate, path: str, method: str, host: str, is_in: bool) -> None:
    headers: dict[str, Any] = {"cookie": gate.cookie()} if is_in else {}
    answer = await gate.ask(path, method=method, host=host, **headers)
    sent = answer.headers
    assert sent["content-security-policy"] == CONTENT_POLICY
    assert "unsafe" not in CONTENT_POLICY
    assert sent["x-content-type-options"] == "nosniff"
    assert sent["x-frame-options"] == "DENY"
    assert sent["referrer-policy"] == "no-referrer"
    assert sent["cross-origin-opener-policy"] == sent["cross-origin-resource-policy"] == "same-origin"
    assert not [name for name in sent if name.startswith("access-control-")]
    is_found = path == STATIC and answer.status_code == 200
    assert sent.get_list("cache-control") == (["public, max-age=9"] if is_found else ["no-store"])
    assert "a secret that nobody may see" not in answer.text


async def test_a_preflight_from_elsewhere_allows_nothing(gate: Gate) -> None:
    answer = await gate.ask(
        "/api/v1/runs", method="OPTIONS", origin="https://evil.example", access_control_request_method="POST"
    )
    assert answer.status_code == 401
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    ("headers", "is_ours"),
    [
        ({}, True),
        ({"origin": f"http://{HOST}"}, True),
        ({"origin": f"https://{HOST}"}, True),
        ({"origin": "http://localhost:3001"}, False),
        ({"origin": "http://localhost"}, False),
        ({"origin": "http://evil.example:3000"}, False),
        ({"origin": f"http://{HOST}.evil.example"}, False),
        ({"origin": f"http://{HOST}@evil.example"}, False),
        ({"origin": f"http://{HOST}/"}, False),
        ({"origin": f"ftp://{HOST}"}, False),
        ({"origin": "http://[::1"}, False),
        ({"origin": f"http://{HOST}", "sec_fetch_site": "same-origin"}, True),
        ({"origin": "null", "sec_fetch_site": "same-origin"}, True),
        ({"sec_fetch_site": "none"}, True),
        ({"origin": "null", "sec_fetch_site": "cross-site"}, False),
        ({"sec_fetch_site": "cross-site"}, False),
        ({"sec_fetch_site": "same-site"}, False),
        ({"sec_fetch_site": "nonsense"}, False),
        ({"origin": "http://evil.example", "sec_fetch_site": "same-origin"}, False),
        ({"origin": f"http://{HOST}", "sec_fetch_site": "same-site"}, False),
    ],
)
async def test_a_page_elsewhere_changes_nothing(gate: Gate, headers: dict[str, Any], is_ours: bool) -> None:
    answer = await gate.bearer(TOKEN, method="POST", **headers)
    assert answer.status_code == (200 if is_ours else 403)
    cookie = gate.cookie()
    token = (await gate.ask("/runs", cookie=cookie)).json()["token"]
    form = {"csrf_token": token, "job": "x"}
    answer = await gate.ask("/pause", method="POST", form=form, cookie=cookie, **headers)
    assert answer.status_code == (200 if is_ours else 403)
    assert is_ours or "with its port" in answer.text, "a proxy may have left it out"


async def test_a_form_that_hides_where_it_comes_from_is_told_by_its_token_and_the_api_has_none(gate: Gate) -> None:
    cookie = gate.cookie()
    token = (await gate.ask("/runs", cookie=cookie)).json()["token"]
    sent = await gate.ask("/pause", method="POST", form={"csrf_token": token}, cookie=cookie, origin="null")
    assert sent.status_code == 200
    wrong = await gate.ask("/pause", method="POST", form={"csrf_token": token[:-1]}, cookie=cookie, origin="null")
    assert wrong.status_code == 403
    assert (await gate.bearer(TOKEN, method="POST", origin="null")).status_code == 403


async def test_default_ports_are_the_origin_s(gate: Gate) -> None:
    for origin in ("https://jobs.example.org", "http://jobs.example.org", "https://jobs.example.org:443"):
        assert (await gate.bearer(TOKEN, method="POST", host="jobs.example.org", origin=origin)).status_code == 200
    answer = await gate.bearer(TOKEN, method="POST", host="jobs.example.org", origin="https://jobs.example.org:8443")
    assert answer.status_code == 403


async def test_a_session_ends(gate: Gate, clock: HandClock) -> None:
    cookie = gate.cookie(lasts=timedelta(hours=1))
    assert (await gate.ask("/", cookie=cookie)).status_code == 200
    clock.advance(timedelta(minutes=59))
    assert (await gate.ask("/", cookie=cookie)).status_code == 200
    clock.advance(timedelta(minutes=1))
    assert (await gate.ask("/", cookie=cookie)).status_code == 303


async def test_errors_are_shown_by_the_dashboard_and_by_a_plain_page_where_that_fails(gate: Gate) -> None:
    assert "unexpected" not in (await gate.ask("/boom", cookie=gate.cookie())).headers.get("content-type", "")

    def fails(request: object, problem: object) -> Any:
        raise ValueError("no template")

    gate.guard = Guard(echo, gate.entrance, gate.clock, error_page=fails)
    answer = await gate.ask("/boom", cookie=gate.cookie())
    assert (answer.status_code, answer.headers["content-type"]) == (500, "text/html; charset=utf-8")
    assert "Unexpected error" in answer.text
    answer = await gate.bearer(TOKEN, "/api/v1/boom")
    assert (answer.status_code, answer.json()["type"]) == (500, "/_pinstripe/api/#problem-unexpected")


async def test_web_sockets_are_closed(gate: Gate) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    await gate.guard({"type": "websocket", "path": "/_pinstripe/api/v1/jobs", "headers": []}, receive, send)
    assert sent == [{"type": "websocket.close"}]
