"""The web application, which start-server serves: what it is asked for, jobs do while the client waits."""

from __future__ import annotations

import json

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from pinstripe import TenantFailures, UnknownJob, UnknownTenant
from pinstripe.errors import InvalidArguments
from pinstripe.web import workspace_dependency


def tenant_of(request: Request) -> str | None:
    """Tell the tenant of a request: it is named in the header `x-tenant`. Without one, the request is for all of them.

    An application that strangers reach would ask who has signed in, and what they may run.
    """
    return request.headers.get("x-tenant")


get_workspace = workspace_dependency(tenant_of, allow_global=True)


async def show_heartbeat(request: Request) -> JSONResponse:
    """Show when the heart has last beaten."""
    async with get_workspace.open(request) as workspace:
        last = await workspace.database.heartbeats.order_by("-id").first()
    return JSONResponse({"heartbeat": None if last is None else last.at})


async def do_what_is_risky(request: Request) -> JSONResponse:
    """Run a job that fails: its own exception comes here, and the run is recorded."""
    async with get_workspace.open(request) as workspace:
        try:
            await workspace.run_background_job("risky_operation")
        except Exception as error:  # noqa: BLE001 - the job's own, which is told to the client
            return JSONResponse({"error": f"{type(error).__name__}: {error}"}, 500)
    return JSONResponse({"error": None})


async def run_by_name(request: Request) -> JSONResponse:
    """Run the job that the address names, with the body's JSON as its arguments by name."""
    body = await request.body()
    arguments = json.loads(body) if body else {}
    if not isinstance(arguments, dict):
        message = "expected the arguments by name, as a JSON object"
        raise InvalidArguments(message)
    async with get_workspace.open(request) as workspace:
        run = await workspace.run_background_job(request.path_params["name"], **arguments)
    return JSONResponse(run.to_json())


async def tell(_: Request, error: Exception) -> JSONResponse:
    """Tell what the client has asked for that can't be."""
    status = 404 if isinstance(error, LookupError) else 422
    return JSONResponse({"error": f"{type(error).__name__}: {error}"}, status)


async def tell_failures(_: Request, error: Exception) -> JSONResponse:
    """Tell for which tenants a job has failed."""
    by_tenant = error.by_tenant if isinstance(error, TenantFailures) else {}
    return JSONResponse({"error": str(error), "failures": {id_: repr(one) for id_, one in by_tenant.items()}}, 500)


app = Starlette(
    routes=[
        Route("/", show_heartbeat),
        Route("/risky", do_what_is_risky),
        Route("/background-jobs/{name:path}", run_by_name, methods=["POST"]),
    ],
    exception_handlers={
        UnknownJob: tell,
        UnknownTenant: tell,
        InvalidArguments: tell,
        json.JSONDecodeError: tell,
        TenantFailures: tell_failures,
    },
)
