from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pinstripe.answers import Cancel
from pinstripe.background_job import BackgroundJob
from pinstripe.retry import Retry
from tests.working import drain, enqueue, told_shop

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio


class Unlucky(BackgroundJob):
    retries = Retry(times=1, wait="1s")

    async def run(self) -> None:
        message = f"attempt {self.attempt.number}"
        raise ValueError(message)


class Unneeded(BackgroundJob):
    async def run(self) -> None:
        message = "the invoice is paid"
        raise Cancel(message)


async def test_what_fails_is_logged_for_who_watches_the_worker(
    project_folder: ProjectFolder, caplog: pytest.LogCaptureFixture
) -> None:
    async with told_shop(project_folder) as (shop, clock):
        run = (await enqueue(shop, Unlucky)).id
        with caplog.at_level(logging.WARNING, "pinstripe"):
            await drain(shop)
            clock.advance(timedelta(seconds=2))
            await drain(shop)
    lines = [record.getMessage() for record in caplog.records if "unlucky" in record.getMessage()]
    assert lines == [
        f"unlucky failed and is tried again (run {run}, attempt 1): ValueError: attempt 1",
        f"unlucky failed (run {run}, attempt 2): ValueError: attempt 2",
    ]


async def test_an_answer_is_no_warning(project_folder: ProjectFolder, caplog: pytest.LogCaptureFixture) -> None:
    async with told_shop(project_folder) as (shop, _):
        await enqueue(shop, Unneeded)
        with caplog.at_level(logging.INFO, "pinstripe"):
            await drain(shop)
    told = [record for record in caplog.records if "unneeded" in record.getMessage()]
    assert [record.levelno for record in told] == [logging.INFO]
    assert "the invoice is paid" in told[0].getMessage()


async def test_logging_that_raises_loses_no_execution(project_folder: ProjectFolder) -> None:
    class Raises(logging.Handler):
        def emit(self, _: logging.LogRecord) -> None:
            raise LookupError("no request goes on")

    handler = Raises()
    logging.getLogger("pinstripe").addHandler(handler)
    try:
        async with told_shop(project_folder) as (shop, _):
            run = await enqueue(shop, Unlucky)
            async with asyncio.timeout(10):
                worker = await drain(shop)
            assert worker.left == []
            assert (await shop.execution(run)).status == "queued"
    finally:
        logging.getLogger("pinstripe").removeHandler(handler)


async def test_no_id_and_no_error_makes_lines_of_its_own_in_a_log(
    project_folder: ProjectFolder, caplog: pytest.LogCaptureFixture
) -> None:
    class Hostile(BackgroundJob):
        multi_tenant = True

        async def run(self) -> None:
            message = "\x1b[2J gone\nall is well"
            raise ValueError(message)

    async with told_shop(project_folder) as (shop, _):
        shop.tenants([{"id": "a\nall is well \x1b[1m"}])
        await enqueue(shop, Hostile)
        await drain(shop)
    (line,) = [record.getMessage() for record in caplog.records if "hostile" in record.getMessage()]
    first, second = line.split("\n")
    assert first.startswith(r"hostile for tenant a\nall is well \x1b[1m failed (run ")
    assert first.endswith(r": ValueError: \x1b[2J gone")
    assert second == "  all is well"
