"""The engine of the SQLite ledger: its tickets are the chunks themselves, and its processes wake one another."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import apsw

from pinstripe.engine import Ticket
from pinstripe.engines.listeners import Listener, Listeners

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LOOK_EVERY = 0.25
"""Seconds between two looks at the ledger's file while it waits: so long may a lost datagram delay work."""

_log = logging.getLogger("pinstripe")


class EmbeddedEngine:
    """An engine over the table `chunks` of the ledger's own file; see `pinstripe.engine.Engine` for what it does.

    Where a process can't listen (Windows, a file system without sockets), it still looks each `LOOK_EVERY` seconds.
    """

    def __init__(self, folder: Path, reader: apsw.Connection, *, take: str) -> None:
        """Take the `folder` of the owners' lock files, where the sockets are too, and a `reader` of the ledger.

        `take` is the statement that gives the columns of up to `?` tickets, in order. The `reader` must not be the
        connection that this process writes with, whose own commits it can't tell.
        """
        self._folder = folder
        self._reader = reader
        self._take = take
        self._listeners = Listeners(folder) if hasattr(socket, "AF_UNIX") else None
        self._listener: Listener | None = None
        self._owner: str | None = None
        self._process = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._heard = asyncio.Event()
        self._version: object = None
        self._next_look = 0.0

    def open(self, owner: str | None = None) -> None:
        """Begin to listen on the running event loop as `owner`, under a new name if it did so under another."""
        if owner is None or (owner == self._owner and self._is_ours()):
            return
        self._stop_listening()
        self._process = os.getpid()
        self._owner = owner
        loop = self._adopt()
        self._look()
        self._next_look = loop.time() + LOOK_EVERY
        if self._listeners is None:
            return
        try:
            self._listener = Listener(self._folder, owner, self._hear, loop)
        except OSError as error:
            _log.info(
                "no socket can be made in %s (%s); it is looked for work each %gs", self._folder, error, LOOK_EVERY
            )

    def close(self) -> None:
        """Stop listening."""
        self._stop_listening()
        self._owner = self._loop = None
        if self._listeners is not None:
            self._listeners.close()

    def mint(self, connection: apsw.Connection, chunks: Sequence[int]) -> None:
        """Do nothing: a chunk is its own ticket, written, kept and undone with everything else in the same file."""

    def take(self, connection: apsw.Connection, most: int) -> list[Ticket]:
        """Give up to `most` tickets, the next to be served first."""
        return [Ticket(*row) for row in connection.execute(self._take, (most,))]

    def wake(self) -> None:
        """Tell every process that listens, this one included, that work may be ready; from any thread."""
        self.rouse()
        if self._listeners is not None:
            itself = self._listener.name if self._listener is not None and self._is_ours() else None
            self._listeners.tell(itself)

    def rouse(self) -> None:
        """End this process's own wait, and tell nobody else; from any thread."""
        loop = self._loop
        if loop is None or threading.get_ident() == self._loop_thread:
            self._heard.set()
        elif self._is_ours():
            with suppress(RuntimeError):  # the event loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self._hear)

    async def wait(self, timeout: float) -> bool:  # noqa: ASYNC109 - an idle wait, not a limit of what is done
        """Wait for a datagram, a `wake` of this process or a change of the ledger's file, for at most `timeout` s."""
        loop = self._adopt()
        until = loop.time() + timeout
        while not self._heard.is_set():
            now = loop.time()
            if now >= self._next_look:
                self._next_look = now + LOOK_EVERY
                if self._look():
                    return True
            if now >= until:
                return False
            try:
                async with asyncio.timeout_at(min(until, self._next_look)):
                    await self._heard.wait()
            except TimeoutError:
                continue
            break  # also where another one who waited has cleared it already
        self._heard.clear()
        return True

    def _hear(self) -> None:
        self._heard.set()

    def _look(self) -> bool:
        """Tell whether another connection has written into the file since the last look; see sqlite.org/pragma.html."""
        before = self._version
        with suppress(apsw.Error):  # the next look will tell; what is wrong with the file is told to who uses it
            self._version = self._reader.execute("pragma data_version").get
        return self._version != before

    def _adopt(self) -> asyncio.AbstractEventLoop:
        """Belong to the running event loop from now on."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._loop_thread = loop, threading.get_ident()
            self._heard = asyncio.Event()
        return loop

    def _is_ours(self) -> bool:
        """Tell whether this is the process that listens, and not a fork of it."""
        return os.getpid() == self._process

    def _stop_listening(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
