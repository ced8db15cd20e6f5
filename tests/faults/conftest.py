"""Real projects, given commands in processes of their own, each with a time limit: what hangs fails."""

from __future__ import annotations

import json
import os
import resource
import select
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import ProjectFolder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 30
"""Seconds that a command may take before it counts as hanging."""

_OVERRIDES = "-dac_override,-dac_read_search"
POWERLESS = ("setpriv", "--bounding-set", _OVERRIDES, "--inh-caps", _OVERRIDES)
"""What takes root's power over all files from a command: capabilities(7), setpriv(1)."""

HEADING = """\
import asyncio, contextlib, json, os, pathlib, signal, sys, threading, time
import pinstripe
from pinstripe import BackgroundJob
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, which must be JSON and nothing else."""
        return json.loads(self.out)


@dataclass(slots=True)
class Running:
    """A command that goes on; both its streams are one."""

    process: subprocess.Popen[bytes]
    seen: str = ""
    until: float = field(default_factory=lambda: time.monotonic() + PATIENCE)

    def wait_for(self, text: str, times: int = 1) -> None:
        """Read until `text` was printed so many times."""
        while self.seen.count(text) < times:
            assert self._read(), f"it ended without {text!r}: {self.seen[-3_000:]}"

    def send(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def end(self) -> int:
        """Read until it ends; give the exit code."""
        while self._read():
            pass
        return self.process.wait(PATIENCE)

    def _read(self) -> bool:
        assert self.process.stdout is not None
        left = self.until - time.monotonic()
        ready = left > 0 and select.select([self.process.stdout], [], [], left)[0]
        assert ready, f"it went on and on: {self.seen[-3_000:]}"
        read = os.read(self.process.stdout.fileno(), 65_536)
        self.seen += read.decode(errors="replace")
        return bool(read)


@dataclass(frozen=True, slots=True)
class Faulty:
    """A project in which something is going to be wrong, and the command line."""

    folder: ProjectFolder
    begun: list[Running] = field(default_factory=list)

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.folder.path

    def job(self, name: str, source: str, *, heading: str = HEADING) -> Path:
        """Write a job file, under a heading of imports."""
        return self.folder.file(f"lib/background_jobs/{name}.py", heading + dedent(source))

    def tenants(self, source: str, settings: str = "") -> None:
        """Let the project have tenants, from the function `tenants` in `source`."""
        self.folder.configure('[tool.pinstripe.tenants]\nsource = "tenancy:tenants"\n' + dedent(settings))
        self.folder.file("tenancy.py", source)

    def lines(self, name: str) -> list[str]:
        """Read the lines of a file that jobs append to; none where nothing has been written."""
        path = self.path / name
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def __call__(
        self, *args: str, powerless: bool = False, file_size: int = resource.RLIM_INFINITY, **environment: str
    ) -> Answer:
        """Give the project a command and wait for its end; it may write no file of more than `file_size` bytes.

        A `powerless` one has to keep to the rights on files, also where root runs the tests.
        """
        done = subprocess.run(
            [*(POWERLESS if powerless and os.geteuid() == 0 else ()), sys.executable, "-m", "pinstripe", *args],
            cwd=self.path,
            env=_environment(environment),
            capture_output=True,
            check=False,
            timeout=PATIENCE,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, resource.RLIM_INFINITY)),
        )
        return Answer(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def start(self, *args: str, **environment: str) -> Running:
        """Give the project a command, and go on while it does."""
        process = subprocess.Popen(
            [sys.executable, "-m", "pinstripe", *args],
            cwd=self.path,
            env=_environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.begun.append(Running(process))
        return self.begun[-1]

    def python(self, source: str) -> Answer:
        """Run a program of the application's own in the project's folder."""
        done = subprocess.run(
            [sys.executable, "-c", HEADING + dedent(source)],
            cwd=self.path,
            env=_environment({}),
            capture_output=True,
            check=False,
            timeout=PATIENCE,
        )
        return Answer(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def show(self, reference: str = "last", *args: str) -> Any:
        """Give a run as the ledger has it."""
        answer = self("show-run", reference, *args, "--json")
        assert answer.code == 0, answer
        return answer.json

    def counts(self, reference: str = "last") -> dict[str, int]:
        """Give the counts of a run's executions that aren't 0."""
        return {state: count for state, count in self.show(reference)["executions"].items() if count}

    def runs(self) -> list[Any]:
        """Give all runs, newest first."""
        answer = self("list-runs", "--json")
        assert answer.code == 0, answer
        found: list[Any] = answer.json
        return found

    def works(self) -> None:
        """Assert that the project is none the worse: another job runs, and is recorded."""
        answer = self("run-background-job", "innocent", "--json")
        assert (answer.code, answer.json["status"], answer.json["result"]) == (0, "succeeded", "well")


def _environment(given: dict[str, str]) -> dict[str, str]:
    """Give the environment of a command: the developer's own, without settings of Pinstripe's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PINSTRIPE_")} | given


@contextmanager
def _faulty(path: Path) -> Iterator[Faulty]:
    folder = ProjectFolder(path)
    folder.configure("")
    project = Faulty(folder)
    project.job(
        "innocent",
        """
        class Innocent(BackgroundJob):
            async def run(self):
                return "well"
        """,
    )
    yield project
    for one in project.begun:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
        if one.process.stdout is not None:
            one.process.stdout.close()


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Faulty]:
    """Give a project with one job, `innocent`, that always succeeds."""
    with _faulty(tmp_path / "project") as project:
        yield project


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    """Give the tests of a module a project that they share, since each only looks at what became of its own part."""
    with _faulty(tmp_path_factory.mktemp("shared") / "project") as project:
        yield project


@pytest.fixture
def unprivileged() -> None:
    """Skip where a command can't be kept from what root may do."""
    if os.geteuid() == 0 and shutil.which(POWERLESS[0]) is None:
        pytest.skip("root may write anywhere")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a folder on a disk of 1 MiB, where one can be mounted: by root, mostly."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    made = mount and subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if not made or made.returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
