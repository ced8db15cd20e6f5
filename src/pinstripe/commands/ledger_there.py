"""Waiting for a server of the ledger that is away when a command starts which would wait for it later, too."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pinstripe.duration import write_duration
from pinstripe.errors import LedgerError
from pinstripe.project_ledger import is_away
from pinstripe.views.text import visible

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from pinstripe.commands.stop_signals import StopSignals
    from pinstripe.config import Settings
    from pinstripe.opening import Opening
    from pinstripe.project import Project

T = TypeVar("T")

TRY_EVERY = 1.0
"""Seconds between two tries."""

TELL_EVERY = 60.0
"""Seconds after which it is told again that it is still waited for."""


@asynccontextmanager
async def opened(opening: Opening, signals: StopSignals) -> AsyncIterator[Project]:
    """Do as `async with opening`, but wait for the ledger's server; see `outlast`."""
    async with AsyncExitStack() as stack:
        project = await outlast(opening.__aenter__, opening.settings, signals)
        stack.push_async_exit(opening)
        yield project


async def outlast(attempt: Callable[[], Coroutine[Any, Any, T]], settings: Settings, signals: StopSignals) -> T:
    """Give what `attempt` gives, which is tried until the ledger's server is there; what people are to mend is raised.

    A signal ends the wait, and with it the command: nothing has begun that would have to end first.
    """
    loop = asyncio.get_running_loop()
    heard = loop.create_task(signals.heard.wait())
    wait = _Wait()
    try:
        while True:
            trying = loop.create_task(attempt())
            await asyncio.wait([trying, heard], return_when=asyncio.FIRST_COMPLETED)
            if heard.done() and trying.cancel():
                await asyncio.wait([trying])
            error = LedgerError() if trying.cancelled() else trying.exception()
            if error is None:
                wait.tell_of_end()
                return trying.result()
            if heard.done() and isinstance(error, LedgerError):
                raise click.exceptions.Exit(signals.code or 0)
            if not isinstance(error, LedgerError) or not is_away(settings, error):
                raise error
            wait.tell(error)
            await asyncio.wait([heard], timeout=TRY_EVERY)
    finally:
        heard.cancel()


class _Wait:
    """What people are told of a wait: at its begin, each minute, and at its end."""

    def __init__(self) -> None:
        self._begun: float | None = None
        self._told = 0.0

    def tell(self, error: LedgerError) -> None:
        now = time.monotonic()
        if self._begun is None:
            self._begun = self._told = now
            _say(f"Waiting for the ledger's server, which is away: {error}")
        elif now - self._told >= TELL_EVERY:
            self._told = now
            waited = write_duration(timedelta(seconds=round(now - self._begun)))
            _say(f"Still waiting for the ledger's server, for {waited}: {error}")

    def tell_of_end(self) -> None:
        if self._begun is not None:
            _say("The ledger's server is there.")


def _say(line: str) -> None:
    with suppress(OSError):  # nobody listens any more: it is waited for all the same
        click.echo(visible(line), err=True)
