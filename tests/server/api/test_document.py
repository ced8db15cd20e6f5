"""The OpenAPI document tells what the API does, also as a page, and leaves nothing out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import pinstripe.server
from pinstripe.server import problems
from pinstripe.server.api.document import PROBLEM_TYPES
from tests.code_blocks import ROOT

if TYPE_CHECKING:
    from tests.server.api.conftest import Api

pytestmark = pytest.mark.anyio

SOURCE = Path(pinstripe.server.__file__).parent
REFERENCE = ROOT / "docs" / "reference" / "http-api.md"


async def document(api: Api) -> Any:
    return await api.get("/v1/openapi.json", "read")


async def test_every_operation_is_described(api: Api) -> None:
    told = await document(api)
    assert told["openapi"].startswith("3.1")
    assert told["security"] == [{"token": []}]
    ids = []
    for methods in told["paths"].values():
        for operation in methods.values():
            ids.append(operation["operationId"])
            assert operation["summary"]
            assert operation["description"].endswith(".")
            assert len(operation["tags"]) == 1
            assert all(one["description"] for one in operation.get("parameters", ()))
            assert {"401", "422", "500", "503"} <= set(operation["responses"])
            for status, answer in operation["responses"].items():
                kinds = set(answer.get("content", ()))
                assert kinds == {"application/problem+json"} if status >= "4" else len(kinds) == 1
    assert len(set(ids)) == len(ids) == 17
    assert "HTTPValidationError" not in told["components"]["schemas"]


async def test_every_operation_needs_a_token(api: Api) -> None:
    for path, methods in (await document(api))["paths"].items():
        for method in methods:
            answer = await api.ask(method.upper(), path, token=None)
            assert (answer.status_code, answer.json()["title"]) == (401, "Not known"), (method, path)


async def test_every_shape_has_an_example_that_is_of_it(api: Api) -> None:
    import jsonschema_rs

    told = await document(api)
    shapes = told["components"]["schemas"]
    for name, shape in shapes.items():
        validator = jsonschema_rs.validator_for({**shape, "components": {"schemas": shapes}})
        for example in shape.get("examples", ()):
            assert validator.is_valid(example), name
    given = {"NewRun", "NewPreview", "NewRetry", "NewPause"}
    whole = {"Run", "ListedRun", "Execution", "ListedExecution", "Job", "Pause", "Changed", "AuditEntry", "Preview"}
    assert all(shapes[name]["examples"] for name in given | whole | {"Problem"})
    for example in shapes["Problem"]["examples"]:
        real = await api.ask("POST", "/v1/runs", token="operate", json={"job": "send_newsleter"})
        assert example["type"] == real.json()["type"]


def test_every_type_of_problem_is_described() -> None:
    known = {type_: status for _, status, type_, _ in problems._KNOWN}  # noqa: SLF001 - that none is left out
    raised = {*known}
    paths = [*SOURCE.glob("api/**/*.py"), *(SOURCE / "access" / f"{name}.py" for name in ("guard", "require"))]
    for path in paths:
        raised |= set(re.findall(r'type_="([\w-]+)"', path.read_text(encoding="utf-8")))
    assert raised | {"not-found", "method-not-allowed", "unexpected", "forbidden"} == set(PROBLEM_TYPES)
    assert known == {type_: PROBLEM_TYPES[type_][0] for type_ in known}


async def test_the_reference_leaves_nothing_out(api: Api) -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    told = await document(api)
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            _, heading, section = text.partition(f"### `{method.upper()} {path}`\n")
            assert heading, (method, path)
            section = section.partition("\n### ")[0]
            for one in operation.get("parameters", ()):
                if one["in"] == "query" and one["name"] not in {"limit", "cursor"}:
                    assert f"`{one['name']}`" in section or f"`{one['name']}=" in section, (path, one["name"])
    for shape in ("NewRun", "NewRetry"):
        for key in told["components"]["schemas"][shape]["properties"]:
            assert f"| `{key}` |" in text or f"| `{key}`, `" in text or f", `{key}` |" in text, key
    rows = re.findall(r"^\| `([\w-]+)` \| (\d+)(?:, 422)? \|", text, re.MULTILINE)
    assert {type_: int(status) for type_, status in rows} == {type_: told for type_, (told, _) in PROBLEM_TYPES.items()}


async def test_the_document_is_a_page_without_scripts_of_others(api: Api) -> None:
    answer = await api.ask("GET", "/", token="read")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    page = answer.text
    told = await document(api)
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            assert f"<code>{method.upper()} {path}</code>".replace("'", "&#39;") in page
            assert f'id="{operation["operationId"]}"' in page
    for words in (
        "One of <code>interactive</code>, <code>default</code>",
        "From 1 to 200. <code>50</code> where nothing is said",
    ):
        assert words in page
    for type_ in PROBLEM_TYPES:
        assert f'id="problem-{type_}"' in page
    assert "https://" not in page
    assert re.findall(r"<script(?! src=| type=\"module\" src=)", page) == []
    assert " style=" not in page
    assert "curl &#39;http://localhost/_pinstripe/api/v1/executions?tenant=acme&#39; -H &#34;Authorization" in page
    assert "--json" in page


async def test_its_links_lead_somewhere(api: Api) -> None:
    page = (await api.ask("GET", "/")).text
    ids = set(re.findall(r' id="([^"]+)"', page))
    assert len(ids) == len(re.findall(r' id="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= ids
    assert '<a href="/_pinstripe/api/v1/openapi.json">' in page
