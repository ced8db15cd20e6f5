from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from pinstripe.clock import to_microseconds
from pinstripe.fires import Fire, KnownSchedule
from pinstripe.schedule import Schedule
from pinstripe.views.timeline import Timeline
from tests.views.conftest import opened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pinstripe.project import Project
    from pinstripe.views.timeline import ComingFire
    from tests.conftest import ProjectFolder
    from tests.views.conftest import ToldClock

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def job(name: str, *schedules: str) -> str:
    return f"""
        from pinstripe import BackgroundJob, Schedule

        class Job(BackgroundJob):
            multi_tenant = {"tenant" in name}
            schedule = [{", ".join(schedules)}]
            async def run(self): ...
        """


async def register(project: Project, *more: KnownSchedule, now: datetime = NOW) -> list[int]:
    """Do as a bot does that has this project's code; give the ledger's numbers."""
    own = project.settings.time_zone
    known = [
        KnownSchedule(
            definition.name,
            schedule.key(own),
            schedule.identity(own),
            schedule.cron,
            None if schedule.time_zone == "tenant" else schedule.time_zone or own,
        )
        for definition in project.registry.load_all()
        if not isinstance(definition, tuple)
        for schedule in definition.schedules
    ]
    await project.ledger.open(write=True)
    registered = await project.ledger.fires.register([*known, *more], keep=set(), now=to_microseconds(now))
    return registered.numbers


def hours(fires: Sequence[ComingFire]) -> list[str]:
    return [f"{fire.job} {fire.at:%d %H:%M}" for fire in fires]


async def test_what_fires_next_is_told_in_order(shop: ProjectFolder, told_clock: ToldClock) -> None:
    shop.job("hourly", job("hourly", '"0 * * * *"'))
    shop.job("daily", job("daily", 'Schedule("30 14 * * *", name="late")'))  # at 13:30 UTC
    told_clock.tell(NOW)
    async with opened(shop, told_clock) as project:
        timeline = Timeline(project)
        expected = ["hourly 22 13:00", "daily 22 13:30", "hourly 22 14:00", "hourly 22 15:00"]
        assert hours(await timeline.next_fires(4)) == expected
        assert hours(await timeline.next_fires(4)) == expected
        assert hours(await timeline.next_fires(9, each=1)) == expected[:2]
        assert hours(await timeline.next_fires(9, timedelta(hours=2))) == expected[:3]
        assert await timeline.next_fires(0) == []
        daily = (await timeline.next_fires(4))[1]
        assert (daily.name, daily.key, daily.words) == ("late", "name:late", "every day at 14:30")
        assert (daily.zone, daily.known, daily.by_tenant, daily.is_paused) == ("Europe/Paris", False, False, False)
        told_clock.tell(NOW + timedelta(hours=1))
        assert hours(await timeline.next_fires(3)) == expected[1:]
        told_clock.tell(NOW)
        assert hours(await timeline.next_fires(4)) == expected


async def test_it_is_what_the_schedules_say_one_by_one(shop: ProjectFolder, told_clock: ToldClock) -> None:
    crons = ["*/7 * * * *", "30 2 * * *", "0 */3 * * *", "15,45 1-3 * * 0", "59 * * * *"]
    shop.job("many", job("many", *map(repr, crons)))
    zone = ZoneInfo("Europe/Paris")
    async with opened(shop, told_clock) as project:
        timeline = Timeline(project)
        for change in (datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2027, 3, 27, 22, tzinfo=UTC)):
            for step in range(6):  # over a night in which the clock is changed
                now = change + step * 55 * MINUTE
                told_clock.tell(now)
                expected = sorted(
                    (at, Schedule(cron).key("Europe/Paris"))
                    for cron in crons
                    for at in islice(Schedule(cron).fires(now, zone), 60)
                )
                assert [(fire.at, fire.key) for fire in await timeline.next_fires(60)] == expected[:60]


async def test_tenants_zones_that_fire_at_once_are_told_together(shop: ProjectFolder, told_clock: ToldClock) -> None:
    shop.job("tenant_job", job("tenant_job", 'Schedule("0 18 * * *", time_zone="tenant")'))
    told_clock.tell(NOW)
    async with opened(shop, told_clock) as project:
        (number,) = await register(project)
        timeline = Timeline(project)
        (example,) = await timeline.next_fires(5, each=1)
        assert (example.zones, example.known) == (("Europe/Paris",), False)  # it is not known where tenants are
        zones = {"Europe/Paris", "Europe/Berlin", "America/New_York"}
        micros = to_microseconds(NOW)
        await project.ledger.fires.set_zones(number, zones, since=micros, now=micros)
        told_clock.tell(NOW + MINUTE)
        first, second = await timeline.next_fires(5, each=1)
        assert (first.at.hour, first.zones, first.zone) == (17, ("Europe/Berlin", "Europe/Paris"), "2 zones")
        assert (second.at.hour, second.zone, second.by_tenant, second.known) == (23, "America/New_York", True, True)
        (row,) = (await timeline.schedule_rows()).rows
        assert (row.zones, row.by_tenant, row.zone, row.next) == (3, True, "Europe/Paris", first.at)


async def test_what_has_fired_already_is_not_told_though_the_clock_was_put_back(
    shop: ProjectFolder, told_clock: ToldClock
) -> None:
    shop.job("hourly", job("hourly", '"0 * * * *"'))
    told_clock.tell(NOW)
    async with opened(shop, told_clock) as project:
        (number,) = await register(project)
        ahead = to_microseconds(NOW + timedelta(hours=2))
        await project.ledger.fires.fire([Fire(number, "Europe/Paris", ahead, None)])
        timeline = Timeline(project)
        assert hours(await timeline.next_fires(1)) == ["hourly 22 15:00"]
        (row,) = (await timeline.schedule_rows()).rows
        assert (row.last_fire, row.last_missed) == (NOW + timedelta(hours=2),) * 2
        assert (row.since, row.next) == (NOW, NOW + timedelta(hours=3))


async def test_other_codes_schedules_are_told_and_what_is_gone_is_not(
    shop: ProjectFolder, told_clock: ToldClock
) -> None:
    shop.job("broken", "raise OSError('gone')")
    told_clock.tell(NOW)
    strange = KnownSchedule("strange", "x y UTC", "x y UTC", "x y", "UTC")
    theirs = KnownSchedule("theirs", "name:at four", "1", "0 16 * * *", "UTC")
    zones = KnownSchedule("zones", "0 17 * * * tenant", "2", "0 17 * * *", None)
    async with opened(shop, told_clock) as project:
        await register(project, strange, theirs, zones)
        timeline = Timeline(project)
        rows = (await timeline.schedule_rows()).rows
        assert [(row.job, row.name, row.words, row.schedule) for row in rows] == [
            ("strange", None, "x y", None),
            ("theirs", "at four", "every day at 16:00, UTC time", None),
        ]
        assert (rows[0].next, rows[0].effect, rows[1].next) == (None, None, NOW + timedelta(hours=4))
        assert hours(await timeline.next_fires(1)) == ["theirs 22 16:00"]
        await project.ledger.fires.register([], keep=set(), now=to_microseconds(NOW))
        told_clock.tell(NOW + MINUTE)
        assert await timeline.next_fires() == []


async def test_a_job_that_could_not_be_loaded_is_tried_again(shop: ProjectFolder, told_clock: ToldClock) -> None:
    shop.job("hourly", "raise OSError('gone')")
    told_clock.tell(NOW)
    async with opened(shop, told_clock) as project:
        timeline = Timeline(project)
        assert await timeline.next_fires() == []
        shop.job("hourly", job("hourly", '"0 * * * *"'))
        told_clock.tell(NOW + MINUTE / 2)
        assert await timeline.next_fires() == []
        told_clock.tell(NOW + 2 * MINUTE)
        assert hours(await timeline.next_fires(1)) == ["hourly 22 13:00"]


async def test_what_is_paused_is_told_to_be(shop: ProjectFolder, told_clock: ToldClock) -> None:
    shop.job("hourly", job("hourly", '"0 * * * *"'))
    shop.job("other", job("other", '"0 * * * *"'))
    told_clock.tell(NOW)
    async with opened(shop, told_clock) as project:
        await project.ledger.open(write=True)
        await project.ledger.queue.pause("hourly", None)
        await project.ledger.queue.pause(None, "acme")
        timeline = Timeline(project)
        assert [(fire.job, fire.is_paused) for fire in await timeline.next_fires(2)] == [
            ("hourly", True),
            ("other", False),
        ]
        assert [row.is_paused for row in (await timeline.schedule_rows()).rows] == [True, False]


async def test_rows_come_in_pages_by_job(shop: ProjectFolder, told_clock: ToldClock) -> None:
    for name in ("a", "a1", "b/c"):
        shop.job(name, job(name, '"5 * * * *"', '"0 * * * *"', 'Schedule("0 * * * *", name="x")'))
    told_clock.tell(NOW)
    async with opened(shop, told_clock) as project:
        timeline = Timeline(project)
        seen, after = [], None
        while True:
            page = await timeline.schedule_rows(2, after)
            assert page.total == 9
            seen += [(row.job, row.key) for row in page.rows]
            after = page.next
            if after is None:
                break
        assert seen == sorted(seen)
        assert len(set(seen)) == 9
        only = await timeline.schedule_rows(2, job="a")
        rest = await timeline.schedule_rows(2, only.next, job="a")
        assert [row.job for row in (*only.rows, *rest.rows)] == ["a"] * 3
        assert (only.total, rest.next) == (3, None)
        assert (await timeline.schedule_rows(job="nobody")).rows == []
        for wrong in ("", "[", '["a"]', "[1,2,3]", "[" * 100_000):
            with pytest.raises(ValueError, match="expected what a page of schedules gave as its next"):
                await timeline.schedule_rows(after=wrong)


async def test_what_a_change_of_the_clock_does_is_told(shop: ProjectFolder, told_clock: ToldClock) -> None:
    shop.job("night", job("night", '"30 2 * * *"', 'Schedule("30 2 * * *", time_zone="UTC")'))
    told_clock.tell(NOW)
    async with opened(shop, told_clock) as project:
        timeline = Timeline(project)
        paris, utc = (await timeline.schedule_rows()).rows
        assert (paris.zone, paris.effect) == ("Europe/Paris", "02:30 isn't there; it fires at 03:00")
        assert paris.change is not None
        assert paris.change.at == datetime(2027, 3, 28, 1, tzinfo=UTC)
        assert (utc.change, utc.effect) == (None, None)
        told_clock.tell(paris.change.at)
        paris, _ = (await timeline.schedule_rows()).rows
        assert paris.effect == "02:30 is there twice: it fires once, at the first"
        assert paris.next == datetime(2027, 3, 29, 0, 30, tzinfo=UTC)
        change = timeline.next_change("Europe/Paris")
        assert change == paris.change


async def test_in_a_project_without_schedules_there_is_nothing(shop: ProjectFolder) -> None:
    shop.job("plain", job("plain"))
    async with opened(shop) as project:
        timeline = Timeline(project)
        assert await timeline.next_fires() == []
        assert await timeline.schedule_rows() == ([], None, 0)
    assert not (shop.path / ".pinstripe").exists()
