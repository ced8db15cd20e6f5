"""What is seen of a run while it goes on: its jobs' output as it comes, and a plain line now and then of how far it is.

`live.py` has the same with a bar, for a terminal.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, TextIO

from pinstripe.views.output import harmless
from pinstripe.views.text import span, visible
from pinstripe.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pinstripe.clock import Clock
    from pinstripe.run import Counts, Failure, Run

WRITE_EVERY = 0.1
"""How many seconds output may wait for more, so that thousands of lines are not thousands of writes."""

LINE_EVERY = 5.0
"""After how many seconds a plain progress line is due."""

LINE_EVERY_SHARE = (0.1, 1.0)
"""A line is also due after this share of the whole, but not before so many seconds."""


def new_screen(clock: Clock, *, captures: bool = True) -> Progress:
    """Choose how a run is seen: with a bar where there is a terminal to draw it on, else as lines."""
    if (sys.stdout.isatty() or sys.stderr.isatty()) and os.environ.get("TERM") != "dumb":
        from pinstripe.commands.live import LiveProgress

        return LiveProgress(clock, captures=captures)
    return Progress(clock, captures=captures, terminal=sys.stdout.isatty())


class Progress(Watcher):
    """Shows a run as lines: jobs' output on standard output, progress on standard error."""

    def __init__(self, clock: Clock, *, captures: bool = True, terminal: bool = False) -> None:
        """Take what tells the time; whether output is captured; whether a single execution may have the terminal."""
        self.captures = captures
        self.begun = False
        """Whether the ledger has the run."""
        # The real ones: while jobs run, sys.stdout leads to the execution that prints, and this is called as it does.
        self._out: TextIO = sys.stdout
        self._err: TextIO = sys.stderr
        self._clock = clock
        self._terminal = terminal
        self._total = 0
        self._counts: Counts | None = None
        self._began = clock.monotonic()
        self._line_at = self._began
        self._line_done = 0
        self._done_before = 0
        self._reason: str | None = None
        self._waiting: list[str] = []
        self._written_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._reader_gone = False

    def created(self, run: Run) -> None:  # noqa: ARG002 - a watcher's signature
        """Know that the run is in the ledger."""
        self.begun = True

    def selecting(self, run: Run, found: int) -> None:
        """Say how many tenants were found so far."""
        if self._due(0.0):
            self.say(f"{run.job}: selecting tenants, {found:,} so far")

    def selected(self, run: Run, total: int) -> None:
        """Start the clock; a single execution on a terminal gets the terminal for itself."""
        self._total = total
        self._done_before = self._line_done = run.executions.done  # more than none where it is seen from its middle on
        self._began = self._line_at = self._clock.monotonic()
        if total == 1 and self._terminal:
            self.captures = False

    def advanced(self, run: Run, counts: Counts, failures: Sequence[Failure]) -> None:  # noqa: ARG002 - a watcher's
        """Say how far the run is, now and then, where it has come any further."""
        self._counts = counts
        done = counts.done - self._line_done
        if self._total > 1 and done and counts.done < self._total and self._due(done / self._total):
            self._line_done = counts.done
            self.say(f"{run.job}: {self.pace()}")

    def waiting(self, run: Run, reason: str | None) -> None:
        """Say why nothing of it goes on, once for each reason; None where something does."""
        if reason is not None and reason != self._reason:
            self.say(f"{visible(run.job)}: {reason}")
        self._reason = reason

    def output(self, tenant: str | None, text: str) -> None:
        """Write what an execution printed; its tenant stands before each line where there are several."""
        if tenant is not None and self._total > 1:
            before = f"{visible(tenant)} | "
            text = "".join(before + line for line in text.splitlines(keepends=True))
        self._waiting.append(text)
        now = self._clock.monotonic()
        if now - self._written_at >= WRITE_EVERY:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WRITE_EVERY, self.flush)

    def progress(self, tenant: str | None, done: float, total: float | None) -> None:
        """Say how far a job says that it is, now and then."""
        if self._due(0.0):
            self.say(told(tenant, done, total))

    def finished(self, run: Run) -> None:  # noqa: ARG002 - a watcher's signature
        """Write what still waits."""
        self.close()

    def say(self, line: str) -> None:
        """Write a line of Pinstripe's own, on standard error."""
        self.flush()
        self._err.write(f"{line}\n")
        self._err.flush()

    def flush(self) -> None:
        """Write the output that waits for more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._written_at = self._clock.monotonic()
        text, self._waiting = "".join(self._waiting), []
        if text and not self._reader_gone:
            try:
                self.write(text)
            except OSError:
                # Nobody reads it (`| head`) or its disk is full; the work goes on, and the ledger keeps the output.
                self._reader_gone = True

    def write(self, text: str) -> None:
        """Write jobs' output."""
        self._out.write(harmless(text) if self._terminal else text)
        self._out.flush()

    def close(self) -> None:
        """Write what waits, and show nothing more; may be called again."""
        self.flush()

    def pace(self) -> str:
        """Tell how far the run is: `1,200 of 10,000, 3 failed, 800/s, 11 s left`."""
        counts = self._counts
        if counts is None or not counts.done:
            return f"0 of {self._total:,}"
        fresh = counts.done - self._done_before
        if fresh <= 0:
            return f"{counts.done:,} of {self._total:,}"
        seconds = max(self._clock.monotonic() - self._began, 0.001)
        others = [
            f"{number:,} {name}"
            for name, number in (
                ("failed", counts.failed),
                ("cancelled", counts.cancelled),
                ("skipped", counts.skipped),
            )
            if number
        ]
        rate = fresh / seconds
        left = (self._total - counts.done) / rate
        speed = f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"  # noqa: PLR2004 - two digits say enough
        return ", ".join([f"{counts.done:,} of {self._total:,}", *others, speed, f"{span(left)} left"])

    def _due(self, share: float) -> bool:
        """Tell whether a progress line is due, `share` of the whole after the last one; if so, it counts as written."""
        now = self._clock.monotonic()
        enough, not_before = LINE_EVERY_SHARE
        waited = now - self._line_at
        if waited < LINE_EVERY and not (share >= enough and waited >= not_before):
            return False
        self._line_at = now
        return True


def told(tenant: str | None, done: float, total: float | None) -> str:
    """Write what a job says by `self.progress`: `acme: 50 of 200`."""
    whole = "" if total is None else f" of {total:,g}"
    return f"{visible(tenant)}: {done:,g}{whole}" if tenant else f"{done:,g}{whole}"
