"""Starts a process beside the test's own, and ends it for certain."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.ledgers.conftest import START

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator

    from tests.ledgers.stores import Store

PATIENCE = 30
"""Seconds that a test waits for a process before it gives up."""

_ROOT = Path(__file__).parents[2]


class Child:
    """Another process on the same ledger."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def line(self) -> str:
        """Wait for the next line that it says."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"it ended: {self.process.wait(PATIENCE)}"
        return line.strip()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def wait_until_stopped(self) -> None:
        """Wait until a signal has stopped it."""
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def kill(self) -> None:
        """End it as the system does that has no memory left, and wait until it is gone."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def release(self) -> int:
        """Let it go on to its end; give its exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(PATIENCE)


@contextmanager
def child(place: Store | Path, what: str, *words: object, module: str = "tests.ledgers.child") -> Iterator[Child]:
    """Start a process that does `what`, one of the acts of a `module`, to the ledger of a store, or in a file.

    Its clock begins where the store's is now, and goes on by itself.
    """
    address, now = (place, START) if isinstance(place, Path) else (place.address, place.clock.microseconds)
    process = subprocess.Popen(
        [sys.executable, "-m", module, str(address), str(now), what, *map(str, words)],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Child(process)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(PATIENCE)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.stdout.close()
