"""Workers that are measured: processes that are started and stopped with all their children, and what they cost."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

ROOT = Path(__file__).parents[1]
PATIENCE = 120.0
"""Seconds that anything may take before it counts as hanging."""

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Server(Protocol):
    """What serves workers, and can be looked at as they are."""

    def seconds(self) -> float:
        """Give the seconds of a processor that it has used so far."""
        ...


class Worker:
    """A process, and the processes that it has started; what it prints goes to a file."""

    def __init__(self, command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> None:
        """Start it in `folder`, as the head of a group of processes."""
        self.command = " ".join(command)
        self.output = folder / f"worker-{time.monotonic_ns()}.txt"
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(
                command, cwd=folder, env=variables, stdout=output, stderr=output, start_new_session=True
            )

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Look every few milliseconds whether something is so; raises RuntimeError where the worker ends before."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if self._process.poll() is not None or time.monotonic() > deadline:
                printed = self.output.read_text("utf-8", errors="replace")[-3_000:]
                raise RuntimeError(f"expected {what} of `{self.command}` ({self._process.poll()}), got:\n{printed}")
            time.sleep(0.005)

    def signal(self, number: int) -> None:
        """Send a signal to the process, if it lives; the others of its group don't get it."""
        if self._process.poll() is None:
            self._process.send_signal(number)

    def wait(self, patience: float) -> int | None:
        """Give the code that it ends with; None where it doesn't end in so many seconds."""
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(patience)
        return None

    def stop(self) -> None:
        """Ask it to end, and end it with all its children where it doesn't."""
        if self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def seconds(self) -> float:
        """Give the seconds of a processor that it and its children have used so far."""
        return sum(_seconds(pid) for pid in family(self.pid))

    def memory(self) -> float:
        """Give the MiB that it and its children hold; what they share counts for each."""
        return sum(_memory(pid) for pid in family(self.pid)) / 2**20

    def files(self) -> int:
        """Give how many files it and its children have open."""
        return sum(_files(pid) for pid in family(self.pid))


@contextmanager
def worker(command: Sequence[str], folder: Path, **variables: str) -> Iterator[Worker]:
    """Start a worker and stop it; its modules are found beside this repository's, and compiled once."""
    started = Worker(command, folder, environment(**variables))
    try:
        yield started
    finally:
        started.stop()


def environment(**variables: str) -> dict[str, str]:
    """Give the variables of a process that imports from `benchmarks`."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    path = [str(ROOT), variables.get("PYTHONPATH"), kept.get("PYTHONPATH")]
    return {**kept, **variables, "PYTHONPATH": os.pathsep.join(filter(None, path))}


def children() -> dict[int, list[int]]:
    """Give the children of all processes that have some."""
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                found.setdefault(parent, []).append(int(entry.name))
    return found


def family(pid: int) -> list[int]:
    """Give a process with its children, and theirs."""
    by_parent = children()
    found = [pid]
    for each in found:
        found.extend(by_parent.get(each, ()))
    return found


def family_seconds(pid: int) -> float:
    """Give the seconds of a processor that a process, its children, and its children that ended have used so far."""
    ended = 0.0
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ended = (int(fields[13]) + int(fields[14])) / _TICKS
    return ended + sum(_seconds(each) for each in family(pid))


def _seconds(pid: int) -> float:
    """Count nanoseconds, as the scheduler does; where the kernel doesn't tell them, ticks of ten milliseconds."""
    with suppress(OSError):
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        with suppress(FileNotFoundError):
            return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
        used = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(used[11]) + int(used[12])) / _TICKS
    return 0.0


def _memory(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    return 0


def _files(pid: int) -> int:
    with suppress(OSError):
        return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return 0
