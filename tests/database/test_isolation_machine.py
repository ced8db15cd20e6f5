"""Random programs of several tenants at once on a small pool: nobody sees, loses or changes what isn't his.

Each program is what one workspace does: reads and writes by tables and by the session, transactions and savepoints,
errors that are raised or swallowed, and a cancellation at any moment. Programs of different tenants go on together; the
model knows what each tenant must have. Every name holds its tenant's id, so a leak shows itself.

`PINSTRIPE_TEST_STEPS` says for how many steps of each database; by default they are few.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings

from tests.database.cases.applications import application_at, make_place
from tests.database.isolation_programs import Program, Programs
from tests.database.isolation_walks import World
from tests.thoroughness import examples

if TYPE_CHECKING:
    from pathlib import Path

    from tests.database.cases.applications import Kind, Place

STEPS = int(os.environ.get("PINSTRIPE_TEST_STEPS", examples(800)))


@pytest.mark.parametrize("pool_size", [1, 2, 3])
@pytest.mark.parametrize("kind", ["sqlite", "guarded"])
def test_random_programs_of_several_tenants_at_once(
    kind: Kind, pool_size: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if kind == "sqlite":
        place = make_place(kind, tmp_path)
    else:
        names = request.getfixturevalue("postgres"), request.getfixturevalue("postgres_database")
        place = make_place(kind, tmp_path, *names)
    done: Counter[str] = Counter()
    explore(place, pool_size, STEPS // 3, done)
    print(f"{kind}, a pool of {pool_size}: {sum(done.values())} steps", dict(done.most_common()))  # noqa: T201 - with -s


def explore(place: Place, pool_size: int, steps: int, done: Counter[str]) -> None:
    """Try so many steps of random programs on a pool of that size."""
    with asyncio.Runner() as runner:
        entered = application_at(place, pool_size=pool_size)
        application = runner.run(entered.__aenter__())

        @settings(max_examples=examples(20), suppress_health_check=[*HealthCheck])
        @given(Programs)
        def try_programs(programs: list[Program]) -> None:
            place.execute("delete from posts; delete from users")
            world = World(application, done=done)
            runner.run(asyncio.wait_for(world.run(programs), 60))

        while sum(done.values()) < steps:
            try_programs()
        runner.run(entered.__aexit__(None, None, None))
