"""What is seen of a run on a terminal: the bar of a run over several tenants, with the jobs' output above it."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, TextIO

from pinstripe.commands.progress import Progress, told
from pinstripe.views.output import harmless

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from pinstripe.clock import Clock
    from pinstripe.run import Counts, Failure, Run

DRAW_AFTER = 0.25
"""How many seconds a run goes on before a bar is drawn: a shorter one has no need of it, nor of importing rich."""

DRAW_EVERY = 0.1
"""How many seconds lie between two states of the bar."""


class LiveProgress(Progress):
    """Shows a run over several tenants as a bar with counts, rate and time left."""

    def __init__(self, clock: Clock, *, captures: bool = True) -> None:
        """Take what tells the time, and whether output is captured."""
        super().__init__(clock, captures=captures, terminal=sys.stdout.isatty())
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._beat: asyncio.TimerHandle | None = None
        self._status = ""
        self._job = ""

    def created(self, run: Run) -> None:
        """Draw soon: selecting may take its time."""
        super().created(run)
        self._job = run.job
        self._beat = asyncio.get_running_loop().call_later(DRAW_AFTER, self._draw)

    def selecting(self, run: Run, found: int) -> None:  # noqa: ARG002 - a watcher's signature
        """Show how many tenants were found so far."""
        self._status = f"selecting tenants, {found:,} so far"

    def selected(self, run: Run, total: int) -> None:
        """Know how long the bar is; one execution has none, nor has output that isn't captured."""
        super().selected(run, total)
        self._status = ""
        if total <= 1 or not self.captures:
            self._undraw()

    def advanced(self, run: Run, counts: Counts, failures: Sequence[Failure]) -> None:  # noqa: ARG002 - a watcher's
        """Remember how far the run is; the next beat shows it."""
        self._counts = counts

    def waiting(self, run: Run, reason: str | None) -> None:
        """Show why nothing of it goes on beside the bar or, where there is none, as a line."""
        if self._bar is None:
            super().waiting(run, reason)
        else:
            self._status = self._reason = reason or ""

    def progress(self, tenant: str | None, done: float, total: float | None) -> None:
        """Show how far a job says that it is, beside the bar or, where there is none, as a line now and then."""
        if self._bar is None:
            super().progress(tenant, done, total)
        else:
            self._status = told(tenant, done, total)

    def say(self, line: str) -> None:
        """Write a line of Pinstripe's own, above the bar."""
        if self._bar is None:
            super().say(line)
        else:
            self._print(f"{line}\n")

    def write(self, text: str) -> None:
        """Write jobs' output, above the bar where both are on the terminal."""
        if self._bar is None or not self._terminal:
            super().write(text)
        else:
            self._print(harmless(text))

    def close(self) -> None:
        """Write what waits, and take the bar away; may be called again."""
        super().close()
        self._undraw()

    def _draw(self) -> None:
        """Bring the bar up to date, and again at the next beat."""
        bar = self._bar
        if bar is None:
            bar = self._bar = _new_bar(self._out if self._terminal else self._err)
            self._task = bar.add_task("", total=None, pace="", status="", job=self._job)
            bar.start()
        assert self._task is not None  # noqa: S101 - for the type checker: set with the bar
        done = self._counts.done if self._counts else 0
        pace = self.pace() if self._total else ""
        bar.update(self._task, total=self._total or None, completed=done, pace=pace, status=self._status)
        bar.refresh()
        self._beat = asyncio.get_running_loop().call_later(DRAW_EVERY, self._draw)

    def _undraw(self) -> None:
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _print(self, text: str) -> None:
        from rich.segment import Segment, Segments

        assert self._bar is not None  # noqa: S101 - for the type checker: the callers looked
        # A segment goes out as it is: no markup, no highlighting, no wrapping, and no time spent on them.
        self._bar.console.print(Segments([Segment(text)]), soft_wrap=True, end="")


def _new_bar(stream: TextIO) -> Bar:
    """Make a bar on a terminal. It is drawn by the event loop's beat, not by a thread of its own."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    return Bar(
        TextColumn("{task.fields[job]}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[pace]}", markup=False),
        TextColumn("{task.fields[status]}", markup=False, style="dim"),
        console=Console(file=stream),
        transient=True,
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
    )
