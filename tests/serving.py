"""A real web server on a real port, in a thread of its own."""

from __future__ import annotations

import queue
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Server(uvicorn.Server):
    """Says when it is ready, or why it never will be."""

    ready: queue.SimpleQueue[BaseException | None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.put(None)


@contextmanager
def serving(app: Any, **options: Any) -> Iterator[str]:
    """Serve an application, with its lifespan, and give its URL."""
    server = _Server(uvicorn.Config(app, log_config=None, lifespan="on", **options))
    server.ready = queue.SimpleQueue()

    def serve() -> None:
        try:
            server.run(sockets=[listening])
        except BaseException as error:  # noqa: BLE001 - who waits has to hear of it
            server.ready.put(error)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        problem = server.ready.get(timeout=30)
        if problem is not None:
            raise problem
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()
