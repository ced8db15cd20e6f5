"""What the guard answers by itself, and the headers that stand on every answer."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from starlette.datastructures import MutableHeaders
from starlette.responses import HTMLResponse, Response

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from pinstripe.server.application import Send
    from pinstripe.server.problems import Problem

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""No script and no style but from files of ours, nothing from elsewhere, and in nobody's frame."""

HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""The headers of every answer."""


REDIRECTS = 300
"""The first of the hundred statuses that lead elsewhere."""


def with_headers(send: Send, *, cookie: str | None = None, may_be_kept: bool = False) -> Send:
    """Put the headers on what is sent; where it `may_be_kept`, its own word on that counts if it was found."""

    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=list(message.get("headers", ())))
            headers.update(HEADERS)
            for name in list(headers):
                if name.startswith("access-control-"):
                    del headers[name]
            if not (may_be_kept and message["status"] in {200, 304} and "cache-control" in headers):
                headers["Cache-Control"] = "no-store"
            if cookie is not None and not REDIRECTS <= message["status"] < REDIRECTS + 100:  # there is no form on it
                headers.append("Set-Cookie", cookie)
            message = {**message, "headers": headers.raw}
        await send(message)

    return sending


def plain_page(problem: Problem) -> Response:
    """Say what is wrong, on a page that needs nothing."""
    body = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(problem.title)}</title></head>'
        f"<body><h1>{escape(problem.title)}</h1><p>{escape(problem.detail)}</p></body></html>"
    )
    return HTMLResponse(body, problem.status, dict(problem.headers))


def doorstep(path: str) -> Response:
    """Have the browser ask once more, from here: it has come by a link elsewhere, and has left its cookie at home."""
    place = escape(path, quote=True)
    body = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Pinstripe</title>'
        f'<meta http-equiv="refresh" content="0; url={place}"></head>'
        f'<body><p><a href="{place}">Go on</a></p></body></html>'
    )
    return HTMLResponse(body)
