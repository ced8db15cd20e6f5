from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from pinstripe.errors import LedgerError
from pinstripe.history import Tally
from pinstripe.run import ExecutionStatus
from pinstripe.runs import Request
from pinstripe.selection import Selection
from pinstripe.views.overview import MINUTE, MINUTES, look_at_overview
from pinstripe.views.status import look_at_status
from pinstripe.views.timeline import Timeline
from tests.views.conftest import opened

if TYPE_CHECKING:
    from pinstripe.project import Project
    from tests.conftest import ProjectFolder
    from tests.postgres import Postgres
    from tests.views.conftest import ToldClock

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)

GREET = """
    import pathlib
    from pinstripe import BackgroundJob

    class Greet(BackgroundJob):
        multi_tenant = True
        schedule = "0 * * * *"
        async def run(self):
            if self.tenant.id == "globex" and not pathlib.Path("mended").exists():
                raise ValueError("no address")
    """


@pytest.fixture(params=["sqlite", "postgres"])
def flags(request: pytest.FixtureRequest) -> dict[str, object]:
    """Give each ledger in turn."""
    if request.param == "sqlite":
        return {}
    postgres: Postgres = request.getfixturevalue("postgres")
    return {"ledger": postgres.url(request.getfixturevalue("postgres_database"))}


@pytest.fixture
def greeting(shop: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> ProjectFolder:
    monkeypatch.chdir(shop.path)
    shop.job("greet", GREET)
    return shop


async def fail(project: Project, times: int = 1) -> None:
    for _ in range(times):
        await project.run(Request("greet"))


async def test_all_is_seen_at_one_glance(greeting: ProjectFolder, flags: dict[str, object]) -> None:
    async with opened(greeting, flags=flags) as project:
        await fail(project, 2)
        queued = await project.enqueue(Request("greet", selection=Selection(tenants=("acme",))))
        this = project.clock.now() // MINUTE
        await project.ledger.history.add_tallies(
            [
                Tally(this - 59, "old", ExecutionStatus.SUCCEEDED, 7, 1),
                Tally(this - 60, "older", ExecutionStatus.SUCCEEDED, 9, 1),
                Tally(this - 30, "old", ExecutionStatus.FAILED, 2, 1),
            ]
        )
        seen = await look_at_overview(project, Timeline(project))
        assert not seen.running
        assert [run.status for run in seen.failed] == ["failed", "failed"]
        assert [run.status for run in seen.failing_jobs] == []  # its last run is queued
        assert [(one.tenant, one.error) for one in seen.failing][:1] == [("globex", "ValueError: no address")]
        assert len(seen.minutes) == MINUTES
        by_minute = {minute.minute: minute for minute in seen.minutes}
        assert by_minute[this - 30][1:] == (2, 2)
        assert seen.finished >= by_minute[this - 30].finished
        assert seen.failures >= 2
        assert (seen.ready, seen.waiting, seen.has_worker, seen.held) == (1, 1, False, [])
        assert [band.ready for band in seen.bands] == [0, 1, 0]
        assert [fire.job for fire in seen.fires] == ["greet"]
        assert not queued.finished


async def test_a_job_has_failed_until_it_has_run_well(greeting: ProjectFolder) -> None:
    async with opened(greeting) as project:
        timeline = Timeline(project)
        await fail(project)
        seen = await look_at_overview(project, timeline)
        assert [run.job for run in seen.failing_jobs] == ["greet"]
        greeting.file("mended", "")
        await fail(project)
        seen = await look_at_overview(project, timeline)
        assert seen.failing_jobs == []
        assert len(seen.failed) == 1


async def test_where_there_is_no_ledger_nothing_was(shop: ProjectFolder, told_clock: ToldClock) -> None:
    told_clock.tell(NOW)
    async with opened(shop, told_clock) as project:
        seen = await look_at_overview(project, Timeline(project))
    assert not seen.seen.ledger.made
    assert (seen.running, seen.failed, seen.failing, seen.fires) == ([], [], [], [])
    assert (seen.finished, seen.failures, seen.waiting) == (0, 0, 0)
    assert not (shop.path / ".pinstripe").exists()


async def test_the_status_is_the_same_by_a_timeline(greeting: ProjectFolder, told_clock: ToldClock) -> None:
    told_clock.tell(NOW)
    async with opened(greeting, told_clock) as project:
        await project.ledger.open(write=True)
        timeline = Timeline(project)
        for ahead in range(0, 200, 20):
            told_clock.tell(NOW + timedelta(minutes=ahead))
            assert await look_at_status(project, timeline) == await look_at_status(project)


async def test_where_the_ledger_fails_that_is_raised(greeting: ProjectFolder) -> None:
    async with opened(greeting) as project:
        await fail(project)
        timeline = Timeline(project)
        with closing(sqlite3.connect(greeting.path / ".pinstripe" / "ledger.db")) as ledger:
            ledger.execute("drop table tallies")
        with pytest.raises(LedgerError, match="tallies"):
            await look_at_overview(project, timeline)
