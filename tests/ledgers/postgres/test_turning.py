"""Turns and enqueues on PostgreSQL of which nobody hears whether they were committed, and what tickets they take."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urldefrag

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url

from pinstripe.engine import NewTicket, Ticket
from pinstripe.errors import LedgerError
from pinstripe.ledgers.picking import merge
from pinstripe.ledgers.postgres.claiming import MOST_USELESS, Appetite
from pinstripe.ledgers.postgres.transaction import Transaction
from pinstripe.queue import Taken
from tests.ledgers.postgres.workers import join
from tests.ledgers.queue.moves import (
    RUNNING,
    SUCCEEDED,
    claim,
    claim_one,
    counts,
    die,
    ended,
    enqueue,
    enqueue_each,
    new_work,
    state,
)
from tests.ledgers.stores import ledger_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from typing import Any

    from pinstripe.ledger import Ledger
    from pinstripe.ledgers.postgres.store import Store
    from tests.ledgers.conftest import HandClock
    from tests.ledgers.postgres.commits import Commits, Cut
    from tests.ledgers.stores import PostgresStore

pytestmark = pytest.mark.anyio

CUTS: list[list[Cut]] = [["before"], ["after"], ["after", "after"], ["before", "after"]]
ALWAYS: list[Cut] = ["after", "after", "after"]
"""More often than a transaction is tried: whoever asked for it is told that the ledger can't be reached."""


@pytest.fixture
async def cut(store: PostgresStore, ledger: Ledger, commits: Commits, clock: HandClock) -> AsyncIterator[Ledger]:
    """Give the ledger of a worker whose commits may be cut."""
    url, schema = urldefrag(store.address)
    through = make_url(url).set(drivername="postgresql", host="127.0.0.1", port=commits.port)
    cut = ledger_at(f"{through.render_as_string(hide_password=False)}#{schema}", clock)
    await cut.open()
    await cut.queue.join(10)
    yield cut
    await cut.close()


@pytest.mark.parametrize("cuts", CUTS, ids=" ".join)
async def test_what_is_started_is_told_once(cut: Ledger, commits: Commits, cuts: list[Cut]) -> None:
    run = await enqueue(cut, "a", "b", "c")
    commits.cuts = [*cuts]
    started = (await cut.queue.turn([], 10)).started
    assert sorted((each.tenant, each.epoch, each.attempt) for each in started) == [
        ("a", 1, 1),
        ("b", 1, 1),
        ("c", 1, 1),
    ]
    assert (await cut.queue.turn([], 10)).started == []
    assert (await cut.queue.turn([ended(each) for each in started], 10)).started == []
    assert (await counts(cut, run)).succeeded == 3


@pytest.mark.parametrize("cuts", CUTS, ids=" ".join)
async def test_what_is_settled_is_counted_once(cut: Ledger, commits: Commits, cuts: list[Cut]) -> None:
    run = await enqueue(cut, "a", "b", "c")
    first, second, third = await claim(cut, 10)
    commits.cuts = [*cuts]
    taken = await cut.queue.turn([ended(first), ended(second)], 10)
    assert taken.started == []
    seen = await counts(cut, run)
    assert (seen.succeeded, seen.running, seen.queued) == (2, 1, 0)
    await cut.queue.turn([ended(third)], 0)
    assert (await cut.find_run(run.id)).finished


async def test_a_turn_that_failed_is_told_by_the_next(cut: Ledger, commits: Commits) -> None:
    first = await enqueue(cut, "a")
    second = await enqueue(cut, "b")
    (running,) = await claim(cut, 1)
    commits.cuts = [*ALWAYS]
    with pytest.raises(LedgerError, match="can't be reached"):
        await cut.queue.turn([ended(running)], 10)
    assert await state(cut, second, "b") == RUNNING
    (found,) = (await cut.queue.turn([ended(running)], 10)).started  # what is settled is put back, and settled again
    assert (found.tenant, found.epoch) == ("b", 1)
    assert await state(cut, first, "a") == SUCCEEDED
    assert (await cut.queue.turn([], 10)).started == []


@pytest.mark.parametrize("cuts", CUTS, ids=" ".join)
async def test_the_end_of_an_earlier_start_here_lets_nothing_be_told_twice(
    cut: Ledger, other: Ledger, store: PostgresStore, commits: Commits, cuts: list[Cut]
) -> None:
    """As of a worker that was taken for dead, and has started the same again as the first attempt ends."""
    await enqueue(cut, "a")
    first = await claim_one(cut)
    await die(cut, store, other)
    assert (await cut.queue.turn([], 0)).lost
    await cut.queue.join(10)
    second = await claim_one(cut)
    assert (first.id, first.epoch + 1) == (second.id, second.epoch)
    commits.cuts = [*cuts]
    assert (await cut.queue.turn([ended(first)], 10)).started == []


async def test_who_is_cancelled_in_a_turn_is_told_by_the_next(cut: Ledger) -> None:
    await enqueue(cut, "a")
    turn = asyncio.ensure_future(cut.queue.turn([], 10))
    await asyncio.sleep(0)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    assert [each.tenant for each in (await cut.queue.turn([], 10)).started] == ["a"]


@pytest.mark.parametrize("cuts", CUTS, ids=" ".join)
async def test_a_run_is_enqueued_once(cut: Ledger, commits: Commits, cuts: list[Cut]) -> None:
    known = await enqueue(cut, "a", key="k")
    works = [new_work("a", "b"), new_work("a", key="k"), new_work("c", key="other"), new_work("c", key="other")]
    commits.cuts = [*cuts]
    runs = await cut.queue.enqueue(works)
    assert [run.id for run in runs] == [works[0].run.id, known.id, works[2].run.id, works[2].run.id]
    assert sorted(each.tenant for each in await claim(cut, 100)) == ["a", "a", "b", "c"]


async def test_two_that_enqueue_the_same_keys_at_once_get_the_same_runs(ledger: Ledger, other: Ledger) -> None:
    keys = [f"k{number}" for number in range(20)]
    one, two = await asyncio.gather(
        ledger.queue.enqueue([new_work("a", key=key) for key in keys]),
        other.queue.enqueue([new_work("a", key=key) for key in keys]),
    )
    assert [run.id for run in one] == [run.id for run in two]
    assert (await ledger.queue.status()).waiting[1].ready == len(keys)


async def test_many_workers_share_a_large_run_and_leave_nothing(store: PostgresStore, ledger: Ledger) -> None:
    run = await enqueue(ledger, *(f"t{number}" for number in range(700)))
    workers = [ledger, *(store.ledger() for _ in range(3))]
    for worker in workers[1:]:
        await worker.open()

    async def work(worker: Ledger) -> list[str]:
        await worker.queue.join(10)
        done: list[str] = []
        taken = await worker.queue.turn([], 7)
        while taken.started or taken.more or (await counts(worker, run)).queued:
            done += [each.tenant for each in taken.started]
            taken = await worker.queue.turn([ended(each) for each in taken.started], 7)
        return done

    done = await asyncio.gather(*map(work, workers))
    assert sorted(tenant for each in done for tenant in each) == sorted(f"t{number}" for number in range(700))
    assert (await ledger.find_run(run.id)).finished
    assert store.fetch(f"select count(*) from {urldefrag(store.address)[1]}.chunks") == [(0,)]


async def test_single_runs_take_a_ticket_each_and_chunks_few(ledger: Ledger) -> None:
    await ledger.queue.join(10)
    await enqueue_each(ledger, [f"t{number}" for number in range(40)])
    assert len(await claim(ledger, 40)) == 40


async def test_tickets_whose_chunks_are_gone_hold_nobody_up(process: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of them were taken at a time, all in one transaction: of a large run that was cancelled for half a minute."""
    worker = await join(process)
    useless = [NewTicket(1_000_000 + number, 1, 0) for number in range(MOST_USELESS + 400)]
    await process.write(lambda tx: process.engine.mint(tx, useless))
    await enqueue(worker.ledger, "a")
    looks: list[str] = []
    rows = Transaction.rows

    async def counted(tx: Transaction, name: str, *values: Any) -> Sequence[Any]:
        if name == "take":
            looks.append(name)
        return await rows(tx, name, *values)

    monkeypatch.setattr(Transaction, "rows", counted)
    assert await worker.queue.turn([], 10) == Taken([], None, more=True)
    assert len(looks) < 12
    assert [one.tenant for one in await claim(worker.ledger, 10)] == ["a"]


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=1, max_size=30), st.integers(1, 50))
def test_the_appetite_grows_to_what_is_needed_and_no_further(sizes: list[tuple[int, int]], slots: int) -> None:
    appetite = Appetite()
    tickets = [Ticket(n, n, f"r:{n}", 1, tag, tag + size) for n, (tag, size) in enumerate(sizes)]
    for _ in range(3):
        wanted = appetite.tickets(slots)
        assert 1 <= wanted <= slots
        appetite.learn(len(merge(sorted(tickets, key=lambda each: each.tag)[:slots], slots)), slots)
    assert appetite.tickets(slots) <= min(slots, max(2, len(tickets) + 1))
