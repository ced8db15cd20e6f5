"""Servers are killed and started again while a schedule fires each second: each time becomes one run.

`python -m benchmarks.exactly_once` is the long form; the seed that a failure shows repeats who is killed when.
"""

from __future__ import annotations

import secrets

from benchmarks.exactly_once import torture


def test_each_time_becomes_one_run_whoever_is_killed() -> None:
    seed = secrets.randbelow(1_000_000)
    verdict = torture(["start-server", "--host", "127.0.0.1:0"], fires=8, servers=2, seed=seed)
    assert (verdict.faults, seed) == ([], seed)
    assert verdict.kills >= 2
    assert verdict.runs >= 5
