"""A project with jobs of every temper, and three ways to give it commands: here, in a process, on a terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import subprocess
import sys
import termios
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from pinstripe.commands.main import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import ProjectFolder

PATIENCE = 30
"""Seconds that a test waits for a process before it gives up."""

JOBS = {
    "hello": '''
        class Hello(BackgroundJob):
            """Say hello."""
            schedule = "0 * * * *"
            async def run(self):
                print("hello")
                return 5
        ''',
    "greet": '''
        class Greet(BackgroundJob):
            """Greet every tenant."""
            multi_tenant = True
            async def run(self, times: int = 1):
                for _ in range(times):
                    print(f"hello {self.tenant.id}")
                if self.tenant.id == "globex" and not pathlib.Path("mended").exists():
                    raise ValueError("no \\x1b[31maddress")
        ''',
    "wait": '''
        class Wait(BackgroundJob):
            """Wait for ever."""
            multi_tenant = True
            async def run(self):
                print("waiting", flush=True)
                await asyncio.Event().wait()
        ''',
    "stubborn": '''
        class Stubborn(BackgroundJob):
            """Swallow cancellation."""
            async def run(self):
                print("waiting", flush=True)
                while True:
                    try:
                        await asyncio.Event().wait()
                    except asyncio.CancelledError:
                        print("not me", flush=True)
        ''',
    "boom": '''
        class Boom(BackgroundJob):
            """Fail."""
            async def run(self):
                raise ValueError("bad \\x1b[2Jthing")
        ''',
    "leave_thread": '''
        class LeaveThread(BackgroundJob):
            """Leave a thread behind."""
            async def run(self):
                threading.Thread(target=threading.Event().wait, name="forgotten").start()
        ''',
    "ask": '''
        class Ask(BackgroundJob):
            """Ask whoever started it."""
            async def run(self):
                return input("your name? ")
        ''',
}


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


class Command(Protocol):
    """Gives the project a command."""

    def __call__(self, *args: str) -> Answer:
        """Run it to its end."""
        ...


@pytest.fixture
def shop(project_folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> ProjectFolder:
    """Give a project of three tenants, of which one isn't active, and make it the working directory."""
    project_folder.configure("""
        [tool.pinstripe.tenants]
        source = "shop:tenants"
    """)
    project_folder.file(
        "shop.py",
        """
        def tenants():
            yield {"id": "acme", "plan": "pro", "seats": 5, "active": True}
            yield {"id": "globex", "plan": "free", "seats": 9, "active": True}
            yield {"id": "initech", "plan": "pro", "seats": 1, "active": False}
        """,
    )
    for name, source in JOBS.items():
        project_folder.job(name, "import asyncio, pathlib, threading\nfrom pinstripe import BackgroundJob\n")
        path = project_folder.path / "lib" / "background_jobs" / f"{name}.py"
        heading = path.read_text()
        project_folder.job(name, source)
        path.write_text(heading + path.read_text())
    monkeypatch.chdir(project_folder.path)
    return project_folder


@pytest.fixture
def pinstripe(shop: ProjectFolder, capsys: pytest.CaptureFixture[str]) -> Command:
    """Give the shop a command, in this process: for all that needs no process of its own."""

    def run(*args: str) -> Answer:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(args)
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Answer(ended.value.code, out, err)

    return run


@pytest.fixture
def process(shop: ProjectFolder) -> Command:
    """Give the shop a command, in a process of its own."""

    def run(*args: str) -> Answer:
        done = subprocess.run(
            [sys.executable, "-m", "pinstripe", *args],
            cwd=shop.path,
            capture_output=True,
            check=False,
            timeout=PATIENCE,
        )
        return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


class Started:
    """A command that goes on: what it prints can be waited for, and it can be sent signals and keys."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        """Take the process, and where its output is read and its keys are typed."""
        self.process = process
        self._descriptor = descriptor
        self._until = time.monotonic() + PATIENCE
        self.seen = ""

    def wait_for(self, text: str) -> None:
        """Read until `text` was printed."""
        while text not in self.seen:
            assert self._read(), f"it ended without {text!r}: {self.seen}"

    def type(self, keys: str) -> None:
        """Type on the terminal."""
        os.write(self._descriptor, keys.encode())

    def end(self) -> int:
        """Read until it ends; give the exit code."""
        while self._read():
            pass
        return self.process.wait(PATIENCE)

    def _read(self) -> bool:
        left = self._until - time.monotonic()
        ready = left > 0 and select.select([self._descriptor], [], [], left)[0]
        assert ready, f"it went on and on: {self.seen[-2_000:]}"
        try:
            read = os.read(self._descriptor, 65_536)
        except OSError:  # a terminal whose last process has gone
            return False
        self.seen += read.decode(errors="replace")
        return bool(read)


class Start(Protocol):
    """Starts a command."""

    def __call__(self, *args: str) -> Started:
        """Start it."""
        ...


@pytest.fixture
def started(shop: ProjectFolder) -> Iterator[Start]:
    """Start commands whose output, both streams together, goes to a pipe."""
    yield from _starting(shop.path, terminal=False)


@pytest.fixture
def terminal(shop: ProjectFolder) -> Iterator[Start]:
    """Start commands on a terminal of their own."""
    yield from _starting(shop.path, terminal=True)


def _starting(folder: Path, *, terminal: bool) -> Iterator[Start]:
    begun: list[Started] = []

    def start(*args: str) -> Started:
        ours, theirs = pty.openpty() if terminal else os.pipe()
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
        process = subprocess.Popen(
            [sys.executable, "-m", "pinstripe", *args],
            cwd=folder,
            env=environment,
            stdin=theirs if terminal else subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            # Ctrl-C reaches whom the terminal belongs to.
            preexec_fn=(lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if terminal else None,  # noqa: PLW1509 - no threads
        )
        os.close(theirs)
        begun.append(Started(process, ours))
        return begun[-1]

    yield start
    for one in begun:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
        os.close(one._descriptor)  # noqa: SLF001 - the fixture made it
