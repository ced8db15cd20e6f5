"""What was and what goes on is told in pages, with the same keys as by the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.views.executions import execution_json
from tests.server.api.conftest import PREFIX, Mail
from tests.shop import many

if TYPE_CHECKING:
    from tests.server.api.conftest import Api

pytestmark = pytest.mark.anyio


@pytest.fixture
def ledger_settings(both_ledgers: str) -> str:
    return both_ledgers


async def paged(api: Api, path: str, limit: int, **query: Any) -> list[list[Any]]:
    """Give all pages of a list, following its links."""
    pages = []
    answer = await api.ask("GET", path, params={**query, "limit": limit})
    while True:
        page = answer.json()
        pages.append(page["items"])
        assert (page["next"] is None) == ("link" not in answer.headers)
        assert len(page["items"]) <= limit
        if page["next"] is None:
            return pages
        link, _, relation = answer.headers["link"].partition("; ")
        assert relation == 'rel="next"'
        answer = await api.ask("GET", link.strip("<>").removeprefix(PREFIX))
        assert answer.status_code == 200, answer.text


async def test_runs_are_listed_in_pages_by_filters(api: Api) -> None:
    runs = [await api.ran("acme", args=[str(number)]) for number in range(3)]
    runs.append(await api.ran(tenants=["birch"]))
    pages = await paged(api, "/v1/runs", 2)
    assert [run["id"] for page in pages for run in page] == [run.id for run in reversed(runs)]
    assert list(pages[0][0]) == [key for key in runs[0].to_json() if key != "failures"]
    for filters, found in (
        ({"status": "failed"}, 3),
        ({"job": "Mail"}, 4),
        ({"job": "tidy"}, 0),
        ({"tenant": "acme"}, 3),
        ({"since": "1h"}, 4),
        ({"since": "0s"}, 0),
        ({"tenant": "birch", "status": "succeeded"}, 1),
    ):
        pages = await paged(api, "/v1/runs", 2, **filters)
        assert sum(map(len, pages)) == found, filters


async def test_a_run_is_named_as_on_the_command_line(api: Api) -> None:
    run = await api.ran("acme")
    for name in (run.id, run.id[-8:], run.id.upper(), "last"):
        assert await api.get(f"/v1/runs/{name}") == run.to_json()
    assert run.failures[0].error == "ValueError: bad address"
    for name in ("ffffffff", "no-run", "a%20b", "%00"):
        assert (await api.ask("GET", f"/v1/runs/{name}")).status_code == 404


async def test_executions_are_listed_in_pages_by_filters(api: Api) -> None:
    api.shop.tenants(many(7))
    run = await api.ran("t00002", "t00005")
    pages = await paged(api, "/v1/runs/last/executions", 3)
    assert [len(page) for page in pages] == [3, 3, 1]
    tenants = [one["tenant"] for page in pages for one in page]
    assert tenants == [f"t{number:05}" for number in range(7)]
    failed = await paged(api, f"/v1/runs/{run.id}/executions", 1, status="failed")
    assert [one["tenant"] for page in failed for one in page] == ["t00002", "t00005"]
    searched = await paged(api, f"/v1/runs/{run.id}/executions", 5, search="T00003")
    assert [one["tenant"] for page in searched for one in page] == ["t00003"]
    whole = execution_json(await api.shop.execution(run, "t00002"))
    assert await api.get(f"/v1/runs/{run.id}/execution", tenant="t00002") == whole
    assert whole["log"] == "letter to all\n"
    assert failed[0][0] == {key: value for key, value in whole.items() if key not in {"traceback", "result", "log"}}


async def test_a_log_is_plain_text(api: Api) -> None:
    run = await api.ran(args=["<b>\x1b[31mü"], tenants=["acme"])
    answer = await api.ask("GET", f"/v1/runs/{run.id}/log", params={"tenant": "acme"})
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text == "letter to <b>\x1b[31mü\n"
    assert (await api.ask("GET", f"/v1/runs/{run.id}/log", params={"tenant": "birch"})).status_code == 404
    missing = await api.ask("GET", f"/v1/runs/{run.id}/log")
    assert (missing.status_code, missing.json()["errors"][0]["field"]) == (422, "tenant")


async def test_what_was_done_for_a_tenant_is_listed_over_all_jobs(api: Api) -> None:
    runs = [await api.ran("acme") for _ in range(3)]
    pages = await paged(api, "/v1/executions", 2, tenant="acme", status="failed")
    assert [one["run"] for page in pages for one in page] == [run.id for run in reversed(runs)]
    assert (await api.get("/v1/executions", tenant="a/<b>'\"& %"))["items"] == []
    assert (await api.get("/v1/executions", tenant="acme", job="tidy"))["items"] == []


async def test_tenants_may_be_called_anything(api: Api) -> None:
    strange = ["a/b", "<i>", "'\"", "ü %2F", "..", "\u202ex"]
    api.shop.tenants([{"id": one} for one in strange])
    run = await api.ran(tenants=strange)
    pages = await paged(api, f"/v1/runs/{run.id}/executions", 2)
    assert sorted(one["tenant"] for page in pages for one in page) == sorted(strange)
    for one in strange:
        assert (await api.get(f"/v1/runs/{run.id}/execution", tenant=one))["tenant"] == one
        assert (await api.post("/v1/pauses", {"tenant": one})).json()["changed"] is True
    pages = await paged(api, "/v1/pauses", 4)
    assert [one["tenant"] for page in pages for one in page] == strange
    for one in strange:
        answer = await api.ask("DELETE", "/v1/pauses", params={"tenant": one})
        assert answer.json() == {"job": None, "tenant": one, "changed": True}


async def test_pauses_are_set_listed_and_ended(api: Api) -> None:
    bodies: list[dict[str, Any]] = [{"job": "Mail"}, {"job": "mail", "tenant": "acme"}, {"everything": True}]
    for body in bodies:
        assert (await api.post("/v1/pauses", body)).json()["changed"] is True
        assert (await api.post("/v1/pauses", body)).json()["changed"] is False
    listed = (await api.get("/v1/pauses"))["items"]
    assert [(one["job"], one["tenant"]) for one in listed] == [("mail", None), ("mail", "acme"), (None, None)]
    ended = await api.ask("DELETE", "/v1/pauses", params={"everything": "true"})
    assert ended.json() == {"job": None, "tenant": None, "changed": True}
    assert len((await api.get("/v1/pauses"))["items"]) == 2
    wrong: list[tuple[Any, int]] = [({}, 422), ({"everything": True, "job": "mail"}, 422), ({"job": "mial"}, 422)]
    for wrong_body, status in [*wrong, ({"tenant": "x"}, 422)]:
        await api.refused("/v1/pauses", wrong_body, status)
    nothing = await api.ask("DELETE", "/v1/pauses")
    assert nothing.status_code == 422


async def test_jobs_tell_what_they_take(api: Api) -> None:
    pages = await paged(api, "/v1/jobs", 2)
    jobs = {job["job"]: job for page in pages for job in page}
    assert [*jobs] == ["login", "mail", "tidy"]
    assert await api.get("/v1/jobs/Tidy") == jobs["tidy"]
    tidy = jobs["tidy"]
    assert (tidy["timeout"], tidy["retries"], tidy["multi_tenant"]) == (30.0, 2, False)
    assert tidy["schedules"][0]["words"]
    assert tidy["parameters"] == {
        "type": "object",
        "properties": {
            "days": {"type": "integer", "default": 30, "x-position-only": True},
            "more": {"type": "array", "items": {"type": "number"}, "x-more-positions": True},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        },
        "required": [],
        "additionalProperties": False,
    }
    login = jobs["login"]
    assert login["redact"] == ["password"]
    assert login["parameters"]["properties"]["password"] == {"type": "string", "writeOnly": True}
    assert login["parameters"]["required"] == ["user"]
    assert jobs["mail"]["filter"] == "active=True"
    run = await api.ran("acme")
    last = (await api.get("/v1/jobs/mail"))["last_run"]
    assert (last["id"], "failures" in last) == (run.id, False)
    unknown = (await api.ask("GET", "/v1/jobs/mial")).json()
    assert (unknown["status"], "did you mean mail?" in unknown["detail"]) == (404, True)


async def test_the_status_and_the_audit_are_told(api: Api) -> None:
    assert (await api.get("/v1/status"))["ledger"] == {"made": True, "trouble": None}
    run = await api.ran()
    await api.post("/v1/pauses", {"tenant": "acme"})
    await api.refused("/v1/runs", {"job": "mail", "args": [1]})
    pages = await paged(api, "/v1/audit", 2)
    entries = [one for page in pages for one in page]
    assert [one["action"] for one in entries] == ["start", "pause", "start"]
    assert entries[-1]["run"] == run.id
    for filters, found in (
        ({"action": "pause"}, 1),
        ({"job": "mail"}, 2),
        ({"tenant": "acme"}, 1),
        ({"name": "x"}, 0),
        ({"run": run.id}, 1),
    ):
        assert len((await api.get("/v1/audit", **filters))["items"]) == found, filters


async def test_reading_writes_nothing(api: Api) -> None:
    run = await api.ran("acme")
    entries = (await api.get("/v1/audit"))["items"]
    for path in ("jobs", "jobs/mail", "runs", "runs/last", "runs/last/executions", "status", "pauses", "openapi.json"):
        await api.get(f"/v1/{path}", "read")
    await api.post("/v1/runs/preview", {"job": "mail"}, "read")
    assert (await api.get("/v1/audit"))["items"] == entries
    assert [one.id for one in await api.shop.runs()] == [run.id]
    assert Mail.bad == {"acme"}
