"""The bot at work by itself, on the machine's own clock: it fires in time, and ends when it is told to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from pinstripe.background_job import BackgroundJob
from pinstripe.errors import LedgerError, PinstripeError
from pinstripe.schedule import TENANT_ZONE, Schedule
from tests.firing import machine, scheduled
from tests.shop import Shop, open_shop
from tests.working import working

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio


class Ticks:
    """Lets a test wait for attempts of a job that fires each second."""

    def __init__(self, shop: Shop, *, name: str = "ticking") -> None:
        self.came = asyncio.Condition()
        self.late: list[float] = []

        class Ticking(BackgroundJob):
            schedule = "* * * * * *"
            overlap = "allow"

            async def run(job) -> None:  # noqa: N805 - the test is another `self`
                assert job.attempt.scheduled_for is not None
                async with self.came:
                    self.late.append(shop.project.clock.now() / 1e6 - job.attempt.scheduled_for.timestamp())
                    self.came.notify_all()

        shop.add(Ticking, name)

    async def wait(self, count: int = 1) -> None:
        """Wait for so many."""
        async with self.came:
            await self.came.wait_for(lambda: len(self.late) >= count)


async def test_it_fires_in_time_until_it_is_stopped(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        ticks = Ticks(shop)
        bot = shop.project.bot()
        assert not bot.is_ticking
        task = asyncio.create_task(bot.work())
        async with working(shop):
            await ticks.wait(2)
        assert bot.is_ticking
        assert bot.next_due is not None
        assert 0 <= min(ticks.late) < 1
        (process,) = (await shop.project.ledger.queue.status()).processes
        assert process.bot
        bot.stop()
        await task
        assert bot.has_ended
        fired = len(await shop.runs())
        await bot.close()
        assert len(await shop.runs()) == fired


async def test_cancelling_it_stops_it(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        ticks = Ticks(shop)
        bot = shop.project.bot()
        task = asyncio.create_task(bot.work())
        async with working(shop):
            await ticks.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert bot.has_ended
        assert not [one for one in asyncio.all_tasks() if one.get_name() == "pinstripe bot"]


async def test_closing_the_project_stops_it(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        ticks = Ticks(shop)
        bots = [shop.project.bot() for _ in range(2)]
        tasks = [asyncio.create_task(bot.work()) for bot in bots]
        async with working(shop):
            await ticks.wait()
    await asyncio.gather(*tasks)
    assert [bot.has_ended for bot in bots] == [True, True]


async def test_a_bot_that_was_stopped_before_it_began_ends(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        Ticks(shop)
        bot = shop.project.bot()
        bot.stop()
        await bot.work()
        assert await shop.runs() == []


async def test_a_bot_that_waits_is_stopped_at_once(
    project_folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pinstripe.bot.LOOK_EVERY", 3_600.0)

    class Rare(BackgroundJob):
        schedule = "0 0 29 2 *"

        async def run(self) -> None: ...

    async with open_shop(project_folder) as shop:
        shop.add(Rare)
        bot = shop.project.bot()
        task = asyncio.create_task(bot.work())
        while not bot.is_ticking:  # noqa: ASYNC110 - nothing else tells that it waits
            await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        async with asyncio.timeout(20):
            await bot.close()
        await task


async def test_a_bot_works_once(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        bot = shop.project.bot()
        bot.stop()
        await bot.work()
        with pytest.raises(PinstripeError, match=r"this bot has worked; expected a new one, by project\.bot\(\)"):
            await bot.work()


async def test_a_bot_that_was_never_at_work_is_closed(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        bot = shop.project.bot()
    await bot.close()
    assert not bot.has_ended


async def test_a_project_keeps_no_bot_that_has_ended(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        for _ in range(20):
            bot = shop.project.bot()
            bot.stop()
            await bot.work()
        assert len(shop.project._bots) <= 2  # noqa: SLF001 - it must not grow


async def test_a_ledger_that_cannot_be_opened_is_an_error(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        bot = shop.project.bot()
        await shop.project.ledger.close()
        _ledger(project_folder).parent.mkdir(exist_ok=True)
        for path in _ledger(project_folder).parent.glob("ledger.db*"):
            path.unlink()
        _ledger(project_folder).write_bytes(b"this is no ledger" * 999)
        with pytest.raises(LedgerError):
            await bot.work()
        assert bot.has_ended
        assert not bot.is_ticking


async def test_a_tenant_in_a_new_zone_is_found_while_it_waits(project_folder: ProjectFolder) -> None:
    class Each(BackgroundJob):
        multi_tenant = True
        schedule = Schedule("0 9 * * *", time_zone=TENANT_ZONE)

        async def run(self) -> None: ...

    async with open_shop(project_folder, [{"id": "a", "time_zone": "Asia/Tokyo"}]) as shop:
        shop.add(Each)
        read = asyncio.Event()
        shop.on_reading(lambda _: _set(read))
        bot = shop.project.bot()
        task = asyncio.create_task(bot.work())
        await read.wait()
        await bot.look_at_zones()
        first = bot.next_due
        assert first is not None
        shop.tenants([{"id": "a", "time_zone": zone} for zone in ("Asia/Tokyo", "Europe/Paris")])
        await bot.look_at_zones()
        assert bot.next_due is not None
        assert (bot.next_due - first) % 3_600_000_000 == 0
        bot.stop()
        await task
        states = await shop.project.ledger.fires.states()
        assert sorted(state.zone for state in states) == ["Asia/Tokyo", "Europe/Paris"]


async def test_a_source_that_fails_is_looked_at_again_and_stops_nothing(
    project_folder: ProjectFolder, caplog: pytest.LogCaptureFixture
) -> None:
    class Each(BackgroundJob):
        multi_tenant = True
        schedule = Schedule("0 9 * * *", time_zone=TENANT_ZONE)

        async def run(self) -> None: ...

    async with open_shop(project_folder) as shop:
        shop.add(Each)
        ticks = Ticks(shop)

        async def fail(_: int) -> None:
            message = "away"
            raise OSError(message)

        shop.on_reading(fail)
        bot = shop.project.bot()
        task = asyncio.create_task(bot.work())
        async with working(shop):
            await ticks.wait()
        bot.stop()
        await task
    assert "each: the zones of its tenants can't be read now" in caplog.text


async def test_a_source_that_cannot_be_stopped_does_not_hold_up_the_end(
    project_folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pinstripe.bot.END_LIMIT", 0.05)
    reading, heard, release = asyncio.Event(), asyncio.Event(), asyncio.Event()

    class Each(BackgroundJob):
        multi_tenant = True
        schedule = Schedule("0 9 * * *", time_zone=TENANT_ZONE)

        async def run(self) -> None: ...

    async def stuck(_: int) -> None:
        reading.set()
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                heard.set()

    async with open_shop(project_folder) as shop:
        shop.add(Each)
        shop.on_reading(stuck)
        bot = shop.project.bot()
        others = asyncio.all_tasks()
        task = asyncio.create_task(bot.work())
        await reading.wait()
        looking = asyncio.all_tasks() - others
        try:
            async with asyncio.timeout(20):
                await bot.close()
        finally:
            release.set()
        await task
        assert heard.is_set()
        await asyncio.wait(looking)


async def test_it_takes_over_by_itself_what_a_dead_one_leaves(
    project_folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pinstripe.bot.KEEP_UP_EVERY", 0.01)
    async with machine(project_folder) as world:
        old = await world.start(scheduled("0 0 1 1 *", name="Old"), scheduled("0 0 1 1 *", name="Both"))
        new = world.make(scheduled("0 0 1 1 *", name="Both"))
        await new.project.open()
        task = asyncio.create_task(new.bot.work())
        fires = new.project.ledger.fires
        async with asyncio.timeout(20):
            while not new.bot.is_ticking:  # noqa: ASYNC110 - nothing else tells that it has begun
                await asyncio.sleep(0)
            assert [state.job for state in await fires.states() if not state.gone] == ["both", "old"]
            owners = old.project.ledger._store.owners  # type: ignore[attr-defined]  # noqa: SLF001 - as if it had died
            owners._lock.release()  # noqa: SLF001
            owners._lock = None  # noqa: SLF001
            while len([state for state in await fires.states() if not state.gone]) > 1:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0)
        assert [state.job for state in await fires.states() if not state.gone] == ["both"]
        new.bot.stop()
        await task


async def _set(event: asyncio.Event) -> None:
    event.set()


def _ledger(folder: ProjectFolder) -> Path:
    return folder.path / ".pinstripe" / "ledger.db"
