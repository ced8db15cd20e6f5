"""What people do with the dashboard, in a real browser: the ways that have to be short, and what they see on them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.browser.night import HOSTILE, MANY, served, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.browser.night import Night

WATCHING = 60_000
"""Milliseconds that a run may take to come to its end before somebody's eyes."""


@pytest.fixture
def bad_night(tmp_path: Path) -> Iterator[Night]:
    """Serve a project of one test's own: it changes what has been."""
    write(tmp_path)
    with served(tmp_path) as night:
        yield night


def test_three_clicks_lead_from_last_night_s_failures_to_their_retry(bad_night: Night, visit: Any) -> None:
    page = visit().login(bad_night)
    (bad_night.folder / "mended").touch()  # what kept them from succeeding
    page.get_by_role("region", name="What fails").get_by_role("link", name="send_newsletter").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Run")
    tenants = page.get_by_role("region", name="Tenants that failed").get_by_role("row")
    expect(tenants.filter(has_text="globex")).to_contain_text("ValueError: <b>no address</b> for globex in weekly")
    expect(tenants.filter(has_text="initech")).to_be_visible()
    expect(tenants.filter(has_text="acme")).to_have_count(0)
    page.get_by_role("button", name=re.compile("^Retry")).first.click()
    expect(page.get_by_role("main")).to_contain_text("3 tenants")
    page.get_by_role("button", name="Retry 3 tenants").click()
    expect(page.locator("#run-now .run-status")).to_contain_text("succeeded", timeout=WATCHING)
    expect(page.locator("[data-count=total]")).to_have_text("3")
    expect(page.locator("#run-facts")).to_contain_text("Retry of")
    assert page.context.pages == [page]


def test_a_failed_tenant_opens_to_its_traceback_and_log(bad_night: Night, visit: Any) -> None:
    page = visit().login(bad_night)
    page.get_by_role("region", name="What fails").get_by_role("link", name="send_newsletter").first.click()
    row = page.get_by_role("row").filter(has_text="initech")
    row.locator("summary").click()
    expect(row.get_by_text("Traceback (most recent call last)")).to_be_visible()
    expect(row.get_by_text("looking for subscribers of weekly")).to_be_visible()
    expect(row.get_by_text("<script>alert(1)</script>")).to_be_visible()
    page.get_by_role("link", name="<img src=x onerror=alert(1)>").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator("main img, main b:has-text('no address')").count() == 0


def test_a_run_for_thousands_is_watched_to_its_end(bad_night: Night, visit: Any) -> None:
    page = visit().login(bad_night)
    page.goto(bad_night.at("/start?job=visit_each"))
    page.get_by_role("button", name="Run it").click()
    expect(page.locator("#run-now .run-status")).to_contain_text("succeeded", timeout=WATCHING)
    everybody = MANY + 6
    expect(page.locator("[data-count=succeeded]")).to_have_text(f"{everybody:,}")
    expect(page.get_by_role("heading", name="All tenants")).to_be_visible()
    page.get_by_label("Part of a tenant's id").fill("00077")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("link", name="t00077")).to_be_visible()
    expect(page.locator("#run-executions tbody tr")).to_have_count(1)


def test_what_is_paused_waits_until_it_is_resumed(bad_night: Night, visit: Any) -> None:
    page = visit().login(bad_night)
    page.goto(bad_night.at("/jobs/count_up"))
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("dialog").get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    _count(page, bad_night, upto="7")
    expect(page.locator("[data-waiting]")).to_contain_text("paused")
    waiting = page.url
    page.goto(bad_night.at("/jobs/count_up"))
    page.get_by_role("button", name="Resume").click()
    page.goto(waiting)
    expect(page.locator("#run-now .run-status")).to_contain_text("succeeded", timeout=WATCHING)
    page.goto(bad_night.at("/audit"))
    for action in ("start", "pause", "resume", "login"):
        expect(page.get_by_role("table").get_by_text(action, exact=True).first).to_be_visible()


def test_the_form_checks_as_the_command_line_does_and_forgets_nothing(night: Night, visit: Any) -> None:
    page = visit().login(night)
    page.goto(night.at("/start?job=count_up"))
    page.get_by_label("upto").fill("many")
    page.get_by_label("speed").select_option("slow")
    page.get_by_role("button", name="Run it").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was started")
    expect(page.get_by_role("main")).to_contain_text("expected int, found 'many'")
    expect(page.get_by_label("upto")).to_have_value("many")
    expect(page.get_by_label("speed")).to_have_value("slow")
    page.get_by_label("upto").fill("12")
    page.get_by_role("button", name="Dry run").click()
    expect(page.locator("#planned")).to_contain_text("It would run once, without a tenant")
    expect(page.locator("#planned")).to_contain_text("12")
    page.get_by_role("button", name="Run it").click()
    expect(page.locator("#run-now .run-status")).to_contain_text("succeeded", timeout=WATCHING)
    expect(page.locator("#alone")).to_contain_text("12")


def test_a_dry_run_shows_for_whom_it_would_be(night: Night, visit: Any) -> None:
    page = visit().login(night)
    page.goto(night.at("/start?job=send_newsletter"))
    page.get_by_label("All but these").fill("acme\nbirch")
    page.get_by_role("button", name="Dry run").click()
    planned = page.locator("#planned")
    expect(planned).to_contain_text("4 tenants")
    expect(planned).to_contain_text("plan='pro'")
    assert HOSTILE[:28] in planned.inner_text()
    expect(planned.get_by_text("acme", exact=True)).to_have_count(0)
    expect(page.get_by_label("All but these")).to_have_value("acme\nbirch")
    expect(page.get_by_role("button", name="Run it for 4 tenants")).to_be_visible()
    page.get_by_label("All but these").fill("acme")
    expect(page.get_by_role("button", name="Run it", exact=True)).to_be_visible()
    expect(page.locator("[data-planned-note]")).to_contain_text("You have changed the form since this dry run.")


def test_a_password_is_never_shown_again(night: Night, visit: Any) -> None:
    page = visit().login(night)
    _count(page, night, upto="3", password="correct horse")
    expect(page.locator("#run-now .run-status")).to_contain_text("succeeded", timeout=WATCHING)
    assert "***" in page.locator("#run-facts").inner_text()
    assert "correct horse" not in page.content()


def _count(page: Page, night: Night, **fields: str) -> None:
    page.goto(night.at("/start?job=count_up"))
    for name, text in fields.items():
        page.get_by_label(name).fill(text)
    page.get_by_role("button", name="Run it").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Run")
