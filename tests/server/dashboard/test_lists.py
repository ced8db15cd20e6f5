"""The lists of runs, jobs, schedules, processes and the audit trail, on both ledgers, and the search."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pinstripe.background_job import BackgroundJob
from pinstripe.schedule import Schedule
from pinstripe.server.dashboard import pages_audit, pages_jobs, pages_runs, pages_schedules
from tests.server.dashboard.conftest import Tidy, open_dashboard
from tests.working import enqueue

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder
    from tests.server.dashboard.conftest import Dashboard
    from tests.server.dashboard.markup import Node

pytestmark = pytest.mark.anyio


@pytest.fixture
def ledger_settings(both_ledgers: str) -> str:
    return both_ledgers


def column(page: Node, number: int) -> list[str]:
    return [row[number] for row in page.rows()]


async def follow(dashboard: Dashboard, path: str, number: int, who: str = "operate") -> list[list[str]]:
    """Give a column of each page of a list, as one goes on from page to page."""
    pages, following = [], f"/_pinstripe{path}"
    while following:
        page = await dashboard.page(following.removeprefix("/_pinstripe"), who)
        pages.append(column(page, number))
        on = page.all("a", rel="next")
        following = on[0].attributes["href"] if on else ""
    return pages


async def test_runs_are_listed_and_narrowed(dashboard: Dashboard) -> None:
    assert "No runs yet" in (await dashboard.page("/runs")).text
    mail = await dashboard.ran("acme")
    tidy = await dashboard.ran(job=Tidy)
    page = await dashboard.page("/runs")
    assert column(page, 1) == ["tidy", "mail"]
    assert column(page, 3) == ["1 succeeded", "2 succeeded 1 failed"]
    assert page.links()[mail.id[-8:]] == f"/_pinstripe/runs/{mail.id}"
    for query, expected in [
        ("job=Mail", ["mail"]),
        ("status=failed", ["mail"]),
        ("tenant=birch", ["mail"]),
        ("tenant=gone", []),
        ("since=1h&status=succeeded", ["tidy"]),
        ("since=9999999d", ["tidy", "mail"]),
        ("job=none", []),
    ]:
        assert column(await dashboard.page(f"/runs?{query}"), 1) == expected, query
    assert tidy.finished


@pytest.mark.parametrize(
    ("query", "trouble"),
    [
        ("status=done", "expected a status of queued, running, succeeded, failed, cancelled, got 'done'"),
        ("since=2", "expected a duration such as"),
        ("job=%2F", "expected a job name such as"),
    ],
)
async def test_what_cannot_be_asked_for_is_told(dashboard: Dashboard, query: str, trouble: str) -> None:
    page = await dashboard.page(f"/runs?{query}", status=422)
    assert trouble in page.one("p", role="alert").text
    assert page.rows() == []


async def test_runs_are_paged(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages_runs, "LIMIT", 2)
    runs = [await enqueue(dashboard.shop, Tidy) for _ in range(5)]
    pages = await follow(dashboard, "/runs", 2)
    assert pages == [
        [run.id[-8:] for run in runs[:2:-1]],
        [run.id[-8:] for run in runs[2:0:-1]],
        [runs[0].id[-8:]],
    ]


async def test_who_is_confined_sees_runs_of_their_tenants_as_if_there_were_no_others(dashboard: Dashboard) -> None:
    run = await dashboard.ran("birch")
    await dashboard.ran(job=Tidy)
    for who, counts in (("acme", "1 succeeded"), ("both", "1 succeeded 1 failed")):
        page = await dashboard.page("/runs", who)
        assert (column(page, 1), column(page, 3)) == (["mail"], [counts])
        assert [link.text for link in page.one("nav", aria_label="Dashboard").all("a")] == ["Runs", "Jobs", "Tenants"]
    assert (await dashboard.ask("/runs?tenant=birch", "acme")).status_code == 403
    jobs = {row[0].split()[0]: row[-1] for row in (await dashboard.page("/jobs", "acme")).rows()}
    assert jobs["mail"].startswith("succeeded")
    assert jobs["tidy"] == "none"
    assert run.executions.failed == 1


async def test_jobs_say_what_they_do_when_and_for_whom(dashboard: Dashboard) -> None:
    await dashboard.ran("acme")
    await dashboard.shop.project.pause("tidy", None)
    mail, tidy = (await dashboard.page("/jobs")).rows()
    assert mail[:3] == ["mail Send a letter.", "no", "tenants active=True"]
    assert mail[3].startswith("failed ")
    assert mail[3].endswith("1 of 3 failed")
    assert tidy[0] == "tidy paused Tidy up."
    assert tidy[1].startswith("every day at 02:30 next ")
    assert tidy[2:] == ["no tenants", "none"]


async def test_a_job_that_cannot_be_loaded_breaks_only_its_row(project_folder: ProjectFolder) -> None:
    project_folder.job("broken", "import nothing_like_that")
    async with open_dashboard(project_folder) as dashboard:
        broken, *others = (await dashboard.page("/jobs")).rows()
    assert broken[0] == "broken"
    assert broken[1].startswith("not loaded lib/background_jobs/broken.py:1")
    assert "nothing_like_that" in broken[1]
    assert [row[0].split()[0] for row in others] == ["mail", "tidy"]


async def test_jobs_are_found_and_paged(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        dashboard.shop.project.registry.add(f"billing/part_{number}", type(f"Part{number}", (Tidy,), {}))
    monkeypatch.setattr(pages_jobs, "LIMIT", 3)
    pages = await follow(dashboard, "/jobs?search=BILL+part", 0)
    assert [[name.split()[0] for name in page] for page in pages] == [
        ["billing/part_0", "billing/part_1", "billing/part_2"],
        ["billing/part_3"],
    ]
    assert "No job has that in its name" in (await dashboard.page("/jobs?search=nowhere")).text


async def test_schedules_say_when_where_and_what_a_clock_change_does(dashboard: Dashboard) -> None:
    class Paris(BackgroundJob):
        schedule = (
            Schedule("30 2 * * *", name="night", time_zone="Europe/Paris", args=("a",), catch_up="none"),
            Schedule("0 9 * * 1", time_zone="tenant", spread="30m"),
        )
        multi_tenant = True

        async def run(self, segment: str = "all") -> None:
            return None

    dashboard.shop.add(Paris, "paris")
    tenants, night, tidy = sorted((await dashboard.page("/schedules")).rows(), key=lambda row: row[0])
    assert night[0] == "paris (night)"
    assert "30 2 * * *" in night[1]
    assert 'Europe/Paris; what is missed is let go; with ("a")' in night[1]
    assert night[3] == "not known yet: a bot must see it first"
    assert "the clock goes" in night[5]
    assert "no zone of a tenant yet" in tenants[1]
    assert tidy[5] == "it is not changed in the next 13 months"

    page = await dashboard.page("/schedules?job=Tidy")
    assert column(page, 0) == ["tidy"]
    assert "1 schedule" in page.text


async def test_schedules_are_paged(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        dashboard.shop.project.registry.add(f"part_{number}", type(f"Part{number}", (Tidy,), {}))
    monkeypatch.setattr(pages_schedules, "LIMIT", 3)
    assert await follow(dashboard, "/schedules", 0) == [["part_0", "part_1", "part_2"], ["tidy"]]


async def test_processes_say_what_they_run(dashboard: Dashboard) -> None:
    assert "No process is there" in (await dashboard.page("/processes")).text
    await dashboard.shop.project.ledger.queue.join(7)
    ((process, state, runs, *_),) = (await dashboard.page("/processes")).rows()
    assert process.split()[-1].isdigit()
    assert (state, runs) == ("works", "0 of 7")


async def test_the_audit_trail_says_who_did_what(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Nobody has done anything yet" in (await dashboard.page("/audit")).text
    for fields in ({"job": "mail"}, {"tenant": "acme"}, {"all": "1"}):
        await dashboard.post("/pause", **fields)
    page = await dashboard.page("/audit")
    assert [row[1:4] for row in page.rows()] == [
        ["operator, in the dashboard", "pause", "everything"],
        ["operator, in the dashboard", "pause", "acme"],
        ["operator, in the dashboard", "pause", "mail"],
    ]
    assert column(await dashboard.page("/audit?tenant=acme&action=pause"), 3) == ["acme"]
    assert "Nothing like that was done" in (await dashboard.page("/audit?name=nobody")).text
    assert len((await dashboard.page("/audit?since=1h")).rows()) == 3
    assert (await dashboard.page("/audit?since=0s")).rows() == []
    monkeypatch.setattr(pages_audit, "LIMIT", 2)
    assert await follow(dashboard, "/audit", 3) == [["everything", "acme"], ["mail"]]


async def test_the_audit_trail_leads_to_runs_and_is_found_by_the_end_of_their_ids(dashboard: Dashboard) -> None:
    run = await dashboard.ran("acme")
    answer = await dashboard.post(f"/runs/{run.id}/retry", confirmed="1")
    new = answer.headers["location"].removeprefix("/_pinstripe/runs/")
    page = await dashboard.page(f"/audit?run={run.id[-8:].upper()}")
    assert column(page, 2) == ["retry"]
    assert page.links()[new[-8:]] == f"/_pinstripe/runs/{new}"
    assert page.rows()[0][4] == f"by run {new[-8:]}"
    assert column(await dashboard.page(f"/audit?run={new[:-1]}{'0' if new[-1] != '0' else '1'}"), 2) == []
    for query in ("run=nothing", "since=2", "action=sing"):
        assert (await dashboard.page(f"/audit?{query}", status=422)).one("p", role="alert").text


@pytest.mark.parametrize("path", ["/schedules", "/processes", "/audit"])
async def test_what_is_about_all_is_not_for_who_is_confined(dashboard: Dashboard, path: str) -> None:
    page = await dashboard.page(path, "acme", status=403)
    assert page.one("h1").text == "This is about all tenants"


async def test_the_search_leads_to_a_run_a_job_or_a_tenant(dashboard: Dashboard) -> None:
    run = await dashboard.ran()
    for text, place in [
        (run.id, f"runs/{run.id}"),
        (run.id[-8:].upper(), f"runs/{run.id}"),
        ("last", f"runs/{run.id}"),
        ("Mail", "jobs/mail"),
        ("id", "jobs/tidy"),
        ("acme", "tenant?id=acme"),
        ("bir", "tenant?id=birch"),
        ("edar", "tenant?id=cedar"),
        ("", "runs"),
    ]:
        answer = await dashboard.client.get("/_pinstripe/find", params={"q": text}, headers=dashboard.cookie("operate"))
        assert (answer.status_code, answer.headers["location"]) == (303, f"/_pinstripe/{place}"), text
    await dashboard.ran(job=Tidy)
    answer = await dashboard.ask("/find?q=last", "acme")
    assert answer.headers["location"] == f"/_pinstripe/runs/{run.id}"  # of theirs it is the last


async def test_the_search_lists_what_may_be_meant(dashboard: Dashboard) -> None:
    await dashboard.ran()
    await dashboard.shop.project.pause("mail", "acme")
    page = await dashboard.page("/find?q=a")
    found = [link.text for part in page.one("main").all("section") for link in part.all("a")]
    assert found == ["mail", "acme"]
    assert "acme paused for one job" in page.text
    nothing = await dashboard.page("/find?q=deadbeef")
    assert "Nothing is called so" in nothing.text
    assert "birch" not in (await dashboard.page("/find?q=irc", "acme")).text
    assert (await dashboard.ask("/find?q=bir", "both")).headers["location"] == "/_pinstripe/tenant?id=birch"
