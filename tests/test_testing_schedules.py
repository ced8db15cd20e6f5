"""Schedules in authors' tests: they fire by the test's clock, as a bot lets them, and nothing is executed by that."""

from __future__ import annotations

import asyncio
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import apsw
import pytest

from pinstripe.errors import InvalidJob, LedgerError, PinstripeError, TenantSourceFailed, UnknownJob
from pinstripe.testing import firing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pinstripe.run import Run
    from pinstripe.testing import BackgroundJobs, PlainBackgroundJobs
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio

JUNE = datetime(2026, 6, 1, tzinfo=UTC)  # a Monday; Paris is 2 hours before UTC, New York 4 behind

TENANTS = [("paris", "Europe/Paris"), ("york", "America/New_York"), ("berlin", "Europe/Berlin")]


def write_tenants(folder: ProjectFolder, tenants: Iterable[tuple[str, str]]) -> None:
    items = [{"id": id_, "time_zone": zone} for id_, zone in tenants]
    folder.file("tenancy.py", f"items = {items!r}\n\n\ndef tenants():\n    return items\n")


def write_job(folder: ProjectFolder, name: str, schedule: str, *more: str) -> None:
    lines = [f"schedule = {schedule}", "multi_tenant = False", *more]
    folder.job(
        name,
        "\n".join(
            [
                "from pinstripe import BackgroundJob, Schedule",
                f"class {name.capitalize()}(BackgroundJob):",
                *(f"    {line}" for line in lines),
                "    async def run(self, *args):",
                "        who = self.tenant.id if self.multi_tenant else '-'",
                "        print(who, self.attempt.scheduled_for, *args)",
            ]
        ),
    )


@pytest.fixture
def folder(project_folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> ProjectFolder:
    project_folder.configure('tenants.source = "tenancy:tenants"')
    write_tenants(project_folder, TENANTS)
    monkeypatch.setenv("PINSTRIPE_PROJECT", str(project_folder.path))
    return project_folder


@pytest.fixture
def jobs(folder: ProjectFolder, request: pytest.FixtureRequest) -> BackgroundJobs:
    given: BackgroundJobs = request.getfixturevalue("background_jobs")
    given.set_time(JUNE)
    return given


@pytest.fixture
def plain(folder: ProjectFolder, request: pytest.FixtureRequest) -> PlainBackgroundJobs:
    given: PlainBackgroundJobs = request.getfixturevalue("plain_background_jobs")
    given.set_time(JUNE)
    return given


def moment(run: Run) -> datetime:
    assert run.scheduled_for is not None
    return run.scheduled_for


def times(runs: Iterable[Run]) -> list[str]:
    """Write for which time each run is, with its job: `hourly 01 13:00`."""
    return [f"{run.job} {moment(run):%d %H:%M}" for run in runs]


# What fires.


async def test_each_fires_at_its_times_in_their_order_and_nothing_is_executed(
    folder: ProjectFolder, jobs: BackgroundJobs
) -> None:
    write_job(folder, "noon", '[Schedule("0 12 * * *", args=["soup"]), "0 18 * * *"]')
    write_job(folder, "letter", 'Schedule("0 9 * * *", time_zone="tenant")', "multi_tenant = True")
    runs = await jobs.fire_schedules("1d")
    assert times(runs) == ["letter 01 07:00", "letter 01 07:00", "noon 01 12:00", "letter 01 13:00", "noon 01 18:00"]
    assert {(run.status, run.trigger) for run in runs[:4]} == {("queued", "schedule")}
    assert [run.created_at for run in runs] == [run.scheduled_for for run in runs]
    assert jobs.now == JUNE + timedelta(days=1)
    jobs.assert_enqueued("noon", "soup")
    assert len(jobs.enqueued("letter")) == 3


async def test_a_drain_executes_what_has_fired(
    folder: ProjectFolder, jobs: BackgroundJobs, capsys: pytest.CaptureFixture[str]
) -> None:
    write_job(folder, "letter", 'Schedule("0 9 * * *", time_zone="tenant")', "multi_tenant = True")
    fired = await jobs.fire_schedules("12h")
    ended = await jobs.drain()
    assert [run.id for run in ended] == [run.id for run in fired]
    assert [run.executions.succeeded for run in ended] == [1, 1]
    assert capsys.readouterr().out == "berlin 2026-06-01 07:00:00+00:00\nparis 2026-06-01 07:00:00+00:00\n"
    jobs.assert_nothing_enqueued()


async def test_what_fires_is_after_the_first_call_and_up_to_the_time_that_it_goes_to(
    folder: ProjectFolder, jobs: BackgroundJobs
) -> None:
    write_job(folder, "hourly", '"0 * * * *"', 'overlap = "allow"')
    jobs.advance("5h")  # before the schedule is known: nothing is missed
    assert times(await jobs.fire_schedules(timedelta(hours=1))) == ["hourly 01 06:00"]
    assert await jobs.fire_schedules("59m59s") == []
    assert times(await jobs.fire_schedules("1s")) == ["hourly 01 07:00"]
    assert await jobs.fire_schedules("0s") == []


async def test_several_calls_fire_what_one_fires(folder: ProjectFolder, jobs: BackgroundJobs) -> None:
    write_job(folder, "each", '["*/20 * * * *", Schedule("7 */2 * * *", name="seven")]', 'overlap = "allow"')
    whole = await jobs.fire_schedules("6h")
    assert len(whole) == 18 + 3
    parts = [await jobs.fire_schedules(part) for part in ("1h", "20m", "1s", "7m", "2h32m", "0s", "2h59s", "0s")]
    assert jobs.now == JUNE + timedelta(hours=12)
    later = [run for part in parts for run in part]
    assert [run.scheduled_for for run in later] == [moment(run) + timedelta(hours=6) for run in whole]


async def test_without_schedules_time_goes_on(folder: ProjectFolder, jobs: BackgroundJobs) -> None:
    write_job(folder, "never", "None")
    assert await jobs.fire_schedules("1d") == []
    assert jobs.now == JUNE + timedelta(days=1)


async def test_a_day_is_no_jump_of_the_clock(
    folder: ProjectFolder, jobs: BackgroundJobs, caplog: pytest.LogCaptureFixture
) -> None:
    write_job(folder, "hourly", '"0 * * * *"')
    await jobs.fire_schedules("1d")
    assert caplog.text == ""


# What a bot does with what was missed, or is unfinished.


async def test_what_advance_passes_over_is_missed(folder: ProjectFolder, jobs: BackgroundJobs) -> None:
    write_job(folder, "latest", '"0 * * * *"', 'overlap = "allow"')
    write_job(folder, "gone", 'Schedule("0 * * * *", catch_up="none")', 'overlap = "allow"')
    await jobs.fire_schedules("30m")
    jobs.advance("3h")
    assert times(await jobs.fire_schedules("10m")) == ["latest 01 03:00"]
    assert times(await jobs.fire_schedules("30m")) == ["gone 01 04:00", "latest 01 04:00"]


async def test_a_clock_that_is_set_back_lets_nothing_fire_twice(folder: ProjectFolder, jobs: BackgroundJobs) -> None:
    write_job(folder, "hourly", '"0 * * * *"', 'overlap = "allow"')
    await jobs.fire_schedules("3h")
    jobs.set_time(JUNE)
    assert times(await jobs.fire_schedules("4h")) == ["hourly 01 04:00"]


async def test_one_that_is_not_drained_is_in_the_way_of_the_next(folder: ProjectFolder, jobs: BackgroundJobs) -> None:
    write_job(folder, "hourly", '"0 * * * *"')
    runs = await jobs.fire_schedules("3h")
    assert [(run.executions.queued, run.executions.skipped) for run in runs] == [(1, 0), (0, 1), (0, 1)]
    for hour in (4, 5, 6):
        await jobs.drain()
        assert times(await jobs.fire_schedules("1h")) == [f"hourly 01 {hour:02}:00"]
        assert len(jobs.enqueued()) == 1


async def test_a_zone_that_comes_between_two_calls_has_missed_nothing(
    folder: ProjectFolder, jobs: BackgroundJobs
) -> None:
    write_job(folder, "letter", 'Schedule("0 9 * * *", time_zone="tenant")', "multi_tenant = True", 'overlap = "allow"')
    assert len(await jobs.fire_schedules("1d")) == 3
    import tenancy  # type: ignore[import-not-found]

    tenancy.items.append({"id": "tokyo", "time_zone": "Asia/Tokyo"})
    tenancy.items[1]["time_zone"] = "Europe/Paris"  # whose tenant was in New York
    assert times(await jobs.fire_schedules("1d")) == ["letter 02 07:00", "letter 02 07:00", "letter 03 00:00"]


# One job alone.


async def test_only_one_job_has_schedules_and_no_other_has_missed_any_time(
    folder: ProjectFolder, jobs: BackgroundJobs
) -> None:
    write_job(folder, "one", '"0 * * * *"', 'overlap = "allow"')
    write_job(folder, "other", '"30 * * * *"', 'overlap = "allow"')
    assert times(await jobs.fire_schedules("1h")) == ["other 01 00:30", "one 01 01:00"]
    broken = folder.job("broken", "import nothing_of_that_name")
    assert times(await jobs.fire_schedules("2h", job="one")) == ["one 01 02:00", "one 01 03:00"]
    assert times(await jobs.fire_schedules("1h", job=jobs.assert_enqueued("one").job)) == ["one 01 04:00"]
    broken.unlink()
    assert times(await jobs.fire_schedules("1h")) == ["other 01 04:30", "one 01 05:00"]


async def test_the_job_may_be_its_class(folder: ProjectFolder, jobs: BackgroundJobs) -> None:
    write_job(folder, "one", '"0 * * * *"')
    write_job(folder, "other", '"0 * * * *"')
    from lib.background_jobs.one import One  # type: ignore[import-not-found]

    assert times(await jobs.fire_schedules("1h", job=One)) == ["one 01 01:00"]
    with pytest.raises(UnknownJob, match="did you mean one"):
        await jobs.fire_schedules("1h", job="on")


# What fails.


async def test_a_job_that_can_not_be_loaded_is_raised(folder: ProjectFolder, jobs: BackgroundJobs) -> None:
    write_job(folder, "hourly", '"0 * * * *"')
    write_job(folder, "wrong", '"0 25 * * *"')
    with pytest.raises(InvalidJob, match=r"wrong\.py.*hour"):
        await jobs.fire_schedules("1d")
    assert jobs.now == JUNE
    jobs.assert_nothing_enqueued()


async def test_a_tenant_source_that_fails_is_raised(folder: ProjectFolder, jobs: BackgroundJobs) -> None:
    write_job(folder, "letter", 'Schedule("0 9 * * *", time_zone="tenant")', "multi_tenant = True")
    folder.file("tenancy.py", "def tenants():\n    raise OSError('away')\n    yield")
    with pytest.raises(TenantSourceFailed, match="away"):
        await jobs.fire_schedules("1d")


async def test_a_ledger_that_fails_is_raised(folder: ProjectFolder, jobs: BackgroundJobs) -> None:
    write_job(folder, "hourly", '"0 * * * *"')
    await jobs.fire_schedules("1m")
    with closing(apsw.Connection(str(jobs._stage.ledger))) as connection:  # noqa: SLF001 - the test's ledger
        connection.execute("create trigger full before insert on runs begin select raise(abort, 'it is full'); end")
    with pytest.raises(LedgerError, match="it is full"):
        await jobs.fire_schedules("1d")


async def test_one_that_fires_too_often_is_named(
    folder: ProjectFolder, jobs: BackgroundJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firing, "MAX_FIRES", 50)
    write_job(folder, "often", 'Schedule("* * * * * *", name="each second")')
    write_job(folder, "minutely", '"* * * * *"')
    assert len(await jobs.fire_schedules("50s", job="often")) == 50
    with pytest.raises(PinstripeError, match=r"fired 51 times.*'name:each second' of often \(50 times\)"):
        await jobs.fire_schedules("365d")


async def test_the_tests_own_timeout_ends_it(folder: ProjectFolder, jobs: BackgroundJobs) -> None:
    write_job(folder, "often", '"* * * * * *"')
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await jobs.fire_schedules("365d")
    assert jobs.now < JUNE + timedelta(days=1)


@pytest.mark.parametrize("duration", ["a day", "", "-1h", timedelta(-1), 60])
async def test_what_is_no_duration_is_refused(jobs: BackgroundJobs, duration: str) -> None:
    with pytest.raises(ValueError, match="expected a duration such as"):
        await jobs.fire_schedules(duration)
    assert jobs.now == JUNE


# Plain tests.


def test_a_plain_test_does_the_same(folder: ProjectFolder, plain: PlainBackgroundJobs) -> None:
    write_job(folder, "hourly", '"0 * * * *"')
    write_job(folder, "other", '"0 * * * *"')
    assert times(plain.fire_schedules("1h", job="hourly")) == ["hourly 01 01:00"]
    assert [run.status for run in plain.drain()] == ["succeeded"]


async def test_the_plain_one_is_refused_on_an_event_loop(plain: PlainBackgroundJobs) -> None:
    with pytest.raises(PinstripeError, match="an async one asks for the fixture background_jobs"):
        plain.fire_schedules("1h")


def test_the_async_one_is_refused_where_nobody_awaits(jobs: BackgroundJobs) -> None:
    with pytest.raises(PinstripeError, match=r"fire_schedules\(\) of background_jobs is awaited; a plain test asks"):
        jobs.fire_schedules("1h")  # type: ignore[unused-coroutine]
