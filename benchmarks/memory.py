"""How much memory a run holds while its tenants stream through: as much for a million as for a hundred thousand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.figures import Figure, Size
from benchmarks.projects import forget_runs, pinstripe, project, spend

if TYPE_CHECKING:
    from collections.abc import Sequence

TITLE = "memory of a whole command, tenants from a generator"


def measure(size: Size) -> Sequence[Figure]:
    """Run the command for each number of tenants, with the kernel's own count of its peak (getrusage(2), ru_maxrss)."""
    figures = []
    with project() as folder:
        for tenants in size.memory:
            forget_runs(folder)
            spent = spend(pinstripe("run-background-job", "each"), folder, TENANTS=str(tenants))
            note = f"{tenants / spent.seconds:,.0f} tenants/s"
            figures.append(Figure(f"{tenants:,} tenants, peak", spent.memory, "MiB", most=150, note=note))
    return figures
