"""What every request comes to: Pinstripe's own pages, or the application, which is given the open project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinstripe.server.pages import is_ours
from pinstripe.web import SCOPE_KEY

if TYPE_CHECKING:
    from pinstripe.project import Project
    from pinstripe.server.application import ASGI, Receive, Scope, Send

NOT_CONFIGURED = (
    "There is no page here: this server has no application.\n\n"
    "Name an ASGI or WSGI application in pyproject.toml, and it is served here:\n\n"
    "[tool.pinstripe]\n"
    'app = "newsletter.web:app"\n'
)
"""What is said of every page where no application is configured."""


class Dispatch:
    """An ASGI application: `/_pinstripe` and what is below it is Pinstripe's, and all else the application's."""

    def __init__(self, project: Project, pages: ASGI, application: ASGI | None) -> None:
        """Take the `project` that each request is given, and the `application`, or None."""
        self._project = project
        self._pages = pages
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request, a websocket or the server's life to whom it belongs."""
        scope[SCOPE_KEY] = self._project
        if scope["type"] == "lifespan":
            await (self._application or _lives)(scope, receive, send)
        elif is_ours(scope["path"]):
            await self._pages(scope, receive, send)
        elif self._application is not None:
            await self._application(scope, receive, send)
        else:
            await _refuse(scope, send)


async def _lives(scope: Scope, receive: Receive, send: Send) -> None:
    """Begin and end with nothing to do."""
    del scope
    for state in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{state}.complete"})


async def _refuse(scope: Scope, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close"})
        return
    body = NOT_CONFIGURED.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 404, "headers": headers})
    await send({"type": "http.response.body", "body": body})
