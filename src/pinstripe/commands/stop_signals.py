"""What ends a process that works until it is told to stop: SIGTERM and Ctrl-C, gracefully, then at once.

A SIGHUP, as when its terminal is closed, is taken for a SIGTERM; one that is ignored, as by nohup(1), stays so.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from pinstripe.commands.by_hand import CODES, SAME_SIGNAL
from pinstripe.json_output import as_said

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

FIRST = "Stopping: what runs may end within {}; {} stops it at once.\n"
SECOND = "Stopping at once; what is stopped runs again later.\n"
HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)
"""What a process gets whose terminal is gone; None where the system has no such signal."""
AGAIN = {signal.SIGINT: "another Ctrl-C", signal.SIGTERM: "another SIGTERM, or Ctrl-C,"}


class StopSignals:
    """Hears of both signals from when it is entered, on the running event loop, until it is left."""

    def __init__(self, grace: str, *, quiet: bool) -> None:
        """Take the time that what runs has, for people to read; `quiet` says nothing to them."""
        self._grace = grace
        self._quiet = quiet
        self._first: signal.Signals | None = None
        self._count = 0
        self._passed_on = 0
        self._terminated_at = float("-inf")
        self._stop: Callable[[], None] | None = None
        self.heard = asyncio.Event()
        """Set on the event loop after the first signal, whether or not anything is stopped by it."""

    @property
    def code(self) -> int | None:
        """The exit code that the first signal asks for; None where there was none."""
        return None if self._first is None else CODES[self._first]

    async def __aenter__(self) -> Self:
        """Begin to hear; a Ctrl-C that came before ends the command here, where nothing takes it for something else."""
        self._loop = asyncio.get_running_loop()
        heard = [*CODES]
        if HANGUP is not None and signal.getsignal(HANGUP) is not signal.SIG_IGN:
            heard.append(HANGUP)
        self._former = {number: signal.signal(number, self._hear) for number in heard}
        try:
            await asyncio.sleep(0)  # asyncio.run has made a cancellation of it, which waits for the next await
        except BaseException:
            self._leave()
            raise
        return self

    async def __aexit__(self, *raised: object) -> None:
        """Let the signals do again what they did before."""
        self._leave()

    def _leave(self) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def hand_to(self, stop: Callable[[], None]) -> None:
        """Have `stop` called for the first signal and for the second, also for those that have come before now."""
        self._stop = stop
        self._pass_on()

    def _hear(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a signal handler's signature
        """Stop; at the third signal end the process, for a job may block the event loop, so that nothing listens."""
        now = time.monotonic()
        number = signal.SIGTERM if number == HANGUP else number
        if number == signal.SIGTERM:
            if now - self._terminated_at < SAME_SIGNAL:
                return
            self._terminated_at = now
        self._first = self._first or signal.Signals(number)
        self._count += 1
        if self._count > (2 if self._stop else 1):
            os._exit(CODES[signal.Signals(number)])
        if not self._quiet:
            text = FIRST.format(self._grace, AGAIN[self._first]) if self._count == 1 else SECOND
            with suppress(OSError):  # said here, so that it is said also while a job blocks the event loop
                os.write(2, ("\n" if os.isatty(2) else "").encode() + as_said(text))
        self._loop.call_soon_threadsafe(self._pass_on)

    def _pass_on(self) -> None:
        """Call what stops once for each signal; on the event loop, since a signal may come between any two lines."""
        if self._count:
            self.heard.set()
        while self._stop is not None and self._passed_on < self._count:
            self._passed_on += 1
            self._stop()
