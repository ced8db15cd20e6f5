"""What jobs print in a worker, on its standard output: each line after its job and tenant, since many go on at once."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pinstripe.json_lines import json_line
from pinstripe.json_output import installed
from pinstripe.views.output import harmless
from pinstripe.views.text import visible
from pinstripe.watcher import Watcher

if TYPE_CHECKING:
    from pinstripe.json_output import JSONOutput
    from pinstripe.queue import Started

JOBS = "pinstripe.output"
"""The logger that is named for what jobs print, in JSON."""


def worker_output() -> Watcher:
    """Make what shows the output of a worker's jobs: as JSON, where this process writes that."""
    output = installed()
    return WorkerOutput() if output is None else JSONWorkerOutput(output)


class JSONWorkerOutput(Watcher):
    """Shows each line that a job prints as one of JSON; the ledger keeps it too. What it logs is shown by the log."""

    def __init__(self, output: JSONOutput) -> None:
        """Take what writes lines."""
        self._output = output

    def output_of(self, started: Started, tenant: str | None, text: str) -> None:
        """Write whole lines of one execution."""
        run = started.run
        facts: dict[str, object] = {"job": run.job, "run": run.id, "tenant": tenant, "attempt": started.attempt}
        if run.trace is not None:
            facts["trace_id"] = run.trace.split("-")[1]
        for line in text.splitlines():
            self._output.write(json_line("INFO", JOBS, line, facts=facts))


class WorkerOutput(Watcher):
    """Shows the output of a worker's jobs; the ledger keeps it too."""

    def __init__(self) -> None:
        """Write to standard output as it is now, before jobs' own writes are led away from it."""
        self._stream = sys.stdout
        self._terminal = sys.stdout.isatty()

    def job_output(self, job: str, tenant: str | None, text: str) -> None:
        """Write whole lines of one execution."""
        before = f"{visible(job)} | " if tenant is None else f"{visible(job)} {visible(tenant)} | "
        shown = harmless(text) if self._terminal else text
        try:
            self._stream.write("".join(before + line for line in shown.splitlines(keepends=True)))
            self._stream.flush()
        except BrokenPipeError:  # nobody reads it any more, and the ledger keeps it
            with Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), self._stream.fileno())
