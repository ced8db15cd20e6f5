"""The ledger behind a PgBouncer that gives each transaction another connection: nothing is kept of a session."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from pinstripe.limits import Limits
from pinstripe.run import Counts, RunStatus
from tests.ledgers.conftest import HandClock
from tests.ledgers.moves import SUCCEEDED, carry_out, select
from tests.ledgers.queue.moves import claim, die, drain, ended, enqueue, enqueue_each, enqueue_selecting, settle
from tests.ledgers.stores import PostgresStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pinstripe.ledger import Ledger
    from tests.ledgers.stores import Hand
    from tests.pgbouncer import PgBouncer

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(pgbouncer: PgBouncer, ledgers_database: tuple[str, Hand]) -> AsyncIterator[PostgresStore]:
    """Give an empty store, which is reached by way of the pooler."""
    url, hand = ledgers_database
    store = PostgresStore(pgbouncer.url(url.rpartition("/")[2], "app_owner"), hand, HandClock())
    yield store
    await store.close()
    store.remove()


async def test_workers_share_a_queue(worker: Ledger, second: Ledger) -> None:
    runs = await enqueue_each(worker, [f"t{n % 5}" for n in range(40)])
    fan_out = await enqueue(second, *(f"t{n}" for n in range(40)))

    async def work(ledger: Ledger) -> list[int]:
        done = []
        while started := await claim(ledger, 7):
            done += [one.id for one in started]
            await settle(ledger, *(ended(one) for one in started))
        return done

    one, other = await asyncio.gather(work(worker), work(second))
    assert len(one) + len(other) == len({*one, *other}) == 80
    assert {(await worker.find_run(run.id)).status for run in [fan_out, *runs]} == {RunStatus.SUCCEEDED}


async def test_a_run_by_hand_is_carried_out(ledger: Ledger, other: Ledger) -> None:
    run = await select(ledger, "abc")
    assert await carry_out(ledger, run.id, dict.fromkeys("abc", SUCCEEDED)) == Counts(3, succeeded=3)
    assert (await other.find_run("last")).id == run.id


async def test_a_selection_limits_and_a_dead_worker_are_taken_care_of(
    worker: Ledger, second: Ledger, store: PostgresStore
) -> None:
    await enqueue_selecting(worker, job="narrow", limits=Limits(total=2))
    taken = await worker.queue.take_selection()
    assert taken is not None
    assert await worker.queue.add(taken, [f"t{n}" for n in range(120)]) == 120
    await worker.queue.end_selection(taken)
    assert len(await claim(worker)) == 2
    assert await claim(second) == []
    await die(worker, store, second)
    assert len(await drain(second)) == 120


async def test_who_waits_looks_by_itself(worker: Ledger, other: Ledger) -> None:
    hearing = asyncio.ensure_future(worker.queue.wait(60))
    await enqueue(other, "a")
    async with asyncio.timeout(30):
        assert await hearing
    assert len(await claim(worker)) == 1


async def test_it_goes_on_after_the_pooler_was_away(worker: Ledger, second: Ledger, pgbouncer: PgBouncer) -> None:
    run = await enqueue(worker, *"abc")
    started = await claim(worker, 2)
    with pgbouncer.stopped():
        pass
    await settle(worker, *(ended(one) for one in started))
    assert len(await drain(second)) == 1
    assert (await worker.find_run(run.id)).executions == Counts(3, succeeded=3)
