"""uvicorn on sockets that are open already, on the running event loop, ended by us and not by signals of its own."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import uvicorn

from pinstripe.errors import PinstripeError

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Sequence

    from pinstripe.server.application import ASGI

LINGER = 0.1
"""Seconds that connections which were accepted just before a stop have for their request to arrive."""


class WebServer:
    """Serves an ASGI application until it is told to stop."""

    def __init__(self, application: ASGI, sockets: Sequence[socket.socket], *, grace: float) -> None:
        """Take the listening `sockets`, and how many seconds requests may go on after a stop."""
        self._sockets = list(sockets)
        config = uvicorn.Config(
            application,
            interface="asgi3",
            log_config=None,  # errors go where the application's own logging goes, or to standard error; and only once
            access_log=False,
            server_header=False,
            # It is given to asyncio, which takes fractions of seconds too.
            timeout_graceful_shutdown=grace,  # type: ignore[arg-type]
        )
        self._server = _Server(config)
        self._stops = 0

    @property
    def started(self) -> asyncio.Event:
        """Set once the application has started, and requests are answered."""
        return self._server.begun

    async def serve(self) -> None:
        """Serve until `stop`; raises `PinstripeError` where the application fails at its start."""
        try:
            await self._server.serve(self._sockets)
        except SystemExit as error:  # which would end the whole process, whatever else goes on in it
            reason = "the application failed at its start; its error stands above"
            raise PinstripeError(reason) from error
        finally:
            for one in self._sockets:
                one.close()

    def stop(self) -> None:
        """Accept nothing more, and end with the last request; by the second call at once. On the event loop's thread.

        Nothing happens by it before the application has started: cancel `serve` then.
        """
        self._stops += 1
        loop = asyncio.get_running_loop()
        if self._stops == 1:
            # What comes from now on is somebody else's to accept, if these sockets are his too. To close them at once
            # would break connections that are being accepted.
            for one in self._sockets:
                with suppress(ValueError, OSError):
                    loop.remove_reader(one.fileno())
            loop.call_later(LINGER, self._server.end)
        else:
            self._server.end_at_once()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.begun = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to whoever stops all the rest too."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.begun.set()

    def end(self) -> None:
        self.should_exit = True

    def end_at_once(self) -> None:
        self.should_exit = self.force_exit = True
        for task in self.server_state.tasks:
            task.cancel()
        for connection in list(self.server_state.connections):
            transport: Any = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
