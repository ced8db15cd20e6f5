"""A run's events: what a stream of them says and when it ends, by itself and from a real server with a real worker."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from pinstripe.server.access.entrance import Entrance
from pinstripe.server.access.identity import Access, Role
from pinstripe.server.access.sessions import begin_session
from pinstripe.server.dashboard.events import EventStream, pace
from pinstripe.server.dashboard.live import LiveRuns, Look
from tests.jobs import FailsForSome, Waits
from tests.server.access.conftest import READ, TOKEN, settings
from tests.server.dashboard.visits import open_house
from tests.shop import open_shop
from tests.working import drain, enqueue, seen

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping
    from http.client import HTTPResponse

    from tests.conftest import ProjectFolder
    from tests.server.conftest import Serve, Served

ALL = Access("test", Role.READ)

STEPS = """
    from pinstripe import BackgroundJob

    class Steps(BackgroundJob):
        multi_tenant = True

        async def run(self):
            if self.tenant.id == "birch":
                raise ValueError("a step is missing")
"""


async def sent(stream: EventStream, *, method: str = "GET") -> tuple[dict[str, str], list[dict[str, Any]], str]:
    """Give the headers, the events and the whole text of a stream that ends."""
    messages: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        messages.append(message)

    async def receive() -> MutableMapping[str, Any]:
        raise AssertionError

    await stream({"type": "http", "method": method, "asgi": {"spec_version": "2.4"}}, receive, send)
    headers = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
    text = b"".join(message["body"] for message in messages[1:]).decode()
    return headers, [*parsed(text)], text


def parsed(text: str) -> Iterator[dict[str, Any]]:
    """Read events as a browser does: fields in lines, an empty line after each event, comments left out."""
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line and not line.startswith(":"))
        if "data" in fields:
            yield {"id": int(fields["id"]), "event": fields["event"], **json.loads(fields["data"])}


@pytest.mark.anyio
async def test_ends_with_the_run(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        run = await enqueue(shop, FailsForSome, "birch")
        await drain(shop)
        live = LiveRuns(shop.project, look_every=0.001)
        headers, events, text = await sent(EventStream(live.watch(await seen(shop, run), ALL)))
        assert headers["content-type"] == "text/event-stream; charset=utf-8"
        assert (headers["cache-control"], headers["x-accel-buffering"]) == ("no-store", "no")
        assert text.startswith("retry: 2000\n\n")
        (last,) = events
        assert (last["event"], last["status"], last["finished"]) == ("finished", "failed", True)
        assert last["executions"]["failed"] == 1
        assert (last["done"], last["pace"]) == (3, "3 of 3")
        assert live.viewers == 0


@pytest.mark.anyio
async def test_ends_after_a_while_so_that_who_looks_is_let_in_anew(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        run = await enqueue(shop, Waits)
        live = LiveRuns(shop.project, look_every=0.001)
        _, events, text = await sent(EventStream(live.watch(run, ALL), longest=0.05, heartbeat=0.01))
        assert {event["event"] for event in events} == {"progress"}
        assert [event["id"] for event in events] == [*range(1, len(events) + 1)]
        assert ": still there\n\n" in text
        assert (live.viewers, live.readers) == (0, 0)


@pytest.mark.anyio
async def test_who_asks_for_the_head_alone_watches_nothing(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        run = await enqueue(shop, Waits)
        live = LiveRuns(shop.project)
        headers, events, _ = await sent(EventStream(live.watch(run, ALL)), method="HEAD")
        assert headers["content-type"] == "text/event-stream; charset=utf-8"
        assert (events, live.viewers, live.readers) == ([], 0, 0)


@pytest.mark.anyio
async def test_lets_no_more_watch_than_may(project_folder: ProjectFolder) -> None:
    async with open_house(project_folder) as house:
        run = await enqueue(house.shop, Waits)
        house.context.live.close()
        page = await house.visitor().get(f"/runs/{run.id}/events")
        assert page.status == 503


@pytest.mark.anyio
async def test_writes_the_pace(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        run = await enqueue(shop, Waits)
        assert pace(Look(run)) == "selecting tenants, 0 so far"
        await drain_selection(shop, run)
        found = await seen(shop, run)
        assert pace(Look(found)) == "0 of 3"
        assert pace(Look(found, rate=0.25, left=12.0)) == "0 of 3, 0.2/s, 12.0 s left"
        assert pace(Look(found, rate=1_200.0, left=0.001)) == "0 of 3, 1,200/s, 1 ms left"


async def drain_selection(shop: Any, run: Any) -> None:
    """Have the tenants of a run selected, and nothing else done."""
    await shop.project.pause(run.job, None)
    await drain(shop)


@pytest.fixture
def open_site(site: ProjectFolder) -> ProjectFolder:
    """Give a site whose dashboard is open, and whose tenants are three."""
    site.job("steps", STEPS)
    site.file("tenancy.py", 'tenants = [{"id": "acme"}, {"id": "birch"}, {"id": "cedar"}]')
    site.configure(
        f"""
        server.token = "{TOKEN}"
        server.read_token = "{READ}"
        tenants.source = "tenancy:tenants"
        worker.shutdown_grace = "60s"
        """
    )
    return site


@contextmanager
def listening(server: Served, run: str) -> Iterator[HTTPResponse]:
    """Open the events of a run, as a browser does that is logged in; give what is answered."""
    place = urlsplit(server.urls()[0])
    (bearer, *_) = Entrance(settings(tokens=())).bearers
    cookie = begin_session(bearer, (int(time.time()) + 3600) * 1_000_000)
    connection = server.connect()
    headers = {"Cookie": f"pinstripe_session_{place.port}={cookie}", "Accept": "text/event-stream"}
    with closing(connection):
        connection.request("GET", f"/_pinstripe/runs/{run}/events", headers=headers)
        with connection.getresponse() as answer:
            yield answer


def enqueued(site: ProjectFolder, job: str) -> str:
    """Enqueue a job from a process of its own; give the run's id."""
    words = [sys.executable, "-m", "pinstripe", "run-background-job", job, "--enqueue", "--json"]
    done = subprocess.run(words, cwd=site.path, capture_output=True, check=True, text=True)
    return str(json.loads(done.stdout)["id"])


def next_event(answer: HTTPResponse) -> dict[str, Any]:
    """Read up to the end of the next event."""
    block = ""
    while "data: " not in block or not block.endswith("\n\n"):
        line = answer.readline().decode()
        assert line, f"it has ended: {block}"
        block += line
    (event,) = parsed(block)
    return event


def test_a_real_worker_is_followed_to_the_end(open_site: ProjectFolder, serve: Serve) -> None:
    server = serve("--without-bot", "--without-workers")
    run = enqueued(open_site, "steps")
    with listening(server, run) as answer:
        assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        event = next_event(answer)
        assert (event["event"], event["selecting"]) == ("progress", True)
        while event["waiting"] is None:
            event = next_event(answer)
        assert event["waiting"].startswith("its tenants wait to be selected; no worker is there")
        drained = [sys.executable, "-m", "pinstripe", "start-worker", "--drain", "--without-bot"]
        subprocess.run(drained, cwd=open_site.path, capture_output=True, check=True)
        while event["event"] == "progress":
            event = next_event(answer)
        assert (event["event"], event["status"], event["pace"]) == ("finished", "failed", "3 of 3")
        assert (event["executions"]["succeeded"], event["executions"]["failed"]) == (2, 1)
        assert answer.read() == b""  # and that is all


def test_a_stop_ends_what_streams_at_once(open_site: ProjectFolder, serve: Serve) -> None:
    server = serve("--without-bot", "--without-workers")
    with listening(server, enqueued(open_site, "wait")) as answer:
        assert next_event(answer)["event"] == "progress"
        began = time.monotonic()
        server.send(signal.SIGTERM)
        assert b"finished" not in answer.read()
        assert server.end() == 143
        assert time.monotonic() - began < 30  # the grace is a minute
