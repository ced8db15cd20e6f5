"""How many executions came to which end in this process, counted in memory and added to the ledger now and then.

They are statistics, not the truth: what a process has counted since it last added is lost when it is killed.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from pinstripe.errors import LedgerError
from pinstripe.history import Tally

if TYPE_CHECKING:
    from pinstripe.clock import Clock
    from pinstripe.ledger import Ledger
    from pinstripe.run import ExecutionStatus

ADD_EVERY = 5.0
"""Seconds after which what was counted is added to the ledger; nothing is, where nothing was counted."""

END_LIMIT = 2.0
"""Seconds that the end of a process waits for that at most: a server that is away keeps nobody from ending."""

_MINUTE = 60_000_000

_log = logging.getLogger("pinstripe")


class Tallies:
    """Counts the executions that this process settles with a final status. It is used on the event loop's thread."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        """Take the `ledger`, which is open for writing as soon as anything is counted."""
        self._ledger = ledger
        self._clock = clock
        self._sums: dict[tuple[int, str, ExecutionStatus], list[int]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._adding: asyncio.Task[None] | None = None

    def count(self, job: str, status: ExecutionStatus, duration: int, executions: int = 1) -> None:
        """Count executions of a `job` that came to a final `status`, and how long they took in all, in microseconds."""
        key = self._clock.now() // _MINUTE, job, status
        sums = self._sums.get(key)
        if sums is not None:
            sums[0] += executions
            sums[1] += duration
            return
        self._sums[key] = [executions, duration]
        if self._timer is None:
            self._wind()

    async def add(self) -> None:
        """Add to the ledger what was counted since the last time; raises `LedgerError`, and keeps it then."""
        sums, self._sums = self._sums, {}
        if not sums:
            return
        try:
            await self._ledger.history.add_tallies([Tally(*key, *sums[key]) for key in sums])
        except BaseException:
            for key, (executions, duration) in sums.items():
                known = self._sums.setdefault(key, [0, 0])
                known[0] += executions
                known[1] += duration
            raise

    async def close(self) -> None:
        """Add what is left, unless that takes long."""
        if self._timer is not None:
            self._timer.cancel()
        if self._adding is None and not self._sums:
            return
        ending = asyncio.get_running_loop().create_task(self._end(self._adding))
        if not (await asyncio.wait([ending], timeout=END_LIMIT))[0]:
            ending.cancel()
            await asyncio.wait([ending])

    async def _end(self, adding: asyncio.Task[None] | None) -> None:
        if adding is not None:
            await adding
        await self._add()

    def _wind(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(ADD_EVERY, self._begin)

    def _begin(self) -> None:
        self._timer = None
        if self._adding is None:
            self._adding = asyncio.get_running_loop().create_task(self._add(), name="pinstripe tallies")
            self._adding.add_done_callback(self._added)

    async def _add(self) -> None:
        try:
            await self.add()
        except LedgerError as error:
            _log.info("what was counted can't be added to the ledger now: %s", error)  # others warn of it
        except Exception:  # noqa: BLE001 - statistics spoil nothing
            with suppress(Exception):  # a logging handler of the application's may raise
                _log.exception("what was counted can't be added to the ledger")

    def _added(self, _: asyncio.Task[None]) -> None:
        self._adding = None
        if self._sums and self._timer is None:
            self._wind()
