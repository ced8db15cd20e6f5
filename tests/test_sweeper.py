from __future__ import annotations

import asyncio
import logging
import sys
from datetime import timedelta
from subprocess import PIPE, Popen
from typing import TYPE_CHECKING

import pytest

from pinstripe.run import Counts
from pinstripe.sweeper import PRUNE_AGAIN, PRUNE_EVERY, WARN_EVERY, Sweeper
from tests.jobs import Sums
from tests.shop import open_shop
from tests.working import drain, enqueue, seen, told_shop

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio

CHILD = """
import asyncio, sys
from pinstripe import open_project

async def work():
    async with open_project() as project:
        await project.worker().work()

asyncio.run(work())
"""

HANGS = """
import asyncio

from pinstripe import BackgroundJob

class Hangs(BackgroundJob):
    async def run(self, hang):
        if hang:
            print("hanging")
            await asyncio.Event().wait()
"""

KILLS = """
import os
from pathlib import Path

from pinstripe import BackgroundJob

class Kills(BackgroundJob):
    async def run(self):
        with (Path(__file__).parents[2] / "tries").open("a") as tries:
            tries.write("x")
        os._exit(9)
"""


async def test_what_a_dead_worker_ran_runs_again(
    project_folder: ProjectFolder, caplog: pytest.LogCaptureFixture
) -> None:
    project_folder.job("hangs", HANGS.replace("if hang:", "if hang and self.attempt.fence == 1:"))
    async with open_shop(project_folder) as shop:
        run = await enqueue(shop, "hangs", True)
        child = Popen(  # noqa: ASYNC220 - our own interpreter, waited for by its output
            [sys.executable, "-c", CHILD], cwd=project_folder.path, stdout=PIPE, stderr=PIPE, text=True
        )
        assert child.stdout is not None
        loop = asyncio.get_running_loop()
        assert "hanging" in await loop.run_in_executor(None, child.stdout.readline)
        child.kill()
        await loop.run_in_executor(None, child.communicate)
        assert (await seen(shop, run)).executions == Counts(1, running=1)
        with caplog.at_level(logging.WARNING, "pinstripe"):
            assert await Sweeper(shop.project.ledger).sweep(0.0)
        assert (await seen(shop, run)).executions == Counts(1, 1)
        await drain(shop)
        assert (await seen(shop, run)).status == "succeeded"
        assert (await shop.execution(run)).attempts == 1
    assert "of what dead workers ran, 1 run again and 0 have failed" in caplog.text


async def test_only_who_kills_its_worker_is_blamed(project_folder: ProjectFolder) -> None:
    project_folder.job("hangs", HANGS.replace("if hang:", "if hang and self.attempt.fence == 1:"))
    project_folder.job("kills", KILLS)
    async with open_shop(project_folder) as shop:
        innocents = [await enqueue(shop, "hangs", True) for _ in range(3)]
        guilty = await enqueue(shop, "kills")
        child = Popen([sys.executable, "-c", CHILD], cwd=project_folder.path, stdout=PIPE)  # noqa: ASYNC220 - as above
        await asyncio.get_running_loop().run_in_executor(None, child.communicate)
        assert child.returncode == 9
        assert (await seen(shop, guilty)).executions == Counts(1, running=1)
        await drain(shop)
        for run in innocents:
            assert (await seen(shop, run)).status == "succeeded"
            assert (await shop.execution(run)).attempts == 1
        done = await seen(shop, guilty)
        assert done.status == "failed"
        assert "exit code 9" in done.failures[0].error
    assert (project_folder.path / "tries").read_text() == "xxxx"  # in a worker, and then alone until the third crash


async def test_what_is_past_its_retention_is_removed_once_a_minute(project_folder: ProjectFolder) -> None:
    async with told_shop(project_folder) as (shop, clock):
        first = await shop.run(Sums, 1)
        sweeper = Sweeper(shop.project.ledger)
        await sweeper.sweep(0.0)
        clock.advance(timedelta(days=60))
        await sweeper.sweep(PRUNE_EVERY - 1)
        assert [run.id for run in await shop.runs()] == [first.id]
        await sweeper.sweep(PRUNE_EVERY)
        assert await shop.runs() == []


async def test_removing_goes_on_soon_while_something_goes(project_folder: ProjectFolder) -> None:
    async with told_shop(project_folder) as (shop, clock):
        sweeper = Sweeper(shop.project.ledger)
        await shop.run(Sums, 1)
        clock.advance(timedelta(days=60))
        await sweeper.sweep(0.0)
        assert await shop.runs() == []
        await shop.run(Sums, 1)
        clock.advance(timedelta(days=60))
        await sweeper.sweep(PRUNE_AGAIN - 1)
        assert len(await shop.runs()) == 1
        await sweeper.sweep(PRUNE_AGAIN)
        assert await shop.runs() == []


async def test_a_ledger_that_can_not_be_swept_is_tried_again_and_told_once_a_minute(
    project_folder: ProjectFolder, caplog: pytest.LogCaptureFixture
) -> None:
    async with told_shop(project_folder) as (shop, _):
        await shop.run(Sums, 1)
        sweeper = Sweeper(shop.project.ledger)
        path = shop.project.settings.ledger_path
        away = path.with_name("away.db")
        path.rename(away)
        with caplog.at_level(logging.WARNING, "pinstripe"):
            for now in (0.0, 1.0, WARN_EVERY - 1):
                assert not await sweeper.sweep(now)
            assert caplog.text.count("the ledger can't be swept now") == 1
            assert not await sweeper.sweep(WARN_EVERY)
        assert caplog.text.count("the ledger can't be swept now") == 2
        away.rename(path)
        assert await sweeper.sweep(WARN_EVERY + 1)


async def test_a_pass_that_fails_is_not_the_last(
    project_folder: ProjectFolder, caplog: pytest.LogCaptureFixture
) -> None:
    async with told_shop(project_folder) as (shop, clock):
        await shop.run(Sums, 1)
        sweeper = Sweeper(shop.project.ledger)
        tell = clock.now

        def now() -> int:
            raise RuntimeError("a bug")

        clock.now = now  # type: ignore[method-assign]
        assert not await sweeper.sweep(0.0)
        assert not await sweeper.sweep(1.0)
        assert caplog.text.count("sweeping the ledger failed") == 1
        clock.now = tell  # type: ignore[method-assign]
        assert await sweeper.sweep(2.0)


async def test_logging_that_raises_ends_no_sweeping(project_folder: ProjectFolder) -> None:
    again = asyncio.Event()
    passes = 0

    def now() -> int:
        nonlocal passes
        passes += 1
        if passes > 2:  # the first pass tries to sweep and to prune
            again.set()
        raise RuntimeError("a bug")

    class Raises(logging.Handler):
        def emit(self, _: logging.LogRecord) -> None:
            raise LookupError("no request goes on")

    handler = Raises()
    async with told_shop(project_folder) as (shop, clock):
        await shop.run(Sums, 1)
        tell, clock.now = clock.now, now  # type: ignore[method-assign]
        logging.getLogger("pinstripe").addHandler(handler)
        sweeping = asyncio.create_task(Sweeper(shop.project.ledger).go_on(clock))
        try:
            async with asyncio.timeout(10):
                await again.wait()
        finally:
            logging.getLogger("pinstripe").removeHandler(handler)
            sweeping.cancel()
            clock.now = tell  # type: ignore[method-assign]
