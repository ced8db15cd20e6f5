"""What every ledger keeps of schedules, by the sentences of the protocol."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from pinstripe.errors import LedgerError
from pinstripe.fires import ScheduleState
from pinstripe.ledger import RunFilter
from tests.ledgers.conftest import START
from tests.ledgers.queue.moves import SECOND, claim, tenants_of
from tests.ledgers.schedules import PARIS, TOKYO, UTC, due, fired, known, let_go, register, state

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger

pytestmark = pytest.mark.anyio


# Registering.


async def test_what_is_new_is_known_since_then(ledger: Ledger) -> None:
    registered = await ledger.fires.register([known(), known("b", zone=None)], keep=(), now=START)
    one, two = registered.numbers
    kept = ScheduleState(one, "greet", "a", "* * * * *", UTC, False, START, None, None, False)
    assert registered.states == [kept]
    assert one != two
    assert await ledger.fires.states() == [kept]


async def test_numbers_are_in_the_order_that_was_given(ledger: Ledger, other: Ledger) -> None:
    keys = ["z", "a", "m"]
    first = await register(ledger, *map(known, keys))
    assert await register(other, *map(known, reversed(keys))) == first[::-1]


async def test_what_is_known_stays_as_it_is(ledger: Ledger, other: Ledger) -> None:
    (number,) = await register(ledger, known())
    await ledger.fires.fire([due(number, START + SECOND)])
    before = await ledger.fires.states()
    again = await other.fires.register([known()], keep=(), now=START + 9 * SECOND)
    assert (again.numbers, again.states, await other.fires.states()) == ([number], before, before)


async def test_one_of_another_edition_is_known_since_then(ledger: Ledger) -> None:
    (number,) = await register(ledger, known())
    await ledger.fires.fire([due(number, START + SECOND)])
    later = START + 60 * SECOND
    changed = known(edition="2", cron="0 * * * *")
    assert await register(ledger, changed, now=later) == [number]
    kept = await state(ledger, number)
    assert (kept.since, kept.fired, kept.cron) == (later, START + SECOND, "0 * * * *")
    assert await ledger.fires.fire([due(number, later)]) == [False]
    assert await ledger.fires.fire([due(number, later + 1)]) == [True]


async def test_one_of_another_edition_is_known_since_then_in_each_zone(ledger: Ledger) -> None:
    (number,) = await register(ledger, known(zone=None))
    await ledger.fires.set_zones(number, [PARIS, TOKYO], since=START, now=START)
    later = START + 60 * SECOND
    registered = await ledger.fires.register([known(zone=None, edition="2")], keep=(), now=later)
    assert [(one.zone, one.since) for one in registered.states] == [(TOKYO, later), (PARIS, later)]


async def test_what_the_code_does_not_have_is_gone_and_comes_back_as_new(ledger: Ledger) -> None:
    first, second = await register(ledger, known(), known("b"))
    assert await register(ledger, known("b"), now=START + SECOND) == [second]
    assert [(await state(ledger, number)).gone for number in (first, second)] == [True, False]
    assert (await state(ledger, first)).since == START
    later = START + 60 * SECOND
    assert await register(ledger, known(), known("b"), now=later) == [first, second]
    back, stayed = await state(ledger, first), await state(ledger, second)
    assert (back.gone, back.since, stayed.since) == (False, later, START)


async def test_what_cannot_be_loaded_is_kept(ledger: Ledger) -> None:
    one, two, three = await register(ledger, known(), known("b"), known(job="other"))
    assert await register(ledger, keep={"greet"}, now=START + SECOND) == []
    assert [(await state(ledger, number)).gone for number in (one, two, three)] == [False, False, True]
    await register(ledger, known(), known("b"), known(job="other"), now=START + 9 * SECOND)
    assert [(await state(ledger, number)).since - START for number in (one, two, three)] == [0, 0, 9 * SECOND]


async def test_the_same_key_in_another_job_is_another_schedule(ledger: Ledger) -> None:
    one, two = await register(ledger, known(), known(job="other"))
    assert await ledger.fires.fire([due(one, START + 1)]) == [True]
    assert (await state(ledger, two)).fired is None


async def test_a_schedule_moves_to_another_zone(ledger: Ledger) -> None:
    (number,) = await register(ledger, known("name:a", edition="paris", zone=PARIS))
    later = START + 60 * SECOND
    registered = await ledger.fires.register([known("name:a", edition="tokyo", zone=TOKYO)], keep=(), now=later)
    assert [(one.schedule, one.zone, one.since) for one in registered.states] == [(number, TOKYO, later)]
    assert (await state(ledger, number, PARIS)).gone
    again = await ledger.fires.register([known("name:a", edition="paris", zone=PARIS)], keep=(), now=later + 1)
    assert [(one.zone, one.since) for one in again.states] == [(PARIS, later + 1)]


async def test_one_of_tenants_zones_begins_with_those_that_it_had(ledger: Ledger, other: Ledger) -> None:
    (number,) = await register(ledger, known(zone=None))
    assert (await ledger.fires.register([known(zone=None)], keep=(), now=START)).states == []
    await ledger.fires.set_zones(number, [PARIS, TOKYO], since=START, now=START)
    await ledger.fires.set_zones(number, [PARIS], since=START, now=START)
    registered = await other.fires.register([known(zone=None)], keep=(), now=START + SECOND)
    assert [(one.zone, one.by_tenant, one.since) for one in registered.states] == [(PARIS, True, START)]


# Zones.


async def test_a_new_zone_is_known_since_it_was_looked_for(ledger: Ledger) -> None:
    (number,) = await register(ledger, known(zone=None))
    first = await ledger.fires.set_zones(number, [PARIS], since=START, now=START + 5)
    assert [(one.zone, one.since, one.fired) for one in first] == [(PARIS, START, None)]
    later = START + 60 * SECOND
    second = await ledger.fires.set_zones(number, [TOKYO, PARIS], since=later, now=later + 5)
    assert {one.zone: one.since for one in second} == {PARIS: START, TOKYO: later}


async def test_the_last_look_for_zones_outlives_who_looked(ledger: Ledger) -> None:
    there, named = known(zone=None), known("b", zone=None)
    one, two = await register(ledger, there, named)
    assert (await ledger.fires.register([there, named], keep=(), now=START + 5)).looked == [START, START]
    later = START + 60 * SECOND
    await ledger.fires.looked([one, two], later)
    changed = named._replace(edition="2")
    assert (await ledger.fires.register([there, changed], keep=(), now=later + 5)).looked == [later, later + 5]
    await register(ledger, changed, now=later + 10)
    assert (await ledger.fires.register([changed, there], keep=(), now=later + 15)).looked == [later + 5, later + 15]


async def test_a_zone_that_comes_back_is_new_but_for_what_fired(ledger: Ledger) -> None:
    (number,) = await register(ledger, known(zone=None))
    await ledger.fires.set_zones(number, [PARIS, TOKYO], since=START, now=START)
    await ledger.fires.fire([due(number, START + SECOND, PARIS)])
    assert [one.zone for one in await ledger.fires.set_zones(number, [TOKYO], since=START, now=START)] == [TOKYO]
    assert (await state(ledger, number, PARIS)).gone
    later = START + 60 * SECOND
    back = await ledger.fires.set_zones(number, [TOKYO, PARIS], since=later, now=later)
    assert {one.zone: (one.since, one.fired) for one in back} == {
        PARIS: (later, START + SECOND),
        TOKYO: (START, None),
    }


async def test_zones_that_are_the_same_are_not_written(ledger: Ledger, other: Ledger) -> None:
    (number,) = await register(ledger, known(zone=None))
    await ledger.fires.set_zones(number, [PARIS], since=START, now=START)
    before = await ledger.fires.states()
    assert await other.fires.set_zones(number, [PARIS], since=START + SECOND, now=START + SECOND) == before
    assert await ledger.fires.states() == before


async def test_nobody_anywhere_is_no_zone(ledger: Ledger) -> None:
    (number,) = await register(ledger, known(zone=None))
    await ledger.fires.set_zones(number, [PARIS], since=START, now=START)
    assert await ledger.fires.set_zones(number, [], since=START, now=START) == []


async def test_zones_of_one_schedule_are_not_those_of_another(ledger: Ledger) -> None:
    one, two = await register(ledger, known(zone=None), known("b", zone=None))
    await ledger.fires.set_zones(one, [PARIS], since=START, now=START)
    await ledger.fires.set_zones(two, [TOKYO], since=START, now=START)
    assert [(each.schedule, each.zone) for each in await ledger.fires.states()] == [(one, PARIS), (two, TOKYO)]


# Firing.


async def test_a_due_time_becomes_a_run(ledger: Ledger) -> None:
    (number,) = await register(ledger, known())
    at = START + 60 * SECOND
    assert await ledger.fires.fire([due(number, at, retry_until=at + 5, kwargs={"n": 1})]) == [True]
    (run,) = await ledger.list_runs(RunFilter())
    assert (run.trigger, run.kwargs, run.executions.queued) == ("schedule", {"n": 1}, 1)
    assert await fired(ledger) == [60]
    kept = await state(ledger, number)
    assert (kept.fired, kept.missed) == (at, None)
    await ledger.queue.join(1)
    (started,) = await claim(ledger)
    assert (started.run.scheduled_for, started.run.retry_until) == (at, at + 5)


async def test_a_time_that_is_let_go_becomes_no_run_and_is_noted(ledger: Ledger) -> None:
    (number,) = await register(ledger, known())
    at = START + 60 * SECOND
    assert await ledger.fires.fire([let_go(number, at)]) == [True]
    kept = await state(ledger, number)
    assert (kept.fired, kept.missed, await fired(ledger)) == (at, at, [])
    assert await ledger.fires.fire([due(number, at)]) == [False]
    assert await ledger.fires.fire([due(number, at + 1)]) == [True]
    assert (await state(ledger, number)).missed == at


@pytest.mark.parametrize("again", [0, -1, -30 * SECOND])
async def test_a_time_at_or_before_the_last_is_no_fire(ledger: Ledger, other: Ledger, again: int) -> None:
    (number,) = await register(ledger, known())
    at = START + 60 * SECOND
    assert await ledger.fires.fire([due(number, at)]) == [True]
    for each in (ledger, other):
        assert await each.fires.fire([due(number, at + again), let_go(number, at + again)]) == [False, False]
    assert await fired(ledger) == [60]
    kept = await state(ledger, number)
    assert (kept.fired, kept.missed) == (at, None)


@pytest.mark.parametrize(("after", "fires"), [(-1, False), (0, False), (1, True)])
async def test_a_time_at_or_before_it_was_known_is_no_fire(ledger: Ledger, after: int, fires: bool) -> None:
    (number,) = await register(ledger, known())
    assert await ledger.fires.fire([due(number, START + after)]) == [fires]


async def test_what_is_new_and_what_is_not_go_together(ledger: Ledger) -> None:
    one, two, three = await register(ledger, known(), known("b"), known("c"))
    await ledger.fires.fire([due(two, START + SECOND)])
    times = [due(one, START + SECOND), due(two, START + SECOND), let_go(three, START + 1), due(three, START + 2)]
    assert await ledger.fires.fire(times) == [True, False, True, True]
    assert len(await fired(ledger)) == 3


async def test_the_same_time_twice_in_one_batch_fires_once(ledger: Ledger) -> None:
    (number,) = await register(ledger, known())
    assert await ledger.fires.fire([due(number, START + SECOND), due(number, START + SECOND)]) == [True, False]
    assert await fired(ledger) == [1]


async def test_each_zone_has_its_own_last_fire(ledger: Ledger) -> None:
    (number,) = await register(ledger, known(zone=None))
    await ledger.fires.set_zones(number, [PARIS, TOKYO], since=START, now=START)
    assert await ledger.fires.fire([due(number, START + 2, PARIS), due(number, START + 1, TOKYO)]) == [True, True]


async def test_a_schedule_that_is_not_there_does_not_fire(ledger: Ledger) -> None:
    (number,) = await register(ledger, known())
    assert await ledger.fires.fire([due(number + 1, START + SECOND), due(number, START + 1, PARIS)]) == [False, False]
    assert await fired(ledger) == []


async def test_all_of_a_batch_or_nothing(ledger: Ledger) -> None:
    one, two = await register(ledger, known(), known("b"))
    unwritable = due(two, START + SECOND, kwargs={"when": object()})
    with pytest.raises(TypeError):
        await ledger.fires.fire([due(one, START + SECOND), unwritable])
    assert (await fired(ledger), (await state(ledger, one)).fired) == ([], None)
    with pytest.raises(LedgerError, match="doesn't know that schedule"):
        await ledger.fires.fire([due(one, START + SECOND), due(two, START + 1, tenants=None, local_time="x", job="?")])
    assert await ledger.fires.fire([due(one, START + SECOND)]) == [True]


async def test_a_fire_wakes_a_worker(ledger: Ledger, other: Ledger) -> None:
    (number,) = await register(ledger, known())
    await other.queue.join(1)
    while await other.queue.wait(0.01):  # it has heard of what was before
        pass
    waiting = asyncio.create_task(other.queue.wait(20))
    await ledger.fires.fire([due(number, START + SECOND)])
    assert await waiting
    assert tenants_of(await claim(other)) == [""]


async def test_many_fires_are_one_transaction_beside_the_event_loop(ledger: Ledger) -> None:
    numbers = await register(ledger, *(known(f"{n}") for n in range(300)))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    assert all(await ledger.fires.fire([due(number, START + SECOND) for number in numbers]))
    counting.cancel()
    assert turns > 0
    assert len(await fired(ledger)) == 300
