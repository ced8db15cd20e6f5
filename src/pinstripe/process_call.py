"""One execution in a child, as its parent hears of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from typing import TYPE_CHECKING

from pinstripe.child_process import EXIT_LIMIT, told
from pinstripe.errors import PinstripeError
from pinstripe.json_output import show_line
from pinstripe.outcome import failed
from pinstripe.process_messages import GO, read_answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from pinstripe.assignment import Assignment
    from pinstripe.child_process import ChildProcess
    from pinstripe.outcome import Outcome

START_LIMIT = 60.0
"""How many seconds a new process may take to say that it is there, if it needn't share the processors with others."""

NEWS_LIMIT = 1.0
"""How many seconds to wait until the pool, which looks ten times a second, tells how a process ended."""


class Call:
    """One execution in a child."""

    def __init__(
        self,
        assignment: Assignment,
        started: Callable[[], None],
        child: ChildProcess,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Take what to do, who hears when the job is about to start, and where that is."""
        self._assignment = assignment
        self._started = started
        self._child = child
        self._loop = loop
        self.answer: Outcome | None = None
        """What the child has told in the end."""
        self.pid = 0
        self.writer: asyncio.StreamWriter | None = None
        self.connected = asyncio.Event()
        """Set when the child has begun; before, nothing of the job has run."""
        self.gone = asyncio.Event()
        self.is_last = False
        """Whether the child ends after this one."""
        self._news = asyncio.Event()  # it has begun, or can't any more

    @property
    def missed(self) -> bool:
        """Whether the child died before it began."""
        return not self.connected.is_set() and self._child.exit_code is not None

    def begin(self, pid: int, writer: asyncio.StreamWriter) -> None:
        """Take who does it."""
        self.pid, self.writer = pid, writer
        self.connected.set()
        self._news.set()

    def hear(self, kind: bytes, body: bytes) -> None:
        """Take one message."""
        capture, progress = self._assignment.capture, self._assignment.progress
        match kind:
            case b"s":
                self._started()
            case b"o" if capture is not None:
                capture.write(body.decode("utf-8", "replace"))
            case b"k" if capture is not None:
                capture.keep(body.decode("utf-8", "replace"))
            case b"j":
                show_line(body, self._assignment.mask)
            case b"p" if progress is not None:
                progress(*json.loads(body))
            case b"r":
                self.answer = read_answer(body)
            case b"e":
                self.is_last = True

    def hear_of_end(self, ended: asyncio.Future[None]) -> None:
        """Take what the pool says; after the answer, as at the pool's stop, it is no news.

        Where the process has died, its line ends too, unless one that the job has forked there holds it open.
        """
        if _is_failed(ended) and not ended.cancelled():
            self._news.set()
            self._loop.call_later(NEWS_LIMIT, self.gone.set)

    async def wait(self, ended: asyncio.Future[None], shares: Callable[[], int]) -> Outcome:
        """Wait for the outcome, or find out why there is none.

        `shares` tells how many times as long as alone a process may take to start, beside others that do.
        """
        begun, limit = self._loop.time(), START_LIMIT
        while not self.connected.is_set() and self._loop.time() - begun < limit:
            limit = max(limit, START_LIMIT * shares())
            # The pool may tell of an end before the socket tells of the beginning; and one that broke tells nothing.
            over = _is_failed(ended) or not self._child.is_there
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for((self.connected if over else self._news).wait(), NEWS_LIMIT)
            if over:
                break
        if self.connected.is_set():
            await self.gone.wait()
        if self.answer is not None:
            return self.answer
        await asyncio.wait([ended], timeout=NEWS_LIMIT)
        return self._lost(ended, limit)

    def tell_to_go(self) -> None:
        """Tell the process that the signal that it is about to get is meant."""
        if self.writer is not None:
            self.writer.write(GO)

    async def end(self) -> None:
        """Wait until the process that was told to go is gone; one that is not gone soon is killed."""
        if not self.connected.is_set():
            return
        try:
            await asyncio.wait_for(self.gone.wait(), NEWS_LIMIT)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError, TimeoutError):
                os.kill(self.pid, signal.SIGKILL)
                await asyncio.wait_for(self.gone.wait(), EXIT_LIMIT)

    def _lost(self, ended: asyncio.Future[None], limit: float) -> Outcome:
        """Give the outcome of a call without an answer: the process died, has not begun, or could not be started."""
        code = self._child.exit_code
        if code is not None or self.connected.is_set():
            how = "nothing is heard of it" if code is None else f"exit code {code}"
            if code is not None and code < 0:
                how = f"signal {_signal(-code)}"
            outcome = failed(PinstripeError(f"the process died: {how}"))
            outcome.crashed = True
            return outcome
        problem = ended.exception() if ended.done() and not ended.cancelled() else None
        if problem is not None:
            return unstarted(told(problem))
        if not self._child.is_there:
            return unstarted("its pool broke")
        return unstarted(f"it did not start within {limit:g}s")


def unstarted(why: str) -> Outcome:
    """Make the outcome of an attempt whose process could not be started."""
    outcome = failed(PinstripeError(f"its process could not be started: {why}"))
    outcome.unstarted = True
    return outcome


def _is_failed(ended: asyncio.Future[None]) -> bool:
    """Tell whether the pool has told of a failure, which is thereby taken notice of."""
    return ended.done() and (ended.cancelled() or ended.exception() is not None)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
