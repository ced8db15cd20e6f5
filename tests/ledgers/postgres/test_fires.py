"""Schedules of several bots at once, whose transactions overlap, and whose commits nobody hears of."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url

from pinstripe.ledgers.postgres import registering, retention
from pinstripe.ledgers.postgres.fires import PostgresFires
from pinstripe.ledgers.postgres.retention import prune
from pinstripe.ledgers.retention import past
from pinstripe.limits import Limits
from tests.ledgers.conftest import START, HandClock
from tests.ledgers.postgres.open_transactions import kept_open, waits
from tests.ledgers.queue.moves import SECOND
from tests.ledgers.schedules import PARIS, TOKYO, UTC, due, known, let_go
from tests.ledgers.stores import RETENTION

if TYPE_CHECKING:
    from pinstripe.fires import KnownSchedule, Registered
    from pinstripe.ledgers.postgres.store import Store
    from pinstripe.ledgers.postgres.transaction import Transaction
    from tests.ledgers.postgres.commits import Commits, Cut
    from tests.ledgers.postgres.conftest import Database, NewProcess

pytestmark = pytest.mark.anyio

AT = START + 60 * SECOND
DAY = 86_400 * SECOND


@pytest.fixture
def fires(process: Store) -> PostgresFires:
    return PostgresFires(process)


@pytest.fixture
def others(neighbour: Store) -> PostgresFires:
    return PostgresFires(neighbour)


@pytest.fixture
async def cut(commits: Commits, database: Database, new_process: NewProcess) -> PostgresFires:
    """Give the fires of a process whose commits may be cut."""
    url = make_url(database.url).set(drivername="postgresql", host="127.0.0.1", port=commits.port)
    store = await new_process(url=url.render_as_string(hide_password=False))
    await store.register()
    return PostgresFires(store)


async def register(fires: PostgresFires, *schedules: KnownSchedule, now: int = START) -> Registered:
    return await fires.register(schedules, keep=(), now=now)


def runs(database: Database) -> list[int]:
    """Give the times for which there are runs, in seconds after `AT`."""
    return [(at - AT) // SECOND for (at,) in database.fetch("select scheduled_for from runs order by scheduled_for")]


# Two that fire at once.


@pytest.mark.parametrize("undone", [False, True])
@pytest.mark.parametrize("later", [-1, 0, 1])
async def test_who_comes_second_waits_and_compares_with_what_the_first_has_left(
    fires: PostgresFires, others: PostgresFires, process: Store, database: Database, later: int, undone: bool
) -> None:
    (number,) = (await register(fires, known())).numbers

    async def fire(tx: Transaction) -> None:
        assert await tx.rows("note_fires", [number], [UTC], [AT], [True])

    async with kept_open(process, fire, undone=undone):
        second = asyncio.create_task(others.fire([due(number, AT + later * SECOND), due(number, AT + SECOND)]))
        await waits(database, second)
    new = [undone or later > 0, later < 1]
    assert await second == new
    assert runs(database) == [seconds for seconds, is_new in zip([later, 1], new, strict=True) if is_new]
    (state,) = await fires.states()
    assert (state.fired, state.missed) == (AT + SECOND, None if undone else AT)


async def test_two_that_fire_many_in_other_orders_do_not_wait_for_one_another_in_a_circle(
    fires: PostgresFires, others: PostgresFires, process: Store, database: Database
) -> None:
    numbers = (await register(fires, *(known(f"{n}") for n in range(50)))).numbers

    async def fire(tx: Transaction) -> None:
        assert await tx.rows("note_fires", [numbers[25]], [UTC], [AT], [True])

    async with kept_open(process, fire):
        waiting = [
            asyncio.create_task(each.fire([due(number, AT) for number in numbers[::step]]))
            for each, step in ((others, 1), (fires, -1))
        ]
        await waits(database, *waiting)
    assert sum(map(sum, await asyncio.gather(*waiting))) == len(runs(database)) == 49


async def test_limits_are_kept_with_the_first_fire_that_has_them(fires: PostgresFires, database: Database) -> None:
    (number,) = (await register(fires, known())).numbers
    for at, total in ((AT, 1), (AT + 1, 1), (AT + 2, 2)):
        await fires.fire([due(number, at, limits=Limits(total=total))])
        assert database.fetch("select job, total, per_tenant from limits") == [("greet", total, None)]


# Two that register at once.


async def test_bots_that_start_at_once_make_each_schedule_once(new_process: NewProcess) -> None:
    processes = [PostgresFires(await new_process()) for _ in range(4)]
    schedules = [known(f"{n}") for n in range(200)]
    registered = await asyncio.gather(*(register(fires, *schedules) for fires in processes))
    assert all(each == registered[0] for each in registered)
    assert len(await processes[0].states()) == 200


async def test_who_registers_second_has_what_the_first_has_made(
    fires: PostgresFires, others: PostgresFires, process: Store, database: Database
) -> None:
    bot = await process.register()

    async def register_first(tx: Transaction) -> None:
        await registering.register(tx, bot, [known(), known("b", zone=None)], (), START)

    async with kept_open(process, register_first):
        second = asyncio.create_task(register(others, known(edition="2"), now=AT))
        await waits(database, second)
    assert [(state.key, state.since) for state in (await second).states] == [("a", AT)]
    assert [(state.key, state.gone) for state in await fires.states()] == [("a", False)]
    assert database.fetch(f"select key from schedules where bot = {bot} and gone_at is null") == [("b",)]


async def test_a_zone_that_a_fire_brings_back_at_that_moment_stays(
    fires: PostgresFires, others: PostgresFires, process: Store, database: Database
) -> None:
    (number,) = (await register(fires, known(zone=None))).numbers
    await fires.set_zones(number, [PARIS, TOKYO], since=START, now=START)
    await fires.set_zones(number, [TOKYO], since=START, now=START)

    async def fire(tx: Transaction) -> None:
        assert await tx.rows("note_fires", [number], [PARIS], [AT], [False])

    async with kept_open(process, fire):
        second = asyncio.create_task(register(others, known(zone=None, edition="2"), now=AT + SECOND))
        await waits(database, second)
    states = {state.zone: (state.since, state.fired) for state in (await second).states}
    assert states == {PARIS: (AT + SECOND, AT), TOKYO: (AT + SECOND, None)}


async def test_what_is_the_same_waits_for_no_fire(fires: PostgresFires, others: PostgresFires, process: Store) -> None:
    (number,) = (await register(fires, known())).numbers

    async def fire(tx: Transaction) -> None:
        assert await tx.rows("note_fires", [number], [UTC], [AT], [True])

    async with kept_open(process, fire):
        assert (await register(others, known())).numbers == [number]


async def test_two_that_find_other_zones_at_once_leave_those_of_the_second(
    fires: PostgresFires, others: PostgresFires, process: Store, database: Database
) -> None:
    (number,) = (await register(fires, known(zone=None))).numbers
    async with kept_open(process, lambda tx: registering.set_zones(tx, number, [PARIS, UTC], START, START)):
        second = asyncio.create_task(others.set_zones(number, [TOKYO, UTC], since=AT, now=AT))
        await waits(database, second)
    assert {state.zone: state.since for state in await second} == {TOKYO: AT, UTC: START}


async def test_what_comes_back_after_weeks_is_not_removed_at_that_moment(
    fires: PostgresFires, process: Store, neighbour: Store, database: Database
) -> None:
    await register(fires, known())
    await register(fires, now=START + SECOND)
    process.clock = neighbour.clock = HandClock(START + 100 * DAY)
    bot = await process.register()
    async with kept_open(process, lambda tx: registering.register(tx, bot, [known()], (), START + 100 * DAY)):
        await prune(neighbour.write, RETENTION, neighbour.clock)
    await prune(neighbour.write, RETENTION, neighbour.clock)
    assert [(state.gone, state.since) for state in await fires.states()] == [(False, START + 100 * DAY)]
    await register(fires, now=START + 100 * DAY)
    process.clock = neighbour.clock = HandClock(START + 200 * DAY)
    await prune(neighbour.write, RETENTION, neighbour.clock)
    assert database.fetch("select count(*) from schedules union all select count(*) from schedule_zones") == [
        (0,),
        (0,),
    ]


async def test_what_comes_back_as_it_is_removed_is_new(
    fires: PostgresFires, process: Store, neighbour: Store, database: Database
) -> None:
    (old,) = (await register(fires, known())).numbers
    await register(fires, now=START + SECOND)
    gone = past(RETENTION, START + 100 * DAY)
    await neighbour.write(lambda tx: retention._remove(tx, gone))  # noqa: SLF001 - one of several transactions
    async with kept_open(neighbour, lambda tx: retention._remove(tx, gone)):  # noqa: SLF001
        coming = asyncio.create_task(register(fires, known(), now=START + 100 * DAY))
        await waits(database, coming)
    assert (await coming).numbers != [old]
    assert [(state.gone, state.since) for state in await fires.states()] == [(False, START + 100 * DAY)]


# A commit of which nobody hears.


@pytest.mark.parametrize("when", [["before"], ["after"], ["before", "after"]])
async def test_a_fire_whose_commit_is_cut_is_one_fire(
    cut: PostgresFires, commits: Commits, database: Database, when: list[Cut]
) -> None:
    one, two = (await register(cut, known(), known("b"))).numbers
    await cut.fire([due(two, AT)])
    commits.cuts = [*when]
    batch = [due(one, AT), due(one, AT), due(two, AT), let_go(two, AT + 1), let_go(two, AT)]
    assert await cut.fire(batch) == [True, False, False, True, False]
    assert commits.cuts == []
    assert runs(database) == [0, 0]
    assert database.fetch("select count(*) from chunks") == [(2,)]
    assert await cut.fire(batch) == [False] * 5


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_registration_whose_commit_is_cut_is_one_registration(
    cut: PostgresFires, commits: Commits, database: Database, when: Cut
) -> None:
    commits.cuts = [when]
    registered = await register(cut, known(), known("b", zone=None))
    assert commits.cuts == []
    assert [state.since for state in registered.states] == [START]
    assert database.fetch("select id from schedules order by id") == [
        (number,) for number in sorted(registered.numbers)
    ]
    changed = known(edition="2")
    commits.cuts = [when]
    registered = await register(cut, changed, known("b", zone=None), now=AT)
    assert ([state.since for state in registered.states], registered.looked) == ([AT], [AT, START])
