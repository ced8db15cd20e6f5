"""Measure how fast Pinstripe is here and now, and print one table; each scenario has a process of its own.

`python -m benchmarks [SCENARIO]... [--size full|quick|tiny]`, or `scripts/bench`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict
from importlib import import_module
from typing import TYPE_CHECKING

from benchmarks.figures import FULL, QUICK, TINY, Figure, Missing, machine, table

if TYPE_CHECKING:
    from collections.abc import Sequence

SCENARIOS = (
    *("cold_start", "fan_out", "memory", "history", "looking_back", "dashboard", "costs", "nested"),
    *("enqueueing", "draining", "idle", "schedules", "simulated_years", "growth", "tenant_queries"),
    *(
        "postgres",
        "postgres_idle",
        "postgres_scaling",
        "postgres_history",
        "postgres_looking_back",
        "postgres_dashboard",
    ),
)
OPTIONAL = ("peers",)
"""What is measured only where it is named: it installs other packages, and needs servers."""

SIZES = {"full": FULL, "quick": QUICK, "tiny": TINY}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the scenarios; give 1 where a budget is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="How fast Pinstripe is, here and now.")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"of {_names()}")
    parser.add_argument("--size", choices=SIZES, default="full", help="how much is done; the budgets hold for full")
    parser.add_argument("--json", action="store_true", help="one scenario, here, as JSON")
    given = parser.parse_args(arguments)
    unknown = sorted(set(given.scenarios) - {*SCENARIOS, *OPTIONAL})
    if unknown:
        parser.error(f"unknown {', '.join(unknown)}; expected of {_names()}")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # users' bytecode is compiled once, when they install
    if given.json:
        for name in given.scenarios:
            scenario = import_module(f"benchmarks.{name}")
            try:
                figures = scenario.measure(SIZES[given.size])
            except Missing as reason:
                figures = [Figure(scenario.TITLE, None, "", note=str(reason))]
            print(json.dumps([asdict(figure) for figure in figures]))
        return 0
    sections = [_measured(name, given.size) for name in given.scenarios or SCENARIOS]
    print(f"{machine()}\n")
    print("\n".join(table(sections)))
    return int(any(figure.met is False for _, figures in sections for figure in figures))


def _names() -> str:
    return f"{', '.join(SCENARIOS)} (all of them by default), {', '.join(OPTIONAL)}"


def _measured(name: str, size: str) -> tuple[str, list[Figure]]:
    print(f"measuring {name}…", file=sys.stderr)
    command = [sys.executable, "-m", "benchmarks", "--json", "--size", size, name]
    written = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    title: str = import_module(f"benchmarks.{name}").TITLE
    return title, [Figure(**figure) for figure in json.loads(written)]


if __name__ == "__main__":
    sys.exit(main())
