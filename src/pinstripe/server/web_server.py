"""uvicorn on sockets that are open already, on the running event loop, ended by us and not by signals of its own."""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import uvicorn

from pinstripe.setting_keys import hide_passwords

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Sequence

    from pinstripe.server.application import ASGI

LINGER = 0.1
"""Seconds that connections which were accepted just before a stop have for their request to arrive."""

CANCELLED_WITHIN = 1.0
"""Seconds that requests have for being cancelled."""


class WebServer:
    """Serves an ASGI application until it is told to stop."""

    def __init__(self, application: ASGI, sockets: Sequence[socket.socket], *, grace: float) -> None:
        """Take the listening `sockets`, and how many seconds requests may go on after a stop."""
        self._sockets = list(sockets)
        config = uvicorn.Config(
            application,
            interface="asgi3",
            lifespan="off",  # it lives longer than this
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

    async def serve(self, state: dict[str, Any]) -> None:
        """Serve until `stop`; each request has a copy of the `state` that the application's lifespan has made."""
        self._server.app_state = state
        try:
            with _told_by_us(self._server):
                await self._server.serve(self._sockets)
                if tasks := set(self._server.server_state.tasks):
                    await asyncio.wait(tasks, timeout=CANCELLED_WITHIN)
        finally:
            self.close()

    def close(self) -> None:
        """Close the sockets."""
        self._ignore()
        for one in self._sockets:
            one.close()

    def stop(self) -> None:
        """Accept no more, and end with the last request; at once by the second call. On the loop's thread."""
        self._stops += 1
        loop = asyncio.get_running_loop()
        if self._stops == 1:
            # What comes from now on is somebody else's to accept, if these sockets are his too. To close them at once
            # would break connections that are being accepted.
            self._ignore()
            loop.call_later(LINGER, self._server.end)
        else:
            self._server.end_at_once()

    def _ignore(self) -> None:
        """Hear of connections no more: a closed socket goes on to tell of them where another process has it too."""
        loop = asyncio.get_running_loop()
        for one in self._sockets:
            with suppress(ValueError, OSError):
                loop.remove_reader(one.fileno())


@contextmanager
def _told_by_us(server: _Server) -> Iterator[None]:
    """Have what uvicorn logs in our words, and without passwords."""
    logger = logging.getLogger("uvicorn.error")

    def tell(record: logging.LogRecord) -> bool:
        if record.exc_info and server.is_cancelling and isinstance(record.exc_info[1], asyncio.CancelledError):
            return False  # a request that was cancelled, which is told already
        text = record.getMessage()
        if text.startswith("Cancel ") and "timeout graceful shutdown exceeded" in text:
            server.is_cancelling = True
            count = len(server.server_state.tasks)
            requests, are = ("request", "is") if count == 1 else ("requests", "are")
            text = f"{count:,} {requests} didn't end within the grace, and {are} cancelled"
        record.msg, record.args = hide_passwords(text), ()
        if record.exc_info:
            record.exc_text = hide_passwords(_FORMATTER.formatException(record.exc_info))
        return True

    logger.addFilter(tell)
    try:
        yield
    finally:
        logger.removeFilter(tell)


_FORMATTER = logging.Formatter()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.begun = asyncio.Event()
        self.app_state: dict[str, Any] = {}
        self.is_cancelling = False

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to whoever stops all the rest too."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.lifespan.state = self.app_state
        await super().startup(sockets)
        self.begun.set()

    def end(self) -> None:
        self.should_exit = True

    def end_at_once(self) -> None:
        self.should_exit = self.force_exit = self.is_cancelling = True
        for task in self.server_state.tasks:
            task.cancel()
        for connection in list(self.server_state.connections):
            transport: Any = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
