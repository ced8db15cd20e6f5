"""What is enqueued: fan-outs, runs of named tenants, many by one call, and one by one, in an order of chance."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from benchmarks.workers import environment

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from pinstripe.project import Project
    from pinstripe.run import Run

    Call = Callable[[Project], Awaitable[list[Run]]]

T = TypeVar("T")

SHARES = {
    "limited": 0.005,
    "later": 0.005,
    "threaded": 0.05,
    "raises": 0.015,
    "raises_once": 0.015,
    "in_process": 0.005,
    "hangs": 0.005,
    "blocks": 0.002,
}
"""Which share of all executions each of these jobs has."""

PAGE = 100
PATIENCE = 60.0
"""Seconds for which the ledger may not be there."""


class Enqueued(NamedTuple):
    """A run that was acknowledged: it must be there at the end, with so many executions."""

    id: str
    job: str
    total: int


def enqueue(folder: Path, variables: Mapping[str, str], executions: int, tenants: int, dice: Random) -> list[Enqueued]:
    """Enqueue about so many executions over so many tenants, while workers already take them.

    That has a process of its own, in which the project's modules are imported.
    """
    numbers = [str(number) for number in (executions, tenants, dice.randrange(2**32))]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.torture.load", str(folder), *numbers],
        env=environment(**variables),
        stdout=subprocess.PIPE,
        check=True,
    )
    return [Enqueued(*each) for each in json.loads(done.stdout)]


async def _enqueue(folder: Path, executions: int, tenants: int, dice: Random) -> list[Enqueued]:
    from pinstripe import open_project

    calls = list(_calls(executions, [f"tenant-{number:05d}" for number in range(tenants)], dice))
    dice.shuffle(calls)
    enqueued = []
    async with AsyncExitStack() as stack:
        project = await _insist(lambda: stack.enter_async_context(open_project(folder)))
        for call, total in calls:
            enqueued += [Enqueued(run.id, run.job, total) for run in await _insist(partial(call, project))]
    return enqueued


async def _insist(call: Callable[[], Awaitable[T]]) -> T:
    """Call it, again where the ledger's server is down: what was not acknowledged may be there or not."""
    from pinstripe.errors import LedgerError

    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return await call()
        except LedgerError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)


def _calls(executions: int, tenants: list[str], dice: Random) -> Iterator[tuple[Call, int]]:
    """Give what enqueues, with how many executions each of its runs has."""
    yield _fan_out("poisoned"), len(tenants)
    for _ in range(max(1, round(executions * 0.4 / len(tenants)))):
        yield _fan_out("good"), len(tenants)
    for job, share in SHARES.items():
        left = max(1, round(executions * share))
        while left > 0:
            some = dice.sample(tenants, min(left, len(tenants), dice.randint(1, 20)))
            left -= len(some)
            yield _named(job, some), len(some)
    for first in range(0, executions // 4, PAGE):
        yield _many(range(first, min(first + PAGE, executions // 4))), 1
    for number in range(executions // 5):
        yield _one(dice.choice(tenants), number, dice.random()), 1


def _fan_out(job: str) -> Call:
    async def call(project: Project) -> list[Run]:
        async with project.workspace(tenant=None) as workspace:
            return [await workspace.enqueue_background_job(job)]

    return call


def _named(job: str, tenants: list[str]) -> Call:
    async def call(project: Project) -> list[Run]:
        async with project.workspace(tenant=None) as workspace:
            return [await workspace.options(tenants=tenants).enqueue_background_job(job)]

    return call


def _many(numbers: range) -> Call:
    async def call(project: Project) -> list[Run]:
        async with project.workspace(tenant=None) as workspace:
            return await workspace.enqueue_background_jobs("single", [(number,) for number in numbers])

    return call


def _one(tenant: str, number: int, chance: float) -> Call:
    """One execution of a tenant; of ten, one is delayed, one is urgent, and two are enqueued twice by the same key."""

    async def call(project: Project) -> list[Run]:
        async with project.workspace(tenant=tenant) as workspace:
            if chance < 0.1:
                return [await workspace.options(delay="1s").enqueue_background_job("good")]
            if chance < 0.2:
                return [await workspace.options(priority="interactive").enqueue_background_job("good")]
            if chance < 0.4:
                options = workspace.options(key=f"key-{number}")
                once, again = [await options.enqueue_background_job("good") for _ in range(2)]
                if once.id != again.id:
                    raise RuntimeError(f"expected one run for one key, got {once.id} and {again.id}")
                return [once]
            return [await workspace.enqueue_background_job("good")]

    return call


if __name__ == "__main__":
    executions, tenants, seed = (int(number) for number in sys.argv[2:])
    print(json.dumps(asyncio.run(_enqueue(Path(sys.argv[1]), executions, tenants, Random(seed)))))
