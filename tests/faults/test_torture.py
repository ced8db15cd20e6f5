"""Workers are killed, stopped and ended while they execute: nothing is lost, nothing is done twice, nobody is blamed.

`python -m benchmarks.torture` is the long form; the seed that a failure shows repeats what befell the workers.
"""

from __future__ import annotations

import secrets

from benchmarks.torture.harness import Plan, torture


def test_whatever_befalls_workers_every_promise_is_kept() -> None:
    plan = Plan(
        seed=secrets.randbelow(1_000_000),
        executions=300,
        tenants=30,
        workers=2,
        every=0.5,
        lease=1.0,
        pause=0.3,
        storm=6.0,
        patience=60.0,
    )
    report = torture(plan)
    assert report.violations == [], "\n".join(report.lines())
    assert report.done["killed"] > 0
    assert report.executions >= plan.executions
