"""What every request comes to: Pinstripe's own pages, or the application, which is given the open project."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from pinstripe.server.pages import is_ours
from pinstripe.web import SCOPE_KEY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from pinstripe.project import Project
    from pinstripe.server.application import ASGI, Receive, Scope, Send

NOT_CONFIGURED = (
    "There is no page here: this server has no application.\n\n"
    "Name an ASGI or WSGI application in pyproject.toml, and it is served here:\n\n"
    "[tool.pinstripe]\n"
    'app = "newsletter.web:app"\n'
)
"""What is said of every page where no application is configured."""

_log = logging.getLogger("pinstripe")


class Dispatch:
    """An ASGI application: `/_pinstripe` and what is below it is Pinstripe's, and all else the application's."""

    def __init__(
        self,
        project: Project,
        pages: ASGI,
        application: ASGI | None,
        *,
        before_shutdown: Callable[[], Awaitable[object]],
    ) -> None:
        """Take the `project` that each request is given, and the `application`, or None.

        The application's own shutdown waits for `before_shutdown`.
        """
        self._project = project
        self._pages = pages
        self._application = application
        self._before_shutdown = before_shutdown

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request, a websocket or the server's life to whom it belongs."""
        scope[SCOPE_KEY] = self._project
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif is_ours(scope["path"]):
            await self._pages(scope, receive, send)
        elif self._application is not None:
            await self._application(scope, receive, send)
        else:
            await _refuse(scope, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell the application that the server begins and ends; one that doesn't know of that raises, and is served.

        See the ASGI specification, "Lifespan Protocol": a server goes on where the application raises.
        """
        said: list[str] = []

        async def told() -> MutableMapping[str, Any]:
            message = await receive()
            said.append(message["type"])
            if message["type"] == "lifespan.shutdown":
                await self._before_shutdown()
            return message

        async def tell(message: MutableMapping[str, Any]) -> None:
            said.append(message["type"])
            await send(message)

        try:
            await (self._application or _lives)(scope, told, tell)
        except Exception:
            if said == ["lifespan.startup"]:
                # Whether it failed, or doesn't know of it, nobody can tell: so whoever looks is told.
                _log.warning("the application raised at its start (ASGI lifespan); it is served", exc_info=True)
            raise


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
