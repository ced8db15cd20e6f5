"""A running server as a whole: how it is while parts of it fail, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest

from pinstripe import open_project
from pinstripe.ledger import RunFilter
from tests.commands.conftest import PATIENCE
from tests.server.conftest import Response, watch

if TYPE_CHECKING:
    from http.client import HTTPConnection

    from tests.conftest import ProjectFolder
    from tests.server.conftest import Serve, Served

SLOW = """
    import asyncio

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            print("application ends", flush=True)
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["path"] == "/slow":
            print("request begins", flush=True)
            try:
                message = await receive()
                while message["more_body"]:
                    message = await receive()
            except asyncio.CancelledError:
                print("request cancelled", flush=True)
                raise
            print("request ends", flush=True)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"done"})
"""
"""An application with a request that lasts until its body ends."""

JOB = """
    import asyncio, pathlib
    from pinstripe import BackgroundJob

    class Wait(BackgroundJob):
        async def run(self):
            print("job begins", flush=True)
            await asyncio.to_thread(pathlib.Path("gate").read_text)
            print("job ends", flush=True)
"""
"""A job that lasts until somebody has written to the named pipe `gate`."""

STUCK = """
    import threading

    def app(environ, start_response):
        print("stuck", flush=True)
        threading.Event().wait()
"""

MEDDLES = """
    import asyncio

    async def app(scope, receive, send):
        for task in asyncio.all_tasks():
            if scope["path"] == "/all" or task.get_name() == "pinstripe web server":
                task.cancel()
"""

SETTINGS = """
    app = "web:app"
    worker.shutdown_grace = "{}"
"""


def begin_request(server: Served) -> HTTPConnection:
    """Begin a request whose body isn't complete."""
    connection = server.connect()
    connection.putrequest("POST", "/slow")
    connection.putheader("Content-Length", "2")
    connection.endheaders(b"a")
    server.wait_for("request begins")
    return connection


@pytest.fixture
def slow(site: ProjectFolder) -> ProjectFolder:
    os.mkfifo(site.path / "gate")
    site.file("web.py", SLOW)
    site.job("wait", JOB)
    site.configure(SETTINGS.format("20s"))
    return site


def enqueue(site: ProjectFolder, job: str) -> None:
    with open_project(site.path) as project, project.workspace(tenant=None) as workspace:
        workspace.enqueue_background_job(job)


def statuses(site: ProjectFolder) -> list[str]:
    async def read() -> list[str]:
        async with open_project(site.path) as project:
            return [str(run.status) for run in await project.ledger.list_runs(RunFilter())]

    return asyncio.run(read())


def accepts(server: Served, url: str) -> bool:
    try:
        server.get("/_pinstripe/health/live", url=url)
    except ConnectionError:
        return False
    return True


def test_a_worker_that_dies_makes_it_unready_until_another_one_works(site: ProjectFolder, serve: Serve) -> None:
    server = serve()
    server.until()
    (worker,) = server.children()
    os.kill(worker, signal.SIGKILL)
    server.wait_for(f"the worker's process {worker} ended: signal SIGKILL")
    server.until()
    (other,) = server.children()
    assert other != worker
    assert server.get("/").status == 200
    enqueue(site, "hello")
    server.wait_for("hello | hello")


def test_a_ledger_that_is_gone_makes_it_unready_and_harms_no_request(site: ProjectFolder, server: Served) -> None:
    assert server.ready().status == 200
    path = site.path / ".pinstripe" / "ledger.db"
    away = path.rename(path.with_name("away.db"))
    gone = server.ready()
    assert gone.status == 503
    assert gone.json["checks"]["ledger"] == {"ok": False, "reason": "its file can't be found"}
    assert not gone.json["checks"]["schema"]["ok"]
    assert gone.json["checks"]["workers"] == {"ok": True, "left_out": True}
    assert b"/" not in gone.body
    assert server.get("/_pinstripe/health/live").status == 200
    assert server.get("/").status == 200
    away.rename(path)
    assert server.ready().status == 200


def test_a_stop_lets_the_request_and_what_else_goes_on_end_and_then_the_application(
    slow: ProjectFolder, serve: Serve
) -> None:
    enqueue(slow, "wait")
    server = serve()
    server.wait_for("job begins")
    url = server.urls()[0]
    connection = begin_request(server)
    workers = watch(server.children())
    server.send(signal.SIGTERM)
    server.wait_for("Stopping: what runs may end within 20s")
    while accepts(server, url):  # as it may for a moment yet
        pass
    (slow.path / "gate").write_text("go on")
    server.wait_for("job ends")
    connection.send(b"b")
    answer = connection.getresponse()
    assert Response(answer.status, {}, answer.read()).body == b"done"
    connection.close()
    assert server.end() == 143
    assert server.seen.index("request ends") < server.seen.index("application ends")
    assert server.seen.count("application ends") == 1
    assert "Traceback" not in server.seen
    workers.wait_for_end()
    assert statuses(slow) == ["succeeded"]


@pytest.mark.parametrize("words", [(), ("--without-workers", "--without-bot")])
def test_what_does_not_end_within_the_grace_is_cancelled(
    slow: ProjectFolder, serve: Serve, words: tuple[str, ...]
) -> None:
    slow.configure(SETTINGS.format("100ms"))
    server = serve(*words)
    connection = begin_request(server)
    server.send(signal.SIGINT)
    assert server.end() == 130
    connection.close()
    assert server.seen.index("request cancelled") < server.seen.index("application ends")
    assert "1 request didn't end within the grace, and is cancelled\n" in server.seen
    assert "Traceback" not in server.seen


def test_a_request_whose_thread_never_ends_is_abandoned(site: ProjectFolder, serve: Serve) -> None:
    site.configure(SETTINGS.format("50ms"))
    site.file("web.py", STUCK)
    server = serve("--without-bot", "--without-workers")
    connection = server.connect()
    connection.request("GET", "/")
    server.wait_for("stuck")
    server.send(signal.SIGTERM)
    assert server.end() == 143
    connection.close()
    assert "Warning: left behind by a request and still running, abandoned: threads WSGI_0\n" in server.seen


def test_a_second_signal_ends_it_at_once(slow: ProjectFolder, serve: Serve) -> None:
    enqueue(slow, "wait")
    server = serve()
    server.wait_for("job begins")
    connection = begin_request(server)
    server.send(signal.SIGTERM)
    server.wait_for("Stopping: what runs may end within 20s")
    server.send(signal.SIGINT)
    server.wait_for("Stopping at once")
    with suppress(OSError):  # unless its process has not waited for it: then nobody reads any more
        gate = os.open(slow.path / "gate", os.O_WRONLY | os.O_NONBLOCK)
        os.write(gate, b"a thread can't be cancelled")
        os.close(gate)
    assert server.end() == 143
    connection.close()
    assert server.seen.index("request cancelled") < server.seen.index("application ends")
    assert "was killed" not in server.seen
    assert "Traceback" not in server.seen


def test_workers_end_with_a_server_that_is_killed(slow: ProjectFolder, serve: Serve) -> None:
    enqueue(slow, "wait")
    slow.job("wait", JOB.replace('asyncio.to_thread(pathlib.Path("gate").read_text)', "asyncio.Event().wait()"))
    slow.configure(SETTINGS.format("0s"))
    server = serve("--processes", "2")
    server.wait_for("job begins")
    server.until()
    workers = watch(server.children())
    assert len(workers) == 2
    server.send(signal.SIGKILL)
    assert server.end() == -signal.SIGKILL  # the pipe is closed by the last of them
    workers.wait_for_end()


@pytest.mark.parametrize("which", ["web", "all"])
def test_all_ends_with_a_web_server_that_ends_by_itself(site: ProjectFolder, serve: Serve, which: str) -> None:
    site.file("web.py", MEDDLES)
    server = serve()
    server.until()
    workers = watch(server.children())
    with closing(server.connect()) as connection:
        connection.request("GET", f"/{which}")
        assert server.end() == 1
    assert "Error: the application cancelled tasks of the event loop that are not its own" in server.seen
    workers.wait_for_end()


def test_requests_are_served_side_by_side(slow: ProjectFolder, serve: Serve) -> None:
    server = serve("--without-bot", "--without-workers")
    connection = begin_request(server)
    done = threading.Event()

    def ask() -> None:
        assert server.get("/_pinstripe/health/ready").status == 200
        done.set()

    server.urls()
    thread = threading.Thread(target=ask)
    thread.start()
    assert done.wait(PATIENCE)
    thread.join()
    connection.close()
