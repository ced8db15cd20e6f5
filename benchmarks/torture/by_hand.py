"""What is done by hand beside workers: runs in the foreground, pauses, and questions."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

from benchmarks.projects import pinstripe

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from random import Random

    from benchmarks.torture.outages import Outages

UNUSABLE = 4
"""With what a command ends that can't reach its ledger."""

KILLED_BY_HAND = 0.2
"""How many of the runs by hand are killed, if they don't end before."""

PAUSED = 0.1
"""How many of them have a job paused for workers while they run."""

PATIENCE = 60.0
"""Seconds that a command by hand may take."""


class ByHand:
    """Runs a job in the foreground, again and again, in a thread of its own."""

    def __init__(
        self, folder: Path, variables: Mapping[str, str], tenants: int, dice: Random, outages: Outages | None = None
    ) -> None:
        """Start with the first; one that can't use its ledger may fail of `outages`."""
        self.runs: list[str] = []
        self.killed = 0
        self.failed = 0
        self.faults: list[str] = []
        self._folder = folder
        self._variables = variables
        self._tenants = [f"tenant-{number:05d}" for number in range(tenants)]
        self._dice = dice
        self._outages = outages
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._repeat, name="by hand")
        self._thread.start()

    def close(self) -> None:
        """Wait for the last."""
        self._end.set()
        self._thread.join()

    def _repeat(self) -> None:
        while not self._end.is_set():
            some = self._dice.sample(self._tenants, 5)
            command = ["run-background-job", "by_hand", "--json", *(f"--tenant={tenant}" for tenant in some)]
            if pauses := self._dice.random() < PAUSED:
                self._tell("pause", "--job", "single")
            limit = self._dice.uniform(0.2, 0.6) if self._dice.random() < KILLED_BY_HAND else PATIENCE
            began = time.monotonic()
            try:
                code, printed, said = ask(self._folder, self._variables, *command, limit=limit)
            except subprocess.TimeoutExpired:  # it was killed
                self.killed += 1
                if limit == PATIENCE:
                    self.faults.append(f"a run by hand did not end in {PATIENCE:g} s")
            else:
                if not code:
                    self.runs.append(str(json.loads(printed)["id"]))
                elif self._is_excused(code, began):
                    self.failed += 1
                else:
                    self.faults.append(f"a run by hand ended with {code}: {printed[-1_000:]} {said[-1_000:]}")
            if pauses:
                self._tell("resume", "--job", "single")

    def _tell(self, *command: str) -> None:
        """Give a command, again where it can't use its ledger because of an outage."""
        while True:
            began = time.monotonic()
            code, _, said = ask(self._folder, self._variables, *command)
            if not code:
                return
            if not self._is_excused(code, began):
                self.faults.append(f"`pinstripe {' '.join(command)}` ended with {code}: {said}")
                return
            time.sleep(0.1)

    def _is_excused(self, code: int, began: float) -> bool:
        outages = self._outages
        return code == UNUSABLE and outages is not None and outages.touched(None, began, time.monotonic())


def ask(folder: Path, variables: Mapping[str, str], *arguments: str, limit: float = PATIENCE) -> tuple[int, str, str]:
    """Give the project a command, which is killed after `limit`; give its exit code, and what it printed."""
    done = subprocess.run(
        pinstripe(*arguments),
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=limit,
    )
    return done.returncode, done.stdout, done.stderr


def status(folder: Path, variables: Mapping[str, str]) -> Any:
    """Give what `pinstripe status --json` says."""
    code, printed, said = ask(folder, variables, "status", "--json")
    if code:
        raise RuntimeError(f"`pinstripe status` ended with {code}: {said}")
    return json.loads(printed)
