"""How a worker is stopped: told once, it lets what runs end by itself for a grace; told twice, it stops it at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

END_LIMIT = 5.0
"""Seconds that executions have to end once they were stopped, before they are left behind."""


class Shutdown:
    """The state of one worker's shutdown. All of it happens on the event loop's thread."""

    def __init__(self, grace: float, stop_running: Callable[[str], None]) -> None:
        """Take the `grace` in seconds, and what stops all that runs, with the reason."""
        self._grace = grace
        self._stop_running = stop_running
        self._times = 0
        self._timer: asyncio.TimerHandle | None = None
        self._deadline: float | None = None
        self.reason: str | None = None
        """Why the worker stops; None as long as it doesn't."""

    @property
    def begun(self) -> bool:
        """Whether the grace has begun to pass."""
        return self._timer is not None

    @property
    def hurried(self) -> bool:
        """Whether what ran was stopped."""
        return self._deadline is not None

    @property
    def time_left(self) -> float:
        """How many seconds what was stopped has to end; without limit before it was stopped."""
        return float("inf") if self._deadline is None else self._deadline - asyncio.get_running_loop().time()

    def tell(self, reason: str) -> None:
        """Tell to stop, or to hurry; the first `reason` stays."""
        self.reason = self.reason or reason
        self._times += 1

    def begin(self) -> None:
        """Let the grace pass from now on, unless it does so already; having been told twice there is none."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._grace, self.hurry)
        if self._times > 1:
            self.hurry()

    def hurry(self) -> None:
        """Stop what runs, once."""
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().time() + END_LIMIT
            self._stop_running(self.reason or "")

    def end(self) -> None:
        """Forget the timer."""
        if self._timer is not None:
            self._timer.cancel()
