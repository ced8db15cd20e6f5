"""Clocks that go wrong: what makes a host's Python tell another time than this machine does."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

VARIABLE = "TORTURE_CLOCK"
"""The environment variable that says how many seconds a process's clock is ahead."""

# Python imports it at its start, in every process that has its folder on the path. Only the wall clock is changed:
# nobody sets a monotonic one.
_SOURCE = f"""\
import os
import time

_ahead = round(float(os.environ.get("{VARIABLE}", "0")) * 1e9)
_time_ns = time.time_ns
time.time_ns = lambda: _time_ns() + _ahead
time.time = lambda: (_time_ns() + _ahead) / 1e9
"""


def make(folder: Path) -> Path:
    """Write what changes clocks; give the folder that `ahead` takes."""
    clocks = folder / "clocks"
    clocks.mkdir(parents=True)
    (clocks / "sitecustomize.py").write_text(_SOURCE, "utf-8")
    return clocks


def ahead(clocks: Path, seconds: float, variables: Mapping[str, str]) -> dict[str, str]:
    """Give the variables of a process whose clock is so many seconds ahead; behind, where that is less than 0."""
    path = os.pathsep.join(filter(None, [str(clocks), variables.get("PYTHONPATH", "")]))
    return {**variables, VARIABLE: str(seconds), "PYTHONPATH": path}
