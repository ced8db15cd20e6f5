"""A bot beside what a command does: it goes on whatever fails, and ends with that."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from pinstripe.background_job import BackgroundJob
from pinstripe.commands import bot_beside
from pinstripe.commands.bot_beside import BotBeside
from tests.firing import HOUR, MINUTE, machine, scheduled
from tests.shop import Shop, open_shop
from tests.working import working

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio


def ticking(shop: Shop) -> asyncio.Event:
    """Give the shop a job that fires each second; the event tells of the first."""
    came = asyncio.Event()

    class Ticking(BackgroundJob):
        schedule = "* * * * * *"

        async def run(self) -> None:
            came.set()

    shop.add(Ticking)
    return came


def bots() -> list[asyncio.Task[object]]:
    return [task for task in asyncio.all_tasks() if task.get_name() == "pinstripe bot"]


async def until(condition: Callable[[], bool]) -> None:
    """Let others have the event loop until it is so."""
    while not condition():  # noqa: ASYNC110 - nothing tells of what is looked at
        await asyncio.sleep(0)


async def test_it_works_for_as_long_as_the_block(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        came = ticking(shop)
        beside = BotBeside(shop.project)
        assert not beside.is_ticking
        async with working(shop), beside.at_work():
            await came.wait()
            assert beside.is_ticking
            assert len(bots()) == 1
        assert bots() == []


async def test_it_ends_where_the_block_fails(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        with suppress(KeyError):
            async with BotBeside(shop.project).at_work():
                await until(lambda: bool(bots()))
                raise KeyError
        assert bots() == []


async def test_it_is_stopped_before_the_block_ends(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        beside = BotBeside(shop.project)
        async with beside.at_work():
            await until(lambda: bool(bots()))
            (task,) = bots()
            beside.stop()
            await asyncio.wait([task])
        beside.stop()


async def test_it_is_stopped_before_it_begins(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        beside = BotBeside(shop.project)
        beside.stop()
        async with beside.at_work():
            await asyncio.sleep(0)
            assert bots() == []


async def test_a_bot_that_fails_is_followed_by_another(
    project_folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bot_beside, "AGAIN", 0.001)
    async with open_shop(project_folder) as shop:
        came = ticking(shop)
        ledger = _ledger(project_folder)
        ledger.parent.mkdir()
        ledger.write_bytes(b"this is no ledger" * 999)
        beside = BotBeside(shop.project)
        async with beside.at_work():
            await until(lambda: len(caplog.records) >= 3)
            assert not beside.is_ticking
            ledger.unlink()
            async with working(shop):
                await came.wait()
            assert beside.is_ticking
    assert "no schedule fires from here, since the ledger can't be used: " in caplog.text
    assert "is not a sound SQLite file" in caplog.text


async def test_what_nobody_foresaw_is_told_and_followed_by_another(
    project_folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bot_beside, "AGAIN", 0.001)
    async with open_shop(project_folder) as shop:
        ticking(shop)
        registry = shop.project._registry  # noqa: SLF001 - loading jobs fails, as by a bug of Pinstripe's
        load_all = registry.load_all
        fails = [True, True]

        def load() -> object:
            if fails:
                fails.pop()
                raise RuntimeError
            return load_all()

        monkeypatch.setattr(registry, "load_all", load)
        beside = BotBeside(shop.project)
        async with beside.at_work():
            await until(lambda: beside.is_ticking)
    assert caplog.text.count("the bot failed; another one begins in 0.001s") == 2


@pytest.mark.parametrize(("catch_up", "fired"), [(False, []), (True, ["job 11-20 17:00"])])
async def test_without_catching_up_it_begins_now(
    project_folder: ProjectFolder, catch_up: bool, fired: list[str]
) -> None:
    async with machine(project_folder) as world:
        hourly = scheduled("0 * * * *")
        await world.end(await world.start(hourly))
        world.clock.advance(5 * HOUR + MINUTE)
        process = world.make(hourly)
        await process.project.open()
        beside = BotBeside(process.project, catch_up=catch_up)
        async with beside.at_work():
            await until(lambda: beside.is_ticking)
        assert await process.fired() == fired


def _ledger(folder: ProjectFolder) -> Path:
    return folder.path / ".pinstripe" / "ledger.db"
