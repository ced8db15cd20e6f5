"""What Prometheus scrapes: real text in its formats, of what really happened, with bounded labels."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx2
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from pinstripe.history import Tally
from pinstripe.overdue import SchedulesStatus
from pinstripe.queue import QueueStatus
from pinstripe.run import ExecutionStatus
from pinstripe.server.access.entrance import Entrance
from pinstripe.server.context import WebContext
from pinstripe.server.metric_families import MAX_JOBS, OTHER, Jobs, Snapshot, SnapshotCollector
from pinstripe.server.metrics import make_metrics
from pinstripe.version import VERSION
from pinstripe.views.status import LedgerStatus, Seen
from tests.jobs import Fails, Sums
from tests.server.access.conftest import ACME, READ, settings
from tests.server.test_dashboard_served import OPEN, QUIET, ask
from tests.working import drain, enqueue, told_shop

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder
    from tests.server.conftest import Serve
    from tests.shop import Shop

Samples = dict[tuple[str, ...], float]


def read(text: str) -> Samples:
    """Read Prometheus's text: the values by the names and the labels' values."""
    families = list(parse(text))
    assert all(family.documentation for family in families)
    assert len({family.name for family in families}) == len(families)
    return {(sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples}


def context_of(shop: Shop) -> WebContext:
    return WebContext(shop.project, Entrance(settings(), listens_at=["box"]))


async def scrape(metrics: object, **headers: str) -> httpx2.Response:
    transport = httpx2.ASGITransport(metrics)  # type: ignore[arg-type]
    async with httpx2.AsyncClient(transport=transport, base_url="http://box") as client:
        return await client.get("/_pinstripe/metrics", headers=headers)


async def add_up(shop: Shop) -> None:
    """Have what this process has counted be added to the ledger."""
    tallies = (await shop.project._started()).executor.tallies  # noqa: SLF001 - it is what counts
    assert tallies is not None
    await tallies.add()


@pytest.fixture(params=["sqlite", "postgres"])
def ledger_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "postgres":
        postgres = request.getfixturevalue("postgres")
        monkeypatch.setenv("PINSTRIPE_LEDGER", postgres.url(request.getfixturevalue("postgres_database")))
        return "postgresql"
    return "sqlite"


@pytest.mark.anyio
async def test_all_is_told_of_what_happened(project_folder: ProjectFolder, ledger_kind: str) -> None:
    async with told_shop(project_folder) as (shop, _):
        await enqueue(shop, Sums, 1)
        await enqueue(shop, Sums, 2)
        failing = await enqueue(shop, Fails)
        await drain(shop)
        await add_up(shop)
        await enqueue(shop, Sums, 3)
        await shop.project.pause("sums", None)
        metrics = make_metrics(context_of(shop))
        answer = await scrape(metrics)
        found = read(answer.text)
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert found["pinstripe_executions_total", "sums", "succeeded"] == 2
    assert found["pinstripe_executions_total", failing.job, "failed"] == 1
    assert found["pinstripe_execution_seconds_total", "sums", "succeeded"] >= 0
    assert found["pinstripe_queue_ready", "default"] == 1
    assert found["pinstripe_queue_ready", "bulk"] == 0
    assert found["pinstripe_queue_held", "paused"] == 0  # it is held by the next claim
    assert found["pinstripe_pauses",] == 1
    assert found["pinstripe_executions_running",] == found["pinstripe_runs_running",] == 0
    assert (found["pinstripe_processes", "worker"], found["pinstripe_processes", "bot"]) == (1, 0)
    assert found["pinstripe_worker_slots",] == 20
    assert (found["pinstripe_schedules",], found["pinstripe_schedules_overdue",]) == (0, 0)
    version = ".".join(map(str, sys.version_info[:3]))
    assert found["pinstripe_build_info", ledger_kind, version, VERSION] == 1
    assert "acme" not in answer.text


@pytest.mark.anyio
async def test_it_is_read_once_a_second_whoever_asks(project_folder: ProjectFolder) -> None:
    async with told_shop(project_folder) as (shop, clock):
        metrics = make_metrics(context_of(shop))
        await shop.project.ledger.open()
        before = read((await scrape(metrics)).text)
        await enqueue(shop, Sums, 1)
        assert read((await scrape(metrics)).text) == before
        openmetrics = await scrape(metrics, accept="application/openmetrics-text; version=1.0.0")
        assert openmetrics.headers["content-type"].startswith("application/openmetrics-text")
        families = {family.name: family for family in parse_openmetrics(openmetrics.text)}  # type: ignore[no-untyped-call]
        assert families["pinstripe_queue_ready"].type == "gauge"
        assert families["pinstripe_executions"].type == "counter"
        clock.advance(timedelta(seconds=1))
        assert read((await scrape(metrics)).text)["pinstripe_queue_ready", "default"] == 1


@pytest.mark.anyio
async def test_how_long_the_oldest_waits_is_told_in_seconds(project_folder: ProjectFolder) -> None:
    async with told_shop(project_folder) as (shop, clock):
        await enqueue(shop, Sums, 1)
        clock.advance(timedelta(seconds=90))
        found = read((await scrape(make_metrics(context_of(shop)))).text)
    assert 90 <= found["pinstripe_queue_oldest_wait_seconds", "default"] < 91
    assert found["pinstripe_queue_oldest_wait_seconds", "interactive"] == 0


@pytest.mark.anyio
async def test_only_reading_is_allowed(project_folder: ProjectFolder) -> None:
    async with told_shop(project_folder) as (shop, _):
        transport = httpx2.ASGITransport(make_metrics(context_of(shop)))
        async with httpx2.AsyncClient(transport=transport, base_url="http://box") as client:
            answer = await client.post("/_pinstripe/metrics")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def snapshot(jobs: int) -> Snapshot:
    status = QueueStatus([], [], {}, 0, 0, None, [])
    seen = Seen(
        status, SchedulesStatus(0, None, 0, []), 0, timedelta(seconds=60), LedgerStatus("", made=True, trouble=None)
    )
    totals = [Tally(0, f"job{number:05}", ExecutionStatus.SUCCEEDED, 2, 500_000) for number in range(jobs)]
    return Snapshot(seen, totals, 0, "sqlite")


def told(shot: Snapshot, jobs: Jobs) -> Samples:
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(SnapshotCollector(shot, jobs))
    return read(generate_latest(registry).decode())


def test_no_more_jobs_than_that_have_lines_of_their_own() -> None:
    jobs = Jobs()
    found = told(snapshot(MAX_JOBS + 500), jobs)
    assert len([key for key in found if key[0] == "pinstripe_executions_total"]) == MAX_JOBS + 1
    assert found["pinstripe_executions_total", OTHER, "succeeded"] == 1_000
    assert found["pinstripe_execution_seconds_total", OTHER, "succeeded"] == 250
    assert found["pinstripe_executions_total", "job00000", "succeeded"] == 2


def test_a_job_keeps_its_line_whatever_comes_later() -> None:
    jobs = Jobs()
    told(snapshot(MAX_JOBS), jobs)
    later = snapshot(MAX_JOBS)._replace(
        totals=[Tally(0, "a", ExecutionStatus.FAILED, 1, 1), *snapshot(MAX_JOBS).totals]
    )
    found = told(later, jobs)
    assert found["pinstripe_executions_total", OTHER, "failed"] == 1
    assert found["pinstripe_executions_total", f"job{MAX_JOBS - 1:05}", "succeeded"] == 2


def test_a_real_server_is_scraped_by_its_read_token(site: ProjectFolder, serve: Serve) -> None:
    site.configure(OPEN)
    server = serve(*QUIET)
    server.until()
    assert ask(server, "/_pinstripe/metrics").status == 401
    assert ask(server, "/_pinstripe/metrics", authorization=f"Bearer {ACME}").status == 403
    answer = ask(server, "/_pinstripe/metrics", authorization=f"Bearer {READ}")
    assert answer.status == 200
    assert read(answer.body.decode())["pinstripe_processes", "bot"] == 0
    assert ask(server, "/_pinstripe/metrics", "HEAD", authorization=f"Bearer {READ}").status == 200


def test_without_the_extra_it_is_told_what_to_install(
    site: ProjectFolder, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.configure(OPEN)
    site.file("blocked/prometheus_client/__init__.py", "raise ImportError('no module of that name')\n")
    monkeypatch.setenv("PYTHONPATH", os.fspath(site.path / "blocked"))
    server = serve(*QUIET)
    server.until()
    answer = ask(server, "/_pinstripe/metrics", authorization=f"Bearer {READ}")
    assert (answer.status, answer.json["title"]) == (501, "Metrics are not installed")
    assert "`pip install 'pinstripe[metrics]'`" in answer.json["detail"]
