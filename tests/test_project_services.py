from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from pinstripe.errors import PinstripeError
from pinstripe.project_services import ProjectServices
from tests.attempts import service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio


async def test_those_who_ask_at_once_share_one_opening_and_it_closes_in_the_task_that_opened_it() -> None:
    events: list[str] = []
    tasks: list[object] = []

    async def pool() -> AsyncIterator[object]:
        events.append("open")
        tasks.append(asyncio.current_task())
        await asyncio.sleep(0)
        async with asyncio.timeout(60):  # a cancel scope, which must be left in the task that entered it
            yield object()
        tasks.append(asyncio.current_task())
        events.append("close")

    services = ProjectServices()
    first, second = await asyncio.gather(services.open(service(pool)), services.open(service(pool)))
    assert first is second
    assert await services.open(service(pool)) is first
    assert await services.close() == []
    assert events == ["open", "close"]
    assert tasks[0] is tasks[1]


async def test_one_needs_another() -> None:
    def pool() -> str:
        return "pool"

    def cache(pool: str) -> str:
        return f"cache on {pool}"

    services = ProjectServices()
    await services.open(service(pool))
    assert await services.open(service(cache)) == "cache on pool"
    await services.close()


async def test_an_opening_that_failed_is_tried_again_by_the_next() -> None:
    tries: list[int] = []

    async def pool() -> str:
        tries.append(1)
        if len(tries) == 1:
            message = "not yet"
            raise ConnectionError(message)
        return "pool"

    services = ProjectServices()
    with pytest.raises(PinstripeError, match=r"service pool \(lib/services/pool.py\) failed to open: ConnectionError"):
        await services.open(service(pool))
    assert await services.open(service(pool)) == "pool"
    await services.close()


async def test_one_who_is_cancelled_leaves_the_opening_to_the_others() -> None:
    may_open = asyncio.Event()

    async def pool() -> str:
        await may_open.wait()
        return "pool"

    services = ProjectServices()
    impatient = asyncio.create_task(services.open(service(pool)))
    patient = asyncio.create_task(services.open(service(pool)))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.wait([impatient])
    may_open.set()
    assert await patient == "pool"
    await services.close()


async def test_a_failing_close_is_given_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def pool() -> AsyncIterator[str]:
        yield "pool"
        message = "still in use"
        raise OSError(message)

    services = ProjectServices()
    await services.open(service(pool))
    (problem,) = await services.close()
    assert str(problem) == "service pool failed to close: OSError: still in use"
    assert str(problem) in caplog.text


async def test_nothing_is_opened_after_the_close() -> None:
    services = ProjectServices()
    assert await services.close() == []
    with pytest.raises(PinstripeError, match="after the project had been closed"):
        await services.open(service(lambda: None))
