"""`start-server --reload`: a process that holds the sockets, and starts the server anew when its code changes."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path
from typing import TYPE_CHECKING

from pinstripe.server.addresses import Listener
from pinstripe.server.watching import Watched
from pinstripe.supervisor import KILL_MARGIN, VARIABLE, how_ended

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Callable, Iterable, Sequence

    from pinstripe.config import Settings
    from pinstripe.server.addresses import Address

SOCKETS = "_PINSTRIPE_SOCKETS"
"""The environment variable that tells a server the sockets it has inherited. It is no setting, and not for people."""

SECRET = "_PINSTRIPE_DASHBOARD"  # noqa: S105 - the name of one
"""The environment variable that tells it the secret of the dashboard's sessions, which outlast it. Nor is this one."""

ENDS_WITHIN = 5.0
"""Seconds that a server has for its end, before it is killed for its successor."""

SHOWN = 3
"""How many of the files that changed are named."""


def inherited(addresses: Sequence[Address]) -> list[Listener] | None:
    """Give the sockets that a reloader has left to this process, which listen at `addresses`; None without one.

    It is forgotten thereby, so that no process which is started from here takes them for its own.
    """
    written = os.environ.pop(SOCKETS, None)
    if written is None:
        return None
    listeners = []
    for address, group in zip(addresses, written.split(";"), strict=True):
        sockets = tuple(socket.socket(fileno=int(descriptor)) for descriptor in group.split(","))
        for one in sockets:
            one.set_inheritable(False)  # nor do workers have them
        listeners.append(Listener(address, sockets))
    return listeners


def inherited_secret() -> str | None:
    """Give the secret that a reloader has left to this process, and forget it; None without one."""
    return os.environ.pop(SECRET, None)


class Reloader:
    """Keeps one server running, and replaces it when a file of the project changes."""

    def __init__(
        self,
        command: Sequence[str],
        listeners: Sequence[Listener],
        settings: Settings,
        *,
        tell: Callable[[str], None],
        secret: str | None = None,
    ) -> None:
        """Take the server's `command`, and the sockets that it inherits; `tell` gets sentences for whoever looks.

        With a `secret` those who have logged in to the dashboard stay so over all starts.
        """
        hosts = [word for listener in listeners for word in ("--host", str(listener.address))]
        self._command = (*command, *hosts)
        self._descriptors = [[one.fileno() for one in listener.sockets] for listener in listeners]
        self._folder = settings.folder
        self._watched = Watched(settings)
        self._grace = settings.worker.shutdown_grace.total_seconds() + KILL_MARGIN
        self._tell = tell
        self._secret = {} if secret is None else {SECRET: secret}
        self._server: Process | None = None
        self._stops = 0
        self._stopped = asyncio.Event()
        self._files: set[str] = set()
        self._changed = asyncio.Event()

    async def reload(self) -> None:
        """Start the server, and anew at each change, until `stop`."""
        watching = asyncio.create_task(self._watched.watch(self._note, self._stopped, self._watched.look()))
        try:
            while not self._stopped.is_set() and not watching.done():
                await self._serve_once(watching)
        finally:
            self._stopped.set()
            if self._server is not None and self._server.returncode is None:  # something went wrong here
                await self._end(self._server, ENDS_WITHIN)
            await watching

    def stop(self) -> None:
        """Have the server end: gracefully by the first call, at once by the second."""
        self._stops += 1
        self._stopped.set()
        if self._server is not None:
            _send(self._server, signal.SIGTERM if self._stops == 1 else signal.SIGINT)

    def _note(self, files: set[str]) -> None:
        self._files |= files
        self._changed.set()

    async def _serve_once(self, watching: asyncio.Task[None]) -> None:
        """Have one server serve until a file changes, or `stop`."""
        server = await self._start()
        ended = asyncio.create_task(server.wait())
        reasons = {asyncio.create_task(event.wait()) for event in (self._changed, self._stopped)} | {watching}
        try:
            await asyncio.wait({ended, *reasons}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done() and not any(reason.done() for reason in reasons):
                self._say(f"The server ended: {how_ended(ended.result())}. It starts again when a file changes.")
                await asyncio.wait(reasons, return_when=asyncio.FIRST_COMPLETED)
            if self._stopped.is_set():
                await self._end(server, self._grace, is_told=True)
                return
            if self._changed.is_set():
                files = self._take()
                self._say(f"Changed: {_name(files)}. The server starts again.")
                await self._end(server, ENDS_WITHIN)
                self._forget_bytecode(files)
        finally:
            for task in {ended, *reasons} - {watching}:
                task.cancel()

    def _take(self) -> list[str]:
        """Give the files that have changed, and forget them."""
        files = sorted(self._files)
        self._files.clear()
        self._changed.clear()
        return files

    def _forget_bytecode(self, files: Iterable[str]) -> None:
        """Have Python compile files anew: it takes one of the same size, written in the same second, for unchanged."""
        for file in files:
            with suppress(OSError, ValueError):
                Path(cache_from_source(str(self._folder / file))).unlink()

    async def _start(self) -> Process:
        process = self._server = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.DEVNULL,
            env={
                **os.environ,
                VARIABLE: str(os.getpid()),
                **self._secret,
                SOCKETS: ";".join(",".join(map(str, group)) for group in self._descriptors),
            },
            pass_fds=[descriptor for group in self._descriptors for descriptor in group],
            process_group=0,  # a terminal sends Ctrl-C to this process's group, and the server gets it from here
        )
        if self._stops:
            _send(process, signal.SIGTERM)
        return process

    async def _end(self, server: Process, limit: float, *, is_told: bool = False) -> None:
        """Have a server end, and wait for that; kill it after `limit` seconds."""
        if not is_told:
            _send(server, signal.SIGTERM)
        try:
            async with asyncio.timeout(limit):
                await server.wait()
        except TimeoutError:
            self._say(f"The server did not end within {limit:g}s, and was killed.")
            with suppress(ProcessLookupError):
                server.kill()
            await server.wait()

    def _say(self, sentence: str) -> None:
        with suppress(OSError):  # nobody listens any more: the server goes on all the same
            self._tell(sentence)


def _name(files: Sequence[str]) -> str:
    more = f" and {len(files) - SHOWN:,} more" if len(files) > SHOWN else ""
    return ", ".join(files[:SHOWN]) + more


def _send(process: Process, number: signal.Signals) -> None:
    if process.returncode is None:
        process.send_signal(number)
