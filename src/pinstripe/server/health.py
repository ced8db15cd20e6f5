"""Whether the server lives, and whether it is ready: what whoever runs it may ask at any time."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from pinstripe.ledger import Look

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pinstripe.clock import Clock

LIMIT = 2.0
"""Seconds that the ledger may take to be read; after that it counts as out of reach."""

LOCK_WAIT = 1.5
"""Seconds that a lock on it is waited for, so that a locked ledger is told as such."""


class Check(NamedTuple):
    """What was found out about one part: `ok`, or the `reason` why not; or that the server goes without it."""

    ok: bool
    reason: str | None = None
    left_out: bool = False

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON, without what it doesn't have to say."""
        said: dict[str, Any] = {"ok": self.ok}
        if self.reason is not None:
            said["reason"] = self.reason
        if self.left_out:
            said["left_out"] = True
        return said


_LEFT_OUT = Check(ok=True, left_out=True)
_STOPPING = Check(ok=False, reason="the server is stopping")


class Health:
    """Tells whether the server is ready: its ledger can be used, its bot ticks, and a worker of its own is alive."""

    def __init__(
        self,
        look: Callable[[float], Look],
        *,
        clock: Clock,
        lease: float,
        is_ticking: Callable[[], bool] | None,
        processes: Callable[[], Collection[int]] | None,
    ) -> None:
        """Take what it looks at; None is a part that the server was started without.

        `look` reads the ledger, is given the seconds to wait for a lock, and may block: it is called in a thread. Of
        the workers' `processes`, by their ids, one that hasn't said for a `lease`, in seconds, that it lives is none.
        """
        self._look = look
        self._clock = clock
        self._lease = round(lease * 1_000_000)
        self._is_ticking = is_ticking
        self._processes = processes
        self._looking: asyncio.Future[Look] | None = None
        self.stopping = False
        """Whether the server has been told to stop: it isn't ready from then on."""

    async def check(self) -> dict[str, Check]:
        """Look at every part, within two seconds."""
        if self.stopping:
            return {
                "ledger": _STOPPING,
                "schema": _STOPPING,
                "bot": _LEFT_OUT if self._is_ticking is None else _STOPPING,
                "workers": _LEFT_OUT if self._processes is None else _STOPPING,
            }
        look = await self._look_within_limit()
        return {
            "ledger": Check(look.trouble is None, look.trouble),
            "schema": self._schema(look),
            "bot": self._bot(),
            "workers": self._workers(look),
        }

    def _schema(self, look: Look) -> Check:
        if look.trouble is not None:
            return Check(ok=False, reason="the ledger can't be read")
        return Check(look.is_current, None if look.is_current else "the ledger's schema isn't the one of this version")

    def _bot(self) -> Check:
        if self._is_ticking is None:
            return _LEFT_OUT
        return (
            Check(ok=True)
            if self._is_ticking()
            else Check(ok=False, reason="the bot hasn't looked for due schedules lately")
        )

    def _workers(self, look: Look) -> Check:
        if self._processes is None:
            return _LEFT_OUT
        now = self._clock.now()
        alive = self._processes()
        if any(pid in alive and now - beat <= self._lease for pid, beat in look.workers):
            return Check(ok=True)
        if look.trouble is not None:
            return Check(ok=False, reason="the ledger can't be read")
        return Check(ok=False, reason="no worker of this server is at work")

    async def _look_within_limit(self) -> Look:
        """Look at the ledger; those who ask meanwhile share one look, so that one that hangs stays the only one."""
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_future()
            # No thread of a pool: a look that never ends mustn't keep the process from ending.
            threading.Thread(target=self._go, args=(self._looking,), name="pinstripe health", daemon=True).start()
        try:
            async with asyncio.timeout(LIMIT):
                return await asyncio.shield(self._looking)
        except TimeoutError:
            return Look(f"it didn't answer within {LIMIT:g}s")

    def _go(self, looking: asyncio.Future[Look]) -> None:
        try:
            look = self._look(LOCK_WAIT)
        except Exception as error:  # noqa: BLE001 - whatever it is, the ledger can't be used
            look = Look(f"it can't be read ({type(error).__name__})")
        with suppress(RuntimeError):  # the event loop has ended meanwhile
            looking.get_loop().call_soon_threadsafe(self._looked, looking, look)

    def _looked(self, looking: asyncio.Future[Look], look: Look) -> None:
        self._looking = None
        looking.set_result(look)
