"""What a whole `pinstripe run-background-job` costs that does nothing but record its run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.figures import Figure, Size, middle
from benchmarks.projects import pinstripe, project, python, spend

if TYPE_CHECKING:
    from collections.abc import Sequence

TITLE = "cold start, whole processes one after the other in turn"
BARE = "import asyncio, click"


def measure(size: Size) -> Sequence[Figure]:
    """Run the commands alternately, so that whatever else this machine does is shared among them."""
    commands = {"pass": python("pass"), "bare": python(BARE), "run": pinstripe("run-background-job", "once")}
    spent: dict[str, list[float]] = {name: [] for name in commands}
    with project() as folder:
        for command in commands.values():
            spend(command, folder)  # writes the bytecode, makes the ledger
        for _ in range(size.rounds):
            for name, command in commands.items():
                spent[name].append(spend(command, folder).seconds * 1_000)
    ratio = middle(run / bare for run, bare in zip(spent["run"], spent["bare"], strict=True))
    return [
        Figure("`python -c pass`", middle(spent["pass"]), "ms"),
        Figure(f'`python -c "{BARE}"`', middle(spent["bare"]), "ms"),
        Figure("`pinstripe run-background-job once`", middle(spent["run"]), "ms", most=150),
        Figure("… as a multiple of the line before, pair by pair", ratio, "x", most=2),
    ]
