"""How the application of a running server begins and ends."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder
    from tests.server.conftest import Serve

APP = """
    import asyncio, pathlib

    URL = "postgresql://bob:hunter2@db/shop"

    async def app(scope, receive, send):
        if scope["type"] != "lifespan":
            raise OSError(f"no {{URL}}")
        await receive()
        {}
        await send({{"type": "lifespan.startup.complete"}})
        await receive()
        {}
        print("application ends", flush=True)
        await send({{"type": "lifespan.shutdown.complete"}})
"""


def test_a_stop_during_the_start_lets_that_end_and_then_the_application(site: ProjectFolder, serve: Serve) -> None:
    os.mkfifo(site.path / "gate")
    site.file(
        "web.py",
        APP.format('print("starting", flush=True); await asyncio.to_thread(pathlib.Path("gate").read_text)', ""),
    )
    server = serve()
    server.wait_for("starting")
    server.send(signal.SIGTERM)
    server.wait_for("Stopping: what runs may end within 25s")
    (site.path / "gate").write_text("go on")
    assert server.end() == 143
    assert "application ends" in server.seen
    assert "Serving" not in server.seen
    assert "Traceback" not in server.seen


@pytest.mark.parametrize(
    ("start", "end", "told"),
    [
        ("", 'raise OSError(f"no {URL}")', "the application raised at its end (ASGI lifespan)\n"),
        ("", 'await send({"type": "lifespan.shutdown.failed", "message": f"no {URL}"})', ""),
        ('raise OSError(f"no {URL}")', "", "the application raised at its start (ASGI lifespan); it is served\n"),
    ],
)
def test_what_fails_in_it_is_told_without_passwords(
    site: ProjectFolder, serve: Serve, start: str, end: str, told: str
) -> None:
    site.file("web.py", APP.format(start, end))
    server = serve("--without-bot", "--without-workers")
    assert server.get("/").status == 500
    server.send(signal.SIGINT)
    assert server.end() == 130
    assert told in server.seen
    assert server.seen.count("no postgresql://bob:***@db/shop") == 2
    assert "hunter2" not in server.seen


def test_a_start_that_fails_without_a_word_is_said_to(site: ProjectFolder, serve: Serve) -> None:
    site.file("web.py", APP.format('await send({"type": "lifespan.startup.failed"}); return', ""))
    server = serve()
    assert server.end() == 1
    assert server.seen.endswith("Error: the application failed at its start; it gave no reason\n")
