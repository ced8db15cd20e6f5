"""What a run tells while it goes on, to whoever shows it: plain calls, in batches, never awaited.

They come on the event loop's thread, but for `output`, which comes in the thread that prints.
"""

from __future__ import annotations

import logging
import sys
from contextvars import Context
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pinstripe.queue import Started
    from pinstripe.run import Counts, Failure, Run


_log = logging.getLogger("pinstripe")


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
        """Hear whole captured lines (each with its line end) of one execution; pass them on to the process's output.

        They are passed on at once, also where that is a pipe: a job's own `flush` doesn't reach so far.
        """
        stream = sys.stdout
        stream = getattr(stream, "real", stream)  # not back into the capture
        stream.write(text)
        stream.flush()

    def job_output(self, job: str, tenant: str | None, text: str) -> None:  # noqa: ARG002 - as above
        """Hear the same from a worker, which executes several jobs at once: of which `job` it is."""
        self.output(tenant, text)

    def output_of(self, started: Started, tenant: str | None, text: str) -> None:
        """Hear the same, with all that is known of the execution."""
        self.job_output(started.run.job, tenant, text)

    def progress(self, tenant: str | None, done: float, total: float | None) -> None:
        """Hear what a job said by `self.progress(done, total)`."""

    def finished(self, run: Run) -> None:
        """Hear that the run is closed."""


class Guarded(Watcher):
    """Passes everything on to another watcher, whose errors stay with it: a screen that fails harms no run and no job.

    The first error is logged.
    """

    def __init__(self, watcher: Watcher) -> None:
        """Take the `watcher` to pass on to."""
        self._watcher = watcher
        self._told = False

    @property
    def captures(self) -> bool:  # type: ignore[override]
        """Whether the other one wants output captured, now: it may change its mind once it knows the selection."""
        return self._watcher.captures

    def created(self, run: Run) -> None:
        """Pass it on."""
        self._pass_on("created", run)

    def selecting(self, run: Run, found: int) -> None:
        """Pass it on."""
        self._pass_on("selecting", run, found)

    def selected(self, run: Run, total: int) -> None:
        """Pass it on."""
        self._pass_on("selected", run, total)

    def advanced(self, run: Run, counts: Counts, failures: Sequence[Failure]) -> None:
        """Pass it on."""
        self._pass_on("advanced", run, counts, failures)

    def output(self, tenant: str | None, text: str) -> None:
        """Pass it on."""
        self._pass_on("output", tenant, text)

    def job_output(self, job: str, tenant: str | None, text: str) -> None:
        """Pass it on."""
        self._pass_on("job_output", job, tenant, text)

    def output_of(self, started: Started, tenant: str | None, text: str) -> None:
        """Pass it on."""
        self._pass_on("output_of", started, tenant, text)

    def progress(self, tenant: str | None, done: float, total: float | None) -> None:
        """Pass it on."""
        self._pass_on("progress", tenant, done, total)

    def finished(self, run: Run) -> None:
        """Pass it on."""
        self._pass_on("finished", run)

    def _pass_on(self, what: str, *facts: object) -> None:
        try:
            getattr(self._watcher, what)(*facts)
        except Exception:  # noqa: BLE001 - what a screen may raise is anything
            if self._told:
                return
            self._told = True
            # It may be a job's own print that came here: this is no output of the job's.
            Context().run(_log.exception, "what watches the run failed (%s); the run goes on", what)
