"""A body is JSON, strictly, not too much of it, and has nothing that nobody would look at."""

from __future__ import annotations

import gzip
import json
from time import process_time
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.server.api.bodies import MAX_BODY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.server.api.conftest import Api

pytestmark = pytest.mark.anyio

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nothing",
        b'{"job": "mail",}',
        b'{"job": "mail"} x',
        b'\xef\xbb\xbf{"job": "mail"}',
        b'{"job": "m\xff"}',
        '{"job": "mail"}'.encode("utf-16"),
        b'{"job": "mail", "job": "tidy"}',
        b'{"job": "tidy", "args": [NaN]}',
        b'{"job": "tidy", "args": [-Infinity]}',
        b'{"job": "tidy", "args": [1e999]}',
        b'{"job": "tidy", "args": [' + b"9" * 5_000 + b"]}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
    ids=map(str, range(15)),
)
async def test_what_is_not_json_is_refused(api: Api, body: bytes) -> None:
    answer = await api.ask("POST", "/v1/runs", content=body, headers=JSON)
    assert answer.status_code == 400, answer.text
    assert answer.json()["type"].endswith("#problem-invalid-json")
    assert len(answer.content) < 500


@pytest.mark.parametrize(
    "body",
    [
        b'{"job": "mail\\u0000"}',
        b'{"job": "mail\\ud800"}',
        b'{"job": "tidy", "args": [' + b"9" * 3_990 + b"]}",
        b'{"job": "tidy", "args": ' + b"[" * 150 + b"]" * 150 + b"}",
    ],
    ids=["NUL", "surrogate", "digits", "depth"],
)
async def test_what_no_ledger_keeps_is_refused(api: Api, body: bytes) -> None:
    answer = await api.ask("POST", "/v1/runs", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["detail"][:24]) == (422, "expected a body without ")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": "application/jsonp"},
        {**JSON, "Content-Encoding": "gzip"},
        {"Content-Type": "\x07"},
    ],
)
async def test_only_json_in_utf_8_is_read(api: Api, headers: dict[str, str]) -> None:
    body = json.dumps({"job": "tidy"}).encode()
    content = gzip.compress(body) if "Content-Encoding" in headers else body
    answer = await api.ask("POST", "/v1/runs", content=content, headers=headers)
    assert answer.status_code == 415
    fine = {"Content-Type": 'Application/JSON; charset="UTF-8"'}
    assert (await api.ask("POST", "/v1/runs", content=body, headers=fine)).status_code == 202


async def test_too_much_is_refused_before_all_of_it_is_read(api: Api) -> None:
    body = b'{"job": "tidy", "args": ["' + b"x" * MAX_BODY + b'"]}'
    assert (await api.ask("POST", "/v1/runs", content=body, headers=JSON)).status_code == 413
    given = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal given
        while True:
            given += 1
            yield b" " * 100_000

    assert (await api.ask("POST", "/v1/runs", content=endless(), headers=JSON)).status_code == 413
    assert given <= 12
    lying = {**JSON, "Content-Length": "9" * 5_000}
    assert (await api.ask("POST", "/v1/runs", content=b"{}", headers=lying)).status_code == 413


async def test_arguments_may_be_as_long_as_elsewhere(api: Api) -> None:
    assert (await api.post("/v1/runs", {"job": "mail", "args": ["x" * 60_000]})).status_code == 202
    problem = await api.refused("/v1/runs", {"job": "mail", "args": ["x" * 70_000]})
    assert "at most 65,536 are kept" in problem["detail"]
    assert (await api.post("/v1/runs/preview", {"job": "mail", "exclude": ["acme"] * 50_000})).json()["total"] == 2


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ([], "body", "expected an object with keys of job, args"),
        ({}, "job", "expected a job's name, and it is missing"),
        ({"job": ""}, "job", "got ''"),
        ({"job": 7}, "job", "expected a job's name, got 7"),
        ({"job": "mail", "tenant": "acme"}, "tenant", "there is no key 'tenant'; did you mean 'tenants'?"),
        ({"job": "mail", "dely": "5m"}, "dely", "did you mean 'delay'?"),
        ({"job": "mail", "args": "weekly"}, "args", "expected a list of a job's arguments, got a text"),
        ({"job": "mail", "kwargs": []}, "kwargs", "got a list"),
        ({"job": "mail", "tenants": "acme"}, "tenants", "got 'acme'"),
        ({"job": "mail", "tenants": ["acme", ""]}, "tenants[1]", "got ''"),
        ({"job": "mail", "tenants": ["acme", 7]}, "tenants[1]", "got 7"),
        ({"job": "mail", "where": {"plan": {}}}, "where.'plan'", "got an object"),
        ({"job": "mail", "where": {"plan__is": 1}}, "where", "expected an attribute, alone (equal) or with one of"),
        ({"job": "mail", "tenants": ["acme"], "exclude": ["acme"]}, "exclude", "'acme' is in `tenants`, too"),
        ({"job": "mail", "at": "2030-01-01T00:00:00"}, "at", "expected an ISO 8601 time with its time zone"),
        ({"job": "mail", "at": "soon"}, "at", "got 'soon'"),
        ({"job": "mail", "at": 1}, "at", "got 1"),
        ({"job": "mail", "at": "9999-12-31T23:59:59-23:00"}, "at", "expected a time before the year 10000"),
        ({"job": "mail", "delay": "5"}, "delay", "expected a duration such as '30s'"),
        ({"job": "mail", "delay": "-5m"}, "delay", "expected a duration"),
        ({"job": "mail", "delay": "99999999d"}, "delay", "expected a time before the year 10000"),
        ({"job": "mail", "at": "2030-01-01T00:00:00Z", "delay": "5m"}, "delay", "expected one of them"),
        ({"job": "mail", "priority": "interctive"}, "priority", "did you mean 'interactive'?"),
    ],
)
async def test_what_does_not_fit_is_told_by_its_field(api: Api, body: Any, field: str, message: str) -> None:
    problem = await api.refused("/v1/runs", body)
    assert problem["type"].endswith("#problem-invalid-request")
    assert [one["field"] for one in problem["errors"]] == [field]
    assert message in problem["errors"][0]["message"]
    assert problem["detail"].startswith(f"{field}: ")
    assert await api.shop.runs() == []


@pytest.mark.parametrize(
    ("body", "status", "type_", "words"),
    [
        ({"job": "mial"}, 422, "unknown-job", "there is no background job 'mial'; did you mean mail?"),
        ({"job": "///"}, 422, "unknown-job", "expected a job name such as"),
        ({"job": "mail", "args": [7]}, 422, "invalid-arguments", "segment: expected str, found 7 (int)"),
        ({"job": "mail", "kwargs": {"copy": 1}}, 422, "invalid-arguments", "did you mean copies?"),
        ({"job": "mail", "tenants": ["acem"]}, 422, "unknown-tenant", "unknown tenant 'acem'"),
        ({"job": "mail", "tenants": ["gone"]}, 422, "unknown-tenant", "left out by the filter of mail"),
        ({"job": "mail", "exclude": ["acem"]}, 422, "unknown-tenant", "unknown tenant 'acem'"),
        ({"job": "tidy", "tenants": ["acme"]}, 422, "invalid-configuration", "tidy is not multi-tenant"),
    ],
)
async def test_what_cannot_be_is_told_in_the_words_of_the_command_line(
    api: Api, body: Any, status: int, type_: str, words: str
) -> None:
    for path in ("/v1/runs", "/v1/runs/preview"):
        problem = await api.refused(path, body, status)
        assert problem["type"] == f"/_pinstripe/api/#problem-{type_}"
        assert words in problem["detail"]
    assert await api.shop.runs() == []


@pytest.mark.parametrize("key", ["", " ", "a ", "x" * 201, "ü", "a\tb"])
async def test_a_key_is_printable_text(api: Api, key: str) -> None:
    headers = {**JSON, "Idempotency-Key": key.encode("latin-1")}
    answer = await api.ask("POST", "/v1/runs", content=b'{"job": "tidy"}', headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"


async def test_a_body_may_be_left_away_where_it_says_nothing(api: Api) -> None:
    for body in (b"", b"{}", b"null"):
        run = await api.ran("acme")
        answer = await api.ask("POST", f"/v1/runs/{run.id}/retry", content=body, headers=JSON)
        assert answer.status_code == (202 if body else 400)
    null = await api.ask("POST", "/v1/runs", content=b"null", headers=JSON)
    assert (null.status_code, null.json()["detail"].endswith("got null")) == (422, True)


async def test_as_many_tenants_as_a_body_holds_keep_nobody_waiting(api: Api) -> None:
    body = {"job": "mail", "tenants": [f"n{i}" for i in range(40_000)], "exclude": [f"m{i}" for i in range(40_000)]}
    began = process_time()
    assert "unknown tenants" in (await api.refused("/v1/runs/preview", body, token="read"))["detail"]
    assert process_time() - began < 5


async def test_there_are_so_many_conditions_at_most(api: Api) -> None:
    most = await api.refused("/v1/runs/preview", {"job": "mail", "where": _conditions(100)})
    assert "at most" not in most["detail"], "only that there are no such attributes"
    problem = await api.refused("/v1/runs/preview", {"job": "mail", "where": _conditions(30_000)})
    assert problem["detail"] == "where: expected at most 100 attributes, got 30,000"


def _conditions(count: int) -> dict[str, str]:
    return {f"plan{number}__ne" if number else "plan__ne": "gold" for number in range(count)}
