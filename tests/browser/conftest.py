"""A real Chromium, and a real server of a project whose nights don't all go well."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Error, sync_playwright

from tests.browser.night import OPERATOR, Night, served, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

_CHROMIUM = os.environ.get("PINSTRIPE_TEST_CHROMIUM")  # read here: no test finds it in its environment

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)
"""What keeps it from asking anybody but the server."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Give a browser, which `scripts/test` has looked for, or installed; visitors share nothing of it.

    It ends with the tests of a file: as long as Playwright is there, an event loop runs in this thread.
    """
    path = _CHROMIUM or next(filter(None, map(shutil.which, NAMES)), None)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=path, args=QUIET)
        except Error as error:
            if path is not None:
                raise
            pytest.skip(f"no Chromium here: {str(error).splitlines()[0]}")
        yield browser
        browser.close()


@dataclass
class Visitor:
    """Somebody at a browser, who has seen nothing yet, and what was wrong with what they saw."""

    context: BrowserContext
    complaints: list[str] = field(default_factory=list)

    def page(self) -> Page:
        """Open a page, whose errors are noted."""
        page = self.context.new_page()
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        return page

    def login(self, night: Night, token: str = OPERATOR) -> Page:
        """Log in, and give the page that this leads to."""
        page = self.page()
        page.goto(night.at("/"))
        page.get_by_label("Access token").fill(token)
        page.get_by_role("button", name="Log in").click()
        return page

    def _heard(self, message: ConsoleMessage) -> None:
        # That an answer is an error is for the test to tell.
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def asked(self, request: Request) -> None:
        """Note a request to anybody but this machine."""
        place = urlsplit(request.url)
        if place.scheme != "data" and place.hostname not in {"127.0.0.1", "localhost"}:
            self.complaints.append(f"asked {request.url}")


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Any]:
    """Give visitors, each with cookies of their own; what their browsers complained of fails the test at its end."""
    visitors: list[Visitor] = []

    def come(**options: Any) -> Visitor:
        visitor = Visitor(chromium.new_context(**options))
        visitor.context.on("request", visitor.asked)
        visitor.context.set_default_timeout(15_000)
        visitors.append(visitor)
        return visitor

    yield come
    complaints = [complaint for visitor in visitors for complaint in visitor.complaints]
    for visitor in visitors:
        visitor.context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """Serve the project, whose last night is over; the tests of a file share it."""
    folder: Path = tmp_path_factory.mktemp("night")
    write(folder)
    with served(folder) as one:
        yield one
