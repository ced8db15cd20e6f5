"""Methods, paths, parameters and cursors are what they must be, or it is told; what nobody expected stays inside."""

from __future__ import annotations

import base64
import logging
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.errors import LedgerError
from pinstripe.server.api.endpoints import status as status_endpoints
from tests.server.api.conftest import PREFIX, TOKENS

if TYPE_CHECKING:
    from tests.server.api.conftest import Api

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "path", ["", "/v1", "/v2/runs", "/v1/runs/", "/v1/nothing", "/v1/runs/a/b", "/v1/runs/a%2Fb", "//v1/runs"]
)
async def test_what_is_nowhere_is_not_found(api: Api, path: str) -> None:
    answer = await api.ask("GET", path or "/x")
    assert (answer.status_code, answer.json()["type"]) == (404, "/_pinstripe/api/#problem-not-found")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/v1/runs", "GET, HEAD, POST"),
        ("PUT", "/v1/pauses", "DELETE, GET, HEAD, POST"),
        ("OPTIONS", "/v1/status", "GET, HEAD"),
        ("TRACE", "/v1/jobs/a/b", "GET, HEAD"),
        ("GET", "/v1/runs/preview", "POST"),
        ("HEAD", "/v1/runs/preview", "POST"),
        ("OPTIONS", "/v1/runs/preview", "POST"),
        ("GET", "/v1/runs/last/cancel", "POST"),
        ("POST", "/v1/openapi.json", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(api: Api, method: str, path: str, allow: str) -> None:
    answer = await api.ask(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allow)


async def test_head_is_get_without_a_body(api: Api) -> None:
    run = await api.ran("acme")
    for path in ("/v1/runs", f"/v1/runs/{run.id}", "/v1/runs/ffff", "/v1/status", "/v1/openapi.json", "/"):
        head, get = await api.ask("HEAD", path), await api.ask("GET", path)
        assert (head.status_code, head.content) == (get.status_code, b"")
        assert head.headers["content-type"] == get.headers["content-type"]


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ("limit=0", "limit", "expected a whole number from 1 to 200, got '0'"),
        ("limit=201", "limit", "got '201'"),
        ("limit=1_0", "limit", "got '1_0'"),
        ("limit=%D9%A1", "limit", "expected a whole number"),
        ("limit=10.0", "limit", "expected a whole number"),
        ("limit=", "limit", "expected a whole number"),
        ("limit=9999999999999999999999", "limit", "expected a whole number"),
        ("limit=1&limit=2", "limit", "expected it once, got it twice"),
        ("status=faild", "status", "or failed or cancelled, got 'faild'; did you mean 'failed'?"),
        ("status=", "status", "expected queued or running"),
        ("stauts=failed", "stauts", "there is no parameter 'stauts'; did you mean 'status'?"),
        ("job=", "job", "expected a job's name"),
        ("job=---", "job", "expected a job name such as"),
        ("tenant=", "tenant", "expected a tenant's id"),
        ("tenant=a%00", "tenant", "NUL character"),
        ("since=2", "since", "expected a duration such as '30s'"),
        ("since=99999999999d", "since", "expected a duration"),
        ("cursor=", "cursor", "expected what a page gave as its `next`"),
        ("cursor=x", "cursor", "expected what a page gave as its `next`"),
        ("cursor=" + "A" * 5_000, "cursor", "expected what a page gave as its `next`"),
    ],
)
async def test_a_parameter_that_does_not_fit_is_told(api: Api, query: str, field: str, message: str) -> None:
    answer = await api.ask("GET", f"/v1/runs?{query}")
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert message in error["message"]


async def test_a_cursor_is_of_its_list_and_can_not_be_changed(api: Api) -> None:
    for number in range(3):
        await api.ran(args=[str(number)])
    cursor = (await api.get("/v1/runs", limit=1, status="succeeded"))["next"]
    assert (await api.get("/v1/runs", limit=2, status="succeeded", cursor=cursor))["next"] is None
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    changed = [raw[:-1] + bytes([raw[-1] ^ 1]), bytes([raw[0] ^ 1]) + raw[1:], raw + b"0", raw[:-1], raw[:9] + b"[[["]
    others = [base64.urlsafe_b64encode(one).rstrip(b"=").decode() for one in changed]
    for query in [
        {"cursor": cursor},
        {"cursor": cursor, "status": "failed"},
        {"cursor": cursor, "status": "succeeded", "job": "mail"},
        *({"cursor": one, "status": "succeeded"} for one in [*others, f"{cursor}=", f"{cursor}A", f" {cursor}", "😀"]),
    ]:
        answer = await api.ask("GET", "/v1/runs", params=query)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "cursor"), query
    assert (await api.ask("GET", "/v1/audit", params={"cursor": cursor})).status_code == 422


async def test_what_nobody_expected_stays_inside(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def look(*_: Any) -> Any:
        message = "the secret hunter2"
        raise RuntimeError(message)

    monkeypatch.setattr(status_endpoints, "look_at_status", look)
    with caplog.at_level(logging.ERROR, "pinstripe"):
        answer = await api.ask("GET", "/v1/status")
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert "GET '/_pinstripe/api/v1/status' failed" in caplog.text
    assert "hunter2" in caplog.text


async def test_a_ledger_that_is_away_is_told(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def look(*_: Any) -> Any:
        message = "the ledger postgresql://app:hunter2@host/name can't be used"
        raise LedgerError(message)

    monkeypatch.setattr(status_endpoints, "look_at_status", look)
    answer = await api.ask("GET", "/v1/status")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "hunter2" not in answer.text


async def test_a_job_that_neither_is_nor_was_is_told(api: Api) -> None:
    answer = await api.ask("GET", "/v1/runs", params={"job": "mial"})
    assert (answer.status_code, answer.json()["title"]) == (422, "Unknown job")
    assert "did you mean mail?" in answer.json()["detail"]


async def test_a_request_that_ends_early_leaves_nothing(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    sent: list[Any] = []
    received = [
        {"type": "http.request", "body": b'{"job": "tidy"', "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Any:
        return received.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = {"host": "localhost", "authorization": f"Bearer {TOKENS['operate']}", "content-type": "application/json"}
    scope = {
        "type": "http",
        "method": "POST",
        "path": f"{PREFIX}/v1/runs",
        "raw_path": f"{PREFIX}/v1/runs".encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "server": ("localhost", 80),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    await api.app(scope, receive, send)
    assert sent[0]["status"] == 400
    assert await api.shop.runs() == []
    assert not caplog.records


async def test_nothing_is_kept_on_its_way(api: Api) -> None:
    for path in ("/v1/runs", "/v1/runs/ffff", "/v1/openapi.json", "/"):
        answer = await api.ask("GET", path)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_without_a_token_there_is_nothing(api: Api) -> None:
    for path in ("/v1/runs", "/v1/openapi.json", "/v1/nothing"):
        answer = await api.ask("GET", path, token=None)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="pinstripe"')
    for wrong in ("Bearer wrong", "Basic eDp5", f"Bearer {TOKENS['read']}x"):
        answer = await api.ask("GET", "/v1/runs", token=None, headers={"Authorization": wrong})
        assert answer.status_code == 401
    answer = await api.ask("POST", "/v1/runs", token=None, content=b'{"job": "tidy"}')
    assert answer.status_code == 401
    assert await api.shop.runs() == []
