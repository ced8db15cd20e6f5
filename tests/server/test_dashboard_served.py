"""The dashboard and the API of a real server: closed, opened by settings, and opened by `--dashboard`."""

from __future__ import annotations

import re
import signal
import socket
from itertools import product
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.server.access.conftest import ACME, OTHER, READ, TOKEN

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder
    from tests.server.conftest import Response, Serve, Served

OPEN = f"""
    app = "web:app"
    server.token = "{TOKEN}"
    server.read_token = "{READ}"
    server.tokens = ["support:operate:acme:{ACME}"]
    server.hosts = ["jobs.example.org"]
"""

TARGETS = [
    b"/_pinstripe/static/../runs",
    b"/_pinstripe/static/..%2fruns",
    b"/_pinstripe/static/%2e%2e/runs",
    b"/_pinstripe/login/../runs",
    b"/_pinstripe//runs",
    b"/_pinstripe/./runs",
    b"/_pinstripe/%72uns",
    b"/_pinstripe/static/..%5cruns",
    b"/_pinstripe/static/%00",
    b"/_pinstripe/api/../runs",
    b"/_pinstripe/login%2f..%2fruns",
    b"/_pinstripe/login;/../runs",
    b"/_pinstripe/static%2f..%2fruns",
    b"/_pinstripe/health/live/../../runs",
    b"/_pinstripe/health/../runs",
    b"/_pinstripe/api/v1/../../runs",
]
"""Paths that look like what is open to everybody."""

QUIET = ("--without-bot", "--without-workers")


def ask(server: Served, path: str, method: str = "GET", body: str | None = None, **headers: str) -> Response:
    """Send a request with headers; underscores in their names are hyphens."""
    from tests.server.conftest import Response

    connection = server.connect()
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        return Response(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def send_raw(server: Served, text: bytes) -> bytes:
    """Send bytes as they are; give the status line of the answer."""
    place = urlsplit(server.urls()[0])
    with socket.create_connection((place.hostname, place.port or 0), timeout=30) as connection:
        connection.sendall(text)
        return connection.makefile("rb").readline()


def link_of(server: Served) -> str:
    """Wait for the login link; give its path."""
    server.wait_for("Ledger: ")
    found = re.findall(r"Dashboard: http://127\.0\.0\.1:\d+(/_pinstripe/login\?code=[\w-]{32})\r?\n", server.seen)
    assert found, server.seen
    return str(found[-1])


def test_a_server_without_a_token_has_no_such_pages(site: ProjectFolder, server: Served) -> None:
    unknown = server.get("/_pinstripe/whatever")
    assert unknown.status == 404
    for path in (
        "/",
        "",
        "/login",
        "/login?code=x",
        "/static/pinstripe.css",
        "/api/",
        "/api/v1/jobs",
        "/metrics",
        "/runs",
    ):
        for headers in ({}, {"Authorization": f"Bearer {TOKEN}", "Cookie": "pinstripe_session=x"}):
            answer = ask(server, f"/_pinstripe{path}", **headers)
            assert (answer.status, answer.body) == (404, unknown.body)
            assert {**answer.headers, "date": ""} == {**unknown.headers, "date": ""}
    assert "Dashboard" not in server.seen


def test_a_closed_server_loads_nothing_of_it(site: ProjectFolder, serve: Serve) -> None:
    site.file(
        "web.py",
        """
        import sys

        async def app(scope, receive, send):
            if scope["type"] == "http":
                names = ("fastapi", "jinja2", "pydantic", "pinstripe.server.access.guard")
                loaded = [name for name in names if name in sys.modules]
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": ",".join(loaded).encode()})
        """,
    )
    assert serve(*QUIET).get("/").body == b""


def test_tokens_open_it_and_health_stays_open(site: ProjectFolder, serve: Serve) -> None:
    site.configure(OPEN)
    server = serve(*QUIET)
    url = server.urls()[0]
    assert f"Dashboard: {url}/_pinstripe/\n" in server.seen.replace("\r", "")
    for secret in (TOKEN, READ, ACME):
        assert secret not in server.seen
    assert ask(server, "/_pinstripe/health/live", Host="evil.example").status == 200
    assert server.get("/_pinstripe/").headers["location"] == "/_pinstripe/login?next=/_pinstripe/"
    assert server.get("/_pinstripe").status == 303
    assert server.get("/_pinstripe/login").status == 200
    assert ask(server, "/_pinstripe/api/v1/jobs").status == 401
    jobs = ask(server, "/_pinstripe/api/v1/jobs", Authorization=f"Bearer {READ}")
    assert (jobs.status, [job["job"] for job in jobs.json["items"]]) == (200, ["hello", "wait"])
    assert ask(server, "/_pinstripe/", Host="evil.example").status == 421
    assert ask(server, "/_pinstripe/login", Host="jobs.example.org").status == 200
    assert ask(server, "/").status == 200, "the application is beside it, as before"


def test_a_header_of_whoever_asks_hides_nobody_who_guesses(
    site: ProjectFolder, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.configure(OPEN)
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "192.0.2.1")
    server = serve(*QUIET)
    statuses = [
        ask(server, "/_pinstripe/api/v1/jobs", Authorization=f"Bearer {OTHER}", X_Forwarded_For=f"203.0.113.{n}").status
        for n in range(8)
    ]
    assert statuses == [401] * 6 + [429] * 2
    server.wait_for("from 127.0.0.1")
    assert "203.0.113" not in server.seen
    page = ask(server, "/_pinstripe/login", X_Forwarded_Proto="https")
    assert "Secure" not in page.headers["set-cookie"]


def test_a_proxy_on_this_machine_is_believed(site: ProjectFolder, serve: Serve) -> None:
    site.configure(OPEN)
    server = serve(*QUIET)
    page = ask(server, "/_pinstripe/login", Host="jobs.example.org", X_Forwarded_Proto="https")
    assert page.headers["set-cookie"].endswith("; Secure")
    for number in range(8):
        wrong = {"Authorization": f"Bearer {OTHER}", "X_Forwarded_For": f"203.0.113.{number}"}
        assert ask(server, "/_pinstripe/api/v1/jobs", **wrong).status == 401
    server.wait_for("from 203.0.113.7")


def test_no_path_and_no_method_gets_past_the_guard(opened: Served) -> None:
    for line in product([b"GET", b"HEAD", b"POST", b"PUT", b"TRACE", b"get", b"PROPFIND"], TARGETS):
        head = b"%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n" % line
        assert int(send_raw(opened, head).split()[1]) in {303, 400, 401, 403, 404, 405}, line


ODD: tuple[tuple[bytes, set[int]], ...] = (
    (b"GET /_pinstripe/runs HTTP/1.0\r\n\r\n", {421}),
    (b"GET /_pinstripe/runs HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", {400, 421}),
    (b"GET /_pinstripe/runs HTTP/1.1\r\nHost: localhost\r\nCookie: a=" + b"x" * 70_000 + b"\r\n\r\n", {303, 400, 431}),
    (b"GET /_pinstripe/" + b"x" * 60_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", {303, 400, 414}),
    (
        b"GET /_pinstripe/api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
        + b"x" * 60_000
        + b"\r\n\r\n",
        {401},
    ),
)
"""Requests as no browser sends them, and what may be answered."""


def test_odd_and_huge_requests_are_refused(opened: Served) -> None:
    for head, statuses in ODD:
        line = send_raw(opened, head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert int(line.split()[1]) in statuses, head[:60]
    assert ask(opened, "/_pinstripe/" + "x" * 3_000).headers["location"] == "/_pinstripe/login"


def test_the_link_logs_in_once_and_each_start_has_another(site: ProjectFolder, serve: Serve) -> None:
    server = serve("--dashboard", *QUIET)
    link = link_of(server)
    first = ask(server, link)
    assert (first.status, first.headers["location"]) == (303, "/_pinstripe/")
    cookie = first.headers["set-cookie"].partition(";")[0]
    assert ask(server, "/_pinstripe/", Cookie=cookie).status == 200
    assert ask(server, link).status == 403
    assert ask(server, "/_pinstripe/api/v1/jobs", Cookie=cookie).status == 200
    assert ask(server, "/_pinstripe/api/v1/runs", "POST", "{}", Cookie=cookie).status == 401
    assert server.seen.count("code=") == 1
    other = serve("--dashboard", *QUIET)
    assert link_of(other) != link
    port = urlsplit(server.urls()[0]).port
    assert (
        ask(other, "/_pinstripe/", Cookie=cookie.replace(f"_{port}=", f"_{urlsplit(other.urls()[0]).port}=")).status
        == 303
    )


def test_who_has_logged_in_stays_so_when_the_code_changes(site: ProjectFolder, serve: Serve) -> None:
    server = serve("--dashboard", "--reload", *QUIET)
    cookie = ask(server, link_of(server)).headers["set-cookie"].partition(";")[0]
    first = link_of(server)
    begun = len(server.seen)
    site.file("web.py", "async def app(scope, receive, send):\n    pass\n")
    while "code=" not in server.seen[begun:]:
        server.read()
    assert ask(server, "/_pinstripe/", Cookie=cookie).status == 200
    assert ask(server, first).status == 403
    assert ask(server, link_of(server)).status == 303


@pytest.mark.parametrize("reload", [(), ("--reload",)])
@pytest.mark.parametrize("host", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"])
def test_a_link_is_for_this_machine_alone(
    site: ProjectFolder, serve: Serve, host: str, reload: tuple[str, ...]
) -> None:
    server = serve("--dashboard", "--host", host, *reload, *QUIET)
    assert server.end() == 2
    assert "--dashboard is for this machine alone, but --host" in server.seen
    assert "server.token" in server.seen
    assert "PINSTRIPE_SERVER_TOKEN" in server.seen
    assert "code=" not in server.seen


def test_a_link_and_a_login_of_one_s_own_are_one_too_many(site: ProjectFolder, serve: Serve) -> None:
    site.configure('server.access = "web:who"')
    server = serve("--dashboard", *QUIET)
    assert server.end() == 2
    assert "--dashboard doesn't go with server.access" in server.seen


def test_a_login_of_one_s_own_that_is_not_there_ends_the_start(site: ProjectFolder, serve: Serve) -> None:
    site.configure('app = "web:app"\nserver.access = "web:how"')
    server = serve(*QUIET)
    assert server.end() == 2
    assert "setting `server.access`: web has no attribute 'how'" in server.seen


def test_an_application_s_own_login_lets_in(site: ProjectFolder, serve: Serve) -> None:
    site.file(
        "web.py",
        """
        from pinstripe.web import Access, Role

        async def app(scope, receive, send):
            pass

        async def who(request):
            return Access("ada", Role.READ) if request.cookies.get("user") == "ada" else None
        """,
    )
    site.configure('app = "web:app"\nserver.access = "web:who"')
    server = serve(*QUIET)
    assert server.get("/_pinstripe/jobs").status == 401
    assert ask(server, "/_pinstripe/jobs", Cookie="user=ada").status == 200
    assert ask(server, "/_pinstripe/api/v1/jobs", Cookie="user=ada").status == 200


@pytest.fixture
def opened(site: ProjectFolder, serve: Serve) -> Served:
    """Give a server that is open."""
    site.configure(OPEN)
    server = serve(*QUIET)
    server.urls()
    return server


def test_it_stops_as_ever(opened: Served) -> None:
    opened.send(signal.SIGTERM)
    assert opened.end() == 143
    assert "Traceback" not in opened.seen
