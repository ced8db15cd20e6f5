"""Servers for tests: real processes at real sockets, each in a project of its own."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import pytest

from tests.commands.conftest import PATIENCE, Started

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterable, Iterator

    from tests.conftest import ProjectFolder
    from tests.postgres import Postgres

JOBS = {
    "hello": """
        from pinstripe import BackgroundJob

        class Hello(BackgroundJob):
            schedule = "0 * * * *"

            async def run(self):
                print("hello")
                return 5
        """,
    "wait": """
        import asyncio
        from pinstripe import BackgroundJob

        class Wait(BackgroundJob):
            async def run(self):
                print("waiting", flush=True)
                await asyncio.Event().wait()
        """,
}

ECHO = """
    import json

    async def app(scope, receive, send):
        if scope["type"] == "http":
            told = {name: scope[name] for name in ("method", "path", "root_path")}
            told["project"] = str(scope["pinstripe.project"].settings.folder)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": json.dumps(told).encode()})
"""
"""An application that says what it was asked, and doesn't know of the lifespan."""


@dataclass(frozen=True, slots=True)
class Response:
    """What a server answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, which must be JSON."""
        return json.loads(self.body)


class Watched(list[int]):
    """Processes, by their ids, whose end can be waited for, though they are somebody else's children."""

    def __init__(self, pids: Iterable[int]) -> None:
        """Take those that live."""
        super().__init__(pids)
        self._descriptors = [os.pidfd_open(pid) for pid in self]

    def wait_for_end(self) -> None:
        """Wait until all have ended."""
        for pid, descriptor in zip(self, self._descriptors, strict=True):
            assert select.select([descriptor], [], [], PATIENCE)[0], f"{pid} goes on and on"
            os.close(descriptor)


def watch(pids: Iterable[int]) -> Watched:
    """Give processes whose end is to be waited for."""
    if not hasattr(os, "pidfd_open"):
        pytest.skip("this system tells nobody but its parent of a process's end")
    return Watched(pids)


class Served(Started):
    """A server that goes on: what it prints can be waited for, and it can be asked."""

    def urls(self) -> list[str]:
        """Wait until it says where it serves; give the addresses."""
        self.wait_for("Ledger: ")
        return re.findall(r"http://\S+?(?=,|\s|$)", self.seen)

    def read(self) -> None:
        """Wait until it prints something more."""
        assert self._read(), f"it has ended: {self.seen}"

    def get(self, path: str, *, method: str = "GET", url: str | None = None) -> Response:
        """Ask for a page, at the first of its addresses where nothing is said."""
        connection = self.connect(url)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return Response(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def connect(self, url: str | None = None) -> HTTPConnection:
        """Give a connection to it."""
        place = urlsplit(url or self.urls()[0])
        assert place.hostname is not None
        return HTTPConnection(place.hostname, place.port, timeout=PATIENCE)

    def ready(self) -> Response:
        """Ask whether it is ready."""
        return self.get("/_pinstripe/health/ready")

    def checks(self) -> dict[str, Any]:
        """Give what it says of its parts."""
        found: dict[str, Any] = self.ready().json["checks"]
        return found

    def until(self, *, ready: bool = True) -> Response:
        """Ask whether it is ready until it is, or is not; read meanwhile what it prints."""
        until = time.monotonic() + PATIENCE
        while True:
            answer = self.ready()
            if (answer.status == 200) is ready:
                return answer
            assert time.monotonic() < until, f"{answer.body!r}: {self.seen}"
            if select.select([self._descriptor], [], [], 0.05)[0]:
                self.read()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.process.pid, number)

    def children(self) -> list[int]:
        """Give the ids of the processes that it has started."""
        listed = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, check=False, text=True
        )
        return [int(word) for word in listed.stdout.split()]


class Serve(Protocol):
    """Starts a server."""

    def __call__(self, *args: str) -> Served:
        """Start it, at a port that the system chooses where no `--host` is given."""
        ...


@pytest.fixture
def site(project_folder: ProjectFolder) -> ProjectFolder:
    """Give a project with two jobs, and with an application that says what it was asked."""
    for name, source in JOBS.items():
        project_folder.job(name, source)
    project_folder.file("web.py", ECHO)
    project_folder.configure('app = "web:app"')
    return project_folder


@pytest.fixture
def serve(site: ProjectFolder) -> Iterator[Serve]:
    """Start servers whose output, both streams together, goes to a pipe; they are killed after the test."""
    begun: list[Served] = []

    def start(*args: str) -> Served:
        ours, theirs = os.pipe()
        hosts = () if "--host" in args else ("--host", "127.0.0.1:0")
        process = subprocess.Popen(
            [sys.executable, "-m", "pinstripe", "start-server", *hosts, *args],
            cwd=site.path,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        begun.append(Served(process, ours))
        return begun[-1]

    yield start
    for one in begun:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
        os.close(one._descriptor)  # noqa: SLF001 - the fixture made it


@pytest.fixture
def server(serve: Serve) -> Served:
    """Give a server without bot and workers, which starts at once."""
    return serve("--without-bot", "--without-workers")


@pytest.fixture
def ledger_settings() -> str:
    """Give the setting of the ledger: a file, where nothing else is said."""
    return ""


@pytest.fixture(params=["sqlite", "postgres"])
def both_ledgers(request: pytest.FixtureRequest) -> str:
    """Give the setting of each kind of ledger in turn; a module's `ledger_settings` may be this."""
    if request.param == "sqlite":
        return ""
    postgres: Postgres = request.getfixturevalue("postgres")
    return f'ledger = "{postgres.url(request.getfixturevalue("postgres_database"))}"\n'
