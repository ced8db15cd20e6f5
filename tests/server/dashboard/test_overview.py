"""The first page, on both ledgers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pinstripe.fires import KnownSchedule
from pinstripe.history import Tally
from pinstripe.run import ExecutionStatus
from pinstripe.server.dashboard.charts import MINUTE
from tests.server.dashboard.conftest import SETTINGS, Mail, Tidy, dashboard_of, open_dashboard
from tests.shop import open_shop
from tests.working import drain, enqueue, told_shop

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder
    from tests.server.dashboard.conftest import Dashboard

pytestmark = pytest.mark.anyio


@pytest.fixture
def ledger_settings(both_ledgers: str) -> str:
    return both_ledgers


async def test_nothing_has_happened_yet(dashboard: Dashboard) -> None:
    page = await dashboard.page("/")
    assert page.one("h1").text == "Overview"
    assert "Nothing: no job's last run failed" in page.text
    assert "Nothing runs, and no process is there that could" in page.text
    assert page.one("nav", aria_label="Dashboard").one("a", aria_current="page").text == "Overview"


async def test_a_failing_run_is_two_clicks_from_its_retry(dashboard: Dashboard) -> None:
    run = await dashboard.ran("acme", "cedar")
    page = await dashboard.page("/")
    links = page.links()
    assert links["mail"] == f"/_pinstripe/runs/{run.id}?status=failed"
    assert links["acme"] == f"/_pinstripe/runs/{run.id}/execution?tenant=acme"
    assert "2 of 3 failed in the last run" in page.text
    assert "ValueError: no address for" in page.text

    shown = await dashboard.page(links["mail"].removeprefix("/_pinstripe"))
    assert any("Retry" in button.text for button in shown.all("button"))


async def test_what_has_succeeded_since_stands_apart(dashboard: Dashboard) -> None:
    await dashboard.ran("acme", "cedar")
    second = await dashboard.ran()
    page = await dashboard.page("/")
    card = page.one("section", aria_labelledby="failing-title")
    assert "Nothing: no job's last run failed, and all that failed in the last day has succeeded since." in card.text
    assert not card.all("a", class_="fail-link")
    (folded,) = card.all("details")
    assert "Failed in the last day, succeeded since: 2" in folded.text
    assert folded.links()[second.id[-8:]] == f"/_pinstripe/runs/{second.id}"


async def test_who_still_fails_stands_before_who_has_succeeded_since(dashboard: Dashboard) -> None:
    first = await dashboard.ran("acme", "cedar")
    await dashboard.ran(tenants=["acme"])
    card = (await dashboard.page("/")).one("section", aria_labelledby="failing-title")
    assert "fails still for 1 tenant" in card.text
    assert card.all("a", class_="fail-link")[0].attributes["href"] == f"/_pinstripe/runs/{first.id}?status=failed"
    (still,) = card.all("span", class_="fail-tenants")
    assert list(still.links()) == ["cedar"]
    assert "acme" in card.all("details")[0].links()


async def test_a_retry_that_mends_the_last_run_mends_the_job(dashboard: Dashboard) -> None:
    failed = await dashboard.ran("acme")
    await dashboard.post(f"/runs/{failed.id}/retry", confirmed="1")
    Mail.bad = set()
    await drain(dashboard.shop)
    page = await dashboard.page("/")
    assert "failed in the last run" not in page.text
    assert "Failed in the last day, succeeded since: 1" in page.text


async def test_how_many_failed_leads_to_the_runs_that_failed(dashboard: Dashboard) -> None:
    history, minute = dashboard.context.history, dashboard.context.clock.now() // MINUTE
    await history.add_tallies([Tally(minute, "mail", ExecutionStatus.FAILED, 3, 5)])
    assert (await dashboard.page("/")).links()["3"] == "/_pinstripe/runs?status=failed"


async def test_what_waits_is_told_with_why_and_what_to_start(dashboard: Dashboard) -> None:
    await dashboard.shop.project.pause("mail", "acme")
    await enqueue(dashboard.shop, Tidy)
    await enqueue(dashboard.shop, Tidy, delay="1h")
    page = await dashboard.page("/")
    assert "Work waits, and no worker is there. Start one: pinstripe start-worker" in page.text
    assert ["default", "1"] in [row[:2] for row in page.rows()]
    assert "1 waits for its time at" in page.text
    assert "job mail for tenant acme" in page.text


async def test_a_pause_is_ended_from_here(dashboard: Dashboard) -> None:
    await dashboard.shop.project.pause("mail", "acme")
    await dashboard.shop.project.pause(None, None)
    page = await dashboard.page("/")
    forms = page.all("form", action="/_pinstripe/resume")
    fields = [{one.attributes["name"]: one.attributes["value"] for one in form.all("input")} for form in forms]
    for one in fields:
        answer = await dashboard.ask("/resume", method="POST", form=one)
        assert (answer.status_code, answer.headers["location"]) == (303, "/_pinstripe/")
    assert await dashboard.shop.project.ledger.queue.pauses() == []


async def test_who_may_only_look_sees_no_button(dashboard: Dashboard) -> None:
    await dashboard.shop.project.pause(None, None)
    page = await dashboard.page("/", "read")
    assert "everything" in page.text
    assert [form.attributes["action"] for form in page.all("form", method="post")] == ["/_pinstripe/logout"]


async def test_the_last_hour_is_drawn_and_written(dashboard: Dashboard) -> None:
    history, minute = dashboard.context.history, dashboard.context.clock.now() // MINUTE
    await history.add_tallies(
        [
            Tally(minute - 1, "mail", ExecutionStatus.SUCCEEDED, 1_200, 5),
            Tally(minute - 1, "mail", ExecutionStatus.FAILED, 3, 5),
            Tally(minute - 30, "mail", ExecutionStatus.SKIPPED, 2, 5),
        ]
    )
    page = await dashboard.page("/")
    (drawn,) = page.all("svg", class_="chart-throughput")
    assert drawn.attributes["aria-label"] == "1,205 executions finished in the last 60 minutes, 3 of them failed"
    assert ["1,200", "3", "0"] in [row[1:] for row in page.rows()]
    assert ["0", "0", "2"] in [row[1:] for row in page.rows()]


async def test_what_fires_next_is_drawn_and_listed(dashboard: Dashboard) -> None:
    page = await dashboard.page("/")
    assert "What fires in the next 24 hours" in page.text
    assert page.all("svg", class_="chart-lane")[0].attributes["aria-label"].startswith("1 fire, the first at ")
    assert page.all("ol", class_="next-fires")[0].all("li")[0].text.endswith("tidy every day at 02:30")


async def test_what_should_have_run_says_why_it_did_not(project_folder: ProjectFolder) -> None:
    async with told_shop(project_folder, settings=SETTINGS) as (shop, clock), dashboard_of(shop) as dashboard:
        schedule = shop.project.registry.find(shop.add(Tidy)).schedules[0]
        known = KnownSchedule("tidy", schedule.key("UTC"), "1", schedule.cron, "UTC")
        await shop.project.ledger.fires.register([known], keep=(), now=clock.now())
        clock.advance(timedelta(days=2))
        page = await dashboard.page("/")
        (alarm,) = page.all("section", class_="alarm")
        ((job, tenant, due, why),) = alarm.rows()
        assert (job, tenant, why) == ("tidy", "all", "not fired since, as no bot runs")
        assert due.endswith("02:30:00Z")
        assert "No bot runs, so no schedule fires." in page.text


async def test_who_sees_some_tenants_only_is_led_to_their_runs(dashboard: Dashboard) -> None:
    answer = await dashboard.ask("/", "acme")
    assert (answer.status_code, answer.headers["location"]) == (303, "/_pinstripe/runs")


async def test_a_project_without_jobs_is_told_how_to_make_one(
    project_folder: ProjectFolder,
) -> None:
    async with open_dashboard(project_folder, jobs=()) as dashboard:
        page = await dashboard.page("/")
        assert "There are no jobs yet" in page.text
        assert "pinstripe generate-background-job NAME" in page.text


async def test_who_watches_shares_what_was_read(dashboard: Dashboard) -> None:
    class Broken(Tidy):
        async def run(self) -> None:
            raise ValueError("broken")

    await dashboard.ask("/", x_pinstripe_live="1")
    await dashboard.ran(job=Broken)
    before = (await dashboard.ask("/", x_pinstripe_live="1")).text
    now = (await dashboard.ask("/")).text
    assert ("ValueError: broken" in before, "ValueError: broken" in now) == (False, True)
    assert "ValueError: broken" in (await dashboard.ask("/", x_pinstripe_live="1")).text


async def test_where_there_is_no_ledger_yet_pages_say_so(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder, settings=SETTINGS) as shop, dashboard_of(shop, makes=False) as dashboard:
        assert "There is no ledger yet" in (await dashboard.page("/")).text
        assert "Whatever runs or is enqueued first makes it." in (await dashboard.page("/")).text
        for path in ("/runs", "/jobs", "/schedules", "/processes", "/audit"):
            await dashboard.page(path)
