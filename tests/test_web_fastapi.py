"""Workspaces as a dependency of FastAPI."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import PlainTextResponse, StreamingResponse
from starlette.requests import HTTPConnection  # noqa: TC002 - FastAPI reads it
from starlette.testclient import TestClient

from pinstripe import UnknownTenant, Workspace
from pinstripe.errors import WorkspaceClosed
from pinstripe.web import project_of
from tests.web import client_of, get_workspace, imported_job, list_runs, module, open_web_project, write_project
from tests.web_lifespan import lifespan

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pinstripe.project import Project
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio

OfRequest = Annotated[Workspace, Depends(get_workspace)]
OfHandler = Annotated[Workspace, Depends(get_workspace, scope="function")]
ACME = {"x-tenant": "acme"}


@pytest.fixture
async def project(project_folder: ProjectFolder) -> AsyncIterator[Project]:
    async with open_web_project(project_folder) as project:
        yield project


async def announce(workspace: OfRequest) -> Workspace:
    return workspace


class Kept:
    """What handlers leave for the test."""

    open_in_task: bool | None = None

    def __init__(self) -> None:
        self.workspaces: list[Workspace] = []


def kept_of(connection: HTTPConnection) -> Kept:
    kept: Kept = connection.app.state.kept
    return kept


Keeping = Annotated[Kept, Depends(kept_of)]
router = APIRouter()


def make_app(kept: Kept | None = None) -> FastAPI:
    app = FastAPI()
    app.state.kept = kept or Kept()
    app.include_router(router)
    return app


@router.get("/who")
async def who(workspace: OfRequest, greeting: str = "hello") -> str:
    run = await workspace.run_background_job("who", greeting)
    return str(run.result)


@router.get("/plain")
def plain(workspace: OfRequest) -> str:
    run = workspace.wait(workspace.run_background_job("who", "plainly"))
    return str(run.result)


@router.get("/current")
async def current(_: OfRequest) -> str | None:
    found: str | None = module("web_tenancy").current.get()
    return found


@router.get("/plain-current")
def plain_current(_: OfRequest) -> str | None:
    found: str | None = module("web_tenancy").current.get()
    return found


@router.get("/twice")
async def twice(kept: Keeping, workspace: OfRequest, announced: Annotated[Workspace, Depends(announce)]) -> bool:
    kept.workspaces.append(workspace)
    return workspace is announced


@router.get("/fails/{kind}")
async def fails(kept: Keeping, workspace: OfRequest, kind: str) -> None:
    kept.workspaces.append(workspace)
    if kind == "refused":
        raise HTTPException(409, "not now")
    await workspace.run_background_job("risky_operation")


@router.get("/waits")
async def waits(workspace: OfRequest) -> None:
    await workspace.run_background_job("wait_for_ever")


@router.get("/later")
async def later(kept: Keeping, tasks: BackgroundTasks, workspace: OfRequest) -> None:
    async def do_later() -> None:
        kept.open_in_task = not workspace.closed
        await workspace.run_background_job("who")

    kept.workspaces.append(workspace)
    tasks.add_task(do_later)


@router.get("/too-late")
async def too_late(kept: Keeping, tasks: BackgroundTasks, workspace: OfHandler) -> None:
    async def do_later() -> None:
        kept.open_in_task = not workspace.closed

    tasks.add_task(do_later)


@router.get("/streams")
async def streams(kept: Keeping, workspace: OfRequest) -> StreamingResponse:
    async def parts() -> AsyncIterator[str]:
        for greeting in ("good", "day"):
            yield f"{(await workspace.run_background_job('who', greeting)).result}\n"

    kept.workspaces.append(workspace)
    return StreamingResponse(parts())


@router.websocket("/talk")
async def talk(kept: Keeping, socket: WebSocket, workspace: OfRequest) -> None:
    await socket.accept()
    kept.workspaces.append(workspace)
    async for greeting in socket.iter_text():
        await socket.send_text(str((await workspace.run_background_job("who", greeting)).result))


async def test_a_handler_has_the_workspace_of_its_tenant(project: Project) -> None:
    async with client_of(make_app(), project) as client:
        answers = await asyncio.gather(
            *(client.get("/who?greeting=hi", headers={"x-tenant": id_}) for id_ in ("acme", "birch") * 4)
        )
    assert [answer.json() for answer in answers] == ["hi acme", "hi birch"] * 4
    assert {(run.trigger, run.status) for run in await list_runs(project)} == {("code", "succeeded")}


async def test_a_plain_handler_waits_for_what_it_starts(project: Project) -> None:
    async with client_of(make_app(), project) as client:
        answer = await client.get("/plain", headers=ACME)
    assert answer.json() == "plainly acme"


@pytest.mark.parametrize("path", ["/current", "/plain-current"])
async def test_a_handler_is_in_the_tenant_s_own_context(project: Project, path: str) -> None:
    async with client_of(make_app(), project) as client:
        answers = await asyncio.gather(
            *(client.get(path, headers={"x-tenant": id_}) for id_ in ("acme", "birch", "birch", "acme"))
        )
    assert [answer.json() for answer in answers] == ["acme", "birch", "birch", "acme"]
    assert module("web_tenancy").current.get() is None


async def test_a_request_has_one_workspace_whoever_asks_for_it(project: Project) -> None:
    kept = Kept()
    async with client_of(make_app(kept), project) as client:
        answer = await client.get("/twice", headers=ACME)
    assert answer.json() is True
    assert kept.workspaces[0].closed
    assert module("web_tenancy").events == ["enter acme", "leave acme"]


def test_nothing_of_it_is_in_the_description_of_the_interface() -> None:
    paths = make_app().openapi()["paths"]
    assert "parameters" not in paths["/twice"]["get"]
    (parameter,) = paths["/who"]["get"]["parameters"]
    assert parameter["name"] == "greeting"


@pytest.mark.parametrize(("kind", "status", "runs"), [("refused", 409, 0), ("risky", 500, 1)])
async def test_it_is_closed_whatever_the_handler_raises(project: Project, kind: str, status: int, runs: int) -> None:
    kept = Kept()
    async with client_of(make_app(kept), project) as client:
        answer = await client.get(f"/fails/{kind}", headers=ACME)
    assert answer.status_code == status
    assert kept.workspaces[0].closed
    assert module("web_tenancy").events == ["enter acme", "leave acme"]
    assert [run.status for run in await list_runs(project)] == ["failed"] * runs


async def test_a_request_that_is_cancelled_cancels_its_run(project: Project) -> None:
    job = imported_job(project, "wait_for_ever")
    async with client_of(make_app(), project) as client:
        asked = asyncio.create_task(client.get("/waits", headers=ACME))
        await job.began.wait()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
    assert [run.status for run in await list_runs(project)] == ["cancelled"]
    assert module("web_tenancy").events == ["enter acme", "leave acme"]


async def test_it_is_open_for_background_tasks_and_closed_after_them(project: Project) -> None:
    kept = Kept()
    async with client_of(make_app(kept), project) as client:
        await client.get("/later", headers=ACME)
    assert kept.open_in_task is True
    assert kept.workspaces[0].closed
    assert [run.status for run in await list_runs(project)] == ["succeeded"]


async def test_one_of_the_function_s_scope_is_closed_before_the_response_is_sent(project: Project) -> None:
    kept = Kept()
    async with client_of(make_app(kept), project) as client:
        await client.get("/too-late", headers=ACME)
    assert kept.open_in_task is False


async def test_it_is_open_while_a_response_streams(project: Project) -> None:
    kept = Kept()
    async with client_of(make_app(kept), project) as client:
        answer = await client.get("/streams", headers=ACME)
    assert answer.text == "good acme\nday acme\n"
    assert kept.workspaces[0].closed


@pytest.mark.parametrize("headers", [{}, {"x-tenant": "nobody"}, {"x-tenant": ""}])
async def test_a_handler_is_not_reached_without_a_tenant(project: Project, headers: dict[str, str]) -> None:
    kept = Kept()
    async with client_of(make_app(kept), project) as client:
        answer = await client.get("/twice", headers=headers)
    assert answer.status_code == 500
    assert kept.workspaces == []


async def test_an_application_maps_an_unknown_tenant_to_an_answer(project: Project) -> None:
    app = make_app()

    @app.exception_handler(UnknownTenant)
    async def not_found(_: Request, error: UnknownTenant) -> PlainTextResponse:
        return PlainTextResponse("no such customer", 404)

    async with client_of(app, project) as client:
        answer = await client.get("/who", headers={"x-tenant": "nobody"})
    assert (answer.status_code, answer.text) == (404, "no such customer")


async def who_is_signed_in(request: Request) -> str:
    return {"secret": "birch"}[request.headers["authorization"]]


async def workspace_of_user(
    request: Request, tenant: Annotated[str, Depends(who_is_signed_in)]
) -> AsyncIterator[Workspace]:
    async with project_of(request).workspace(tenant=tenant) as workspace:
        yield workspace


async def test_a_tenant_may_come_from_another_dependency(project: Project) -> None:
    app = FastAPI()

    @app.get("/who")
    async def who(workspace: Annotated[Workspace, Depends(workspace_of_user)]) -> str:
        return str((await workspace.run_background_job("who")).result)

    async with client_of(app, project) as client:
        answer = await client.get("/who", headers={"authorization": "secret"})
    assert answer.json() == "hello birch"


async def test_a_test_of_the_application_gives_a_workspace_of_its_own(project: Project) -> None:
    app = make_app()
    async with project.workspace(tenant="birch") as workspace:
        app.dependency_overrides[get_workspace] = lambda: workspace
        async with client_of(app) as client:
            assert (await client.get("/who")).json() == "hello birch"
        assert not workspace.closed


def test_a_web_socket_has_one_for_as_long_as_it_is_open(
    project_folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_project(project_folder)
    monkeypatch.chdir(project_folder.path)
    kept = Kept()
    app = make_app(kept)
    app.router.lifespan_context = lifespan
    with TestClient(app) as client:
        with client.websocket_connect("/talk", headers=ACME) as socket:
            for greeting in ("hi", "bye"):
                socket.send_text(greeting)
                assert socket.receive_text() == f"{greeting} acme"
            assert not kept.workspaces[0].closed
        assert client.get("/who", headers=ACME).json() == "hello acme"
    assert kept.workspaces[0].closed
    with pytest.raises(WorkspaceClosed):
        kept.workspaces[0].options()


def test_an_application_within_another_has_the_project_of_the_outer_one(
    project_folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_project(project_folder)
    monkeypatch.chdir(project_folder.path)
    outer = FastAPI(lifespan=lifespan)
    outer.mount("/api", make_app())
    with TestClient(outer) as client:
        assert client.get("/api/who", headers=ACME).json() == "hello acme"
