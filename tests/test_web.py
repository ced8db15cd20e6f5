"""Workspaces of requests: the tenant of each, the project that they come with, and their end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING, Any, ClassVar

import anyio
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from pinstripe.errors import ConfigurationError, PinstripeError, TenantRequired, UnknownTenant, WorkspaceClosed
from pinstripe.opening import open_project
from pinstripe.web import SCOPE_KEY, STATE_KEY, project_of, workspace_dependency
from tests.web import client_of, get_workspace, imported_job, list_runs, module, open_web_project, tenant_in_header

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from pinstripe.project import Project
    from pinstripe.workspace import Workspace
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio


@pytest.fixture
async def project(project_folder: ProjectFolder) -> AsyncIterator[Project]:
    async with open_web_project(project_folder) as project:
        yield project


def request(project: object = None, *, tenant: str | None = None, **scope: Any) -> Request:
    """Make a request as a server hands it over."""
    headers = [] if tenant is None else [(b"x-tenant", tenant.encode())]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers, **scope}
    return Request(scope if project is None else {**scope, SCOPE_KEY: project})


def app_of(handler: Callable[[Request], Awaitable[Response]], **options: Any) -> Starlette:
    return Starlette(routes=[Route("/", handler, methods=["GET", "POST"])], **options)


async def say_who(request: Request) -> Response:
    async with get_workspace.open(request) as workspace:
        run = await workspace.run_background_job("who", "good day")
    return PlainTextResponse(run.result)


async def test_a_handler_runs_a_job_for_its_tenant_and_the_run_is_recorded(project: Project) -> None:
    async with client_of(app_of(say_who), project) as client:
        answer = await client.get("/", headers={"x-tenant": "birch"})

    assert (answer.status_code, answer.text) == (200, "good day birch")
    (run,) = await list_runs(project)
    assert (run.job, run.trigger, run.status, run.args) == ("who", "code", "succeeded", ("good day",))
    execution = await project.ledger.find_execution(run.id, "birch")
    assert execution is not None
    assert execution.status == "succeeded"


async def test_two_requests_at_once_are_for_two_tenants(project: Project) -> None:
    both = asyncio.Barrier(2)

    async def handler(request: Request) -> Response:
        async with get_workspace.open(request) as workspace:
            await both.wait()  # each is open while the other is
            run = await workspace.run_background_job("who")
            await both.wait()
            assert workspace.tenant is not None
            return JSONResponse([workspace.tenant.id, workspace.tenant.plan, run.result])

    async with client_of(app_of(handler), project) as client:
        answers = await asyncio.gather(*(client.get("/", headers={"x-tenant": id_}) for id_ in ("acme", "birch")))

    assert [answer.json() for answer in answers] == [["acme", "pro", "hello acme"], ["birch", "free", "hello birch"]]


async def test_the_job_s_own_exception_is_raised_in_the_handler(project: Project) -> None:
    async def handler(request: Request) -> Response:
        async with get_workspace.open(request) as workspace:
            try:
                await workspace.run_background_job("risky_operation")
            except Exception as error:  # noqa: BLE001 - whatever comes is told
                return PlainTextResponse(f"{type(error).__name__}: {error}", 502)
        raise AssertionError

    async with client_of(app_of(handler), project) as client:
        answer = await client.get("/", headers={"x-tenant": "acme"})

    assert (answer.status_code, answer.text) == (502, "OperationFailed: it went wrong")
    (run,) = await list_runs(project)
    assert (run.trigger, run.status) == ("code", "failed")


async def test_a_handler_leaves_a_job_to_the_workers(project: Project) -> None:
    async def handler(request: Request) -> Response:
        async with get_workspace.open(request) as workspace:
            run = await workspace.enqueue_background_job("who")
        return JSONResponse(run.to_json(), 202)

    async with client_of(app_of(handler), project) as client:
        answer = await client.post("/", headers={"x-tenant": "acme"})

    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    (run,) = await list_runs(project)
    assert (run.id, run.trigger, run.status) == (answer.json()["id"], "code", "queued")


@pytest.mark.parametrize("raised", [None, ValueError("no"), HTTPException(409, "no")], ids=repr)
async def test_the_workspace_is_closed_after_the_handler_whatever_it_does(
    project: Project, raised: Exception | None
) -> None:
    kept: list[Workspace] = []

    async def handler(request: Request) -> Response:
        async with get_workspace.open(request) as workspace:
            kept.append(workspace)
            if raised is not None:
                raise raised
            return Response()

    async with client_of(app_of(handler), project) as client:
        answer = await client.get("/", headers={"x-tenant": "acme"})

    assert answer.status_code == {type(None): 200, ValueError: 500, HTTPException: 409}[type(raised)]
    assert module("web_tenancy").events == ["enter acme", "leave acme"]
    assert kept[0].closed
    with pytest.raises(WorkspaceClosed):
        await kept[0].run_background_job("who")
    assert await list_runs(project) == []


async def test_a_background_task_of_starlette_finds_the_workspace_closed(project: Project) -> None:
    from starlette.background import BackgroundTask

    found: list[bool] = []

    async def handler(request: Request) -> Response:
        async with get_workspace.open(request) as workspace:
            return Response(background=BackgroundTask(lambda: found.append(workspace.closed)))

    async with client_of(app_of(handler), project) as client:
        await client.get("/", headers={"x-tenant": "acme"})
    assert found == [True]


async def test_a_request_that_is_cancelled_cancels_its_run_and_closes_its_workspace(project: Project) -> None:
    job = imported_job(project, "wait_for_ever")

    async def handler(request: Request) -> Response:
        async with get_workspace.open(request) as workspace:
            await workspace.run_background_job("wait_for_ever")
        raise AssertionError

    async with client_of(app_of(handler), project) as client:
        asked = asyncio.create_task(client.get("/", headers={"x-tenant": "acme"}))
        await job.began.wait()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked

    (run,) = await list_runs(project)
    assert run.status == "cancelled"
    execution = await project.ledger.find_execution(run.id, None)
    assert execution is not None
    assert (execution.status, execution.error) == ("cancelled", "interrupted")
    assert module("web_tenancy").events == ["enter acme", "leave acme"]


async def test_a_scope_that_is_cancelled_does_the_same(project: Project) -> None:
    """Middleware cancels like this: again and again, until the scope is left."""
    job = imported_job(project, "wait_for_ever")
    async with anyio.create_task_group() as group:

        async def handle() -> None:
            async with get_workspace.open(request(project, tenant="acme")) as workspace:
                await workspace.run_background_job("wait_for_ever")

        group.start_soon(handle)
        await job.began.wait()
        group.cancel_scope.cancel()

    assert module("web_tenancy").events == ["enter acme", "leave acme"]
    await project.close()  # it waits for what still ends
    async with open_project(project.settings.folder) as again:
        (run,) = await list_runs(again)
        assert run.status == "cancelled"


async def test_who_tells_the_tenant_may_be_async(project: Project) -> None:
    async def look_up(request: Request) -> str:
        await asyncio.sleep(0)
        return str(request.query_params["customer"]).lower()

    opening = workspace_dependency(look_up).open(request(project, query_string=b"customer=ACME"))
    async with opening as workspace:
        assert workspace.tenant is not None
        assert workspace.tenant.id == "acme"


def told(value: object) -> Callable[[Any], Any]:
    def tenant_of(_: object) -> object:
        return value

    return tenant_of


@pytest.mark.parametrize("value", [0, 7, False, b"acme", ["acme"], {"id": "acme"}, object()])
async def test_anything_but_text_is_an_error_and_never_a_tenant(project: Project, value: object) -> None:
    with pytest.raises(TypeError, match=r"tenant_of\(\) to give the tenant's id as text, .*; got a \w+$"):
        await workspace_dependency(told(value), allow_global=True).open(request(project)).__aenter__()


def test_a_tenant_is_nothing_that_is_fixed() -> None:
    with pytest.raises(TypeError, match="expected a function that tells the tenant of a request, got 'acme'"):
        workspace_dependency("acme")  # type: ignore[arg-type]


@pytest.mark.parametrize("tenant", ["", "nobody", "acme ", "Acme", "%", "acme,birch", "*"])
@pytest.mark.parametrize("allow_global", [True, False])
async def test_an_unknown_tenant_is_an_error_and_never_all_of_them(
    project: Project, tenant: str, allow_global: bool
) -> None:
    with pytest.raises(UnknownTenant):
        await workspace_dependency(told(tenant), allow_global=allow_global).open(request(project)).__aenter__()
    assert module("web_tenancy").events == []


@pytest.mark.parametrize("headers", [{}, {"x-tenant": "nobody"}])
async def test_the_client_sees_an_error_of_the_server_where_nobody_maps_it(
    project: Project, headers: dict[str, str]
) -> None:
    async with client_of(app_of(say_who), project) as client:
        answer = await client.get("/", headers=headers)
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")


async def test_an_application_maps_what_is_raised_to_an_answer(project: Project) -> None:
    async def not_found(_: Request, error: Exception) -> Response:
        return PlainTextResponse("no such customer", 404)

    app = app_of(say_who, exception_handlers={UnknownTenant: not_found})
    async with client_of(app, project) as client:
        answer = await client.get("/", headers={"x-tenant": "nobody"})
    assert (answer.status_code, answer.text) == (404, "no such customer")


async def test_what_tells_the_tenant_may_refuse_the_request(project: Project) -> None:
    def refuse(_: Request) -> str:
        raise HTTPException(401, "log in")

    opening = workspace_dependency(refuse)

    async def handler(request: Request) -> Response:
        async with opening.open(request):
            raise AssertionError

    async with client_of(app_of(handler), project) as client:
        answer = await client.get("/")
    assert (answer.status_code, answer.text) == (401, "log in")


async def test_a_request_without_a_tenant_is_refused_where_there_are_tenants(project: Project) -> None:
    with pytest.raises(TenantRequired, match=r"tenant_in_header\(\) found no tenant .* allow_global=True"):
        await get_workspace.open(request(project)).__aenter__()


async def test_the_global_workspace_is_given_where_it_is_allowed(project: Project) -> None:
    opening = workspace_dependency(tenant_in_header, allow_global=True)
    async with opening.open(request(project)) as workspace:
        assert workspace.tenant is None
        run = await workspace.run_background_job("who")
    assert run.executions.total == 2


async def test_a_project_without_tenants_has_nothing_but_the_global_workspace(project_folder: ProjectFolder) -> None:
    async with open_project(project_folder.path) as project:
        async with get_workspace.open(request(project)) as workspace:
            assert workspace.tenant is None
        with pytest.raises(UnknownTenant, match="the project has no tenants"):
            await get_workspace.open(request(project, tenant="acme")).__aenter__()


async def test_the_project_comes_with_the_request(project: Project) -> None:
    assert project_of(request(project)) is project
    assert project_of(request(state={STATE_KEY: project})) is project
    assert project_of(request(project, state={STATE_KEY: "another"})) is project


@pytest.mark.parametrize(
    ("scope", "found"), [({}, "none"), ({"state": {}}, "none"), ({"state": {STATE_KEY: "shop"}}, "a str")]
)
async def test_a_request_without_a_project_is_told_where_one_comes_from(scope: dict[str, Any], found: str) -> None:
    with pytest.raises(ConfigurationError, match=f"found {found}; `pinstripe start-server` .* lifespan"):
        await get_workspace.open(request(**scope)).__aenter__()


def test_a_request_of_another_kind_is_told_apart() -> None:
    class WSGIRequest:
        environ: ClassVar[dict[str, Any]] = {}

    with pytest.raises(ConfigurationError, match=r"expected Starlette's request, .* got a WSGIRequest; .* yourself"):
        project_of(WSGIRequest())  # type: ignore[arg-type]


async def test_what_is_open_is_not_opened_again(project: Project) -> None:
    opening = get_workspace.open(request(project, tenant="acme"))
    async with opening:
        with pytest.raises(PinstripeError, match="was opened before"):
            await opening.__aenter__()
    assert module("web_tenancy").events == ["enter acme", "leave acme"]


def test_the_module_needs_no_framework_but_starlette() -> None:
    program = "import sys, pinstripe.web; print([n for n in ('fastapi', 'uvicorn', 'click') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
