"""The HTTP API, as an ASGI application: its endpoints, its document, and what is answered where there is neither."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from pinstripe.server.api.answers import Json
from pinstripe.server.api.document import make_document
from pinstripe.server.api.document_page import show_document
from pinstripe.server.api.endpoints import executions, jobs, pauses, runs, starting, status
from pinstripe.server.api.problems import answer
from pinstripe.server.api.routing import VERSION, refuse_method, refuse_path

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from pinstripe.server.context import WebContext

_NOT_FOUND = 404
_NOT_ALLOWED = 405


def make_api(context: WebContext) -> Api:
    """Make the API of an open project; the guard before it has let each request in."""
    return Api(_make_application(context))


class Api:
    """Answers HEAD as GET, without the body, and all else as the `application` does."""

    def __init__(self, application: FastAPI) -> None:
        """Take the FastAPI application."""
        self.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.application(scope, receive, send)
            return

        async def send_headers(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self.application({**scope, "method": "GET"}, receive, send_headers)


def _make_application(context: WebContext) -> FastAPI:
    app = FastAPI(
        title="Pinstripe",
        openapi_url=None,
        docs_url=None,  # its pages take scripts from elsewhere; ours is read without any
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.context = context
    routers = [endpoints.router for endpoints in (jobs, starting, runs, executions, pauses, status)]
    for router in routers:
        app.include_router(router)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    app.add_api_route(f"{VERSION}/openapi.json", document, include_in_schema=False)
    app.add_api_route("/", document_page, include_in_schema=False)
    app.state.routes = [route for router in (app, *routers) for route in router.routes if isinstance(route, APIRoute)]
    app.add_exception_handler(HTTPException, _refuse)
    app.add_exception_handler(Exception, _answer)
    return app


async def document(request: Request) -> Json:
    """Give the OpenAPI document."""
    return Json(request.app.openapi())


async def document_page(request: Request) -> Response:
    """Show the document as a page."""
    return show_document(request, request.app.openapi())


def _document(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        app.openapi_schema = make_document(app)
    return app.openapi_schema


async def _refuse(request: Request, error: Exception) -> Response:
    """Answer where no route takes the request."""
    status_code = error.status_code if isinstance(error, HTTPException) else 0
    if status_code == _NOT_FOUND:
        return refuse_path(request)
    return refuse_method(request) if status_code == _NOT_ALLOWED else answer(request, error)


async def _answer(request: Request, error: Exception) -> Response:
    """Answer where the document or its page fails."""
    return answer(request, error)
