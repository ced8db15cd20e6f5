"""Lets those who write to one SQLite file begin in the order in which they came."""

from __future__ import annotations

import asyncio

from sqlalchemy.util import await_only


class Turns:
    """The turns of one engine.

    SQLite lets one connection write at a time; the others look again after a while, and who looks first is next, so
    that one among twenty can miss every chance for seconds. In one process they can wait in a row instead. What other
    processes write is waited for in SQLite's way.
    """

    def __init__(self, patience: float) -> None:
        """Take for how many seconds somebody waits before he tries his luck with SQLite alone."""
        self._turn = asyncio.Lock()  # its waiters are served first come, first served; a cancelled one takes nothing
        self._patience = patience
        self._whose: object = None

    def take(self, connection: object) -> None:
        """Wait for the turn; called by SQLAlchemy's synchronous side."""
        if connection is not self._whose and await_only(self._wait()):
            self._whose = connection

    def give_back(self, connection: object) -> None:
        """Let the next one begin, if it was this connection's turn."""
        if connection is self._whose and connection is not None:
            self._whose = None
            self._turn.release()

    async def _wait(self) -> bool:
        try:
            async with asyncio.timeout(self._patience):
                return await self._turn.acquire()
        except TimeoutError:
            return False
