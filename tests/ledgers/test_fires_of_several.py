"""What a ledger keeps of schedules that several processes have: two ledgers are two of them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinstripe.errors import LedgerError
from pinstripe.ledger import RunFilter
from tests.ledgers.conftest import START
from tests.ledgers.queue.moves import SECOND
from tests.ledgers.schedules import PARIS, TOKYO, due, fired, known, register, state

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger
    from tests.ledgers.conftest import HandClock
    from tests.ledgers.stores import NewStore, Store

pytestmark = pytest.mark.anyio


# Two versions of the code at once.


async def test_a_zone_that_other_code_called_gone_is_there_again_when_it_fires(ledger: Ledger, other: Ledger) -> None:
    (number,) = await register(ledger, known(zone=None))
    await ledger.fires.set_zones(number, [PARIS], since=START, now=START)
    await other.fires.set_zones(number, [TOKYO], since=START, now=START)
    assert await ledger.fires.fire([due(number, START + SECOND, PARIS)]) == [True]
    assert not (await state(ledger, number, PARIS)).gone


async def test_two_that_fire_the_same_at_once_make_one_run(ledger: Ledger, other: Ledger) -> None:
    numbers = await register(ledger, *(known(f"{n}") for n in range(20)))
    assert await register(other, *(known(f"{n}") for n in range(20))) == numbers
    answers: list[list[bool]] = []
    for second in range(1, 6):
        batch = [due(number, START + SECOND * second) for number in numbers]
        answers += await asyncio.gather(ledger.fires.fire(batch), other.fires.fire(batch[::-1]))
    assert sum(map(sum, answers)) == len(await fired(ledger)) == 100


async def test_three_that_fire_a_thousand_times_make_a_run_of_each(store: Store, ledger: Ledger, other: Ledger) -> None:
    third = store.ledger()
    await third.open()
    bots = (ledger, other, third)
    schedules = [known(f"{n}") for n in range(50)]
    numbers = await register(ledger, *schedules)
    for bot in bots[1:]:
        assert await register(bot, *schedules) == numbers

    async def fire_all(bot: Ledger, turn: int) -> int:
        new = 0
        for second in range(1, 21):
            batch = [due(number, START + SECOND * second) for number in numbers]
            new += sum(await bot.fires.fire(batch[turn * 17 :] + batch[: turn * 17]))
        return new

    made = await asyncio.gather(*(fire_all(bot, turn) for turn, bot in enumerate(bots)))
    assert sum(made) == 1_000
    assert await fired(ledger) == sorted(second for second in range(1, 21) for _ in numbers)


def test_marks_only_go_forward_whoever_moves_them(new_store: NewStore) -> None:
    @settings(max_examples=new_store.examples(15))
    @given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from("abx"), st.integers(1, 12)), max_size=25))
    def is_kept(moves: list[tuple[int, str, int]]) -> None:
        asyncio.run(_interleave(new_store(), moves))

    is_kept()


async def _interleave(store: Store, moves: list[tuple[int, str, int]]) -> None:
    """Have three processes fire two schedules, in any order; a plain mark says which of them are fires."""
    ledgers = [store.ledger() for _ in range(3)]
    fires = dict.fromkeys("ab", 0)
    since = START + 60 * SECOND
    runs = 0
    try:
        for ledger in ledgers:
            await ledger.open()
        for who, what, second in moves:
            at = START + second * SECOND
            since = min(since, at - 3 * SECOND)
            numbers = await register(ledgers[who], known("a"), known("b"), now=at - 3 * SECOND)
            if what == "x":  # it starts anew
                await ledgers[who].close()
                await ledgers[who].open()
                continue
            (new,) = await ledgers[who].fires.fire([due(numbers["ab".index(what)], at)])
            assert new == (at > max(since, fires[what]))
            if new:
                fires[what] = at
            runs += new
        assert len(await ledgers[0].list_runs(RunFilter(limit=1_000))) == runs
    finally:
        await store.close()
        store.remove()


# Being a bot.


async def bots(ledger: Ledger) -> list[bool]:
    return [process.bot for process in (await ledger.queue.status()).processes]


async def test_a_bot_is_shown_as_one(ledger: Ledger, other: Ledger) -> None:
    await other.queue.join(1)
    assert await bots(ledger) == [False]
    await ledger.fires.join()
    await ledger.fires.join()
    assert await bots(other) == [False, True]


async def test_a_worker_may_be_a_bot_too(ledger: Ledger) -> None:
    await ledger.queue.join(3)
    await ledger.fires.join()
    (process,) = (await ledger.queue.status()).processes
    assert (process.bot, process.concurrency) == (True, 3)


async def test_a_bot_that_was_taken_for_dead_goes_on_as_another(ledger: Ledger, other: Ledger, store: Store) -> None:
    await ledger.fires.join()
    store.kill(ledger)
    await other.queue.sweep()
    assert await bots(other) == []
    await ledger.fires.join()
    assert await bots(other) == [True]


async def test_nothing_is_kept_by_a_ledger_that_is_not_open(store: Store) -> None:
    ledger = store.ledger()
    for move in (
        ledger.fires.join(),
        ledger.fires.register([known()], keep=(), now=START),
        ledger.fires.fire([due(1, START)]),
        ledger.fires.set_zones(1, [PARIS], since=START, now=START),
    ):
        with pytest.raises(LedgerError, match="not open"):
            await move
    assert await ledger.fires.states() == []


async def test_a_ledger_is_read_without_writing(store: Store, ledger: Ledger) -> None:
    await register(ledger, known())
    reading = store.ledger()
    await reading.open(write=False)
    assert await reading.fires.states() == await ledger.fires.states()


async def test_schedules_outlive_a_process(store: Store, ledger: Ledger, clock: HandClock) -> None:
    (number,) = await register(ledger, known())
    await ledger.fires.fire([due(number, START + SECOND)])
    before = await ledger.fires.states()
    await ledger.close()
    clock.advance(timedelta(days=20))
    again = store.ledger()
    await again.open()
    assert (await again.fires.register([known()], keep=(), now=clock.now())).states == before
