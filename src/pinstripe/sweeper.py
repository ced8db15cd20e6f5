"""The pass over the world that every worker makes each second: what the dead left, what is held back without need."""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import suppress
from typing import TYPE_CHECKING

from pinstripe.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pinstripe.clock import Clock
    from pinstripe.ledger import Ledger

SWEEP_EVERY = 1.0
"""Seconds between two sweeps, on average: chance makes it up to a tenth more or less, so that workers part ways."""

PRUNE_EVERY = 60.0
"""Seconds between two removals of what is past its retention."""

PRUNE_AGAIN = 5.0
"""Seconds between two of those while something goes each time: each takes little, so that nobody waits for it."""

WARN_EVERY = 60.0
"""Seconds between two warnings that the ledger can't be used."""

_log = logging.getLogger("pinstripe")


class Sweeper:
    """Sweeps one ledger. Each pass is idempotent, and any number of processes may make them at once."""

    def __init__(self, ledger: Ledger) -> None:
        """Take the `ledger`, which is open for writing."""
        self._ledger = ledger
        self._pruned = float("-inf")
        self._warned = float("-inf")

    async def sweep(self, now: float) -> bool:
        """One pass, at `now` in seconds of a monotonic clock; tell whether all of it could be done.

        What can't be done now is logged, and done by another pass.
        """
        done = await self._try(self._sweep, now)
        if now - self._pruned >= PRUNE_EVERY:
            self._pruned = now
            done = await self._try(self._prune, now) and done
        return done

    async def go_on(self, clock: Clock) -> None:
        """Sweep each second, until this is cancelled."""
        while True:
            with suppress(Exception):  # what a logging handler of the application's raises must not be the end
                await self.sweep(clock.monotonic())
            await asyncio.sleep(SWEEP_EVERY * random.uniform(0.9, 1.1))  # noqa: S311 - it hides nothing

    async def _prune(self) -> None:
        if await self._ledger.prune():
            self._pruned -= PRUNE_EVERY - PRUNE_AGAIN

    async def _sweep(self) -> None:
        swept = await self._ledger.queue.sweep()
        if swept.rescued or swept.failed:
            _log.warning("of what dead workers ran, %d run again and %d have failed", swept.rescued, swept.failed)

    async def _try(self, what: Callable[[], Awaitable[object]], now: float) -> bool:
        try:
            await what()
        except LedgerError as error:
            if now - self._warned >= WARN_EVERY:
                self._warned = now
                _log.warning("the ledger can't be swept now, and is tried again each second: %s", error)
            return False
        except Exception:  # noqa: BLE001 - a pass that fails must not be the last
            if now - self._warned >= WARN_EVERY:
                self._warned = now
                _log.exception("sweeping the ledger failed; it is tried again each second")
            return False
        return True
