"""One deploy from its beginning to its verdict: start, migrate, replace one worker after the other, look."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.databases import LEDGER, postgres
from benchmarks.projects import pinstripe
from benchmarks.rolling_deploy.load import Load
from benchmarks.rolling_deploy.versions import GONE, GRACE, VARIABLE, make
from benchmarks.torture.reading import SHOWN, PostgreSQL, SQLite
from benchmarks.torture.verdict import Row, counted, fenced, lost, read_notes, read_rows, repeated, unfinished
from benchmarks.workers import Worker, environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.rolling_deploy.versions import Version, Versions
    from benchmarks.torture.load import Enqueued
    from benchmarks.torture.reading import Reading

MARGIN = 15.0
"""Seconds beyond its grace in which a worker must have ended."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done; times in seconds. A worker is replaced `every` so often, and before and after it is as long."""

    workers: int = 3
    every: float = 3.0
    pause: float = 0.2
    patience: float = 120.0
    ledger: str = "postgres"


@dataclass(slots=True)
class Report:
    """What was found. `waited` is how many executions of each job that is gone waited for a worker that has it."""

    violations: list[str] = field(default_factory=list)
    executions: int = 0
    repeated: int = 0
    waited: dict[str, int] = field(default_factory=dict)
    seconds: float = 0

    def lines(self) -> list[str]:
        """Tell it."""
        waited = ", ".join(f"{number:,} of {job}" for job, number in sorted(self.waited.items())) or "none"
        return [
            f"{self.executions:,} executions in {self.seconds:.0f} s; given back and started again: {self.repeated:,}",
            f"  waited for code that has their job, until it was there again: {waited}",
            *(f"  VIOLATED {each}" for each in self.violations),
            *([] if self.violations else ["  nothing lost, nothing failed"]),
        ]


class Place(NamedTuple):
    """Where the ledger is."""

    url: str
    reading: Reading


@contextmanager
def _place(folder: Path, ledger: str) -> Iterator[Place]:
    if ledger == "sqlite":
        path = folder / "ledger.db"
        yield Place(f"sqlite:///{path}", SQLite(path))
        return
    with postgres() as server, server.database() as url:
        yield Place(url, PostgreSQL(url))


def deploy(plan: Plan) -> Report:
    """Do it in a folder of its own, which goes afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="pinstripe-deploy-"))
    try:
        with _place(folder, plan.ledger) as place, ExitStack() as stack:
            return _Deploy(plan, folder, place, stack).do()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Deploy:
    """The deploy while it goes on."""

    def __init__(self, plan: Plan, folder: Path, place: Place, stack: ExitStack) -> None:
        self._plan = plan
        self._place = place
        self._stack = stack
        self._notes = folder / "notes.txt"
        self._notes.touch()
        self._variables = {
            LEDGER: place.url,
            VARIABLE: str(self._notes),
            "TORTURE_PAUSE": str(plan.pause),
            "TORTURE_LEASE": "3",
        }
        self._versions: Versions = make(folder, plan.ledger)
        self._report = Report()
        self._enqueued: list[Enqueued] = []

    def do(self) -> Report:
        """Deploy, look, and let the version before come back for what only it can do."""
        began = time.monotonic()
        before, after = self._versions.before, self._versions.after
        first = self._load(before)
        workers = [self._worker(before) for _ in range(self._plan.workers)]
        time.sleep(self._plan.every)
        second = None
        for number, worker in enumerate(workers):
            workers[number] = self._worker(after)  # the first of them migrates
            self._end(worker)
            second = second or self._load(after)
            time.sleep(self._plan.every)
        for load in (first, second):
            self._enqueued += load.end() if load is not None else []
        time.sleep(self._plan.every)
        self._look_at_what_is_gone(after)
        for worker in workers:
            self._end(worker)
        back = self._worker(before)
        self._wait(lambda: not unfinished(self._place.reading), "the end of all runs")
        self._report.seconds = time.monotonic() - began
        self._end(back)
        self._judge()
        return self._report

    def _load(self, version: Version) -> Load:
        load = Load(version, self._variables)
        self._stack.callback(load.kill)
        return load

    def _worker(self, version: Version) -> Worker:
        started = Worker(pinstripe("start-worker"), version.folder, environment(**version.variables(self._variables)))
        self._stack.callback(started.stop)
        return started

    def _end(self, worker: Worker) -> None:
        """Tell a worker to end, as a deploy does; it must do so by itself."""
        worker.signal(signal.SIGTERM)
        code = worker.wait(GRACE + MARGIN)
        if code != 128 + signal.SIGTERM:
            printed = worker.output.read_text("utf-8", errors="replace")[-1_000:]
            self._report.violations.append(f"a worker that was told to end gave {code}: {printed}")

    def _look_at_what_is_gone(self, after: Version) -> None:
        """See that what the new version has is done, and that what it lacks waits and is told of by its name."""

        def is_done() -> bool:
            return all(row.state == "succeeded" for row in self._rows() if row.job not in GONE)

        self._wait(is_done, "success of all that the new version has")
        waiting = [row for row in self._rows() if row.state != "succeeded"]
        for row in waiting:
            self._report.waited[row.job] = self._report.waited.get(row.job, 0) + 1
            if row.state not in ("queued", "running"):  # a worker that finds out lacks it only then
                self._report.violations.append(f"{row.job} is {row.state}, and no worker has it: {row}")

        def is_told() -> bool:
            told = {line["job"]: line["waiting"] for line in self._status(after)["lacking"]}
            return set(told) == set(self._report.waited)

        self._wait(is_told, f"to be told that {sorted(self._report.waited)} wait for a worker that has them")

    def _judge(self) -> None:
        rows, notes = self._rows(), read_notes(self._notes)
        self._report.executions = len(rows)
        self._report.repeated = repeated(notes).started
        found = [*lost(rows, self._enqueued), *counted(self._place.reading), *fenced(rows, notes), *_harmed(rows)]
        kinds: dict[str, list[str]] = {}
        for kind, what in found:
            kinds.setdefault(kind, []).append(what)
        self._report.violations += [f"{kind} ({len(each)}): {'; '.join(each[:SHOWN])}" for kind, each in kinds.items()]
        (version,) = self._place.reading.rows("select version from schema_version")[0]
        if version != self._versions.migration:
            self._report.violations.append(f"the schema is {version}, not {self._versions.migration}")

    def _rows(self) -> list[Row]:
        return read_rows(self._place.reading)

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + self._plan.patience
        while not condition():
            if time.monotonic() > deadline:
                self._report.violations.append(f"expected {what} within {self._plan.patience:g} s")
                return
            time.sleep(0.1)

    def _status(self, version: Version) -> Any:
        done = subprocess.run(
            pinstripe("status", "--json"),
            cwd=version.folder,
            env=environment(**version.variables(self._variables)),
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)


def _harmed(rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """See that nothing failed and nobody was blamed, and that no attempt counts that was cut off."""
    for row in rows:
        if row.state != "succeeded":
            yield f"{row.job} is {row.state}", f"{row}"
        if row.crashes or row.attempts != 1:
            yield "blamed", f"{row}"
