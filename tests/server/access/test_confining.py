"""What somebody sees who is confined to some tenants: by itself, and on every page and every endpoint there is."""

from __future__ import annotations

import re
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx2
import pytest
from starlette.routing import Route

from pinstripe import BackgroundJob
from pinstripe.actor import Actor, Door
from pinstripe.errors import UnknownRun
from pinstripe.run import Counts, ExecutionStatus, Run, RunStatus
from pinstripe.server.access.confining import confined_executions, confined_run, confined_runs, seen_run
from pinstripe.server.access.entrance import Entrance
from pinstripe.server.access.identity import Access, Role
from pinstripe.server.api.application import make_api
from pinstripe.server.context import WebContext
from pinstripe.server.dashboard.application import make_dashboard
from pinstripe.server.pages import make_guarded
from tests.server.access.conftest import ACME, settings
from tests.shop import Shop, open_shop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio

ALL = Access("ada", Role.OPERATE)
OWN = Access("support", Role.OPERATE, frozenset({"acme", "globex"}))
NOBODY = Access("new", Role.OPERATE, frozenset())

HIDDEN = ("oth3r", "unse3n", "s3cr3t", "everybody")
"""What belongs to others; none of it may be seen."""


class Send(BackgroundJob):
    multi_tenant = True

    async def run(self, text: str, *, to: str = "all") -> str:
        assert self.tenant is not None
        sys.stdout.write(f"s3cr3t-log of {self.tenant.id}\n" if self.tenant.id != "acme" else "a log of acme\n")
        if self.tenant.id in {"acme", "oth3r"}:
            message = "s3cr3t-error of oth3r" if self.tenant.id == "oth3r" else "an error of acme"
            raise ValueError(message)
        return "s3cr3t-result"


class Sweep(BackgroundJob):
    async def run(self) -> str:
        sys.stdout.write("s3cr3t-log of everybody\n")
        return "s3cr3t-result of everybody"


class Runs(NamedTuple):
    """Runs of a shop, from which somebody may see nothing, a part, or all."""

    part: Run
    whole: Run
    others: Run
    global_: Run


@asynccontextmanager
async def shop_with_runs(folder: ProjectFolder) -> AsyncIterator[tuple[Shop, Runs]]:
    """Open a shop in which jobs have run."""
    async with open_shop(folder, [{"id": id_, "active": True} for id_ in ("acme", "oth3r", "unse3n")]) as shop:
        part = await shop.run(Send, "s3cr3t-argument", kwargs={"to": "s3cr3t-keyword"})
        whole = await shop.run(Send, "own", tenants=("acme",))
        others = await shop.run(Send, "s3cr3t-argument", tenants=("oth3r", "unse3n"))
        yield shop, Runs(part, whole, others, await shop.run(Sweep))


async def test_a_run_is_what_it_is_for_one_s_own_tenants(project_folder: ProjectFolder) -> None:
    async with shop_with_runs(project_folder) as (shop, runs):
        ledger = shop.project.ledger
        seen = await confined_run(ledger, runs.part, OWN)
        assert (seen.id, seen.job, seen.status) == (runs.part.id, "send", RunStatus.FAILED)
        assert seen.executions == Counts(total=1, failed=1)
        assert [failure.tenant for failure in seen.failures] == ["acme"]
        assert "an error of acme" in seen.failures[0].error
        assert (seen.args, seen.kwargs) == (("***",), {"to": "***"})
        assert (seen.error, seen.result, seen.parent) == (None, None, None)
        acme = await shop.execution(runs.part, "acme")
        assert (seen.started_at, seen.finished_at) == (acme.started_at, acme.finished_at)
        for marker in HIDDEN:
            assert marker not in str(seen.to_json())
        assert await confined_run(ledger, runs.part, ALL) is runs.part


async def test_a_run_of_one_s_own_tenants_alone_is_seen_whole(project_folder: ProjectFolder) -> None:
    async with shop_with_runs(project_folder) as (shop, runs):
        assert await confined_run(shop.project.ledger, runs.whole, OWN) is runs.whole


async def test_of_others_runs_it_is_not_even_told_that_they_are_there(project_folder: ProjectFolder) -> None:
    async with shop_with_runs(project_folder) as (shop, runs):
        ledger = shop.project.ledger
        for run, access in ((runs.others, OWN), (runs.global_, OWN), (runs.part, NOBODY), (runs.whole, NOBODY)):
            with pytest.raises(UnknownRun):
                await confined_run(ledger, run, access)
        listed = [runs.global_, runs.others, runs.whole, runs.part]
        assert [run.id for run in await confined_runs(ledger, listed, OWN)] == [runs.whole.id, runs.part.id]
        assert await confined_runs(ledger, listed, ALL) == listed
        assert await confined_runs(ledger, listed, NOBODY) == []


async def test_a_run_is_found_by_the_same_words_whether_it_is_others_or_none(project_folder: ProjectFolder) -> None:
    async with shop_with_runs(project_folder) as (shop, runs):
        ledger = shop.project.ledger
        for reference in (runs.part.id, runs.part.id[-8:], runs.whole.id):
            assert (await seen_run(ledger, reference, OWN)).id.endswith(reference)
        assert (await seen_run(ledger, "last", OWN)).id == runs.whole.id
        assert (await seen_run(ledger, "last", ALL)).id == runs.global_.id
        assert (await seen_run(ledger, runs.others.id[-8:], ALL)).id == runs.others.id
        told = set()
        nothing = "0" * 8 + "-0000-7000-8000-" + "0" * 12
        ends = {run.id[-1] for run in (runs.part, runs.whole)}  # by chance, "0" alone may be the end of one of theirs
        short = [end for end in "0123456789abcdef" if end not in ends]
        for reference in (runs.others.id, runs.others.id[-8:], runs.global_.id, nothing, *short, "", "no such run"):
            with pytest.raises(UnknownRun) as caught:
                await seen_run(ledger, reference, OWN)
            told.add(str(caught.value))
        with pytest.raises(UnknownRun) as caught:
            await seen_run(ledger, "last", NOBODY)
        assert told == {str(caught.value)}


async def test_how_a_run_went_for_others_lets_nothing_through(project_folder: ProjectFolder) -> None:
    async with shop_with_runs(project_folder) as (shop, runs):
        ledger = shop.project.ledger
        access = Access("unse3n's", Role.READ, frozenset({"unse3n"}))
        listed = [runs.others, runs.part]
        assert {run.status for run in listed} == {RunStatus.FAILED}
        assert await confined_runs(ledger, listed, access, RunStatus.FAILED) == []
        seen = await confined_runs(ledger, listed, access, RunStatus.SUCCEEDED)
        assert [(run.id, run.status) for run in seen] == [(run.id, RunStatus.SUCCEEDED) for run in listed]
        assert len(await confined_runs(ledger, listed, OWN, RunStatus.FAILED)) == 1


async def test_a_retry_of_one_s_own_shows_no_arguments_that_were_for_others_too(project_folder: ProjectFolder) -> None:
    async with shop_with_runs(project_folder) as (shop, runs):
        retry = await shop.project.enqueue_retry(runs.part.id, tenants=["acme"])
        assert retry is not None
        seen = await seen_run(shop.project.ledger, retry.id, OWN)
        assert (seen.args, seen.kwargs) == (("***",), {"to": "***"})
        assert (seen.selecting, seen.status, seen.executions) == (True, RunStatus.QUEUED, Counts())
        await shop.project.worker().work(drain=True)
        seen = await seen_run(shop.project.ledger, retry.id, OWN)
        assert (seen.args, seen.status, seen.executions) == (("***",), RunStatus.FAILED, Counts(total=1, failed=1))


async def test_a_run_that_is_selected_yet_is_theirs_for_whom_it_was_asked(project_folder: ProjectFolder) -> None:
    async with shop_with_runs(project_folder) as (shop, runs):
        for tenants in (["oth3r"], None):
            retry = await shop.project.enqueue_retry(runs.part.id, tenants=tenants)
            assert retry is not None
            assert retry.selecting
            with pytest.raises(UnknownRun):
                await seen_run(shop.project.ledger, retry.id, OWN)
            await shop.project.cancel(retry.id)


async def test_executions_are_one_s_own(project_folder: ProjectFolder) -> None:
    async with shop_with_runs(project_folder) as (shop, runs):
        ledger = shop.project.ledger

        async def tenants(**said: Any) -> list[str | None]:
            page = await confined_executions(ledger.history, runs.part, OWN, **said)
            assert page.next is None
            return [execution.tenant for execution in page.executions]

        assert (
            await tenants() == await tenants(status=ExecutionStatus.FAILED) == await tenants(search="ACM") == ["acme"]
        )
        assert await tenants(status=ExecutionStatus.SUCCEEDED) == await tenants(search="oth3r") == []


PARAMETERS = {"name": "send", "job": "send", "file": "pinstripe.css"}


def paths_of(context: WebContext) -> list[str]:
    """Give every path that there is, with its parameters in braces."""
    api = make_api(context).application.state.routes
    pages = [f"/_pinstripe{route.path}" for route in make_dashboard(context).routes if isinstance(route, Route)]
    return sorted(
        {*pages, *(f"/_pinstripe/api{route.path}" for route in api if hasattr(route, "path")), "/_pinstripe/metrics"}
    )


def fill(pattern: str, run: Run) -> str:
    """Put a run, a job or a file where a path has a parameter."""
    return re.sub(r"\{(\w+)(:\w+)?\}", lambda found: PARAMETERS.get(found[1], run.id), pattern)


QUERIES = ("", "?tenant=oth3r", "?tenant=acme", "?id=oth3r", "?job=send", "?status=failed", "?search=oth3r", "?q=oth3r")


@pytest.mark.parametrize("access", [OWN, NOBODY])
async def test_no_page_and_no_endpoint_shows_what_belongs_to_others(
    project_folder: ProjectFolder, access: Access
) -> None:
    tenants = " ".join(sorted(access.tenants or ())) or "nobody-yet"
    async with shop_with_runs(project_folder) as (shop, runs):
        await shop.project.pause(None, "oth3r", actor=Actor(Door.CLI, "s3cr3t-operator"))
        context = WebContext(shop.project, Entrance(settings(tokens=(f"support:operate:{tenants}:{ACME}",))))
        patterns = paths_of(context)
        assert len(patterns) > 30, patterns
        transport = httpx2.ASGITransport(make_guarded(context), client=("203.0.113.7", 1))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:3000") as client:
            await log_in(client, ACME)
            found = 0
            for path, query in {
                (fill(pattern, run), query) for pattern in patterns for run in runs for query in QUERIES
            }:
                answer = await client.get(f"{path}{query}")
                assert answer.status_code in {200, 303, 308, 400, 403, 404, 405, 422}, (path, query)
                if path.startswith("/_pinstripe/static"):
                    continue
                for marker in HIDDEN:
                    # What was asked for may be repeated, as in the field that one searches by.
                    assert marker not in answer.text or f"={marker}" in query, (path, query, marker)
                if access is NOBODY or runs.others.id in path or runs.global_.id in path:
                    assert "/runs/" not in path or answer.status_code != 200, (path, query)
                found += answer.status_code == 200
            assert found > 10


ATTACKS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("POST", "/api/v1/runs", {"job": "send", "args": ["x"]}),
    ("POST", "/api/v1/runs", {"job": "send", "args": ["x"], "tenants": ["oth3r"]}),
    ("POST", "/api/v1/runs", {"job": "send", "args": ["x"], "tenants": ["acme", "oth3r"]}),
    ("POST", "/api/v1/runs", {"job": "send", "args": ["x"], "where": {"id": "oth3r"}}),
    ("POST", "/api/v1/runs", {"job": "send", "args": ["x"], "exclude": ["acme"]}),
    ("POST", "/api/v1/runs", {"job": "sweep"}),
    ("POST", "/api/v1/runs/preview", {"job": "send", "args": ["x"]}),
    ("POST", "/api/v1/runs/{others}/retry", {}),
    ("POST", "/api/v1/runs/{global_}/retry", {}),
    ("POST", "/api/v1/runs/{part}/retry", {"tenants": ["oth3r"]}),
    ("POST", "/api/v1/runs/{others}/cancel", {}),
    ("POST", "/api/v1/runs/{part}/cancel", {}),
    ("POST", "/api/v1/pauses", {"job": "send"}),
    ("POST", "/api/v1/pauses", {"tenant": "oth3r"}),
    ("POST", "/api/v1/pauses", {"job": "send", "tenant": "oth3r"}),
    ("POST", "/api/v1/pauses", {"everything": True}),
    ("DELETE", "/api/v1/pauses?tenant=unse3n", {}),
    ("DELETE", "/api/v1/pauses?everything=true", {}),
    ("FORM", "/pause", {"job": "send"}),
    ("FORM", "/pause", {"tenant": "oth3r"}),
    ("FORM", "/pause", {"all": "1"}),
    ("FORM", "/resume", {"tenant": "unse3n"}),
    ("FORM", "/runs/{others}/retry", {"confirmed": "1"}),
    ("FORM", "/runs/{global_}/retry", {"confirmed": "1"}),
    ("FORM", "/runs/{part}/retry", {"confirmed": "1", "chosen": "1", "tenant": "oth3r"}),
    ("FORM", "/runs/{others}/cancel", {"confirmed": "1"}),
    ("FORM", "/runs/{part}/cancel", {"confirmed": "1"}),
    ("FORM", "/start", {"job": "send", "arg.text": "x"}),
    ("FORM", "/start", {"job": "sweep"}),
)
"""What somebody might try who is confined to other tenants."""


@pytest.mark.parametrize("entry", [f"support:operate:acme globex:{ACME}", f"reader:read:*:{ACME}"])
async def test_nobody_does_what_is_not_theirs_to_do(project_folder: ProjectFolder, entry: str) -> None:
    async with shop_with_runs(project_folder) as (shop, runs):
        ledger = shop.project.ledger
        await shop.project.pause(None, "unse3n")
        before = (len(await shop.runs()), await ledger.queue.pauses())
        context = WebContext(shop.project, Entrance(settings(tokens=(entry,))))
        transport = httpx2.ASGITransport(make_guarded(context), client=("203.0.113.7", 1))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:3000") as client:
            await log_in(client, ACME)
            page = await client.get("/_pinstripe/runs")
            form = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
            assert form is not None
            for method, pattern, body in ATTACKS:
                path = "/_pinstripe" + pattern.format(**{name: run.id for name, run in runs._asdict().items()})
                if method == "FORM":
                    answer = await client.post(path, data={**body, "csrf_token": form[1]})
                else:
                    answer = await client.request(method, path, json=body or None)
                looks_only = entry.startswith("reader") and pattern.endswith("/preview")
                assert answer.status_code in ({200} if looks_only else {403, 404, 422}), (
                    method,
                    path,
                    body,
                    answer.text,
                )
                for marker in HIDDEN if entry.startswith("support") else ():
                    assert marker not in answer.text or marker in f"{path}{body}", (path, body)
        assert (len(await shop.runs()), await ledger.queue.pauses()) == before


async def test_what_fails_in_the_server_is_no_matter_of_theirs(project_folder: ProjectFolder) -> None:
    async def fail(_: int) -> None:
        raise OSError("s3cr3t host of the source")

    async with shop_with_runs(project_folder) as (shop, _runs):
        context = WebContext(shop.project, Entrance(settings(tokens=(f"support:operate:acme:{ACME}",))))
        shop.on_reading(fail)
        transport = httpx2.ASGITransport(make_guarded(context), client=("203.0.113.7", 1))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:3000") as client:
            await log_in(client, ACME)
            body = {"job": "send", "args": ["x"], "tenants": ["acme"]}
            answer = await client.post("/_pinstripe/api/v1/runs/preview", json=body)
            page = await client.get("/_pinstripe/tenant?id=acme")
        assert (answer.status_code, page.status_code) == (503, 200)
        assert "s3cr3t" not in answer.text + page.text


async def log_in(client: httpx2.AsyncClient, token: str) -> None:
    """Log in by the form, and for the API by a header."""
    form = re.search(r'name="csrf_token" value="([^"]+)"', (await client.get("/_pinstripe/login")).text)
    assert form is not None
    answer = await client.post("/_pinstripe/login", data={"csrf_token": form[1], "token": token})
    assert answer.status_code == 303
    client.headers["authorization"] = f"Bearer {token}"
