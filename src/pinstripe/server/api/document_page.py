"""The OpenAPI document as a page: every operation with an example to try, read without scripts."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from markupsafe import Markup, escape

from pinstripe.server.api.document import ABOUT, PROBLEM_TYPES
from pinstripe.server.dashboard.rendering import render

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from starlette.requests import Request
    from starlette.responses import Response


class Parameter(NamedTuple):
    """What an operation takes: its `place` is the path, the query, a header or the body."""

    name: str
    place: str
    required: bool
    about: Markup


class Answer(NamedTuple):
    """What an operation may answer; `example` is the body, where there is one to show."""

    status: str
    about: Markup
    example: str | None


class Operation(NamedTuple):
    """One thing that the API does."""

    id: str
    method: str
    path: str
    summary: str
    about: Markup
    parameters: list[Parameter]
    curl: str
    answers: list[Answer]
    problems: list[Answer]


def show_document(request: Request, document: Mapping[str, Any]) -> Response:
    """Show the document."""
    prefix = str(request.scope.get("root_path", ""))
    base = f"{request.url.scheme}://{request.url.netloc}{prefix}"
    operations = [*_operations(document, base)]
    tags = [
        (tag["name"], in_html(tag["description"]), [one for name, one in operations if name == tag["name"]])
        for tag in document["tags"]
    ]
    problems = [(type_, status, in_html(words)) for type_, (status, words) in PROBLEM_TYPES.items()]
    return render(
        request, "api.html", about=in_html(ABOUT), tags=tags, problems=problems, document=f"{prefix}/v1/openapi.json"
    )


def in_html(text: str) -> Markup:
    """Write paragraphs, with what stands between backticks as code."""
    paragraphs = []
    for paragraph in text.split("\n\n"):
        parts = [
            Markup("<code>{}</code>").format(part) if number % 2 else escape(part)
            for number, part in enumerate(paragraph.split("`"))
        ]
        paragraphs.append(Markup("<p>{}</p>").format(Markup().join(parts)))
    return Markup().join(paragraphs)


def _operations(document: Mapping[str, Any], base: str) -> Iterator[tuple[str, Operation]]:
    """Give each operation with the name of its tag."""
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            every = [_answer(status, answer, document) for status, answer in told["responses"].items()]
            yield (
                told["tags"][0],
                Operation(
                    id=told["operationId"],
                    method=method.upper(),
                    path=path,
                    summary=told["summary"],
                    about=in_html(told["description"]),
                    parameters=[*_parameters(told, document)],
                    curl=_curl(method.upper(), base + path, told, document),
                    answers=[one for one in every if one.status < "4"],
                    problems=[one for one in every if one.status >= "4"],
                ),
            )


def _parameters(told: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[Parameter]:
    for one in told.get("parameters", ()):
        about = _about(one["schema"], one["description"], document)
        yield Parameter(one["name"], one["in"], bool(one.get("required")), about)
    body = _body_shape(told, document)
    for name, shape in body.get("properties", {}).items():
        about = _about(shape, shape.get("description", ""), document)
        yield Parameter(name, "body", name in body.get("required", ()), about)


def _body_shape(told: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give the shape of the body that an operation takes, empty where it takes none."""
    if "requestBody" not in told:
        return {}
    shape = told["requestBody"]["content"]["application/json"]["schema"]
    return _resolved(next((one for one in shape.get("anyOf", ()) if "$ref" in one), shape), document)


def _resolved(shape: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in shape:
        return shape
    found: Mapping[str, Any] = document["components"]["schemas"][shape["$ref"].rpartition("/")[2]]
    return found


def _about(shape: Mapping[str, Any], words: str, document: Mapping[str, Any]) -> Markup:
    """Write what a value is, with what it may be, and what it is where nothing is said."""
    kinds = [_resolved(one, document) for one in (shape, *shape.get("anyOf", ()))]
    options = [str(one) for kind in kinds for one in kind.get("enum", ()) if one is not None]
    parts = [words]
    if options:
        parts.append(f"One of {', '.join(f'`{one}`' for one in options)}.")
    if "maximum" in shape:
        parts.append(f"From {shape['minimum']:,} to {shape['maximum']:,}.")
    if shape.get("default") not in (None, [], {}):
        parts.append(f"`{json.dumps(shape['default'])}` where nothing is said.")
    return in_html(" ".join(parts))


def _answer(status: str, told: Mapping[str, Any], document: Mapping[str, Any]) -> Answer:
    example = None
    content = told.get("content", {}).get("application/json")
    if content is not None:
        value = content.get("example") or _example(content["schema"], document)
        example = None if value is None else json.dumps(value, indent=2, ensure_ascii=False)
    about = "What is asked for." if told["description"] == "Successful Response" else told["description"]
    return Answer(status, in_html(about), example)


def _example(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Any:
    """Give the first example of a shape; of a page, a page of one item."""
    found = _resolved(schema, document)
    if found.get("examples"):
        return found["examples"][0]
    items = found.get("properties", {}).get("items", {}).get("items")
    if items is None:
        return None
    return {"items": [_example(items, document)], "next": None}


def _curl(method: str, url: str, told: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    """Write the command that does it, with the examples of what it needs."""
    query = []
    for one in told.get("parameters", ()):
        given = (one.get("examples") or one["schema"].get("examples") or [""])[0]
        if one["in"] == "path":
            url = url.replace("{" + one["name"] + "}", quote(str(given), safe="/"))
        elif one["in"] == "query" and one.get("required"):
            query.append(f"{one['name']}={quote(str(given), safe='')}")
    url += f"?{'&'.join(query)}" if query else ""
    parts = ["curl", shlex.quote(url), "-H", '"Authorization: Bearer $TOKEN"']
    if method != "GET":
        parts[1:1] = ["-X", method]
    if shape := _body_shape(told, document):
        parts += ["--json", shlex.quote(json.dumps(_example(shape, document)))]
    return " ".join(parts)
