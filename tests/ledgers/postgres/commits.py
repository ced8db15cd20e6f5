"""A network in which connections break in the midst of a commit: nobody is told whether it came to pass."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Cut = Literal["before", "after", "late"]
"""When the connection breaks: before the server has heard of the commit, or after it; `late`, it hears of it later."""

_PIECE = 65_536
_COMMIT = b"commit\0"

_ALONE = re.compile(rb"^P....(\w+)\0-- (?:One run|Many runs) of one execution", re.DOTALL)
"""A statement that is a transaction by itself, as it is prepared under a name."""

_EXECUTE = re.compile(rb"^B....\0(\w+)\0", re.DOTALL)
"""A prepared statement, as it is executed."""


class Commits:
    """Forwards what comes to its `port`; `cuts` says how the next commits are cut, in their order."""

    def __init__(self, host: str, port: int) -> None:
        """Take where the server is."""
        self._server = (host, port)
        self.port = 0
        self.cuts: list[Cut] = []
        self.hears = asyncio.Event()
        """When set, the server hears of a commit that is `late`."""
        self.heard = asyncio.Event()
        """Set when it has, and has answered."""

    @asynccontextmanager
    async def forwarded(self) -> AsyncIterator[None]:
        """Forward meanwhile."""
        listening = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = listening.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            listening.close()

    async def _connect(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(*self._server)
        back = asyncio.create_task(self._forward(from_server, to_client))
        alone: set[bytes] = set()
        try:
            with suppress(OSError):
                while piece := await from_client.read(_PIECE):
                    alone |= {*_ALONE.findall(piece)}
                    is_commit = piece.endswith(_COMMIT) or not alone.isdisjoint(_EXECUTE.findall(piece))
                    if self.cuts and is_commit:
                        back.cancel()
                        await asyncio.wait([back])
                        cut = self.cuts.pop(0)
                        if cut == "late":
                            to_client.transport.abort()
                            await self.hears.wait()
                        if cut != "before":
                            to_server.write(piece)
                            await from_server.read(_PIECE)
                            self.heard.set()
                        break
                    to_server.write(piece)
                    await to_server.drain()
        finally:
            back.cancel()
            for writer in (to_server, to_client):
                writer.transport.abort()

    async def _forward(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await source.read(_PIECE):
                target.write(piece)
                await target.drain()
        target.close()
