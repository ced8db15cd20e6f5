"""A project whose last night didn't go well for all: what browsers look at."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from textwrap import dedent
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OPERATOR = "operator-token-of-a-test-0001"
READER = "reader-token-of-a-test-00001"
CONFINED = "confined-token-of-a-test-001"
"""Secrets: who has the first may do all, the second may look, the third may do what is acme's alone."""

MANY = 2_000
"""How many tenants the project has beside those that the newsletter is for."""

PATIENCE = 60

HOSTILE = "<img src=x onerror=alert(1)>\x1b[31m\u202e'\"&"
"""A tenant whose id is what nobody should have for one."""

FILES = {
    "pyproject.toml": """
        [tool.pinstripe]

        [tool.pinstripe.tenants]
        source = "customers:tenants"

        [tool.pinstripe.worker]
        concurrency = 100
        """,
    "customers.py": f"""
        FEW = ["acme", "birch", "cedar", "globex", "initech", {HOSTILE!r}]

        def tenants():
            for name in FEW:
                yield {{"id": name, "plan": "pro", "active": True}}
            for number in range({MANY}):
                yield {{"id": f"t{{number:05}}", "plan": "free", "active": True}}
        """,
    "lib/background_jobs/send_newsletter.py": """
        import logging
        from pathlib import Path
        from pinstripe import BackgroundJob

        class SendNewsletter(BackgroundJob):
            \"\"\"Send the nightly newsletter to every subscriber.

            Who pays has it; who doesn't, has not.
            \"\"\"
            schedule = "0 3 * * *"
            multi_tenant = True

            @staticmethod
            def tenants_filter(tenants):
                return tenants.where(plan="pro")

            async def run(self, segment: str = "all", days: int = 1):
                self.logger.info("looking for subscribers of %s", segment)
                print("<script>alert(1)</script>")
                broken = self.tenant.id in ("globex", "initech") or "<" in self.tenant.id
                if broken and not Path("mended").exists():
                    raise ValueError(f"<b>no address</b> for {self.tenant.id} in {segment}")
                return 3
        """,
    "lib/background_jobs/visit_each.py": """
        from pinstripe import BackgroundJob

        class VisitEach(BackgroundJob):
            \"\"\"Visit everybody, one by one.\"\"\"
            multi_tenant = True

            async def run(self):
                pass
        """,
    "lib/background_jobs/count_up.py": """
        from typing import Literal
        from pinstripe import BackgroundJob, Schedule

        class CountUp(BackgroundJob):
            \"\"\"Count, for nobody in particular.\"\"\"
            schedule = Schedule("30 * * * *", kwargs={"upto": 1})
            redact = ("password",)

            async def run(
                self, upto: int, speed: Literal["slow", "fast"] = "fast", loud: bool = False, password: str = ""
            ):
                return upto
        """,
}


@dataclass(frozen=True, slots=True)
class Night:
    """A server of the project: its `url`, and its `folder`."""

    folder: Path
    url: str

    def at(self, path: str) -> str:
        """Give the URL of a page."""
        return f"{self.url}/_pinstripe{path}"

    def command(self, *words: str) -> str:
        """Give the project a command that may fail, and give what it prints."""
        return command(self.folder, *words)


def command(folder: Path, *words: str) -> str:
    """Give a project a command that may fail, and give what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "pinstripe", *words], cwd=folder, capture_output=True, text=True, check=False
    )
    return done.stdout


def write(folder: Path) -> None:
    """Write the project's files, and let the newsletter's last two nights have been."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
    command(folder, "run-background-job", "send_newsletter", "--tenant", "acme", "--tenant", "birch")
    command(folder, "run-background-job", "send_newsletter", "weekly")


@contextmanager
def served(folder: Path, *options: str) -> Iterator[Night]:
    """Serve the project, with a worker, for as long as the block goes on."""
    ours, theirs = os.pipe()
    variables = {
        **os.environ,
        "PINSTRIPE_SERVER_TOKEN": OPERATOR,
        "PINSTRIPE_SERVER_READ_TOKEN": READER,
        "PINSTRIPE_SERVER_TOKENS": f"acme-desk:operate:acme:{CONFINED}",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "pinstripe", "start-server", "--host", "127.0.0.1:0", *options],
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Night(folder, _url(ours))
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
        process.kill()
        process.wait()
        os.close(ours)


def _url(descriptor: int) -> str:
    """Wait until the server says where it is."""
    seen, until = "", time.monotonic() + PATIENCE
    while "Ledger: " not in seen:
        assert select.select([descriptor], [], [], max(0, until - time.monotonic()))[0], f"it says nothing: {seen}"
        read = os.read(descriptor, 4096)
        assert read, f"it has ended: {seen}"
        seen += read.decode()
    found = re.search(r"http://127\.0\.0\.1:\d+", seen)
    assert found is not None, seen
    return found[0]
