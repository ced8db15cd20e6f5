"""What jobs print in a worker, on its standard output: each line after its job and tenant, since many go on at once."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pinstripe.views.output import harmless
from pinstripe.views.text import visible
from pinstripe.watcher import Watcher


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
