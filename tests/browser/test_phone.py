"""What there is no room for on a phone, and what takes its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.browser.night import Night

PHONE = {"width": 360, "height": 740}

TWO_ROWS = 100
"""How many pixels two rows of the header take at most."""


def box_of(locator: Locator) -> Any:
    """Give where something is, in pixels."""
    return locator.bounding_box()


def test_the_header_has_two_rows_with_all_of_the_search_and_the_place_one_is_at(night: Night, visit: Any) -> None:
    page = visit(viewport=PHONE).login(night)
    for path, name in (("/", "Overview"), ("/runs", "Runs"), ("/audit", "Audit")):
        page.goto(night.at(path))
        assert box_of(page.locator("header.bar"))["height"] <= TWO_ROWS
        place = box_of(page.get_by_role("link", name=name, exact=True).first)
        assert place["x"] >= 0
        assert place["x"] + place["width"] <= PHONE["width"]
    search = page.locator("#find")
    measure = """field => {
      const text = document.createElement("span");
      text.textContent = field.placeholder;
      text.style.font = getComputedStyle(field).font;
      text.style.position = "absolute";
      document.body.append(text);
      const width = text.getBoundingClientRect().width;
      text.remove();
      return width;
    }"""
    assert search.evaluate(measure) < search.evaluate("field => field.clientWidth - 20")


def test_what_narrows_a_list_is_folded_until_it_does(night: Night, visit: Any) -> None:
    page = visit(viewport=PHONE).login(night)
    page.goto(night.at("/runs"))
    field = page.get_by_label("Not older than")
    expect(field).not_to_be_visible()
    page.get_by_text("Filters").click()
    expect(field).to_be_visible()
    box, card = box_of(field), box_of(page.locator(".filters-fold form"))
    assert (box["x"], box["width"]) == (card["x"], card["width"])
    page.goto(night.at("/runs?status=failed"))
    expect(field).to_be_visible()

    desk = visit(viewport={"width": 1280, "height": 900}).login(night)
    desk.goto(night.at("/runs"))
    expect(desk.get_by_label("Not older than")).to_be_visible()
    expect(desk.get_by_text("Filters")).not_to_be_visible()

    plain = visit(viewport=PHONE, java_script_enabled=False).login(night)
    plain.goto(night.at("/runs"))
    expect(plain.get_by_label("Not older than")).to_be_visible()


def test_a_row_leaves_out_what_there_is_nothing_of(night: Night, visit: Any) -> None:
    page = visit(viewport=PHONE).login(night)
    page.goto(night.at("/runs?status=failed"))
    page.locator("main a.id").first.click()
    page.goto(f"{page.url.partition('?')[0]}?status=succeeded")
    assert page.locator("td.what").count()
    for cell in page.locator("td.what").all():
        expect(cell).not_to_be_visible()
    page.set_viewport_size({"width": 1280, "height": 900})
    expect(page.locator("td.what").first).to_have_text("-")


def test_a_box_to_tick_looks_as_if_one_could(night: Night, visit: Any) -> None:
    page = visit(viewport=PHONE, color_scheme="dark").login(night)
    page.goto(night.at("/runs?status=failed"))
    page.locator("main a.id").first.click()
    tick = page.locator("input[data-choose]").first
    background = "box => getComputedStyle(box).backgroundColor"
    before = tick.evaluate(background)
    tick.check()
    assert tick.evaluate(background) != before
    expect(page.locator("[data-chosen-button]")).to_have_text("Retry the chosen one")
