"""What a type checker knows of workspaces in web handlers. It is never run: `test_web_typing` has it checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, assert_type

from fastapi import Depends, FastAPI, Request
from starlette.responses import JSONResponse

from pinstripe import Project, Run, Workspace
from pinstripe.web import WorkspaceDependency, project_of, workspace_dependency

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

app = FastAPI()


def tenant_of(request: Request) -> str:
    return request.headers["x-tenant"]


async def look_up_tenant(connection: HTTPConnection) -> str | None:
    return connection.query_params.get("tenant")


get_workspace = workspace_dependency(tenant_of)
get_any_workspace = workspace_dependency(look_up_tenant, allow_global=True)
assert_type(get_workspace, WorkspaceDependency)
assert_type(get_any_workspace, WorkspaceDependency)


@app.post("/close-month")
async def close_month(workspace: Annotated[Workspace, Depends(get_workspace)]) -> dict[str, object]:
    assert_type(workspace, Workspace)
    run = await workspace.run_background_job("close_month")
    assert_type(run, Run)
    return run.to_json()


async def in_starlette(request: Request) -> JSONResponse:
    async with get_workspace.open(request) as workspace:
        assert_type(workspace, Workspace)
        run = await workspace.run_background_job("close_month")
    assert_type(project_of(request), Project)
    return JSONResponse(run.to_json())


workspace_dependency(lambda request: 7)  # type: ignore[arg-type, return-value]
workspace_dependency()  # type: ignore[call-arg]
