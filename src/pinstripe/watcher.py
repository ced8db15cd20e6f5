"""What a run tells while it goes on, to whoever shows it: plain calls, in batches, never awaited.

They come on the event loop's thread, but for `output`, which comes in the thread that prints.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pinstripe.run import Counts, Failure, Run


class Watcher:
    """Hears what happens in a run, and does no more than pass output on; the command line's own shows it all."""

    captures: bool = True
    """Whether the output of jobs is to be captured; False leaves standard input and output alone."""

    def created(self, run: Run) -> None:
        """Hear that the ledger has the run."""

    def selecting(self, run: Run, found: int) -> None:
        """Hear how many tenants have been `found` so far."""

    def selected(self, run: Run, total: int) -> None:
        """Hear that the selection is complete: there are `total` executions."""

    def advanced(self, run: Run, counts: Counts, failures: Sequence[Failure]) -> None:
        """Hear the counts after a batch was settled, and what failed in it."""

    def output(self, tenant: str | None, text: str) -> None:  # noqa: ARG002 - for those that tell them apart
        """Hear whole captured lines (each with its line end) of one execution; pass them on to the process's output."""
        stream = sys.stdout
        stream = getattr(stream, "real", stream)  # not back into the capture
        stream.write(text)

    def progress(self, tenant: str | None, done: float, total: float | None) -> None:
        """Hear what a job said by `self.progress(done, total)`."""

    def finished(self, run: Run) -> None:
        """Hear that the run is closed."""
