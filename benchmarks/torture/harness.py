"""One torture from its beginning to its verdict."""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.torture import jobs
from benchmarks.torture.by_hand import ByHand, status
from benchmarks.torture.load import enqueue
from benchmarks.torture.places import in_file
from benchmarks.torture.reading import Unreachable
from benchmarks.torture.servers import in_database
from benchmarks.torture.storm import Storm
from benchmarks.torture.verdict import Repeated, read_notes, repeated, unfinished, violations

if TYPE_CHECKING:
    from benchmarks.torture.places import Place
    from benchmarks.torture.reading import Reading


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done, all of it by the dice of `seed`; times in seconds.

    Something befalls a worker `every` so often, for at most `storm`; then everything must be done within `patience`.
    On PostgreSQL something befalls the database or a host's network as well, in `outages` seconds each time.
    """

    seed: int
    executions: int = 20_000
    tenants: int = 2_000
    workers: int = 3
    every: float = 1.0
    lease: float = 3.0
    pause: float = 0.1
    storm: float = 120.0
    patience: float = 300.0
    outages: float = 4.0
    postgres: bool = False


ON_POSTGRES = {"executions": 10_000, "workers": 4, "every": 2.0, "pause": 0.5}
"""What is otherwise by default on PostgreSQL."""


@dataclass(slots=True)
class Report:
    """What was found."""

    plan: Plan
    violations: list[str]
    done: dict[str, int]
    repeated: Repeated
    executions: int
    by_hand: int
    killed_by_hand: int
    failed_by_hand: int
    seconds: float
    folder: Path = field(default_factory=Path)
    left_out: str = ""

    def lines(self) -> list[str]:
        """Tell it."""
        done = ", ".join(f"{count} {what}" for what, count in self.done.items())
        again = self.repeated
        return [
            f"seed {self.plan.seed}: {self.executions:,} executions in {self.seconds:.0f} s",
            f"  {done}; runs by hand: {self.by_hand}, {self.killed_by_hand} killed, {self.failed_by_hand} cut off",
            *([f"  left out: {self.left_out}"] if self.left_out else []),
            f"  started more than once: {again.started:,}, of which {again.ended:,} had come to their end",
            *(f"  VIOLATED {each}" for each in self.violations),
            *([f"  everything is in {self.folder}"] if self.violations else ["  nothing lost, nothing done twice"]),
        ]


def torture(plan: Plan) -> Report:
    """Do it in a folder of its own, which is kept where something was violated."""
    folder = Path(tempfile.mkdtemp(prefix="pinstripe-torture-"))
    notes = folder / "notes.txt"
    notes.touch()
    jobs.make(folder, tenants=plan.tenants, lease=plan.lease)
    dice = random.Random(plan.seed)
    with in_database(folder, plan, random.Random(plan.seed)) if plan.postgres else in_file(folder) as place:
        report = _torture(plan, folder, notes, place, dice)
    if not report.violations:
        shutil.rmtree(folder, ignore_errors=True)
    return report


def _torture(plan: Plan, folder: Path, notes: Path, place: Place, dice: random.Random) -> Report:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PINSTRIPE_")}
    variables |= {jobs.VARIABLE: str(notes), "TORTURE_PAUSE": str(plan.pause), "TORTURE_LEASE": str(plan.lease)}
    variables |= place.variables
    began = time.monotonic()
    storm = Storm(
        folder,
        variables,
        place,
        random.Random(dice.random()),
        workers=plan.workers,
        every=plan.every,
        lease=plan.lease,
    )
    by_hand = ByHand(folder, variables, plan.tenants, random.Random(dice.random()), place.outages)
    found = []
    try:
        enqueued = enqueue(folder, variables, plan.executions, plan.tenants, dice)
        _wait(place.reading, began + plan.storm)
        if place.outages is not None:
            place.outages.calm()
        storm.calm()
        by_hand.close()
        deadline = time.monotonic() + plan.patience
        while not _wait(place.reading, min(deadline, time.monotonic() + 1)) and time.monotonic() < deadline:
            storm.mend()  # as the poison may still kill one
        seconds = time.monotonic() - began
        found += _waiting(folder, variables)
    finally:
        if place.outages is not None:
            place.outages.calm()
        by_hand.close()
        storm.close()
    read = read_notes(notes)
    found += [*storm.faults, *by_hand.faults, *violations(place.reading, read, enqueued, by_hand.runs)]
    done = dict(storm.done)
    if place.outages is not None:
        found += place.outages.faults
        done |= place.outages.done
    executions = sum(run.total for run in enqueued)
    return Report(
        *(plan, found, done, repeated(read), executions, len(by_hand.runs), by_hand.killed, by_hand.failed, seconds),
        folder=folder,
        left_out=place.left_out,
    )


def _wait(ledger: Reading, deadline: float) -> bool:
    """Look again and again whether every run has ended; tell whether that was so in time."""
    while _is_unfinished(ledger):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _is_unfinished(ledger: Reading) -> bool:
    try:
        return bool(unfinished(ledger))
    except Unreachable:
        return True


def _waiting(folder: Path, variables: dict[str, str]) -> list[str]:
    """Nothing waits, as the command tells it."""
    told = status(folder, variables)
    ready = sum(line["ready"] for line in told["queue"])
    if ready or told["running"] or told["selecting"] or any(told["held"].values()):
        return [f"something still waits: {json.dumps(told)}"]
    return []
