from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinstripe import tenant_reading
from pinstripe.errors import TenantSourceFailed
from pinstripe.tenant_reading import TenantReading
from pinstripe.tenant_sources import Tenants
from tests.ledgers.conftest import HandClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

pytestmark = pytest.mark.anyio


class Source:
    """Numbered tenants in an async generator, which counts its readings, and those that are open."""

    def __init__(self, count: int) -> None:
        self.ids = [f"t{number:05}" for number in range(count)]
        self.readings = self.open = self.read = 0
        self.failing = False
        self.clock = HandClock()
        self.reading = TenantReading(Tenants(self.tenants, clock=self.clock), self.clock)

    async def tenants(self) -> AsyncIterator[object]:
        self.readings += 1
        self.open += 1
        try:
            for id_ in self.ids:
                self.read += 1
                if self.failing:
                    raise OSError("no route to host")
                yield id_
        finally:
            self.open -= 1

    async def find(self, *ids: str, as_of: int = 0) -> list[str]:
        """Give which of these are found."""
        return sorted(await self.reading.find(ids, as_of))


@asynccontextmanager
async def source_of(count: int) -> AsyncIterator[Source]:
    """Give a source, and close its reading."""
    source = Source(count)
    yield source
    await source.reading.close()
    assert source.open == 0


async def test_batches_in_the_order_of_the_source_take_one_reading() -> None:
    async with source_of(25_000) as source:
        for first in range(0, 25_000, 100):
            batch = source.ids[first : first + 100]
            assert await source.find(*batch) == batch
        assert (source.readings, source.read) == (1, 25_000)
        assert len(source.reading._kept) <= tenant_reading.KEPT + 1_000  # noqa: SLF001 - what is to be bounded


async def test_who_was_passed_long_ago_is_found_in_another_reading() -> None:
    async with source_of(25_000) as source:
        assert await source.find("t24999") == ["t24999"]
        assert await source.find("t24998", "t00000") == ["t00000", "t24998"]
        assert source.readings == 2


async def test_who_is_gone_is_looked_for_once() -> None:
    async with source_of(3_000) as source:
        assert await source.find("t00001", "gone") == ["t00001"]
        for number in range(20):
            assert await source.find(f"t{number:05}", f"gone too {number}") == [f"t{number:05}"]
        assert source.readings == 1


async def test_who_came_after_the_last_reading_is_found() -> None:
    async with source_of(10) as source:
        assert await source.find("gone") == []
        source.ids.append("new")
        assert await source.find("new") == []  # as of the reading before
        assert await source.find("new", as_of=source.clock.now()) == ["new"]
        assert source.readings == 2


async def test_several_may_ask_at_once() -> None:
    async with source_of(5_000) as source:
        found = await asyncio.gather(*(source.find(*source.ids[n::7]) for n in range(7)))
        assert sorted(id_ for each in found for id_ in each) == source.ids
        assert source.readings <= 7


async def test_an_idle_reading_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenant_reading, "IDLE", 0.0)
    async with source_of(3_000) as source:
        assert await source.find("t00001") == ["t00001"]
        reader = source.reading._reader  # noqa: SLF001 - to wait for its end
        assert reader is not None
        await asyncio.wait([reader])
        assert source.open == 0
        assert await source.find("t02999") == ["t02999"]
        assert source.readings == 2


async def test_a_source_that_fails_is_an_error_and_is_read_anew() -> None:
    async with source_of(3_000) as source:
        source.failing = True
        for _ in range(2):
            with pytest.raises(TenantSourceFailed, match="no route to host"):
                await source.find("t00001")
        source.failing = False
        assert await source.find("t00001") == ["t00001"]


async def test_who_asks_may_be_cancelled() -> None:
    async with source_of(3_000) as source:
        task = asyncio.create_task(source.find("t02999"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await source.find("t00001", "t02999", "gone") == ["t00001", "t02999"]


async def test_a_closed_one_still_answers_and_stays_closed() -> None:
    async with source_of(3_000) as source:
        await source.reading.close()
        assert await source.find("t00001") == ["t00001"]


@settings(max_examples=50)
@given(batches=st.lists(st.lists(st.integers(0, 60), max_size=8), max_size=12), page=st.integers(1, 9))
def test_it_answers_as_the_source_does(batches: Sequence[Sequence[int]], page: int) -> None:
    async def ask() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tenant_reading, "KEPT", 5)
            patch.setattr(tenant_reading, "KNOWN_IDS", 45)
            source = Source(40)
            pages: Any = source.reading._source.pages  # noqa: SLF001 - to have many pages of few tenants
            patch.setattr(Tenants, "pages", lambda _: pages(page))
            for batch in batches:
                ids = [f"t{number:05}" for number in batch]
                assert await source.find(*ids) == sorted({id_ for id_ in ids if id_ in source.ids})
            await source.reading.close()
            assert source.open == 0

    asyncio.run(ask())
