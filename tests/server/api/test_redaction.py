"""What a job redacts is nowhere told: not of its run, nor of what is wrong with it."""

from __future__ import annotations

from time import process_time
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe import BackgroundJob
from tests.working import drain

if TYPE_CHECKING:
    from tests.server.api.conftest import Api

pytestmark = pytest.mark.anyio

SECRET = "correct-horse-battery"


@pytest.fixture
def ledger_settings(both_ledgers: str) -> str:
    return both_ledgers


@pytest.mark.parametrize("arguments", [{"args": ["ann", SECRET]}, {"args": ["ann"], "kwargs": {"password": SECRET}}])
async def test_what_is_redacted_is_told_of_no_run(api: Api, arguments: dict[str, Any]) -> None:
    body = {"job": "login", **arguments}
    started = await api.post("/v1/runs", body, Idempotency_Key="once")
    again = await api.post("/v1/runs", body, Idempotency_Key="once")
    assert again.headers["idempotency-replayed"] == "true"
    preview = await api.post("/v1/runs/preview", body)
    await drain(api.shop)
    run = started.json()["id"]
    for answer in (started, again, preview, await api.post(f"/v1/runs/{run}/cancel")):
        assert SECRET not in answer.text
        assert "***" in answer.text
    for path in (
        "runs",
        f"runs/{run}",
        f"runs/{run}/execution",
        f"runs/{run}/executions",
        "jobs",
        "jobs/login",
        "audit",
    ):
        answer = await api.ask("GET", f"/v1/{path}")
        assert answer.status_code == 200
        assert SECRET not in answer.text
    kept = await api.shop.project.ledger.find_run(run)
    assert SECRET in str((kept.args, kept.kwargs))
    other = await api.refused("/v1/runs", {"job": "login", "args": ["ann", "another"]}, Idempotency_Key="once")
    assert "another" not in other["detail"].replace("another key", "")


@pytest.mark.parametrize(
    "arguments",
    [
        {"args": ["ann", [SECRET]]},
        {"args": ["ann"], "kwargs": {"password": {"x": SECRET}}},
        {"args": [7, SECRET]},
        {"args": ["ann", SECRET + "x" * 70_000]},
        {"args": ["ann", SECRET], "kwargs": {"password": SECRET}},
        {"args": ["ann", SECRET, "more"]},
    ],
)
async def test_what_is_redacted_is_not_told_by_what_is_wrong(api: Api, arguments: dict[str, Any]) -> None:
    for path in ("/v1/runs", "/v1/runs/preview"):
        problem = await api.refused(path, {"job": "login", **arguments})
        assert SECRET not in str(problem)
    assert SECRET not in (await api.ask("GET", "/v1/audit")).text


async def test_as_many_hidden_arguments_as_a_body_holds_keep_nobody_waiting(api: Api) -> None:
    class Hides(BackgroundJob):
        redact = ("codes",)

        async def run(self, *codes: str) -> None:
            return None

    name, began = api.shop.add(Hides), process_time()
    preview = await api.post("/v1/runs/preview", {"job": name, "args": ["a"] * 10_000}, "read")
    assert set(preview.json()["args"]) == {"***"}
    await api.refused("/v1/runs/preview", {"job": name, "args": [1] * 100_000}, token="read")
    assert process_time() - began < 5
