"""What is measured: figures with their budgets, how large everything is made, and the table."""

from __future__ import annotations

import math
import os
import platform
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Missing(Exception):
    """Something can't be measured here; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `least` or `most` is the budget, in the same unit as `value`; None where there is none.

    Without a `value` it couldn't be measured, and `note` says why.
    """

    what: str
    value: float | None
    unit: str
    least: float | None = None
    most: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the budget is kept; None where there is none, or nothing was measured."""
        if self.value is None or (self.least is None and self.most is None):
            return None
        return (self.least is None or self.value >= self.least) and (self.most is None or self.value <= self.most)


@dataclass(frozen=True, slots=True)
class Size:
    """How large everything is made. `kept` are the executions of the ledger that has a history, `looks` those at it.

    `waiting` jobs are enqueued and drained, `paced` ones meet an idle worker, which is idle for `idle` seconds; one
    worker executes `grown` of them in its life. `due` schedules are due at once, `fires` times, every
    `beat` seconds; `simulated` jobs live for `simulated_days`. `processes` says how many workers are compared.
    """

    rounds: int = 20
    fan_outs: tuple[int, ...] = (10_000, 100_000)
    fan_out_rounds: int = 5
    memory: tuple[int, ...] = (100_000, 1_000_000)
    kept: int = 5_000_000
    kept_singles: int = 200_000
    looks: int = 100
    calls: int = 2_000
    turns: int = 500
    queries: int = 10_000
    waiting: int = 10_000
    paced: int = 200
    idle: float = 10
    due: int = 1_000
    fires: int = 5
    beat: int = 5
    simulated: int = 1_000
    simulated_days: int = 365
    grown: int = 1_000_000
    peer_rounds: int = 3
    processes: tuple[int, ...] = (1, 2, 4, 8)


FULL = Size()
QUICK = Size(
    rounds=5,
    fan_outs=(10_000,),
    fan_out_rounds=3,
    memory=(10_000, 100_000),
    kept=500_000,
    kept_singles=20_000,
    looks=20,
    calls=500,
    turns=100,
    queries=2_000,
    waiting=2_000,
    paced=50,
    idle=3,
    due=200,
    fires=2,
    simulated=100,
    grown=100_000,
    peer_rounds=1,
)
TINY = Size(
    rounds=1,
    fan_outs=(50,),
    fan_out_rounds=1,
    memory=(50,),
    kept=4_000,
    kept_singles=200,
    looks=1,
    calls=5,
    turns=2,
    queries=20,
    waiting=20,
    paced=2,
    idle=0.1,
    due=5,
    fires=1,
    beat=1,
    simulated=5,
    simulated_days=30,
    grown=60,
    peer_rounds=1,
    processes=(1, 2),
)


def middle(values: Iterable[float]) -> float:
    """Give the median."""
    return statistics.median(values)


def percentile(values: Iterable[float], percent: float) -> float:
    """Give the least value that so many percent of them don't exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def table(sections: Sequence[tuple[str, Sequence[Figure]]]) -> list[str]:
    """Write the figures as one table in Markdown, a heading line for each section."""
    lines = ["| what | measured | budget | | |", "|---|--:|--:|---|---|"]
    for title, figures in sections:
        lines.append(f"| **{title}** | | | | |")
        lines.extend(_line(figure) for figure in figures)
    return lines


def machine() -> str:
    """Tell what this is measured on, in one line."""
    import apsw

    return (
        f"Python {platform.python_version()}, SQLite {apsw.sqlite_lib_version()}, {platform.system()} "
        f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores of {_processor()}, {_memory()}"
    )


def _line(figure: Figure) -> str:
    limit = "" if figure.least is None else f"≥ {_number(figure.least)}"
    limit = limit if figure.most is None else f"≤ {_number(figure.most)}"
    if figure.value is None:
        return f"| {figure.what} | not measured | {limit} |  | {figure.note} |"
    verdict = {None: "", True: "met", False: "**missed**"}[figure.met]
    return f"| {figure.what} | {_number(figure.value)} {figure.unit} | {limit} | {verdict} | {figure.note} |"


def _number(value: float) -> str:
    """Write three digits that count, and all of them before the point."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def _processor() -> str:
    for line in _lines("/proc/cpuinfo"):
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or "an unnamed processor"


def _memory() -> str:
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemTotal:"):
            return f"{int(line.split()[1]) / 2**20:.0f} GiB"
    return "memory unknown"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
