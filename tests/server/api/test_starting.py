"""Runs are started, previewed, retried and cancelled as the command line does it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.working import drain

if TYPE_CHECKING:
    from tests.server.api.conftest import Api

pytestmark = pytest.mark.anyio


@pytest.fixture
def ledger_settings(both_ledgers: str) -> str:
    return both_ledgers


async def test_a_run_is_written_down_and_executed(api: Api) -> None:
    answer = await api.post("/v1/runs", {"job": "Mail", "args": ["weekly"], "kwargs": {"copies": 2}})
    run = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/_pinstripe/api/v1/runs/{run['id']}"
    assert (run["job"], run["status"], run["trigger"], run["selecting"]) == ("mail", "queued", "api", True)
    assert (run["args"], run["kwargs"]) == (["weekly"], {"copies": 2})
    await drain(api.shop)
    ended = await api.get(f"/v1/runs/{run['id']}")
    assert (ended["status"], ended["executions"]["succeeded"]) == ("succeeded", 3)
    kept = await api.shop.project.ledger.find_run(run["id"])
    assert ended == kept.to_json()
    entry = (await api.get("/v1/audit"))["items"][0]
    assert (entry["door"], entry["name"], entry["action"], entry["run"]) == ("api", "operator", "start", run["id"])


@pytest.mark.parametrize(
    ("body", "tenants"),
    [
        ({"tenants": ["acme"]}, ["acme"]),
        ({"tenants": ["cedar", "acme", "cedar"]}, ["acme", "cedar"]),
        ({"exclude": ["acme"]}, ["birch", "cedar"]),
        ({"where": {"plan": "pro"}}, ["acme", "cedar"]),
        ({"where": {"plan__ne": "pro"}}, ["birch"]),
        ({"where": {"plan": ["free", "gold"]}}, ["birch"]),
        ({"where": {"plan": "gold"}}, []),
        ({"tenants": []}, []),
    ],
)
async def test_whom_it_is_for_may_be_chosen(api: Api, body: dict[str, Any], tenants: list[str]) -> None:
    preview = (
        await api.post("/v1/runs/preview", {"job": "mail", **body}, "operate" if "where" in body else "read")
    ).json()
    assert preview == {"job": "mail", "args": [], "kwargs": {}, "total": len(tenants), "tenants": preview["tenants"]}
    assert sorted(preview["tenants"]) == tenants
    assert await api.shop.runs() == []
    run = await api.ran(**body)
    executions = await api.get(f"/v1/runs/{run.id}/executions")
    assert [one["tenant"] for one in executions["items"]] == tenants
    assert run.status == "succeeded"


async def test_a_job_without_tenants_is_one_execution(api: Api) -> None:
    preview = (await api.post("/v1/runs/preview", {"job": "tidy", "args": [7]})).json()
    assert preview == {"job": "tidy", "args": [7], "kwargs": {}, "total": 1, "tenants": []}
    run = (await api.post("/v1/runs", {"job": "tidy", "args": [7]})).json()
    await drain(api.shop)
    assert (await api.get(f"/v1/runs/{run['id']}"))["result"] == 7


async def test_the_same_key_gives_the_same_run(api: Api) -> None:
    body = {"job": "mail", "args": ["weekly"], "tenants": ["acme"]}
    answers = await asyncio.gather(*(api.post("/v1/runs", body, Idempotency_Key="week 47") for _ in range(5)))
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert {answer.status_code for answer in answers} == {202}
    assert [answer.headers.get("idempotency-replayed") for answer in answers].count("true") == 4
    await drain(api.shop)
    again = await api.post("/v1/runs", body, Idempotency_Key="week 47")
    assert (again.json()["status"], again.headers["idempotency-replayed"]) == ("succeeded", "true")
    other = await api.post("/v1/runs", body, Idempotency_Key="week 48")
    assert "idempotency-replayed" not in other.headers


@pytest.mark.parametrize(
    "change", [{"args": ["daily"]}, {"kwargs": {"copies": 2}}, {"tenants": ["birch"]}, {"where": {"plan": "pro"}}]
)
async def test_the_same_key_with_something_else_is_refused(api: Api, change: dict[str, Any]) -> None:
    body = {"job": "mail", "args": ["weekly"], "tenants": ["acme"]}
    await api.post("/v1/runs", body, Idempotency_Key="week 47")
    problem = await api.refused("/v1/runs", {**body, **change}, Idempotency_Key="week 47")
    assert problem["type"].endswith("#problem-key-reused")
    assert len(await api.shop.runs()) == 1


async def test_what_failed_is_retried_for_all_or_some(api: Api) -> None:
    run = await api.ran("acme", "birch")
    one = (await api.post(f"/v1/runs/{run.id}/retry", {"tenants": ["acme"]})).json()
    assert (one["trigger"], one["retry_of"]) == ("retry", run.id)
    await drain(api.shop)
    failed = await api.get(f"/v1/runs/{one['id']}/executions")
    assert [(one["tenant"], one["status"]) for one in failed["items"]] == [("acme", "failed")]
    unknown = await api.refused(f"/v1/runs/{run.id}/retry", {"tenants": ["nobody"]})
    assert "nobody" in unknown["detail"]
    done = await api.refused(f"/v1/runs/{run.id}/retry", {"tenants": ["cedar"]}, 409)
    assert done["title"] == "Nothing to retry"
    await api.ran()  # nobody is bad any more
    rest = await api.post(f"/v1/runs/{run.id}/retry")
    assert rest.status_code == 202
    twice = await api.refused(f"/v1/runs/{run.id}/retry", {}, 409)
    assert "has succeeded since or is being retried" in twice["detail"]
    await drain(api.shop)
    assert (await api.get(f"/v1/runs/{rest.json()['id']}"))["executions"]["succeeded"] == 2
    nothing = await api.refused(f"/v1/runs/{run.id}/retry", {}, 409)
    assert nothing["detail"].startswith("all that failed or was cancelled in run")


async def test_a_run_that_goes_on_is_not_retried_but_cancelled(api: Api) -> None:
    run = (await api.post("/v1/runs", {"job": "mail", "tenants": ["acme"], "delay": "1h"})).json()["id"]
    problem = await api.refused(f"/v1/runs/{run}/retry", {}, 409)
    assert problem["title"] == "The run is not finished"
    for _ in range(2):
        answer = await api.post(f"/v1/runs/{run}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    execution = await api.get(f"/v1/runs/{run}/execution", tenant="acme")
    assert execution["error"] == "cancelled through the API"
    assert (await api.post(f"/v1/runs/{run}/retry")).status_code == 202
