from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.server.web_server import WebServer

if TYPE_CHECKING:
    from pinstripe.server.application import Receive, Scope, Send

pytestmark = pytest.mark.anyio


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer nobody."""


async def test_one_that_is_cancelled_hears_no_more_of_a_socket_that_somebody_else_has_too() -> None:
    wrong: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: wrong.append(context))
    with socket.create_server(("127.0.0.1", 0)) as theirs:
        server = WebServer(nothing, [theirs.dup()], grace=1)
        task = asyncio.create_task(server.serve({}))
        await server.started.wait()
        task.cancel()
        await asyncio.wait([task])
        with socket.create_connection(theirs.getsockname()):
            for _ in range(10):
                await asyncio.sleep(0)
    assert wrong == []
