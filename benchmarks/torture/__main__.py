"""`python -m benchmarks.torture [--seed N] [--times N]`: torture the queue; exits with 1 where a promise was broken."""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
from dataclasses import fields
from typing import TYPE_CHECKING

from benchmarks.torture.harness import Plan, torture

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Torture as often as asked for; a seed of its own for each time, counted up from the first."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.torture", description="Torture the queue.")
    parser.add_argument("--times", type=int, default=1, help="how often, each with the next seed")
    for each in fields(Plan):
        if each.name == "seed":
            parser.add_argument("--seed", type=int, help="as it was printed; by default one of chance")
        else:
            kind = type(each.default)
            parser.add_argument(f"--{each.name}", type=kind, default=each.default, help=f"default: {each.default}")
    given = vars(parser.parse_args(arguments))
    times = given.pop("times")
    first = given.pop("seed")
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
