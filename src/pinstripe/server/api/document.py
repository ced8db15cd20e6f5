"""The OpenAPI document: what every operation may answer, and what FastAPI doesn't know of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, Field, create_model

from pinstripe.server.api.models.fields import Given, Told
from pinstripe.server.api.models.runs import A_QUEUED_RUN
from pinstripe.server.api.models.starting import Problem
from pinstripe.server.problems import MEDIA_TYPE
from pinstripe.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI

JOBS = "Jobs"
RUNS = "Runs"
EXECUTIONS = "Executions"
PAUSES = "Pauses"
STATUS = "Status"
AUDIT = "Audit"

TAGS = [
    {"name": JOBS, "description": "What there is to run."},
    {"name": RUNS, "description": "Each invocation of a job: started, looked at, retried and cancelled."},
    {"name": EXECUTIONS, "description": "A run's work for one tenant, with its error and its log."},
    {"name": PAUSES, "description": "What may not start for now."},
    {"name": STATUS, "description": "What goes on."},
    {"name": AUDIT, "description": "Who did what."},
]

ABOUT = """The HTTP API of Pinstripe: what the command line does and shows, as JSON.

Each request has a token of the server's settings: `Authorization: Bearer TOKEN`. One with the role `read` may look; one
with the role `operate` may also start, retry, cancel, pause and resume. A token that is confined to tenants sees and
does what is theirs alone.

Lists come in pages: `{"items": […], "next": …}`. Where `next` is a text, the page after it is asked for with the same
parameters and `cursor` set to that text, or by the header `Link` with `rel="next"`. A page that filters may have fewer
items than its limit, even none, and still a `next`.

What can't be done is answered as a problem (RFC 9457, `application/problem+json`): its `type` never changes, its
`detail` tells what was expected, what was found, and how to mend it.

Times are UTC, ISO 8601 with microseconds. A tenant's id may be any text, so it is always a parameter, never a part of a
path."""

_PROBLEMS = {
    400: ("The body is not JSON, or the request can't be read.", "invalid-json", "The body is not JSON"),
    401: ("No token, or a wrong one.", "unauthorized", "Not known"),
    403: ("The token may not do that, or not for these tenants.", "forbidden", "You may look, but not act"),
    404: ("There is no such job, run or tenant at this address.", "unknown-run", "Unknown run"),
    409: ("It can't be done now.", "not-finished", "The run is not finished"),
    413: ("The body is longer than 1,000,000 bytes.", "body-too-large", "The body is too large"),
    415: ("The body is not `application/json` in UTF-8.", "unsupported-media-type", "Not JSON"),
    421: ("The server isn't known by that name.", "unknown-host", "Unknown host"),
    422: ("Something in the request isn't what it must be.", "invalid-request", "The request doesn't fit"),
    429: ("Too many wrong tokens came from this address.", "too-many-wrong-tokens", "Too many wrong tokens"),
    500: ("Something that nobody expected; the server's log has more.", "unexpected", "Unexpected error"),
    503: ("The ledger, or the tenant source, can't be used.", "ledger-unavailable", "The ledger can't be used"),
}

PROBLEM_TYPES = {
    "invalid-json": (400, "The body isn't JSON in UTF-8, or has what no ledger keeps, such as a NUL character."),
    "cut-off": (400, "The request ended before its body did."),
    "unauthorized": (401, "There was no token, or a wrong one."),
    "forbidden": (403, "The token's role, or the tenants that it is confined to, don't let it do that."),
    "not-found": (404, "The API has nothing at this address."),
    "unknown-job": (404, "There is no such job; the nearest names are told. By 422 where a body or a filter names it."),
    "unknown-run": (404, "The ledger has no such run (any more), or several whose ids end so."),
    "unknown-tenant": (
        404,
        "There is no such tenant, it isn't in the run, or the filter leaves it out. By 422 as above.",
    ),
    "method-not-allowed": (405, "The address has other methods, which the header `Allow` tells."),
    "not-finished": (409, "The run is to be finished before it is retried."),
    "nothing-to-retry": (409, "Nothing failed or was cancelled, or all of it has succeeded since or is being retried."),
    "not-done": (409, "It can't be done as things are."),
    "body-too-large": (413, "The body is longer than 1,000,000 bytes."),
    "unsupported-media-type": (415, "The body isn't `application/json` in UTF-8 without an encoding."),
    "unknown-host": (421, "The server isn't known by the name in the header `Host`."),
    "invalid-request": (422, "A parameter, a header or a key of the body isn't what it must be; `errors` has each."),
    "invalid-arguments": (422, "The arguments don't fit the job's `run`, whose signature is told."),
    "invalid-job": (422, "The job's file can't be loaded."),
    "invalid-configuration": (422, "The project isn't set up for that, or a job isn't multi-tenant."),
    "tenant-required": (422, "It belongs to a tenant, and none was named."),
    "key-reused": (422, "The `Idempotency-Key` is that of a request with other arguments or tenants."),
    "too-many-wrong-tokens": (
        429,
        "Too many wrong tokens came from this address; `Retry-After` tells how long to wait.",
    ),
    "unexpected": (500, "Something that nobody expected; it is in the server's log."),
    "ledger-unavailable": (503, "The ledger can't be used now."),
    "tenant-source-failed": (503, "The tenant source failed; nothing was started."),
}
"""Every type of problem, with its status and what it means."""

_ALWAYS = (401, 421, 422, 429, 500, 503)
_WITH_BODY = (400, 403, 413, 415)


_NEXT = {
    "Link": {
        "description": 'Where the next page is, with `rel="next"`; not there after the last page.',
        "schema": {"type": "string"},
    }
}


def answers(*statuses: int, body: bool = False, pages: bool = False) -> dict[int | str, dict[str, Any]]:
    """Document the problems that an operation may answer with: these, and those that may always be.

    With a `body` there are more; one that gives a list in `pages` has a link to the next.
    """
    every = sorted({*statuses, *_ALWAYS, *(_WITH_BODY if body else ())})
    documented: dict[int | str, dict[str, Any]] = {status: _problem(status) for status in every}
    if pages:
        documented[200] = {"description": "A page of the list.", "headers": _NEXT}
    return documented


def page_of(model: type[BaseModel]) -> type[BaseModel]:
    """Make the shape of a page of a list."""
    fields: dict[str, Any] = {
        "items": (list[model], Field(description="What is on the page.")),  # type: ignore[valid-type]
        "next": (str | None, Field(description="Where the next page begins, as a `cursor`; null after the last page.")),
    }
    return create_model(f"{model.__name__}Page", __base__=Told, __doc__="A page of a list.", **fields)


def make_document(app: FastAPI) -> dict[str, Any]:
    """Make the document, with how one is let in."""
    document = get_openapi(
        title=app.title,
        version=VERSION,
        summary="Background jobs for many tenants",
        description=ABOUT,
        routes=app.routes,
        tags=TAGS,
        servers=[{"url": "/_pinstripe/api"}],
        license_info={"name": "MIT", "identifier": "MIT"},
    )
    components = document["components"]
    _restore_examples(document)
    components["schemas"]["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "A token of the server's settings."}
    }
    document["security"] = [{"token": []}]
    return document


def _restore_examples(document: dict[str, Any]) -> None:
    """Put nulls into examples again, which FastAPI takes out of all that it documents."""
    shapes = document["components"]["schemas"]
    for model in (*_all_below(Given), *_all_below(Told)):
        extra = model.model_config.get("json_schema_extra")
        if isinstance(extra, dict) and model.__name__ in shapes:
            shapes[model.__name__].update(extra)
    for methods in document["paths"].values():
        for operation in methods.values():
            if "202" in operation["responses"]:
                operation["responses"]["202"]["content"]["application/json"]["example"] = A_QUEUED_RUN


def _all_below(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for below in model.__subclasses__():
        yield below
        yield from _all_below(below)


def _problem(status: int) -> dict[str, Any]:
    description, type_, title = _PROBLEMS[status]
    example = {
        "type": f"/_pinstripe/api/#problem-{type_}",
        "title": title,
        "status": status,
        "detail": description,
    }
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}}
    return {"description": description, "content": content}
