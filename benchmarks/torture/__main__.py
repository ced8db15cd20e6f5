"""Torture the queue: `python -m benchmarks.torture [--postgres] [--seed N] [--times N]`; 1 where it broke a promise."""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
from dataclasses import fields
from typing import TYPE_CHECKING

from benchmarks.torture.harness import ON_POSTGRES, Plan, torture

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Torture as often as asked for; a seed of its own for each time, counted up from the first."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.torture", description="Torture the queue.")
    parser.add_argument("--times", type=int, default=1, help="how often, each with the next seed")
    for each in fields(Plan):
        if each.name == "seed":
            parser.add_argument("--seed", type=int, help="as it was printed; by default one of chance")
        elif each.name == "postgres":
            parser.add_argument(
                "--postgres", action="store_true", help="with a ledger on PostgreSQL, and several hosts"
            )
        else:
            other = f", with --postgres {ON_POSTGRES[each.name]}" if each.name in ON_POSTGRES else ""
            parser.add_argument(f"--{each.name}", type=type(each.default), help=f"default: {each.default}{other}")
    given = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value is not None}
    if given["postgres"]:
        given = {**ON_POSTGRES, **given}
    times = given.pop("times")
    first = given.pop("seed", None)
    first = secrets.randbelow(1_000_000) if first is None else first
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that workers end with this
    violated = 0
    for seed in range(first, first + times):
        print(f"seed {seed}…", file=sys.stderr)
        report = torture(Plan(seed=seed, **given))
        print("\n".join(report.lines()), flush=True)
        violated += bool(report.violations)
    if times > 1:
        print(f"{times} times, {violated} with violations")
    return int(violated > 0)


if __name__ == "__main__":
    sys.exit(main())
