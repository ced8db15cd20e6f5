"""What every engine does: see the protocols in `pinstripe.engine`."""

from __future__ import annotations

import asyncio
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from tests.engines.offices import Chunk

if TYPE_CHECKING:
    from tests.engines.offices import Office

pytestmark = pytest.mark.anyio

PATIENCE = 30
"""Seconds that a test waits for news before it gives up."""

AT_ONCE = 0.01
"""Seconds to wait for what is not to come: the longer, the surer."""


async def test_there_is_nothing_to_take_where_nothing_was_minted(office: Office) -> None:
    assert await office.look(await office.open(), 10) == []


async def test_tickets_come_by_band_then_tag_then_chunk(office: Office) -> None:
    engine = await office.open()
    late_band, high_tag = Chunk(1, band=2, tag=0), Chunk(2, tag=9)
    second, first = Chunk(4, tag=5), Chunk(3, tag=5)
    for chunk in (late_band, high_tag, first, second, Chunk(5, band=0, tag=1_000_000)):
        await office.put(engine, chunk)
    assert await office.look(engine, 10) == [5, 3, 4, 2, 1]
    assert await office.look(engine, 2) == [5, 3]


async def test_tickets_that_are_minted_together_come_in_the_same_order(office: Office) -> None:
    engine = await office.open()
    chunks = [Chunk(n, band=n % 3, tag=(n * 7) % 5) for n in range(1, 60)]
    await office.put(engine, *chunks)
    taken = await office.claim(engine, 100)
    assert taken == [chunk.id for chunk in sorted(chunks, key=lambda chunk: (chunk.band, chunk.tag, chunk.id))]


async def test_what_was_taken_is_there_again_when_that_is_undone(office: Office) -> None:
    engine, other = await office.open(), await office.open()
    await office.put(engine, Chunk(1))
    assert await office.look(engine, 1) == await office.look(other, 1) == [1]


async def test_a_claimed_ticket_is_gone_for_everybody(office: Office) -> None:
    engine, other = await office.open(), await office.open()
    await office.put(engine, Chunk(1), Chunk(2))
    assert await office.claim(other, 1) == [1]
    assert await office.claim(engine, 10) == [2]
    assert await office.claim(other, 10) == []


async def test_what_is_left_of_a_chunk_goes_to_its_new_place(office: Office) -> None:
    engine = await office.open()
    await office.put(engine, Chunk(1, tag=0), Chunk(2, tag=3))
    assert await office.claim_some(engine, 4) == 1
    assert await office.claim(engine, 10) == [2, 1]


async def test_a_chunk_of_a_selecting_run_has_no_ticket(office: Office) -> None:
    engine = await office.open()
    await office.put_away(engine, Chunk(1))
    await office.put(engine, Chunk(2))
    assert await office.look(engine, 10) == [2]


async def test_to_mint_again_makes_no_second_ticket(office: Office) -> None:
    engine, other = await office.open(), await office.open()
    await office.put(engine, Chunk(1), Chunk(2))
    for again in (engine, other):
        await office.mint(again, Chunk(1), Chunk(2))
    assert await office.claim(engine, 10) == [1, 2]
    assert await office.claim(engine, 10) == []


async def test_what_is_minted_may_be_taken_in_the_same_transaction(office: Office) -> None:
    engine = await office.open()
    await office.put(engine, Chunk(1, tag=0))
    assert [await office.claim_some(engine, tag) for tag in (1, 2, 3)] == [1, 1, 1]
    assert await office.put_and_claim(engine, Chunk(2, tag=1)) == [2, 1]


async def test_to_wait_in_vain_ends_after_its_time(office: Office) -> None:
    assert not await (await office.open()).wait(AT_ONCE)


async def test_news_end_every_wait(office: Office) -> None:
    listening = [await office.open() for _ in range(5)]
    waiting = [asyncio.create_task(engine.wait(PATIENCE)) for engine in listening]
    await asyncio.sleep(0)  # they wait now
    await office.tell(listening[0])
    assert await asyncio.gather(*waiting) == [True] * 5


async def test_who_only_tells_others_is_heard(office: Office) -> None:
    engine = await office.open()
    await office.tell(await office.open(listens=False))
    assert await engine.wait(PATIENCE)


async def test_what_comes_between_two_waits_is_heard(office: Office) -> None:
    engine, other = await office.open(), await office.open()
    await office.tell(engine)
    assert await other.wait(PATIENCE)  # it is told
    assert await engine.wait(PATIENCE)


async def test_several_who_wait_are_all_woken(office: Office) -> None:
    engine = await office.open()
    waiting = [asyncio.create_task(engine.wait(PATIENCE)) for _ in range(3)]
    await asyncio.sleep(0)  # they wait now
    await office.tell(engine)
    assert await asyncio.gather(*waiting) == [True] * 3


async def test_a_thread_may_end_the_wait_of_its_process(office: Office) -> None:
    engine, other = await office.open(), await office.open()
    waiting = asyncio.create_task(engine.wait(PATIENCE))
    await asyncio.sleep(0)  # it waits now
    thread = Thread(target=engine.rouse)
    thread.start()
    assert await waiting
    thread.join()
    engine.rouse()
    assert await engine.wait(PATIENCE)
    assert not await other.wait(AT_ONCE)


async def test_much_news_that_nobody_looks_for_holds_nobody_up(office: Office) -> None:
    engine, other = await office.open(), await office.open()
    for _ in range(300):
        await office.tell(other)
    assert await engine.wait(PATIENCE)


async def test_a_wait_that_is_cancelled_leaves_the_next_one_whole(office: Office) -> None:
    engine = await office.open()
    waiting = asyncio.create_task(engine.wait(PATIENCE))
    await asyncio.sleep(0)  # it waits now
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await office.tell(engine)
    assert await engine.wait(PATIENCE)


async def test_who_has_closed_is_told_nothing_and_harms_nobody(office: Office) -> None:
    gone, engine, other = await office.open(), await office.open(), await office.open()
    await office.leave(gone)
    await office.leave(gone)
    await office.tell(engine)
    assert await other.wait(PATIENCE)
