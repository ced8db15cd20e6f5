"""What jobs leave behind to be measured by: each its number and the moment, in one file that all processes append to.

It needs nothing but Python, as the peers' jobs leave it too.
"""

from __future__ import annotations

import os
import struct
import time
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

ENTRY = struct.Struct("=qq")
VARIABLE = "BENCHMARK_EVIDENCE"
"""The environment variable that names the file."""


class Entry(NamedTuple):
    """That the job with this number began; `at` is in nanoseconds of the clock that all processes share."""

    number: int
    at: int


def note(number: int) -> None:
    """Write an entry; it is one write, so that those of several processes never mix."""
    os.write(_file(os.environ[VARIABLE]), ENTRY.pack(number, time.monotonic_ns()))


def entries(path: Path) -> list[Entry]:
    """Give what was written so far, in that order."""
    return [Entry(*values) for values in ENTRY.iter_unpack(path.read_bytes())]


def count(path: Path) -> int:
    """Give how many were written so far."""
    return path.stat().st_size // ENTRY.size


@cache
def _file(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND)
