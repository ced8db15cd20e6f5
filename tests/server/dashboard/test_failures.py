"""What is shown where a page can't be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pinstripe.errors import LedgerError

if TYPE_CHECKING:
    from tests.server.dashboard.conftest import Dashboard

pytestmark = pytest.mark.anyio


async def test_a_page_that_there_is_not(dashboard: Dashboard) -> None:
    page = await dashboard.page("/nowhere", status=404)
    assert page.one("h1").text == "No such page"
    assert "There is no page /_pinstripe/nowhere" in page.text
    assert page.links()["Back to the start"] == "/_pinstripe/"
    assert (await dashboard.page("/nowhere", "acme", status=404)).links()["Back to the start"] == "/_pinstripe/runs"


async def test_a_run_that_there_is_not_says_what_the_command_line_says(dashboard: Dashboard) -> None:
    page = await dashboard.page("/runs/nothing", status=404)
    assert page.one("h1").text == "Unknown run"
    assert "nothing" in page.one("p", class_="pre-line").text
    assert "It may have been pruned" in page.text


async def test_what_is_asked_for_in_another_way(dashboard: Dashboard) -> None:
    answer = await dashboard.ask("/runs", method="DELETE")
    assert answer.status_code == 405
    assert {*answer.headers["allow"].split(", ")} == {"GET", "HEAD"}


async def test_a_form_without_its_token_changes_nothing(dashboard: Dashboard) -> None:
    answer = await dashboard.ask("/pause", method="POST", form={"all": "1"})
    assert answer.status_code == 403
    assert "This form is no longer valid" in answer.text
    assert await dashboard.shop.project.ledger.queue.pauses() == []


async def test_a_ledger_that_is_away_is_told_and_tried_again(
    dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away() -> None:
        raise LedgerError("the ledger at postgresql://me:secret@there/it can't be reached")

    monkeypatch.setattr(dashboard.shop.project.ledger.queue, "status", away)
    page = await dashboard.page("/", status=503)
    assert page.one("h1").text == "The ledger can't be used"
    assert "secret" not in page.text
    assert "pinstripe check" in page.text
    assert page.links()["Try again"] == "/_pinstripe/"
    assert (await dashboard.ask("/")).headers["retry-after"] == "5"


async def test_a_mistake_of_ours_is_a_page_and_tells_nothing(
    dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> None:
        raise RuntimeError("a secret that nobody may see")

    monkeypatch.setattr(dashboard.shop.project.ledger.queue, "status", broken)
    page = await dashboard.page("/", status=500)
    assert page.one("h1").text == "Unexpected error"
    assert "secret" not in page.text


async def test_who_is_not_logged_in_is_led_to_the_login_and_back(dashboard: Dashboard) -> None:
    answer = await dashboard.ask("/runs?status=failed", None)
    assert answer.status_code == 303
    page = await dashboard.page(answer.headers["location"].removeprefix("/_pinstripe"), None)
    assert page.one("h1").text == "Log in"
    assert page.one("input", name="next").attributes["value"] == "/_pinstripe/runs?status=failed"
    assert not page.all("nav")
    token = page.one("input", name="csrf_token").attributes["value"]
    assert token


async def test_a_page_lets_nothing_in_from_elsewhere(dashboard: Dashboard) -> None:
    answer = await dashboard.ask("/")
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert "style-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-frame-options"] == "DENY"
