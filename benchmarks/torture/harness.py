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

from benchmarks.torture import jobs
from benchmarks.torture.load import enqueue
from benchmarks.torture.storm import ByHand, Storm, status
from benchmarks.torture.verdict import Repeated, read_notes, repeated, unfinished, violations


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done, all of it by the dice of `seed`; times in seconds.

    Something befalls a worker `every` so often, for at most `storm`; then everything must be done within `patience`.
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
    seconds: float
    folder: Path = field(default_factory=Path)

    def lines(self) -> list[str]:
        """Tell it."""
        done = ", ".join(f"{count} {what}" for what, count in self.done.items())
        again = self.repeated
        return [
            f"seed {self.plan.seed}: {self.executions:,} executions in {self.seconds:.0f} s",
            f"  workers: {done}; runs by hand: {self.by_hand}, and {self.killed_by_hand} killed",
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
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PINSTRIPE_")}
    variables |= {jobs.VARIABLE: str(notes), "TORTURE_PAUSE": str(plan.pause), "TORTURE_LEASE": str(plan.lease)}
    dice = random.Random(plan.seed)
    began = time.monotonic()
    storm = Storm(
        folder, variables, random.Random(dice.random()), workers=plan.workers, every=plan.every, lease=plan.lease
    )
    by_hand = ByHand(folder, variables, plan.tenants, random.Random(dice.random()))
    found = []
    try:
        enqueued = enqueue(folder, variables, plan.executions, plan.tenants, dice)
        ledger = folder / ".pinstripe" / "ledger.db"
        _wait(ledger, began + plan.storm)
        storm.calm()
        by_hand.close()
        deadline = time.monotonic() + plan.patience
        while not _wait(ledger, min(deadline, time.monotonic() + 1)) and time.monotonic() < deadline:
            storm.mend()  # as the poison may still kill one
        seconds = time.monotonic() - began
        found += _waiting(folder, variables)
    finally:
        by_hand.close()
        storm.close()
    read = read_notes(notes)
    found += [*storm.faults, *by_hand.faults, *violations(ledger, read, enqueued, by_hand.runs)]
    executions = sum(run.total for run in enqueued)
    report = Report(
        plan, found, storm.done, repeated(read), executions, len(by_hand.runs), by_hand.killed, seconds, folder
    )
    if not found:
        shutil.rmtree(folder, ignore_errors=True)
    return report


def _wait(ledger: Path, deadline: float) -> bool:
    """Look again and again whether every run has ended; tell whether that was so in time."""
    while unfinished(ledger):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _waiting(folder: Path, variables: dict[str, str]) -> list[str]:
    """Nothing waits, as the command tells it."""
    told = status(folder, variables)
    ready = sum(line["ready"] for line in told["queue"])
    if ready or told["running"] or told["selecting"] or any(told["held"].values()):
        return [f"something still waits: {json.dumps(told)}"]
    return []
