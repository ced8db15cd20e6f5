"""The heartbeat of a process, from a thread of its own, and the watch over its event loop.

A job that blocks the event loop delays its neighbours, but must not cost the process its ownership of what it runs; so
the heart doesn't beat on the loop, and says who blocks it.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING

from pinstripe.errors import LedgerError
from pinstripe.executing import CURRENT

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from pinstripe.executing import Executing
    from pinstripe.executor import Executor

BEAT = 15.0
"""Seconds between two heartbeats."""

TICK = 0.25
"""Seconds between two signs of life of the event loop."""

BLOCKED = 1.0
"""How many seconds the event loop may be blocked before it is warned about."""

_log = logging.getLogger("pinstripe")


class Pulse:
    """One daemon thread that beats and watches, between `start` and `stop`."""

    def __init__(
        self,
        executor: Executor,
        beat: Callable[[], None] | None = None,
        *,
        beat_every: float = BEAT,
        blocked_after: float = BLOCKED,
    ) -> None:
        """Take whose executions to name, and what to call in the thread every `beat_every` seconds.

        `blocked_after` is how many seconds the event loop may be blocked without a warning.
        """
        self._executor = executor
        self._beat = beat
        self._beat_every = beat_every
        self._blocked_after = blocked_after
        self._tick_every = min(TICK, blocked_after / 4)
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._timer: asyncio.TimerHandle | None = None
        self._ticked = 0.0
        self._failed: str | None = None

    def start(self) -> None:
        """Start beating, and watching the running event loop; a second call does nothing."""
        if self._thread is not None:
            return
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._stopped = threading.Event()
        self._tick()
        self._thread = threading.Thread(target=self._go, args=(self._stopped,), name="pinstripe pulse", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop; a beat that is on its way may still end."""
        self._stopped.set()
        if self._timer is not None:
            self._timer.cancel()
        self._thread = self._timer = self._loop = None

    def _tick(self) -> None:
        self._ticked = time.monotonic()
        if self._loop is not None:
            self._timer = self._loop.call_later(self._tick_every, self._tick)

    def _go(self, stopped: threading.Event) -> None:
        """Look again and again, in the thread."""
        beaten = looked = time.monotonic()
        used = time.process_time()
        blockage: _Blockage | None = None
        while not stopped.wait(self._tick_every):
            now, use = time.monotonic(), time.process_time()
            if blockage is None and now - looked > self._blocked_after and use - used < (now - looked) / 2:
                self._ticked = now  # all of the process stood still, as by Ctrl-Z: that was nobody's doing
            looked, used = now, use
            if now - beaten >= self._beat_every:
                beaten = now
                self._try_beat()
            blockage = self._watch(now, blockage)

    def _try_beat(self) -> None:
        if self._beat is None:
            return
        try:
            self._beat()
        except Exception as error:  # noqa: BLE001 - one beat that fails must not be the last
            said, self._failed = self._failed, str(error)
            if said == self._failed:
                return  # as long as it fails for one reason, it is told once
            traceback = not isinstance(error, LedgerError)  # which says all that there is to say
            with suppress(Exception):  # a logging handler of the application's may raise
                text = "the heartbeat failed; it is tried again every %gs: %s"
                _log.warning(text, self._beat_every, error, exc_info=traceback)
        else:
            if self._failed is not None:
                self._failed = None
                with suppress(Exception):  # as above
                    _log.warning("the heartbeat succeeds again")

    def _watch(self, now: float, blockage: _Blockage | None) -> _Blockage | None:
        """One look at the event loop: warn when it is blocked for too long, once, and when that is over."""
        loop = self._loop
        if blockage is None and loop is not None and not loop.is_running():
            self._ticked = now  # nothing waits for it, as in a job's process between two jobs
        ticked = self._ticked
        if blockage is None:
            if now - ticked < self._blocked_after + self._tick_every:
                return None
            frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001 - the documented way to see a thread
            blockage = _Blockage(ticked, self._executor, self._loop, frame)
            instead = "write a plain def run, which has" if blockage.is_job else "give it"
            blockage.warn(
                "%s has blocked the event loop for %.1fs, at %s; all else waits. Await what takes long, or "
                f"{instead} a thread of its own",
                now - ticked,
            )
            return blockage
        if ticked == blockage.since:
            return blockage
        blockage.warn("%s blocked the event loop for %.1fs in all, at %s", ticked - blockage.since)
        return None


class _Blockage:
    """A time in which the event loop doesn't run: since when, by whom, and where."""

    def __init__(
        self,
        since: float,
        executor: Executor,
        loop: asyncio.AbstractEventLoop | None,
        frame: FrameType | None,
    ) -> None:
        self.since = since
        self._executing = executor.find(None if loop is None else asyncio.current_task(loop))
        self._place = _place(frame, None if self._executing is None else self._executing.file)

    @property
    def is_job(self) -> bool:
        """Whether a job does it."""
        return self._executing is not None

    def warn(self, message: str, seconds: float) -> None:
        """Log a warning as if the execution itself did, so that it is shown and kept with its output."""
        who = "something that is no job" if self._executing is None else str(self._executing)
        context = copy_context()
        with suppress(Exception):  # a logging handler of the application's may raise, and must not stop the heart
            context.run(_log_for, self._executing, message, who, seconds, self._place)


def _log_for(executing: Executing | None, message: str, *facts: object) -> None:
    CURRENT.set(executing)
    _log.warning(message, *facts)


def _place(frame: FrameType | None, file: str | None) -> str:
    """Write where a thread is: the innermost line of the job's own file, else the innermost line."""
    if frame is None:
        return "an unknown place"
    shown: FrameType = frame
    each: FrameType | None = frame
    while each is not None:
        if each.f_code.co_filename == file:
            shown = each
            break
        each = each.f_back
    return f"{shown.f_code.co_filename}:{shown.f_lineno} in {shown.f_code.co_name}"
