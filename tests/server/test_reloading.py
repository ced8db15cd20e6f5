"""A server that starts anew when its code changes."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import apsw
import pytest

from pinstripe import open_project
from pinstripe.ledger import RunFilter
from tests.server.conftest import watch
from tests.server.test_serving import enqueue

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import ProjectFolder
    from tests.server.conftest import Serve, Served

APP = """
    import os

    async def app(scope, receive, send):
        body = b"{}" if scope["path"] == "/" else str(os.getpid()).encode()
        await send({{"type": "http.response.start", "status": 200, "headers": []}})
        await send({{"type": "http.response.body", "body": body}})
"""

JOB = """
    from pinstripe import BackgroundJob

    class Hello(BackgroundJob):
        async def run(self):
            print("hello {}")
"""


@pytest.fixture
def edited(site: ProjectFolder) -> ProjectFolder:
    site.file("web.py", APP.format("one"))
    site.job("hello", JOB.format("one"))
    return site


async def open_bot(folder: Path) -> None:
    async with open_project(folder) as project:
        await project.bot().open()


def forget_fires(ledger: Path) -> None:
    """Let the schedules have been there for half a day, without a bot."""
    with closing(apsw.Connection(str(ledger))) as connection:
        connection.execute("update schedule_zones set since = since - 12 * 3600 * 1000000, fired = 0")


def run_count(folder: Path) -> int:
    async def read() -> int:
        async with open_project(folder) as project:
            return len(await project.ledger.list_runs(RunFilter()))

    return asyncio.run(read())


def starts(server: Served) -> int:
    return server.seen.count("Ledger: ")


def wait_for_start(server: Served, number: int) -> None:
    while starts(server) < number:
        server.read()


def save(project: ProjectFolder, name: str, text: str) -> None:
    """Change a file in one move, as editors do: of one that is written in its place half may be seen, and then all."""
    project.file(f"{name}.new", text)
    (project.path / f"{name}.new").replace(project.path / name)


def test_a_change_starts_it_anew_and_requests_wait_meanwhile(edited: ProjectFolder, serve: Serve) -> None:
    server = serve("--reload", "--without-bot", "--without-workers")
    url = server.urls()[0]
    assert server.get("/").body == b"one"
    save(edited, "web.py", APP.format("two"))
    server.wait_for("Changed: web.py. The server starts again.")
    assert server.get("/", url=url).status == 200  # whoever it is that answers
    wait_for_start(server, 2)
    assert server.get("/", url=url).body == b"two"
    assert server.urls() == [url, url]

    save(edited, "web.py", "def app(:\n")
    server.wait_for("The server ended: exit code 2. It starts again when a file changes.")
    assert "web.py, line 1: setting `app`: SyntaxError" in server.seen
    connection = server.connect(url)
    connection.request("GET", "/")  # nobody is there, and it waits
    save(edited, "web.py", APP.format("three"))
    assert connection.getresponse().read() == b"three"
    connection.close()
    wait_for_start(server, 3)
    assert server.seen.count("Changed: web.py.") == 3

    processes = watch(server.children())
    server.send(signal.SIGINT)
    assert server.end() == 130
    processes.wait_for_end()
    assert server.seen.count("Stopping: what runs may end within 25s") == 1


def test_an_edited_job_is_run_as_it_is_now(edited: ProjectFolder, serve: Serve) -> None:
    server = serve("--reload", "--without-bot")
    server.until()
    enqueue(edited, "hello")
    server.wait_for("hello | hello one")
    edited.job("hello", JOB.format("two"))
    server.wait_for("Changed: lib/background_jobs/hello.py.")
    wait_for_start(server, 2)
    enqueue(edited, "hello")
    server.wait_for("hello | hello two")


def test_nothing_that_was_missed_is_caught_up(edited: ProjectFolder, serve: Serve) -> None:
    due = datetime.now(UTC) - timedelta(hours=2)
    edited.job("hello", JOB.format("late") + f'        schedule = "{due.minute} {due.hour} * * *"\n')
    asyncio.run(open_bot(edited.path))
    forget_fires(edited.path / ".pinstripe" / "ledger.db")
    server = serve("--reload", "--without-workers")
    server.until()
    server.process.terminate()
    assert server.end() == 143
    assert run_count(edited.path) == 0
    server = serve("--without-workers")
    while not run_count(edited.path):
        server.until()


def test_all_ends_with_a_reloader_that_is_killed(edited: ProjectFolder, serve: Serve) -> None:
    server = serve("--reload")
    server.until()
    processes = watch([int(server.get("/pid").body)])
    server.send(signal.SIGKILL)
    assert server.end() == -signal.SIGKILL  # the pipe is closed by the last of its processes
    processes.wait_for_end()


def test_a_server_that_dies_starts_again_at_the_next_change(edited: ProjectFolder, serve: Serve) -> None:
    server = serve("--reload", "--without-bot", "--without-workers")
    os.kill(int(server.get("/pid").body), signal.SIGKILL)
    server.wait_for("The server ended: signal SIGKILL. It starts again when a file changes.")
    edited.file("web.py", APP.format("two"))
    wait_for_start(server, 2)
    assert server.get("/").body == b"two"
