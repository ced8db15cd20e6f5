"""How the pages look: on a phone and on a desk, by day and by night, and to those who don't see them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.night import HOSTILE, OPERATOR

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.night import Night

PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 900}

PATHS = (
    "/",
    "/runs",
    "/runs?status=failed&job=nobody",
    "/jobs",
    "/jobs/send_newsletter",
    "/jobs/count_up",
    "/tenants",
    "/tenant?id=globex",
    "/schedules",
    "/processes",
    "/audit",
    "/find?q=t0001",
    "/find?q=nowhere",
    "/start",
    "/start?job=count_up",
    "/start?job=send_newsletter",
    "/api/",
    "/nowhere",
)

# Too wide is what makes the page scroll sideways; what scrolls inside its own box is not.
TOO_WIDE = """() => {
  const page = document.documentElement, found = [];
  if (page.scrollWidth <= page.clientWidth) return [];
  for (const one of document.querySelectorAll('body *'))
    if (one.getBoundingClientRect().right > page.clientWidth + 0.5) found.push(one.outerHTML.slice(0, 120));
  return [`${page.scrollWidth} of ${page.clientWidth}`, ...found.slice(0, 5)];
}"""


def paths(page: Page, night: Night) -> list[str]:
    """Give all pages, with those of a run that failed and of an execution in it."""
    page.goto(night.at("/runs?status=failed"))
    run = page.locator("main a.id").first.get_attribute("href") or ""
    run = run.partition("/_pinstripe")[2].partition("?")[0]
    page.goto(night.at(run))
    hostile = page.get_by_role("row").filter(has_text="onerror").get_by_role("link").first.get_attribute("href") or ""
    own = [run, f"{run}?status=all", f"{run}/execution?tenant=globex", hostile.partition("/_pinstripe")[2]]
    return [*PATHS, *own]


@pytest.mark.parametrize(("size", "scheme"), [(PHONE, "dark"), (DESK, "light")], ids=["phone at night", "desk by day"])
def test_nothing_is_wider_than_the_screen_and_axe_finds_nothing(
    night: Night, visit: Any, scheme: str, size: dict[str, int]
) -> None:
    visitor = visit(viewport=size, color_scheme=scheme, reduced_motion="reduce", has_touch=size is PHONE)
    page = visitor.login(night)
    wrong: list[tuple[Any, ...]] = []
    for path in paths(page, night):
        page.goto(night.at(path))
        page.evaluate("for (const fold of document.querySelectorAll('main details')) fold.open = true")
        wrong += [(path, found) for found in page.evaluate(TOO_WIDE)]
        found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        wrong += [(path, rule["id"], [node["html"][:160] for node in rule["nodes"][:3]]) for rule in found]
    assert wrong == []


def test_the_night_is_dark_and_the_day_is_light(night: Night, visit: Any) -> None:
    def brightness(page: Page) -> float:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(float(part) for part in colour.strip("rgba()").split(",")[:3]) / 3

    light, dark = visit(color_scheme="light").login(night), visit(color_scheme="dark").login(night)
    assert brightness(light) > 200
    assert brightness(dark) < 60
    light.get_by_role("button", name="Theme").click()
    chosen = {brightness(light)}
    light.get_by_role("button", name="Theme").click()
    chosen.add(brightness(light))
    assert min(chosen) < 60  # whoever chooses has the other one, whatever the system has
    light.reload()
    assert brightness(light) in chosen


def test_times_are_the_viewer_s_own_with_utc_beside_them(night: Night, visit: Any) -> None:
    page = visit(timezone_id="Asia/Tokyo").login(night)
    page.goto(night.at("/runs"))
    time = page.locator("main time").first
    assert "UTC" in (time.get_attribute("title") or "")
    assert "Asia/Tokyo" in page.locator("[data-zone]").inner_text()


def test_dates_can_be_had_without_pointing(night: Night, visit: Any) -> None:
    page = visit(timezone_id="Asia/Tokyo", locale="en-US", has_touch=True).login(night)
    page.goto(night.at("/runs"))
    time = page.locator("main time").first
    expect(time).to_have_text(re.compile(r"ago$|^now$"))
    time.tap()
    date = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    both = rf"^{date} \((\d{{4}}-\d\d-\d\d )?\d\d:\d\d:\d\d UTC\)"
    expect(time).to_have_text(re.compile(f"{both}$"))
    button = page.get_by_role("button", name="Show dates")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator("main time").nth(1)).to_have_text(re.compile(f"^{date}$"))
    page.locator("main a.id").first.click()
    expect(page.locator("#run-facts time").first).to_have_text(re.compile(f"{both}, .*(ago|now)$"))
    page.get_by_role("button", name="Show how long ago").click()
    expect(page.get_by_role("button", name="Show dates")).to_be_visible()


def test_all_can_be_read_and_done_without_scripts(night: Night, visit: Any) -> None:
    page = visit(java_script_enabled=False).login(night)
    page.goto(night.at("/start?job=count_up"))
    page.get_by_label("upto").fill("5")
    page.get_by_role("button", name="Dry run").click()
    assert "It would run once" in page.locator("#planned").inner_text()
    page.goto(night.at("/runs?status=failed"))
    page.locator("main a.id").first.click()
    page.get_by_role("button", name="Retry").first.click()
    assert "3 tenants" in page.locator("main").inner_text()
    assert HOSTILE[:28] in page.locator("main").inner_text()


def test_a_keyboard_is_enough(night: Night, visit: Any) -> None:
    page = visit().page()
    page.goto(night.at("/"))
    page.keyboard.type(OPERATOR)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "q"
    page.keyboard.type("send_newsletter")
    page.keyboard.press("Enter")
    page.wait_for_url("**/jobs/send_newsletter")
    page.keyboard.press("?")
    assert page.get_by_role("dialog").is_visible()
    page.keyboard.press("Escape")
    assert not page.get_by_role("dialog").is_visible()
