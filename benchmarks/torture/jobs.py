"""The project that is tortured: jobs that behave, and jobs that don't; each notes its start and its end in one file."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

VARIABLE = "TORTURE_EVIDENCE"
"""The environment variable that names the file."""

POISON = "tenant-00013"
"""The tenant whose execution of the job `poisoned` kills its own process."""

EXPECTED = {
    "good": "succeeded",
    "single": "succeeded",
    "threaded": "succeeded",
    "in_process": "succeeded",
    "blocks": "succeeded",
    "poisoned": "succeeded",  # but for the one tenant
    "by_hand": "succeeded",
    "limited": "succeeded",
    "later": "succeeded",
    "raises_once": "succeeded",
    "raises": "failed",
    "hangs": "failed",
}
"""How an execution of each job must end, whatever happens to workers."""

SETTINGS = """\
[tool.pinstripe]
[tool.pinstripe.tenants]
source = "tenancy:tenants"
[tool.pinstripe.worker]
lease = "{lease}s"
shutdown_grace = "2s"
"""

TENANCY = """\
def tenants():
    for number in range({tenants}):
        yield f"tenant-{{number:05d}}"
"""

# One write a line, so that lines of several processes never mix. The pause is always the same for an execution.
NOTES = f"""\
import os
import zlib

FILE = os.open(os.environ["{VARIABLE}"], os.O_WRONLY | os.O_APPEND)


def note(what, attempt):
    os.write(FILE, f"{{what}} {{attempt.key}} {{attempt.fence}} {{os.getpid()}}\\n".encode())


def block(attempt):
    lease = float(os.environ["TORTURE_LEASE"])
    return lease * 1.3 if zlib.crc32(attempt.key.encode()) % 4 == 0 else lease / 10


def pause(attempt):
    return zlib.crc32(attempt.key.encode()) % 1000 / 1000 * float(os.environ["TORTURE_PAUSE"])
"""

HEADING = """\
import asyncio
import os
import signal
import time

from notes import block, note, pause
from pinstripe import BackgroundJob, Limits, Retry, RetryLater


"""

_ASYNC = """
    async def run(self):
        note("start", self.attempt)
        await asyncio.sleep(pause(self.attempt))
        note("end", self.attempt)
"""

_BLOCKS = _ASYNC.replace("await asyncio.sleep(pause(self.attempt))", "time.sleep(block(self.attempt))")

_PLAIN = """
    def run(self):
        note("start", self.attempt)
        time.sleep(pause(self.attempt))
        note("end", self.attempt)
"""


class Job(NamedTuple):
    """A job's attributes and its method."""

    attributes: str
    method: str


JOBS: Mapping[str, Job] = {
    "good": Job("multi_tenant = True", _ASYNC),
    "by_hand": Job("multi_tenant = True", _ASYNC),
    "single": Job("multi_tenant = False", _ASYNC.replace("self)", "self, number: int)", 1)),
    "threaded": Job("multi_tenant = True", _PLAIN),
    "in_process": Job('multi_tenant = True\n    runs_in = "process"', _PLAIN),
    "limited": Job("multi_tenant = True\n    limits = Limits(total=3, per_tenant=1)", _ASYNC),
    "later": Job(
        "multi_tenant = True",
        """
    async def run(self):
        note("start", self.attempt)
        if self.attempt.fence == 1:
            raise RetryLater("1s")
        note("end", self.attempt)
""",
    ),
    "blocks": Job("multi_tenant = True", _BLOCKS),
    "poisoned": Job(
        "multi_tenant = True",
        f"""
    async def run(self):
        note("start", self.attempt)
        if self.tenant.id == "{POISON}":
            os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.sleep(pause(self.attempt))
        note("end", self.attempt)
""",
    ),
    "raises": Job(
        "multi_tenant = True",
        """
    async def run(self):
        note("start", self.attempt)
        raise ValueError("always")
""",
    ),
    "raises_once": Job(
        'multi_tenant = True\n    retries = Retry(2, wait="1s")',
        """
    async def run(self):
        note("start", self.attempt)
        if self.attempt.number == 1:
            raise ValueError("once")
        note("end", self.attempt)
""",
    ),
    "hangs": Job(
        'multi_tenant = True\n    timeout = "1s"',
        """
    async def run(self):
        note("start", self.attempt)
        await asyncio.Event().wait()
""",
    ),
}


def make(folder: Path, *, tenants: int, lease: float) -> None:
    """Write the project."""
    files = {
        "pyproject.toml": SETTINGS.format(lease=f"{lease:g}"),
        "tenancy.py": TENANCY.format(tenants=tenants),
        "notes.py": NOTES,
    }
    for name, job in JOBS.items():
        title = "".join(part.capitalize() for part in name.split("_"))
        source = f"class {title}(BackgroundJob):\n    {job.attributes}\n{job.method}"
        files[f"lib/background_jobs/{name}.py"] = HEADING + source
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
