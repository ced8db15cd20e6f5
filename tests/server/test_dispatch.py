"""What reaches the application of a running server, and what comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from pinstripe.server.dispatch import NOT_CONFIGURED

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder
    from tests.server.conftest import Serve, Served

STARLETTE = """
    from contextlib import asynccontextmanager

    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route, WebSocketRoute

    @asynccontextmanager
    async def lifespan(app):
        print("begins", flush=True)
        yield {"opened": "in the lifespan"}
        print("ends", flush=True)

    async def hello(request):
        run = await request.scope["pinstripe.project"].find_tenant("acme")
        return PlainTextResponse(f"{request.state.opened} for {run.id}")

    async def boom(request):
        raise RuntimeError("boom")

    async def echo(websocket):
        await websocket.accept()
        folder = websocket.scope["pinstripe.project"].settings.folder.name
        await websocket.send_text(f"{folder}: {await websocket.receive_text()}")
        await websocket.close()

    routes = [Route("/hello", hello), Route("/boom", boom), WebSocketRoute("/echo", echo)]
    app = Starlette(routes=routes, lifespan=lifespan)
"""

TENANTS = """
    app = "web:app"
    [tool.pinstripe.tenants]
    source = "tenancy:tenants"
"""

WSGI = """
    import json

    def app(environ, start_response):
        start_response("201 Created", [("X-Made", "here")])
        told = {name: environ[name] for name in ("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING")}
        told["project"] = environ["asgi.scope"]["pinstripe.project"].settings.folder.name
        yield json.dumps(told).encode()
"""


def socket_of(server: Served, path: str) -> str:
    return server.urls()[0].replace("http", "ws", 1) + path


def test_what_is_not_ours_is_the_application_s_untouched(site: ProjectFolder, server: Served) -> None:
    for path in ("/", "/any/where?x=1", "/_pinstripe_of_mine", "//_pinstripe/health/live", "/a/_pinstripe/health/live"):
        told = server.get(path)
        assert told.status == 200
        assert told.json == {
            "method": "GET",
            "path": path.partition("?")[0],
            "root_path": "",
            "project": str(site.path),
        }


def test_an_application_that_fails_is_told_once_and_harms_no_other_request(site: ProjectFolder, serve: Serve) -> None:
    site.file("tenancy.py", "def tenants():\n    return [{'id': 'acme'}]\n")
    site.file("web.py", STARLETTE)
    site.configure(TENANTS)
    server = serve("--without-bot", "--without-workers")
    assert server.get("/hello").body == b"in the lifespan for acme"
    assert server.get("/boom").status == 500
    server.wait_for("RuntimeError: boom")
    assert server.get("/_pinstripe/nothing").status == 404
    assert server.get("/hello").status == 200
    assert server.seen.count("RuntimeError: boom") == 1
    assert "Traceback" in server.seen
    assert "GET" not in server.seen, "requests aren't logged"
    with connect(socket_of(server, "/echo")) as websocket:
        websocket.send("hi")
        assert websocket.recv() == f"{site.path.name}: hi"
    with pytest.raises(InvalidStatus), connect(socket_of(server, "/_pinstripe/health/live")):
        pass
    server.process.terminate()
    assert server.end() == 143
    assert server.seen.index("begins") < server.seen.index("Serving web:app") < server.seen.index("ends")


def test_a_wsgi_application_has_the_whole_path(site: ProjectFolder, serve: Serve) -> None:
    site.file("web.py", WSGI)
    server = serve("--without-bot", "--without-workers")
    answer = server.get("/any%20where?x=1")
    assert (answer.status, answer.headers["x-made"]) == (201, "here")
    assert answer.json == {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/any where",
        "QUERY_STRING": "x=1",
        "project": site.path.name,
    }
    assert server.get("/_pinstripe/health/live").json == {"status": "ok"}


def test_without_an_application_every_page_says_how_to_configure_one(site: ProjectFolder, serve: Serve) -> None:
    site.configure("")
    server = serve("--without-bot", "--without-workers")
    answer = server.get("/")
    assert (answer.status, answer.body.decode()) == (404, NOT_CONFIGURED)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert server.get("/", method="HEAD").body == b""
    assert server.get("/_pinstripe/health/ready").status == 200
    assert "no application (the setting `app` names none)" in server.seen
    with pytest.raises(InvalidStatus), connect(socket_of(server, "/")):
        pass
