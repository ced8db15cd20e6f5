"""Applications that `start-server` serves: their handlers have workspaces of the project that it has open."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from tests.web import write_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import ProjectFolder

ASGI = """
    from contextlib import asynccontextmanager
    from typing import Annotated

    import pinstripe
    from fastapi import Depends, FastAPI
    from pinstripe import Workspace
    from pinstripe.web import workspace_dependency

    get_workspace = workspace_dependency(lambda request: request.headers.get("x-tenant"))


    @asynccontextmanager
    async def lifespan(app):
        async with pinstripe.open_project() as project:  # for other servers
            yield {"pinstripe": project}


    app = FastAPI(lifespan=lifespan)


    @app.get("/{job}")
    async def run(job: str, workspace: Annotated[Workspace, Depends(get_workspace)]) -> str | None:
        return (await workspace.run_background_job(job)).result
    """

WSGI = """
    import atexit
    from contextlib import ExitStack

    import pinstripe

    opened = ExitStack()
    atexit.register(opened.close)
    project = opened.enter_context(pinstripe.open_project())


    def app(environ, start_response):
        with project.workspace(tenant=environ["HTTP_X_TENANT"]) as workspace:
            run = workspace.run_background_job(environ["PATH_INFO"].strip("/"))
        start_response("200 OK", [])
        return [f'"{run.result}"'.encode()]
    """

WAITS = """
    import asyncio
    from pinstripe import BackgroundJob

    class Waits(BackgroundJob):
        async def run(self):
            print("it waits", flush=True)
            await asyncio.Event().wait()
    """


@pytest.fixture(params=["asgi", "wsgi"])
def folder(request: pytest.FixtureRequest, project_folder: ProjectFolder) -> Path:
    write_project(project_folder)
    text = (project_folder.path / "pyproject.toml").read_text(encoding="utf-8")
    project_folder.file("pyproject.toml", text.replace("[tool.pinstripe]\n", '[tool.pinstripe]\napp = "shop:app"\n'))
    project_folder.job("waits", WAITS)
    project_folder.file("shop.py", {"asgi": ASGI, "wsgi": WSGI}[request.param])
    return project_folder.path


@contextmanager
def start_server(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "pinstripe", "start-server", "--without-bot", "--without-workers"]
    with subprocess.Popen(
        [*command, "--host", "127.0.0.1:0"],
        cwd=folder,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process, wait_for(process, r"http://127\.0\.0\.1:\d+")
        finally:
            process.kill()


def wait_for(process: subprocess.Popen[str], pattern: str) -> str:
    """Read what a process says up to a line with this pattern; give what it stands for there."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if found := re.search(pattern, line):
            return found[0]
    raise AssertionError(said)


def runs(folder: Path) -> list[tuple[str, str, str]]:
    done = subprocess.run(
        [sys.executable, "-m", "pinstripe", "list-runs", "--json"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    listed: list[dict[str, Any]] = json.loads(done.stdout)
    return sorted((run["job"], run["trigger"], run["status"]) for run in listed)


def test_handlers_run_jobs_for_their_tenant_and_what_waits_ends_with_the_server(folder: Path) -> None:
    with start_server(folder) as (process, url), ThreadPoolExecutor(4) as threads:

        def ask(path: str, tenant: str) -> httpx2.Response:
            return httpx2.get(f"{url}/{path}", headers={"x-tenant": tenant}, timeout=60)

        answers = threads.map(lambda tenant: ask("who", tenant).json(), ["acme", "birch"] * 3)
        assert [*answers] == ["hello acme", "hello birch"] * 3
        assert ask("risky_operation", "acme").status_code == 500

        asked = threads.submit(ask, "waits", "birch")
        wait_for(process, "it waits")
        process.send_signal(signal.SIGTERM)
        wait_for(process, "Stopping")
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 143, said
        asked.exception(timeout=30)  # an error, or a response of 500: as the server could still answer

    expected = [("risky_operation", "code", "failed"), ("waits", "code", "cancelled")]
    assert runs(folder) == expected + [("who", "code", "succeeded")] * 6
