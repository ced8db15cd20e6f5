"""The life of the application: it is told that the server begins and ends, and what becomes of that is told."""

from __future__ import annotations

import asyncio
import logging
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pinstripe.errors import PinstripeError
from pinstripe.setting_keys import hide_passwords

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from pinstripe.server.application import ASGI

_RAISED = {
    # Whether it failed, or doesn't know of it, nobody can tell: so whoever looks is told.
    "startup": "the application raised at its start (ASGI lifespan); it is served",
    "served": "the application's lifespan raised while it was served; it isn't told of the end",
    "shutdown": "the application raised at its end (ASGI lifespan)",
}

_log = logging.getLogger("pinstripe")


class Lifespan:
    """Begins and ends an ASGI application once. See the ASGI specification, "Lifespan Protocol"."""

    def __init__(self, application: ASGI) -> None:
        """Take the application."""
        self._application = application
        self.state: dict[str, Any] = {}
        self._messages: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self._phase = "startup"
        self._told = ""
        self._failed = False
        self._abandoned = False
        self._begun = asyncio.Event()
        self._ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Have it start; one that raises instead of saying that it failed is served, as the specification asks.

        Raises `PinstripeError` where it says that it failed.
        """
        self._messages.put_nowait({"type": "lifespan.startup"})
        self._task = asyncio.create_task(self._live(), name="pinstripe application")
        await self._begun.wait()
        if self._failed:
            told = "its error stands above" if self._told else "it gave no reason"
            message = f"the application failed at its start; {told}"
            raise PinstripeError(message)

    async def end(self) -> None:
        """Have it end, where it has begun."""
        if self._task is not None and not self._ended.is_set():
            self._phase = "shutdown"
            self._messages.put_nowait({"type": "lifespan.shutdown"})
            await self._ended.wait()

    async def abandon(self, within: float) -> bool:
        """Cancel what is left of it; tell whether that ended `within` so many seconds."""
        self._abandoned = True
        if self._task is None or self._task.done():
            return True
        self._task.cancel()
        return bool((await asyncio.wait([self._task], timeout=within))[0])

    async def _live(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._application(scope, self._messages.get, self._hear)
        except BaseException:  # noqa: BLE001 - sys.exit() in it must not end the event loop
            if not (self._abandoned or self._failed):
                with suppress(Exception):  # as a handler of the application's log may raise
                    _log.warning("%s\n%s", _RAISED[self._phase], hide_passwords(traceback.format_exc().rstrip()))
        finally:
            self._begun.set()
            self._ended.set()

    async def _hear(self, message: MutableMapping[str, Any]) -> None:
        """Hear what the application says."""
        _, _, said = str(message["type"]).partition("lifespan.")
        expected = "startup" if not self._begun.is_set() else "shutdown"
        if said not in {f"{expected}.complete", f"{expected}.failed"} or self._ended.is_set():
            problem = f"expected lifespan.{expected}.complete or .failed, got {message['type']!r}"
            raise RuntimeError(problem)
        self._told = str(message.get("message") or "")
        if said.endswith(".failed"):
            self._failed = True
            if self._told:
                with suppress(Exception):
                    _log.error("%s", hide_passwords(self._told))
            elif expected == "shutdown":
                _log.error("the application failed at its end, and gave no reason")
        if expected == "startup":
            self._phase = "served"
            self._begun.set()
        else:
            self._ended.set()
