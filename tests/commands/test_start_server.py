from __future__ import annotations

import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.server.conftest import serve, server, site

if TYPE_CHECKING:
    from tests.commands.conftest import Start
    from tests.conftest import ProjectFolder
    from tests.server.conftest import Serve, Served

__all__ = ["serve", "server", "site"]  # fixtures

LIFESPAN = """
    async def app(scope, receive, send):
        assert scope["type"] == "lifespan", "the only thing it knows"
        await receive()
        {}
"""


def test_asking_for_help_imports_no_server() -> None:
    asked = "import sys, pinstripe.commands.start_server; print(*{'uvicorn', 'starlette', 'a2wsgi'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", asked], capture_output=True, check=True).stdout == b"\n"


def test_it_says_what_it_serves_and_where_and_by_which_ledger(site: ProjectFolder, serve: Serve) -> None:
    site.job("broken", "class Broken(:\n")
    site.service("mailer", "x = 1\n")
    server = serve("--host", "127.0.0.1:0", "--host", "localhost:0", "--processes", "2", "--concurrency", "7")
    first, second = server.urls()
    assert first.startswith("http://127.0.0.1:")
    assert second.startswith("http://localhost:")
    assert f"Serving web:app at {first}, {second}\n" in server.seen
    assert "2 jobs, 2 worker processes with 7 executions at once each, bot on for 1 schedule\n" in server.seen
    assert f"Ledger: {site.path}/.pinstripe/ledger.db\n" in server.seen
    assert "lib/background_jobs/broken.py:1: SyntaxError: invalid syntax\n" in server.seen
    assert "lib/services/mailer.py: " in server.seen
    assert "Ctrl-C" not in server.seen, "nobody sits before it"
    for url in (first, second):
        assert server.get("/here", url=url).json["path"] == "/here"
    server.until()
    assert len(server.children()) == 2
    server.send(signal.SIGINT)
    assert server.end() == 130


@pytest.mark.parametrize("words", [(), ("--reload",)])
def test_ctrl_c_on_a_terminal_ends_it_with_all_its_processes(terminal: Start, words: tuple[str, ...]) -> None:
    command = terminal("start-server", "--host", "127.0.0.1:0", "--without-bot", *words)
    command.wait_for("Press Ctrl-C to stop.")
    command.type("\x03")
    assert command.end() == 130  # the terminal is closed by the last of them
    assert command.seen.count("Stopping: what runs may end within 25s; another Ctrl-C") == 1
    assert "Warning" not in command.seen


def test_what_is_left_out_is_said_and_counts_as_ready(server: Served) -> None:
    assert server.ready().json == {
        "ready": True,
        "checks": {
            "ledger": {"ok": True},
            "schema": {"ok": True},
            "bot": {"ok": True, "left_out": True},
            "workers": {"ok": True, "left_out": True},
        },
    }
    assert "2 jobs, no workers, bot off\n" in server.seen
    assert server.children() == []
    server.process.terminate()
    assert server.end() == 143


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--host", "http://localhost"), "--host 'http://localhost': expected HOST:PORT"),
        (("--host", "no-such-host.invalid:80"), "unknown host"),
        (("--without-workers", "--processes", "2"), "--processes is for workers"),
        (("--reload", "--host", "x y"), "expected HOST:PORT"),
    ],
)
def test_what_it_cannot_be_asked_is_exit_code_2(serve: Serve, words: tuple[str, ...], told: str) -> None:
    server = serve(*words)
    assert server.end() == 2
    assert told in server.seen


def test_an_address_in_use_ends_it_before_anything_starts(site: ProjectFolder, server: Served, serve: Serve) -> None:
    taken = server.urls()[0].removeprefix("http://")
    site.file("web.py", "print('imported')")
    for words in ((), ("--reload",)):
        second = serve("--host", "127.0.0.1:0", "--host", taken, *words)
        assert second.end() == 2
        assert f"--host {taken}: the address is in use" in second.seen
        assert "imported" not in second.seen
    assert server.get("/").status == 200


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import json\nx = (\n", r"web\.py, line 2: setting `app`: SyntaxError: '\(' was never closed"),
        ("app = 'web:app'", "setting `app`: expected web:app to be an ASGI or a WSGI application, got 'web:app'"),
        (None, "setting `app`: web can't be imported: ModuleNotFoundError: No module named 'web'"),
    ],
)
def test_an_application_that_cannot_be_loaded_is_exit_code_2(
    site: ProjectFolder, serve: Serve, source: str | None, told: str
) -> None:
    site.file("web.py", source or "")
    if source is None:
        (site.path / "web.py").unlink()
    server = serve()
    assert server.end() == 2
    assert re.search(told, server.seen)


def test_an_application_that_fails_at_its_start_ends_the_server_with_its_error(
    site: ProjectFolder, serve: Serve
) -> None:
    site.file("web.py", LIFESPAN.format('await send({"type": "lifespan.startup.failed", "message": "no database"})'))
    server = serve()
    assert server.end() == 1
    assert "no database\n" in server.seen
    assert server.seen.endswith("Error: the application failed at its start; its error stands above\n")
    assert "Serving" not in server.seen


def test_an_application_that_raises_at_its_start_is_served_with_a_warning(site: ProjectFolder, serve: Serve) -> None:
    site.file("web.py", LIFESPAN.format('raise ValueError("which lifespan?")'))
    server = serve("--without-bot", "--without-workers")
    assert server.get("/_pinstripe/health/live").status == 200
    assert "ValueError: which lifespan?" in server.seen


def test_a_start_that_takes_for_ever_can_be_interrupted(site: ProjectFolder, serve: Serve) -> None:
    site.file("web.py", LIFESPAN.format('print("starting", flush=True); await receive()'))
    server = serve()
    server.wait_for("starting")
    server.send(signal.SIGINT)
    server.wait_for("Stopping: what runs may end within 25s")
    server.send(signal.SIGINT)
    assert server.end() == 130
    assert "Traceback" not in server.seen


def test_a_ledger_that_cannot_be_used_is_exit_code_4(site: ProjectFolder, serve: Serve) -> None:
    site.configure("ledger = 'sqlite:///lib'")
    server = serve()
    assert server.end() == 4
    assert "Serving" not in server.seen
