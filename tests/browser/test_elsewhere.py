"""What pages of another site can do to somebody who has logged in: lead here, and nothing else."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.browser.night import Night

SENT = "<script>document.forms[0].submit()</script>"

PAGES = {
    "/link": '<a href="{to}/jobs?x=1">look</a>',
    "/form": f'<form method="post" action="{{to}}/pause"><input name="all" value="1"></form>{SENT}',
    "/login": f'<form method="post" action="{{to}}/login"><input name="token" value="x"></form>{SENT}',
    "/frame": '<iframe src="{to}/"></iframe>',
    "/fetch": """<script>
        const credentials = "include", body = '{"everything": true}';
        Promise.allSettled([
            fetch("{to}/api/v1/jobs", {credentials}),
            fetch("{to}/api/v1/pauses", {credentials, body, method: "POST", mode: "no-cors"}),
        ]).then(done => document.title = done.map(one => one.status).join());
    </script>""",
    "/script": """<script src="{to}/static/live.js" onerror="document.title = 'refused'"></script>""",
}
"""Pages of somebody who means no good, but for the first."""


@pytest.fixture
def elsewhere(night: Night) -> Iterator[str]:
    """Serve the pages at a host that is another site for browsers: `localhost`, where the server is 127.0.0.1."""
    here = night.at("/").removesuffix("/")
    assert "127.0.0.1" in here

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = PAGES.get(self.path, "").replace("{to}", here).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_link_leads_to_the_page_where_one_is_logged_in(night: Night, visit: Any, elsewhere: str) -> None:
    page = visit().login(night)
    page.wait_for_url(night.at("/"))
    page.goto(f"{elsewhere}/link")
    page.get_by_text("look").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Jobs")
    assert page.url == night.at("/jobs?x=1")


def test_nothing_else_reaches_them(night: Night, visit: Any, elsewhere: str) -> None:
    visitor = visit()
    inside = visitor.login(night)
    inside.wait_for_url(night.at("/"))
    page = visitor.context.new_page()  # its browser complains, and has to
    for path in ("/form", "/login"):
        with page.expect_response(lambda answer: answer.request.method == "POST") as sent:
            page.goto(f"{elsewhere}{path}")
        assert sent.value.status == 403
    page.goto(f"{elsewhere}/frame", wait_until="load")
    assert not [frame for frame in page.frames if frame.url.startswith(night.at("/"))]
    page.goto(f"{elsewhere}/fetch")
    expect(page).to_have_title("rejected,rejected")
    page.goto(f"{elsewhere}/script")
    expect(page).to_have_title("refused")
    inside.goto(night.at("/"))
    expect(inside.get_by_role("heading", level=1)).to_be_visible()
    pauses = inside.request.get(night.at("/api/v1/pauses"))
    assert pauses.json()["items"] == []
