"""Deploy once under load, `python -m benchmarks.rolling_deploy`: 1 where anything was lost, or failed for it."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from typing import TYPE_CHECKING

from benchmarks.rolling_deploy.deploy import Plan, deploy

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Deploy as the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rolling_deploy", description="Deploy under load.")
    for each in fields(Plan):
        choices = ("postgres", "sqlite") if each.name == "ledger" else None
        parser.add_argument(
            f"--{each.name}",
            type=type(each.default),
            default=each.default,
            choices=choices,
            help="default: %(default)s",
        )
    report = deploy(Plan(**vars(parser.parse_args(arguments))))
    print("\n".join(report.lines()))
    return int(bool(report.violations))


if __name__ == "__main__":
    sys.exit(main())
