"""Makes docs/dashboard.png, the picture in the README: `python docs/dashboard_picture.py`.

It is of real runs of the example. It needs a Chromium, which scripts/browser finds or installs.
"""
# ruff: noqa: INP001, S603 - a program beside the documentation, no package; it starts our own programs

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SIZE = {"width": 1240, "height": 860}
PATIENCE = 60.0
"""Seconds that a server has for its start."""

RUNS = (
    *(("send_newsletter", "weekly"),) * 5,
    ("send_newsletter", "weekly", "--where", "plan=free"),
    *(("send_newsletter", "weekly"),) * 7,
    ("purge_old_sessions",),
)
"""Commands for the example. One tenant's data is broken, as in the demo, so that it fails in each that is for it."""

root = Path(__file__).parents[1]
project = root / "examples" / "newsletter"


def main() -> None:
    """Run the example's jobs, serve its dashboard, and write the picture of the newsletter's page."""
    with tempfile.TemporaryDirectory() as folder:
        var = Path(folder)
        os.environ |= {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PINSTRIPE_DATABASE_URL": f"sqlite:///{var}/newsletter.db",
            "PINSTRIPE_LEDGER": f"sqlite:///{var}/ledger.db",
            "PINSTRIPE_SERVER_TOKEN": secrets.token_urlsafe(24),
            "NEWSLETTER_BACKUPS": str(var / "backups"),
        }
        run("python", "-m", "newsletter.seed")
        port = var / "port"
        mail = ["python", "-m", "newsletter.mail_server", "--port", "0", "--port-file", str(port)]
        with going_on([*mail, "--received", str(var / "received.tsv")], var / "mail.txt"):
            os.environ["NEWSLETTER_SMTP"] = f"127.0.0.1:{awaited(port, r'([0-9]+)')}"
            for command in RUNS:
                run("pinstripe", "run-background-job", *command)
            server = ["pinstripe", "start-server", "--host", "127.0.0.1:0", "--without-bot"]
            with going_on(server, var / "server.txt"):
                take(awaited(var / "server.txt", r"(http://127\.0\.0\.1:[0-9]+)[^$]*Ledger: "))


def run(*command: str) -> None:
    """Run a command of the example's to its end; a job may fail there."""
    subprocess.run(command, cwd=project, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@contextmanager
def going_on(command: Sequence[str], output: Path) -> Iterator[None]:
    """Have a command go on for as long as the block does; it prints into a file."""
    with output.open("wb") as file:
        process = subprocess.Popen(command, cwd=project, stdout=file, stderr=file, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def awaited(path: Path, pattern: str) -> str:
    """Wait until something stands in a file, and give it."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if path.exists() and (found := re.search(pattern, path.read_text("utf-8"))):
            return found[1]
        time.sleep(0.05)
    sys.exit(f"expected {pattern} in {path.name}, got nothing of the kind in {PATIENCE:.0f} s")


def take(url: str) -> None:
    """Log in, and write the picture of the newsletter's page."""
    found = subprocess.run([root / "scripts" / "browser"], check=True, stdout=subprocess.PIPE, text=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found.stdout.strip())
        page = browser.new_page(viewport=SIZE, color_scheme="light", device_scale_factor=1.5)
        page.goto(f"{url}/_pinstripe/jobs/send_newsletter")
        page.get_by_label("Access token").fill(os.environ["PINSTRIPE_SERVER_TOKEN"])
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("heading", name="send_newsletter").wait_for()
        page.screenshot(path=root / "docs" / "dashboard.png")
        browser.close()


if __name__ == "__main__":
    main()
