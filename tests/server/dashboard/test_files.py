"""The static files, and what templates may have in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pinstripe.server.dashboard import files, links
from pinstripe.version import VERSION

if TYPE_CHECKING:
    from tests.server.dashboard.conftest import Dashboard

pytestmark = pytest.mark.anyio

FOLDER = Path(files.__file__).parent
STATIC = sorted(path for path in (FOLDER / "static").iterdir())
CONTENTS = {path: path.read_bytes() for path in STATIC}
TEMPLATES = sorted((FOLDER / "templates").rglob("*.html"))


@pytest.mark.parametrize("path", STATIC, ids=lambda path: path.name)
async def test_each_file_is_served_with_its_type_for_ever(dashboard: Dashboard, path: Path) -> None:
    asked = links.static(path.name).removeprefix(links.PREFIX)
    assert asked.endswith(f"?v={VERSION}")
    answer = await dashboard.ask(asked, None)
    assert (answer.status_code, answer.content) == (200, CONTENTS[path])
    assert answer.headers["content-type"] == files.TYPES[path.suffix]
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"

    again = await dashboard.ask(asked, None, if_none_match=f'"other", {answer.headers["etag"]}')
    assert (again.status_code, again.content) == (304, b"")
    old = await dashboard.ask(f"/static/{path.name}?v=0.0.1", None)
    assert (old.status_code, old.headers["cache-control"]) == (200, "no-cache")


@pytest.mark.parametrize(
    "name", ["nothing.css", "..%2ffiles.py", "..%2f..%2ftemplates%2fbase.html", "%2fetc%2fpasswd", "theme.js%00", ""]
)
async def test_nothing_else_is_served(dashboard: Dashboard, name: str) -> None:
    answer = await dashboard.ask(f"/static/{name}")
    assert answer.status_code == 404
    assert "text/html" in answer.headers["content-type"]


def test_what_is_here_is_all_that_pages_name() -> None:
    named = {name for path in TEMPLATES for name in re.findall(r'static\("([^"]+)"\)', path.read_text())}
    assert named == {path.name for path in STATIC}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_has_no_style_and_no_script_in_it(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=|javascript:|data:", text, re.IGNORECASE)
    assert not re.search(r"<script(?![^>]*\ssrc=)", text, re.IGNORECASE)
    assert not re.search(r"https?:|\|\s*safe\b|autoescape|Markup", text)


@pytest.mark.parametrize("path", [path for path in STATIC if path.suffix == ".js"], ids=lambda path: path.name)
def test_a_script_is_small_and_writes_no_markup(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) < 150
    assert not re.search(r"\.innerHTML\s*=[^=]|insertAdjacentHTML|outerHTML|document\.write|\beval\b|Function\(", text)
    assert "https://" not in text
    assert ".style." not in text


@pytest.mark.parametrize("path", [path for path in STATIC if path.suffix == ".css"], ids=lambda path: path.name)
def test_a_style_loads_nothing(path: Path) -> None:
    assert not re.search(r"url\(|@import|@font-face|expression\(", path.read_text())


async def test_no_page_asks_anybody_else(dashboard: Dashboard) -> None:
    page = await dashboard.page("/")
    asked = [one.attributes.get("src") or one.attributes["href"] for one in page.all() if one.tag in {"script", "link"}]
    assert all(re.fullmatch(r"/_pinstripe/static/[a-z]+\.(?:css|js|svg)\?v=[0-9.]+", one) for one in asked)
    assert len({*asked}) == len(asked)
