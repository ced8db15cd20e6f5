"""What every engine does: see the protocol in `pinstripe.engine`."""

from __future__ import annotations

import asyncio
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from pinstripe.engine import Ticket

if TYPE_CHECKING:
    from tests.engines.conftest import EmbeddedOffice as Office

pytestmark = pytest.mark.anyio

PATIENCE = 30
"""Seconds that a test waits for news before it gives up."""

AT_ONCE = 0.01
"""Seconds to wait for what is not to come: the longer, the surer."""


def ticket(chunk: int, *, tag: int = 0, band: int = 2, flow: str = "t:acme", count: int = 1) -> Ticket:
    return Ticket(chunk, 7, flow, band, tag, tag + count)


async def test_there_is_nothing_to_take_where_nothing_was_minted(office: Office) -> None:
    assert await office.look(office.engine(), 10) == []


async def test_a_ticket_tells_what_its_chunk_is(office: Office) -> None:
    engine = office.engine()
    only = Ticket(chunk=3, run=9, flow="r:9", band=3, tag=40, until=1_040)
    await office.put(engine, only)
    assert await office.look(engine, 10) == [only]


async def test_tickets_come_by_band_then_tag_then_chunk(office: Office) -> None:
    engine = office.engine()
    late_band, high_tag = ticket(1, band=3, tag=0), ticket(2, tag=9)
    second, first = ticket(4, tag=5), ticket(3, tag=5)
    await office.put(engine, late_band, high_tag, second, first)
    assert await office.look(engine, 10) == [first, second, high_tag, late_band]
    assert await office.look(engine, 2) == [first, second]
    assert await office.look(engine, 0) == []


async def test_what_was_taken_is_there_again_when_that_is_undone(office: Office) -> None:
    engine, other = office.engine(), office.engine()
    await office.put(engine, ticket(1))
    assert await office.look(engine, 1) == await office.look(other, 1) == [ticket(1)]


async def test_a_claimed_ticket_is_gone_for_everybody(office: Office) -> None:
    engine, other = office.engine(), office.engine()
    await office.put(engine, ticket(1), ticket(2))
    assert await office.claim(other, 1) == [ticket(1)]
    assert await office.claim(engine, 10) == [ticket(2)]
    assert await office.claim(other, 10) == []


async def test_what_is_left_of_a_chunk_goes_to_its_new_place(office: Office) -> None:
    engine = office.engine()
    await office.put(engine, ticket(1, tag=0, count=10), ticket(2, tag=3))
    await office.claim_some(engine, 4)
    assert [(one.chunk, one.tag, one.until) for one in await office.claim(engine, 10)] == [(2, 3, 4), (1, 4, 10)]


async def test_a_chunk_of_a_selecting_run_has_no_ticket(office: Office) -> None:
    engine = office.engine()
    await office.put_away(engine, ticket(1))
    await office.put(engine, ticket(2))
    assert await office.look(engine, 10) == [ticket(2)]


async def test_to_mint_again_makes_no_second_ticket(office: Office) -> None:
    engine = office.engine()
    await office.put(engine, ticket(1), ticket(2))
    await office.mint(engine, [1, 2])
    assert await office.claim(engine, 10) == [ticket(1), ticket(2)]
    assert await office.claim(engine, 10) == []


async def test_to_wait_in_vain_ends_after_its_time(office: Office) -> None:
    assert not await office.engine().wait(AT_ONCE)


async def test_a_wake_ends_every_wait(office: Office) -> None:
    listening = [office.engine() for _ in range(5)]
    waiting = [asyncio.create_task(engine.wait(PATIENCE)) for engine in listening]
    await asyncio.sleep(0)  # they wait now
    listening[0].wake()
    assert await asyncio.gather(*waiting) == [True] * 5


async def test_who_only_tells_others_wakes_them(office: Office) -> None:
    engine = office.engine()
    office.engine(listens=False).wake()
    assert await engine.wait(PATIENCE)


async def test_a_wake_between_two_waits_is_heard_once(office: Office) -> None:
    engine = office.engine()
    engine.wake()
    engine.wake()
    assert await engine.wait(PATIENCE)
    assert not await engine.wait(AT_ONCE)


async def test_several_who_wait_are_all_woken(office: Office) -> None:
    engine = office.engine()
    waiting = [asyncio.create_task(engine.wait(PATIENCE)) for _ in range(3)]
    await asyncio.sleep(0)  # they wait now
    engine.wake()
    assert await asyncio.gather(*waiting) == [True] * 3


async def test_a_thread_may_wake(office: Office) -> None:
    engine, other = office.engine(), office.engine()
    waiting = asyncio.create_task(engine.wait(PATIENCE))
    await asyncio.sleep(0)  # it waits now
    thread = Thread(target=engine.wake)
    thread.start()
    assert await waiting
    assert await other.wait(PATIENCE)
    thread.join()


async def test_a_thousand_wakes_that_nobody_looks_for_hold_nobody_up(office: Office) -> None:
    engine, other = office.engine(), office.engine()
    for _ in range(1_000):
        other.wake()
    assert await engine.wait(PATIENCE)


async def test_a_wait_that_is_cancelled_leaves_the_next_one_whole(office: Office) -> None:
    engine = office.engine()
    waiting = asyncio.create_task(engine.wait(PATIENCE))
    await asyncio.sleep(0)  # it waits now
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    engine.wake()
    assert await engine.wait(PATIENCE)


async def test_who_has_closed_is_told_nothing_and_harms_nobody(office: Office) -> None:
    gone, engine, other = office.engine(), office.engine(), office.engine()
    gone.close()
    gone.close()
    engine.wake()
    assert await other.wait(PATIENCE)
