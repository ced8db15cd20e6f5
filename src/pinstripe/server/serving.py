"""The server as a whole: the web server, the bot and the workers, which begin together and end together."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import nullcontext, suppress
from itertools import chain
from typing import TYPE_CHECKING, Protocol

from pinstripe.errors import PinstripeError
from pinstripe.server.context import WebContext
from pinstripe.server.dispatch import Dispatch
from pinstripe.server.health import Health
from pinstripe.server.lifespan import Lifespan
from pinstripe.server.pages import make_pages
from pinstripe.server.web_server import WebServer
from pinstripe.supervisor import KILL_MARGIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractAsyncContextManager

    from pinstripe.project import Project
    from pinstripe.server.access.entrance import Entrance
    from pinstripe.server.addresses import Listener
    from pinstripe.server.application import ASGI
    from pinstripe.supervisor import Supervisor

AT_ONCE = 1.0
"""Seconds that the application's end may take once everything is to end at once."""

_log = logging.getLogger("pinstripe")


class Beside(Protocol):
    """A bot that is kept at work beside the web server, whatever befalls it."""

    @property
    def is_ticking(self) -> bool:
        """Whether it is at work."""
        ...

    def at_work(self) -> AbstractAsyncContextManager[None]:
        """Have it work for as long as the block goes on."""
        ...

    def stop(self) -> None:
        """Let nothing fire any more."""
        ...


class Server:
    """Serves a project: its application and our own pages, with a bot and with workers, until it is told to stop."""

    def __init__(
        self,
        project: Project,
        listeners: Sequence[Listener],
        application: ASGI | None,
        *,
        workers: Supervisor | None,
        bot: Beside | None,
        entrance: Entrance,
    ) -> None:
        """Take what it is made of; without `workers` or a `bot` it goes without.

        The dashboard and the API are there if the `entrance` is open.

        The project's ledger must be open for writing, and the sockets listen.
        """
        settings = project.settings
        self._grace = settings.worker.shutdown_grace.total_seconds()
        self._workers = workers
        self._bot = bot
        self.health = Health(
            project.ledger.look,
            clock=project.clock,
            lease=settings.worker.lease.total_seconds(),
            is_ticking=None if bot is None else lambda: bot.is_ticking,
            processes=None if workers is None else lambda: workers.living,
        )
        self._context = WebContext(project, entrance)
        dispatch = Dispatch(project, make_pages(self.health, self._context), application)
        self._life = Lifespan(dispatch)
        sockets = list(chain.from_iterable(listener.sockets for listener in listeners))
        self._web = WebServer(dispatch, sockets, grace=self._grace)
        self._stops = 0
        self._stopped = asyncio.Event()
        self._hurried = asyncio.Event()

    async def serve(self, *, started: Callable[[], None]) -> None:
        """Start the application, then the bot and the workers, and serve until `stop`; `started` is called then.

        Raises `PinstripeError` where the application fails at its start, and what ends any part without a stop, once
        all the others have ended too. A bot is no such part.
        """
        try:
            if await self._begin():
                await self._serve(started)
        finally:
            self._web.close()
            if not await self._life.abandon(AT_ONCE):
                _log.warning("the application does not end; it is abandoned")

    async def _begin(self) -> bool:
        """Have the application start; tell whether it is to be served, and have it end where a stop came meanwhile."""
        beginning = asyncio.create_task(self._life.begin())
        try:
            await _first([beginning], [self._stopped])
            if not self._stops:
                await beginning
                return True
            begun = time.monotonic()
            await self._finish(beginning, begun)
            if beginning.done() and beginning.exception() is None:
                await self._finish(asyncio.create_task(self._life.end()), begun)
        finally:
            beginning.cancel()
        return False

    async def _serve(self, started: Callable[[], None]) -> None:
        web = asyncio.create_task(self._web.serve(self._life.state), name="pinstripe web server")
        try:
            await _first([web], [self._web.started])
            if not (web.done() or self._stops):
                started()
            async with nullcontext() if self._bot is None else self._bot.at_work():
                workers = (
                    [] if self._workers is None or self._stops else [asyncio.create_task(self._workers.supervise())]
                )
                await _first([web, *workers], [self._stopped])
                begun, is_told = time.monotonic(), self._stops > 0
                if not is_told:
                    self.stop()
                await asyncio.gather(*workers, return_exceptions=True)
            await self._finish(web, begun)
            if web.done():
                await self._finish(asyncio.create_task(self._life.end()), begun)
            for task in (*workers, web):
                if task.done():
                    task.result()  # raises what ended it
            if not is_told:
                message = "a part of the server ended, and nobody had told it to"
                raise PinstripeError(message)
        finally:
            web.cancel()
            await asyncio.wait([web])

    def stop(self) -> None:
        """Stop everything: gracefully by the first call, at once by the second. On the event loop's thread."""
        self._stops += 1
        self.health.stopping = True
        self._context.stopping.set()
        (self._stopped if self._stops == 1 else self._hurried).set()
        self._web.stop()
        if self._bot is not None:
            self._bot.stop()
        if self._workers is not None:
            self._workers.stop()

    async def _finish(self, task: asyncio.Task[None], begun: float) -> None:
        """Wait for a task's end within the grace of the stop that was `begun` then; once hurried, for a moment only."""
        left = max(0.0, begun + self._grace - time.monotonic()) + KILL_MARGIN
        with suppress(TimeoutError):
            async with asyncio.timeout(left):
                await _first([task], [self._hurried])
        await asyncio.wait([task], timeout=AT_ONCE)
        if not task.done():
            task.cancel()


async def _first(tasks: Iterable[asyncio.Task[None]], events: Iterable[asyncio.Event]) -> None:
    """Wait until one of the tasks is done, or one of the events has come."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait([*tasks, *waits], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
