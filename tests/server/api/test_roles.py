"""Who may only look changes nothing, and who is confined to tenants sees and does what is theirs alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.working import drain

if TYPE_CHECKING:
    from tests.server.api.conftest import Api

pytestmark = pytest.mark.anyio

CHANGING = [
    ("POST", "/v1/runs", {"job": "mail", "tenants": ["acme"]}),
    ("POST", "/v1/runs/last/retry", {}),
    ("POST", "/v1/runs/last/cancel", None),
    ("POST", "/v1/pauses", {"tenant": "acme"}),
    ("DELETE", "/v1/pauses?tenant=acme", None),
]


@pytest.mark.parametrize("token", ["read", "looker"])
@pytest.mark.parametrize(("method", "path", "body"), CHANGING)
async def test_who_may_look_changes_nothing(api: Api, token: str, method: str, path: str, body: Any) -> None:
    run = await api.ran("acme")
    sent = {} if body is None else {"json": body}
    answer = await api.ask(method, path, token=token, **sent)
    assert answer.status_code == 403
    assert "need 'operate'" in answer.json()["detail"]
    wrong = await api.ask(method, path, token=token, content=b"{")
    assert wrong.status_code == 403
    assert [one.id for one in await api.shop.runs()] == [run.id]
    assert (await api.get("/v1/pauses"))["items"] == []


async def test_who_is_confined_sees_their_own_part_of_a_run(api: Api) -> None:
    run = await api.ran("acme", "birch", args=["secret"])
    other = await api.ran(tenants=["cedar"])
    assert [one["id"] for one in (await api.get("/v1/runs", "acme"))["items"]] == [run.id]
    told = await api.get(f"/v1/runs/{run.id}", "acme")
    assert (told["status"], told["executions"]["total"]) == ("failed", 1)
    assert "secret" not in str({key: told[key] for key in ("args", "kwargs", "error", "result")})
    assert [one["tenant"] for one in told["failures"]] == ["acme"]
    assert (await api.ask("GET", f"/v1/runs/{other.id}", token="acme")).status_code == 404
    assert (await api.ask("GET", f"/v1/runs/{other.id}/executions", token="acme")).status_code == 404
    executions = (await api.get(f"/v1/runs/{run.id}/executions", "acme"))["items"]
    assert [one["tenant"] for one in executions] == ["acme"]
    assert (await api.get(f"/v1/runs/{run.id}/executions", "acme", search="b"))["items"] == []
    assert (await api.get(f"/v1/runs/{run.id}/execution", "acme", tenant="acme"))["status"] == "failed"
    for path in (f"runs/{run.id}/execution?tenant=birch", f"runs/{run.id}/log?tenant=birch", "executions?tenant=birch"):
        answer = await api.ask("GET", f"/v1/{path}", token="acme")
        assert (answer.status_code, "birch" in answer.text) == (403, True)
    assert (await api.ask("GET", f"/v1/runs/{run.id}/execution", token="acme")).status_code == 403


async def test_the_last_run_is_the_last_of_their_own(api: Api) -> None:
    none = await api.ask("GET", "/v1/runs/last", token="acme")
    assert none.json()["detail"] == "there is no run 'last' with any of the tenants that 'acme' is confined to"
    theirs = await api.ran("acme")
    other = await api.ran(tenants=["birch"])
    assert (await api.get("/v1/runs/last", "acme"))["id"] == theirs.id
    assert (await api.get("/v1/runs/last", "looker"))["id"] == other.id
    for reference in (other.id, other.id[-12:], other.id[:3], "ffffffffffff"):
        answer = await api.ask("GET", f"/v1/runs/{reference}", token="acme")
        assert answer.status_code == 404
        assert answer.json()["detail"].startswith(f"there is no run {reference!r} with any")


async def test_a_page_of_several_own_tenants_goes_on(api: Api) -> None:
    api.shop.tenants([{"id": "acme inc"}, {"id": "birch"}, {"id": "cedar"}])
    await api.ran("birch")
    first = await api.get("/v1/runs/last/executions", "looker", limit=1)
    second = await api.get("/v1/runs/last/executions", "looker", limit=1, cursor=first["next"])
    assert [first["items"][0]["tenant"], second["items"][0]["tenant"], second["next"]] == ["acme inc", "birch", None]
    assert (await api.get("/v1/runs", "looker"))["items"][0]["executions"]["total"] == 2


@pytest.mark.parametrize("path", ["/v1/status", "/v1/audit", "/v1/runs?tenant=birch"])
async def test_what_is_of_all_tenants_is_not_for_who_is_confined(api: Api, path: str) -> None:
    assert (await api.ask("GET", path, token="acme")).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        {"job": "mail"},
        {"job": "mail", "tenants": ["birch"]},
        {"job": "mail", "tenants": ["acme", "birch"]},
        {"job": "mail", "tenants": ["acme"], "exclude": ["birch"]},
        {"job": "mail", "exclude": ["birch"]},
        {"job": "mail", "where": {"id": "acme"}},
        {"job": "tidy"},
        {"job": "tidy", "tenants": ["acme"]},
    ],
)
async def test_who_is_confined_starts_nothing_for_others(api: Api, body: dict[str, Any]) -> None:
    for path in ("/v1/runs", "/v1/runs/preview"):
        await api.refused(path, body, 403, "acme")
    assert await api.shop.runs() == []


async def test_who_is_confined_starts_retries_and_pauses_for_their_own(api: Api) -> None:
    everybody = await api.ran("acme", "birch")
    retry = (await api.post(f"/v1/runs/{everybody.id}/retry", None, "acme")).json()
    await drain(api.shop)
    tenants = [one["tenant"] for one in (await api.get(f"/v1/runs/{retry['id']}/executions"))["items"]]
    assert tenants == ["acme"]
    await api.refused(f"/v1/runs/{everybody.id}/retry", {"tenants": ["birch"]}, 403, "acme")
    await api.refused(f"/v1/runs/{everybody.id}/cancel", {}, 403, "acme")
    own = await api.ran(tenants=["acme"], token="acme")
    assert (await api.get(f"/v1/runs/{own.id}", "acme"))["executions"]["succeeded"] == 1
    await api.refused(f"/v1/runs/{own.id}/retry", None, 409, "acme")
    later = (await api.post("/v1/runs", {"job": "mail", "tenants": ["acme"], "delay": "1h"}, "acme")).json()
    assert (await api.post(f"/v1/runs/{later['id']}/cancel", None, "acme")).json()["status"] == "cancelled"
    assert (await api.post("/v1/pauses", {"tenant": "acme", "job": "mail"}, "acme")).json()["changed"] is True
    await api.post("/v1/pauses", {"tenant": "birch"})
    assert [one["tenant"] for one in (await api.get("/v1/pauses", "acme"))["items"]] == ["acme"]
    for scope in ({"tenant": "birch"}, {"job": "mail"}, {"everything": True}):
        await api.refused("/v1/pauses", scope, 403, "acme")
        query = {key: str(value).lower() for key, value in scope.items()}
        assert (await api.ask("DELETE", "/v1/pauses", params=query, token="acme")).status_code == 403
    assert len((await api.get("/v1/pauses"))["items"]) == 2


async def test_jobs_are_shown_without_the_runs_of_others(api: Api) -> None:
    await api.ran("birch")
    jobs = (await api.get("/v1/jobs", "acme"))["items"]
    assert [job["last_run"] for job in jobs] == [None, None, None]
    assert (await api.get("/v1/jobs/mail", "acme"))["last_run"] is None


@pytest.mark.parametrize("token", ["read", "looker", "acme"])
async def test_who_may_not_see_all_and_act_asks_nothing_of_attributes(api: Api, token: str) -> None:
    tenants = ["birch" if token == "looker" else "acme"]
    assert (await api.post("/v1/runs/preview", {"job": "mail", "tenants": tenants}, token)).status_code == 200
    told = []
    for letter in "pf":
        body = {"job": "mail", "tenants": tenants, "where": {"plan__begins_with": letter}}
        told.append(await api.refused("/v1/runs/preview", body, 403, token))
    assert told[0] == told[1]


async def test_the_keys_of_who_is_confined_are_their_own(api: Api) -> None:
    letter = {"job": "mail", "tenants": ["acme"], "args": ["secret"]}
    other = (await api.post("/v1/runs", letter, Idempotency_Key="week 47")).json()
    own = await api.post("/v1/runs", letter, "acme", Idempotency_Key="week 47")
    assert own.json()["id"] != other["id"]
    again = await api.post("/v1/runs", letter, "acme", Idempotency_Key="week 47")
    assert (again.json()["id"], again.headers["idempotency-replayed"]) == (own.json()["id"], "true")
    await api.post("/v1/runs", {"job": "mail", "tenants": ["acme"]}, "acme", Idempotency_Key="week 48")
    answer = await api.post("/v1/runs", {"job": "mail", "tenants": ["birch"]}, Idempotency_Key="week 48")
    assert answer.status_code == 202
