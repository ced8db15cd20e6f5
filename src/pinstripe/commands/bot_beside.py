"""A bot beside what a command does: it begins with that and ends with it, and never is the end of it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from pinstripe.errors import LedgerError
from pinstripe.log import Log

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pinstripe.bot import Bot
    from pinstripe.project import Project

AGAIN = 5.0
"""Seconds after which a bot that has failed is followed by another one."""

_log = Log()


class BotBeside:
    """Keeps a bot of one project at work, until it is stopped."""

    def __init__(self, project: Project, *, catch_up: bool = True) -> None:
        """Take the open project; without `catch_up` nothing fires that was missed before now."""
        self._project = project
        self._catch_up = catch_up
        self._bot: Bot | None = None
        self._stopped = asyncio.Event()

    @property
    def is_ticking(self) -> bool:
        """Whether the bot is at work."""
        return self._bot is not None and self._bot.is_ticking

    def stop(self) -> None:
        """Let nothing fire any more; called on the event loop's thread."""
        self._stopped.set()
        if self._bot is not None:
            self._bot.stop()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Have the bot work for as long as the block does what it does."""
        task = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            self.stop()
            await asyncio.wait([task])

    async def _keep(self) -> None:
        while not self._stopped.is_set():
            self._bot = self._project.bot(catch_up=self._catch_up)
            try:
                await self._bot.work()
            except LedgerError as error:
                _log.warning("no schedule fires from here, since the ledger can't be used: %s", error)
            except Exception:  # noqa: BLE001 - whatever else this process does goes on
                _log.exception("the bot failed; another one begins in %gs", AGAIN)
            with suppress(TimeoutError):
                async with asyncio.timeout(AGAIN):
                    await self._stopped.wait()
