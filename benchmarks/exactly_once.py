"""Schedules under attack: several servers on one ledger are killed at random; each fire must become exactly one run.

`python -m benchmarks.exactly_once [--postgres] [--fires 200] [--servers 3] [--seed N]` ends with 1 where a fire was
made twice, or missed.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import sys
import time
from collections import Counter
from contextlib import ExitStack, contextmanager, nullcontext
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.databases import postgres
from benchmarks.projects import pinstripe, project, spend
from benchmarks.torture import clocks
from benchmarks.workers import worker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from benchmarks.workers import Worker

JOB = """\
from pinstripe import BackgroundJob


class Beat(BackgroundJob):
    multi_tenant = False
    schedule = "* * * * * *"
    overlap = "allow"

    async def run(self):
        return str(self.attempt.scheduled_for)
"""

LONGEST_LIFE = 4.0
"""Seconds that a server lives at most before it is killed."""


class Verdict(NamedTuple):
    """What became of the fires: how many `runs` there are, of how many `times`, and what is wrong."""

    runs: int
    times: int
    kills: int
    faults: list[str]


@contextmanager
def on_postgres() -> Iterator[None]:
    """Let projects keep their ledger in a new database, of a server that ends with the block."""
    with postgres() as server, server.ledger():
        yield


def torture(command: Sequence[str], fires: int, servers: int, seed: int, apart: float = 0) -> Verdict:
    """Let servers make so many fires while they are killed and started again; give the verdict.

    The clock of each next one is `apart` seconds ahead of the one before.
    """
    chance = random.Random(seed)
    with project() as folder, ExitStack() as stack:
        (folder / "lib/background_jobs/beat.py").write_text(JOB)
        place = clocks.make(folder)
        begun = 0
        living: list[tuple[float, ExitStack, Worker]] = []
        kills = 0
        end = time.monotonic() + fires
        while time.monotonic() < end:
            while len(living) < servers:
                life = stack.enter_context(ExitStack())
                variables = clocks.ahead(place, begun % servers * apart, {})
                begun += 1
                started = life.enter_context(worker(pinstripe(*command), folder, **variables))
                living.append((time.monotonic() + chance.uniform(0.5, LONGEST_LIFE), life, started))
            time.sleep(0.02)
            for one in [one for one in living if one[0] < time.monotonic()]:
                _, life, started = one
                started.signal(chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
                kills += 1
                life.close()
                living.remove(one)
        for _, life, _started in living:
            life.close()
        spend(pinstripe("start-worker", "--drain"), folder)
        return asyncio.run(_judge(folder, kills))


async def _judge(folder: Path, kills: int) -> Verdict:
    from pinstripe import open_project
    from pinstripe.ledger import RunFilter

    async with open_project(folder) as opened:
        runs = await opened.ledger.list_runs(RunFilter(job="beat", limit=1_000_000))
        states = await opened.ledger.fires.states()
    times = Counter(run.scheduled_for for run in runs if run.scheduled_for is not None)
    faults = [f"{_time(moment)} fired {number} times" for moment, number in times.items() if number > 1]
    faults += [
        f"run {run.id} of {_time(run.scheduled_for)} is {run.status}" for run in runs if run.status != "succeeded"
    ]
    faults += [
        f"nothing fired between {_time(before)} and {_time(after)}"
        for before, after in pairwise(sorted(times))
        if (after - before).total_seconds() > 1
    ]
    faults += [f"{state.key} let times go until {state.missed}" for state in states if state.missed is not None]
    return Verdict(len(runs), len(times), kills, faults)


def _time(moment: datetime | None) -> str:
    return "-" if moment is None else f"{moment:%H:%M:%S}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Torture once; print what became of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exactly_once", description=__doc__)
    parser.add_argument("--fires", type=int, default=200, help="how many, one a second")
    parser.add_argument("--servers", type=int, default=3, help="how many go on at once")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="of what is killed when")
    parser.add_argument("--postgres", action="store_true", help="with a ledger on PostgreSQL")
    parser.add_argument("--apart", type=float, default=0, help="seconds between the clocks of the servers")
    parser.add_argument("--command", choices=["start-server", "start-worker"], default="start-server")
    given = parser.parse_args(arguments)
    command = ["start-server", "--host", "127.0.0.1:0"] if given.command == "start-server" else ["start-worker"]
    with on_postgres() if given.postgres else nullcontext():
        verdict = torture(command, given.fires, given.servers, given.seed, given.apart)
    print(
        f"seed {given.seed}: {verdict.runs} runs of {verdict.times} times; {given.servers} of {given.command}, which "
        f"were killed {verdict.kills} times"
    )
    for fault in verdict.faults:
        print(f"  {fault}")
    return int(bool(verdict.faults) or not verdict.runs)


if __name__ == "__main__":
    sys.exit(main())
