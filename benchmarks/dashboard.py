"""How long the dashboard's pages take over a long history while work goes on, and what its viewers cost the workers."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

from benchmarks.figures import Figure, Size, middle, percentile
from benchmarks.kept import JOBS, build
from benchmarks.projects import pinstripe, project, python
from benchmarks.workers import worker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from http.client import HTTPResponse
    from pathlib import Path

    from benchmarks.kept import Kept

TITLE = "pages of the dashboard over a long history, while 200 executions a second settle"

MOST = 100
"""Milliseconds that a page may take, but for five of a hundred."""

LOSS = 5
"""Percent of the workers' throughput that ten viewers may cost."""

VIEWERS = 10
AT_ONCE = 5
"""How many fan-outs go on while viewers watch, so that it takes a while."""

TOKEN = "a-token-that-is-for-benchmarks-only"
PAGES = "/_pinstripe"
TENANT = "tenant-0000107"

_JOB = """\
from pinstripe import BackgroundJob


class Job(BackgroundJob):
    multi_tenant = True

    async def run(self):
        pass
"""

# So many jobs of one execution each as settle in a tenth of a second, ten times in a second.
_LOAD = """
import asyncio, time, pinstripe

async def main():
    async with pinstripe.open_project() as project, project.workspace(tenant=None) as workspace:
        began, rounds = time.monotonic(), 0
        while True:
            await workspace.enqueue_background_jobs("once", [()] * 20)
            rounds += 1
            await asyncio.sleep(max(0.0, began + rounds / 10 - time.monotonic()))

asyncio.run(main())
"""


def measure(size: Size) -> Sequence[Figure]:
    """Make the ledger, serve it, and look at each page several times over."""
    with project() as folder:
        path = folder / ".pinstripe" / "ledger.db"
        path.parent.mkdir()
        kept = build(path, size.kept, size.kept_singles)
        return measure_dashboard(folder, kept, size)


def measure_dashboard(folder: Path, kept: Kept, size: Size) -> list[Figure]:
    """Measure with the ledger that the project in `folder` has."""
    for job in JOBS:
        (folder / "lib" / "background_jobs" / f"{job}.py").write_text(_JOB, "utf-8")
    variables = {"PINSTRIPE_SERVER_TOKEN": TOKEN, "TENANTS": str(size.fan_outs[0])}
    command = pinstripe("start-server", "--host", "127.0.0.1:0", "--without-bot")
    with worker(command, folder, **variables) as server:
        server.wait_until(lambda: "Ledger: " in server.output.read_text("utf-8"), "that it serves")
        found = re.search(r"http://\S+?(?=[,/\s]|$)", server.output.read_text("utf-8"))
        assert found is not None
        viewer = Viewer.login(found[0])
        with worker(python(_LOAD), folder):
            pages = [
                Figure(what, percentile(spent, 95), "ms, p95", most=MOST, note=f"p50 {middle(spent):.1f} ms")
                for what, spent in _pages(viewer, kept, size).items()
            ]
            first, second = _told(folder), _told(folder)
            rate = (second[1] - first[1]) / (second[0] - first[0])
        return [
            Figure("executions kept", kept.executions, "", note=f"in {kept.runs:,} runs"),
            Figure("executions that settled meanwhile", rate, "/s"),
            *pages,
            *_watched(folder, viewer, size),
        ]


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who has logged in."""

    place: str
    cookie: str

    @classmethod
    def login(cls, url: str) -> Viewer:
        """Log in at a server with the token."""
        place = urlsplit(url).netloc
        connection = HTTPConnection(place, timeout=30)
        connection.request("GET", f"{PAGES}/login")
        answer = connection.getresponse()
        form, cookie = answer.read().decode(), _cookie(answer)
        found = re.search(r'name="csrf_token" value="([^"]+)"', form)
        assert found is not None, form
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": url, "Cookie": cookie}
        fields = {"token": TOKEN, "csrf_token": found[1], "next": ""}
        connection.request("POST", f"{PAGES}/login", urlencode(fields), headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 303, answer.status
        return cls(place, _cookie(answer))

    def connect(self) -> HTTPConnection:
        """Give a connection of their own."""
        return HTTPConnection(self.place, timeout=60)

    def look(self, path: str) -> None:
        """Look at a page, by a connection of its own: an idle one is closed after some seconds."""
        connection = self.connect()
        connection.request("GET", PAGES + path, headers={"Cookie": self.cookie})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        assert answer.status == 200, (path, answer.status, body[:500])


def _cookie(answer: HTTPResponse) -> str:
    return (answer.getheader("Set-Cookie") or "").partition(";")[0]


def _pages(viewer: Viewer, kept: Kept, size: Size) -> dict[str, list[float]]:
    """Give the milliseconds that each page took each time."""
    run = f"/runs/{kept.biggest}"
    failed = f"tenant-{7:07d}"
    paths = {
        "overview": "/",
        "jobs": "/jobs",
        "a job": f"/jobs/{JOBS[3]}",
        "runs": "/runs",
        "failed runs": "/runs?status=failed",
        "runs of a job": f"/runs?job={JOBS[3]}",
        "runs of a tenant": f"/runs?tenant={TENANT}",
        "a run, its failed tenants": run,
        "a run, all tenants": f"{run}?status=succeeded",
        "a run, tenants searched for": f"{run}?search=0099",
        "an execution": f"{run}/execution?tenant={quote(failed)}",
        "tenants": "/tenants",
        "a tenant": f"/tenant?id={TENANT}",
        "a busy tenant": "/tenant?id=tenant-0000001",
        "schedules": "/schedules",
        "processes": "/processes",
        "the form to start a job": f"/start?job={JOBS[3]}",
        "the audit trail": "/audit",
        "API: runs": "/api/v1/runs",
        "API: a run": f"/api/v1/runs/{kept.biggest}",
        "API: status": "/api/v1/status",
    }
    connection = viewer.connect()
    spent: dict[str, list[float]] = {what: [] for what in paths}
    for _ in range(size.rounds * 2):
        for what, path in paths.items():
            headers = {"Authorization": f"Bearer {TOKEN}"} if path.startswith("/api/") else {"Cookie": viewer.cookie}
            began = time.perf_counter()
            connection.request("GET", PAGES + path, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
            spent[what].append((time.perf_counter() - began) * 1_000)
            assert answer.status == 200, (path, answer.status, body[:500])
    connection.close()
    return spent


def _watched(folder: Path, viewer: Viewer, size: Size) -> list[Figure]:
    """Compare the throughput of fan-outs that nobody looks at with that of others that viewers watch, in turn."""
    alone, watched = [], []
    for _ in range(size.peer_rounds * 2):
        alone.append(_fan_out(folder, viewer, viewers=0))
        watched.append(_fan_out(folder, viewer, viewers=VIEWERS))
    loss = (1 - middle(watched) / middle(alone)) * 100
    return [
        Figure(f"{AT_ONCE} fan-outs by the server's worker, nobody looking", middle(alone), "/s"),
        Figure(f"the same with {VIEWERS} viewers on live pages", middle(watched), "/s"),
        Figure("what the viewers cost", max(loss, 0.0), "%", most=LOSS, note=f"{loss:+.1f} %"),
    ]


def _fan_out(folder: Path, viewer: Viewer, *, viewers: int) -> float:
    """Enqueue fan-outs, with so many viewers on their pages; give how many executions a second came to their end."""
    return asyncio.run(_drained(folder, viewer, viewers))


async def _drained(folder: Path, viewer: Viewer, viewers: int) -> float:
    import pinstripe

    async with pinstripe.open_project(folder) as opened, opened.workspace(tenant=None) as workspace:
        runs = await workspace.options(delay="1s").enqueue_background_jobs("each", [()] * AT_ONCE)
        with _looking(viewer, [run.id for run in runs], viewers):
            while not all(run.finished for run in runs):
                await asyncio.sleep(0.05)
                runs = [await opened.ledger.find_run(run.id, failures=False) for run in runs]
    began = min(run.started_at for run in runs if run.started_at is not None)
    ended = max(run.finished_at for run in runs if run.finished_at is not None)
    return sum(run.executions.total for run in runs) / (ended - began).total_seconds()


@contextmanager
def _looking(viewer: Viewer, runs: Sequence[str], viewers: int) -> Iterator[None]:
    """Have so many viewers at the pages of runs, who hear of what goes on; each looks at the overview now and then."""
    ended = threading.Event()

    def watch(run: str) -> None:
        connection = viewer.connect()
        connection.request("GET", f"{PAGES}/runs/{run}/events", headers={"Cookie": viewer.cookie})
        events = connection.getresponse()
        assert events.status == 200, events.status
        looked = 0.0
        for _ in iter(events.readline, b""):
            if ended.is_set():
                break
            if time.monotonic() > looked + 5:
                viewer.look("/")
                looked = time.monotonic()
        connection.close()

    threads = [threading.Thread(target=watch, args=(runs[number % len(runs)],)) for number in range(viewers)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _told(folder: Path) -> tuple[float, int]:
    """Wait until workers tell how many they have settled, which they do now and then; give when, and how many."""
    before = _settled(folder)
    while (settled := _settled(folder)) == before:
        time.sleep(0.1)
    return time.monotonic(), settled


def _settled(folder: Path) -> int:
    """Give how many of the load's jobs have been settled, by their number among all runs of that job."""

    async def count() -> int:
        import pinstripe

        async with pinstripe.open_project(folder) as opened:
            totals = await opened.ledger.history.totals()
            return sum(total.executions for total in totals if total.job == "once")

    return asyncio.run(count())
