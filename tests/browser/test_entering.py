"""Who is let in, and what they may do there, in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

from tests.browser.night import CONFINED, OPERATOR, READER

if TYPE_CHECKING:
    from tests.browser.night import Night


def test_nobody_sees_anything_without_a_token(night: Night, visit: Any) -> None:
    page = visit().page()
    page.goto(night.at("/runs?status=failed"))
    expect(page.get_by_label("Access token")).to_be_focused()
    page.get_by_label("Access token").fill("not-the-token-of-anybody")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Access token").fill(OPERATOR)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Runs")
    assert page.url.endswith("/_pinstripe/runs?status=failed")


def test_who_logs_out_is_out(night: Night, visit: Any) -> None:
    page = visit().login(night)
    page.locator("details.who summary").click()
    page.get_by_role("button", name="Log out").click()
    page.goto(night.at("/runs"))
    expect(page.get_by_label("Access token")).to_be_visible()


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(night: Night, visit: Any) -> None:
    page = visit().login(night)
    cookies = page.context.cookies()
    assert len(cookies) > 0
    for cookie in cookies:
        assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/_pinstripe")
    assert page.evaluate("document.cookie") == ""


def test_who_may_only_look_is_offered_nothing_to_do(night: Night, visit: Any) -> None:
    page = visit().login(night, READER)
    page.goto(night.at("/runs?status=failed"))
    page.locator("main a.id").first.click()
    expect(page.get_by_role("row").filter(has_text="globex")).to_be_visible()
    assert page.locator("main form[method=post]").count() == 0
    answer = page.request.post(f"{page.url.partition('?')[0]}/retry", form={"confirmed": "1"})
    assert answer.status == 403


def test_what_another_site_sends_is_refused(night: Night, visit: Any) -> None:
    page = visit().login(night)
    page.goto(night.at("/jobs/count_up"))
    tokens = page.locator("input[name=csrf_token]")
    token = tokens.first.get_attribute("value")
    for form in ({"job": "count_up"}, {"job": "count_up", "csrf_token": "0" * 64}):
        assert page.request.post(night.at("/pause"), form=form).status == 403
    headers = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
    form = {"job": "count_up", "csrf_token": token or ""}
    assert page.request.post(night.at("/pause"), form=form, headers=headers).status == 403
    page.reload()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()


def test_who_is_confined_sees_their_own_alone(night: Night, visit: Any) -> None:
    page = visit().login(night, CONFINED)
    page.goto(night.at("/tenant?id=acme"))
    expect(page.get_by_role("heading", level=1)).to_have_text("acme")
    for path in ("/tenant?id=globex", "/processes", "/audit", "/schedules"):
        answer = page.goto(night.at(path))
        assert answer is not None
        assert answer.status in {403, 404}, path
        assert "no address" not in page.content()
    page.goto(night.at("/runs"))
    assert "globex" not in page.content()
