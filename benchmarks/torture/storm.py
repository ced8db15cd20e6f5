"""What is done to workers while they execute: killed, stopped for longer than their lease, ended, and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.projects import pinstripe
from benchmarks.torture.by_hand import UNUSABLE
from benchmarks.workers import children

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from benchmarks.torture.outages import Outages
    from benchmarks.torture.places import Host, Place

ENDS = {0, -signal.SIGKILL, 128 + signal.SIGTERM, -signal.SIGTERM}
"""With what a worker may end: killed by this, or by the poison in it, or ended as asked."""

STARTING = 5.0
"""Seconds in which a worker may still end because it doesn't reach its ledger; afterwards it waits until it does."""

SEVERAL = 2
"""The number of the worker that has two processes."""

PATIENCE = 60.0
"""Seconds that the end of a worker may take."""


class Victim:
    """One place for a worker: who is in it, and until when it is stopped."""

    def __init__(self, folder: Path, number: int, variables: Mapping[str, str], host: Host, processes: int) -> None:
        """Start a worker in it, of so many processes, on a host."""
        self.host = host.name
        self._processes = processes
        self._command = host.command(pinstripe("start-worker", "--processes", str(processes)))
        self.output = folder / f"worker-{number}.txt"
        self.sessions: list[int] = []
        self.faults: list[str] = []
        self.continued_at: float | None = None
        self.started_at = 0.0
        self.told_at: float | None = None
        self._folder = folder
        self._variables = host.variables(variables)
        self.start()

    def start(self) -> None:
        """Start a worker, which heads a session of its own."""
        self.told_at = None
        self.started_at = time.monotonic()
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=self._variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.sessions.append(self.process.pid)

    def signal(self, number: int) -> None:
        """Send the worker a signal."""
        if number == signal.SIGTERM:
            self.told_at = time.monotonic()
        self.process.send_signal(number)

    def strike(self, dice: Random) -> None:
        """Kill the worker; where it has several processes, one of those or the one that looks after them."""
        # No process of a job's is killed: its death is its own, and would be blamed on it.
        workers = children().get(self.process.pid, []) if self._processes > 1 else []
        with suppress(ProcessLookupError):
            os.kill(dice.choice([self.process.pid, *workers]), signal.SIGKILL)

    def go_on(self) -> None:
        """Let it go on where it is stopped."""
        if self.continued_at is not None:
            self.signal(signal.SIGCONT)
            self.continued_at = None

    def ended(self, outages: Outages | None = None) -> bool:
        """Tell whether it has ended; with what no worker should end by is a fault."""
        code = self.process.poll()
        if code is None:
            return False
        self.continued_at = None
        if code not in ENDS and not (code == UNUSABLE and outages is not None and self._is_excused(outages)):
            printed = self.output.read_text("utf-8", errors="replace")[-2_000:]
            self.faults.append(f"a worker ended with {code}: {printed}")
        return True

    def _is_excused(self, outages: Outages) -> bool:
        """Tell whether it may not have reached its ledger while it started, or while it ended as it was told."""
        if outages.touched(self.host, self.started_at, self.started_at + STARTING):
            return True
        return self.told_at is not None and outages.touched(self.host, self.told_at, time.monotonic())


class Storm:
    """Does it all in a thread of its own, from the beginning of the block to `calm`."""

    def __init__(
        self,
        folder: Path,
        variables: Mapping[str, str],
        place: Place,
        dice: Random,
        *,
        workers: int,
        every: float,
        lease: float,
    ) -> None:
        """Start workers on the hosts of the place; every so many seconds something befalls one of them."""
        self.done = {"killed": 0, "stopped": 0, "ended": 0, "started again": 0}
        self._outages = place.outages
        self._dice = dice
        self._every = every
        self._lease = lease
        self._calm = threading.Event()
        hosts = [place.hosts[number % len(place.hosts)] for number in range(workers)]
        self._victims = [
            Victim(folder, number, variables, host, processes=2 if number == SEVERAL else 1)
            for number, host in enumerate(hosts)
        ]
        self._thread = threading.Thread(target=self._rage, name="storm")
        self._thread.start()

    @property
    def faults(self) -> list[str]:
        """What workers did that they shouldn't."""
        return [fault for victim in self._victims for fault in victim.faults]

    def calm(self) -> None:
        """Do nothing more to workers; those that are stopped go on, and those that ended are started again."""
        self._calm.set()
        self._thread.join()
        for victim in self._victims:
            victim.go_on()
        self.mend()

    def mend(self) -> None:
        """Start workers again that have ended."""
        for victim in self._victims:
            if victim.ended(self._outages):
                self.done["started again"] += 1
                victim.start()

    def close(self) -> None:
        """End all workers; those that don't end, and children that they leave behind, are faults."""
        self.calm()
        for victim in self._victims:
            victim.signal(signal.SIGTERM)
        for victim in self._victims:
            try:
                victim.process.wait(PATIENCE)
                victim.ended(self._outages)
            except subprocess.TimeoutExpired:
                victim.faults.append(f"a worker was told to end and did not in {PATIENCE:g} s")
                victim.process.kill()
                victim.process.wait()
        sessions = {session for victim in self._victims for session in victim.sessions}
        deadline = time.monotonic() + 10
        while (left := _members(sessions)) and time.monotonic() < deadline:
            time.sleep(0.05)
        for pid, command in left.items():
            self._victims[0].faults.append(f"a process was left behind: {command}")
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _rage(self) -> None:
        at = time.monotonic() + self._every
        while not self._calm.wait(0.02):
            now = time.monotonic()
            for victim in self._victims:
                if victim.continued_at is not None and now >= victim.continued_at:
                    victim.go_on()
            self.mend()
            if now >= at:
                at = now + self._every
                self._strike(now)

    def _strike(self, now: float) -> None:
        """Kill one; stop another, unless one is stopped, or end it, three times of ten."""
        victim, other = self._dice.sample(self._victims, 2)
        chance = self._dice.random()
        if chance < 0.2 and all(each.continued_at is None for each in self._victims):
            other.signal(signal.SIGSTOP)
            other.continued_at = now + self._lease * self._dice.uniform(1.2, 2)
            self.done["stopped"] += 1
        elif chance < 0.3 and other.continued_at is None:
            other.signal(signal.SIGTERM)
            self.done["ended"] += 1
        victim.strike(self._dice)
        self.done["killed"] += 1


def _members(sessions: set[int]) -> dict[int, str]:
    """Give the living processes of these sessions, with their command lines."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                state, _, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(session) in sessions and state != "Z":
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found
