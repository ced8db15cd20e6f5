"""Applications that another server serves: they open the project in their lifespan."""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from pinstripe.opening import open_project
from tests.serving import serving
from tests.web import get_workspace, imported_job, list_runs, module, write_project
from tests.web_lifespan import lifespan

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from starlette.requests import Request

    from tests.conftest import ProjectFolder


@pytest.fixture
def folder(project_folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_project(project_folder)
    monkeypatch.chdir(project_folder.path)
    return project_folder.path


def statuses(folder: Path) -> list[tuple[str, str]]:
    async def read() -> list[tuple[str, str]]:
        async with open_project(folder) as project:
            return [(run.job, str(run.status)) for run in await list_runs(project)]

    return asyncio.run(read())


async def say_who(request: Request) -> Response:
    async with get_workspace.open(request) as workspace:
        return PlainTextResponse((await workspace.run_background_job("who")).result)


def test_requests_of_two_tenants_at_once(folder: Path) -> None:
    app = Starlette(routes=[Route("/", say_who)], lifespan=lifespan)

    def ask(tenant: str) -> str:
        return httpx2.get(url, headers={"x-tenant": tenant}).text

    with serving(app) as url, ThreadPoolExecutor(8) as threads:
        assert [*threads.map(ask, ["acme", "birch"] * 8)] == ["hello acme", "hello birch"] * 8
    assert statuses(folder) == [("who", "succeeded")] * 16


def test_a_client_that_goes_away_ends_no_run_which_is_recorded(folder: Path) -> None:
    """A server tells a handler that its client has gone; it cancels nothing."""
    ended = threading.Event()
    gone: list[bool] = []

    async def handler(request: Request) -> Response:
        job = imported_job(request.state.pinstripe, "wait_for_ever")
        await request.body()
        async with get_workspace.open(request) as workspace, asyncio.TaskGroup() as group:
            running = group.create_task(workspace.run_background_job("wait_for_ever"))
            await job.began.wait()
            client.close()
            gone.append((await request.receive())["type"] == "http.disconnect")
            job.may_end.set()
            await running
        ended.set()
        return Response()

    with serving(Starlette(routes=[Route("/", handler)], lifespan=lifespan)) as url:
        address = urlsplit(url)
        client = socket.create_connection((address.hostname, address.port))
        client.sendall(b"GET / HTTP/1.1\r\nhost: testserver\r\nx-tenant: acme\r\n\r\n")
        assert ended.wait(30)
        assert gone == [True]
        assert statuses(folder) == [("wait_for_ever", "succeeded")]
        assert module("web_tenancy").events == ["enter acme", "leave acme"]


def test_a_client_that_goes_away_while_it_is_sent_something_cancels_the_run(folder: Path) -> None:
    """So it is with what streams: the server has nobody to send to."""
    closed = threading.Event()

    async def handler(request: Request) -> Response:
        async def parts() -> AsyncIterator[str]:
            try:
                async with get_workspace.open(request) as workspace:
                    running = asyncio.create_task(workspace.run_background_job("wait_for_ever"))
                    await imported_job(request.state.pinstripe, "wait_for_ever").began.wait()
                    yield "wait for it\n"
                    await running
            finally:
                closed.set()

        return StreamingResponse(parts())

    with serving(Starlette(routes=[Route("/", handler)], lifespan=lifespan)) as url:
        with httpx2.stream("GET", url, headers={"x-tenant": "acme"}) as response:
            assert next(response.iter_lines()) == "wait for it"
        assert closed.wait(30)
        assert module("web_tenancy").events == ["enter acme", "leave acme"]
    assert statuses(folder) == [("wait_for_ever", "cancelled")]
