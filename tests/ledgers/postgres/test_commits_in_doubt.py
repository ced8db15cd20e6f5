"""Commits that are still on their way as their request is repeated: what they do is waited for, and not done again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urldefrag

import pytest
from sqlalchemy import make_url

from pinstripe.run import Counts
from tests.ledgers.moves import new_run, select
from tests.ledgers.postgres.open_transactions import waits
from tests.ledgers.queue.moves import (
    QUEUED,
    again,
    claim,
    claim_one,
    counts,
    ended,
    enqueue,
    enqueue_selecting,
    new_work,
    settle,
    state,
    tenants_of,
)
from tests.ledgers.stores import ledger_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from typing import Any

    from pinstripe.ledger import Ledger
    from tests.ledgers.conftest import HandClock
    from tests.ledgers.postgres.commits import Commits, Cut
    from tests.ledgers.stores import PostgresStore

T = TypeVar("T")

pytestmark = pytest.mark.anyio


class Late:
    """A process, of whose commits the server hears after the repetition has begun."""

    def __init__(self, ledger: Ledger, store: PostgresStore, commits: Commits) -> None:
        self.ledger = ledger
        self._store = store
        self._commits = commits

    async def __call__(self, act: Coroutine[Any, Any, T]) -> T:
        """Do something whose commit is late; it must wait for that, or else nobody knew what it did."""
        self._commits.cuts = ["late"]
        self._commits.hears.clear()
        acting = asyncio.create_task(act)
        await waits(self._store, acting)
        self._commits.hears.set()
        return await acting


@pytest.fixture
async def late(store: PostgresStore, ledger: Ledger, commits: Commits, clock: HandClock) -> AsyncIterator[Late]:
    url, schema = urldefrag(store.address)
    through = make_url(url).set(drivername="postgresql", host="127.0.0.1", port=commits.port)
    late = ledger_at(f"{through.render_as_string(hide_password=False)}#{schema}", clock)
    await late.open()
    yield Late(late, store, commits)
    await late.close()


@pytest.fixture
async def worker(late: Late) -> Ledger:
    await late.ledger.queue.join(10)
    return late.ledger


async def test_what_a_turn_has_started_is_told(worker: Ledger, late: Late) -> None:
    run = await enqueue(worker, "a", "b")
    taken = await late(worker.queue.turn([], 10))
    assert tenants_of(taken.started) == ["a", "b"]
    assert (await worker.queue.turn([ended(each) for each in taken.started], 10)).started == []
    assert await counts(worker, run) == Counts(2, succeeded=2)


async def test_what_a_turn_has_settled_is_counted_once(worker: Ledger, late: Late) -> None:
    run = await enqueue(worker, "a", "b")
    one, other = await claim(worker)
    await late(settle(worker, ended(one), again(other)))
    assert await counts(worker, run) == Counts(2, succeeded=1, queued=1)


async def test_a_crash_is_counted_once(worker: Ledger, commits: Commits) -> None:
    """Counted twice, an execution failed that had survived as many as it may."""
    run = await enqueue(worker, "a", crashes=1)
    one = await claim_one(worker)
    commits.cuts = ["after"]
    await settle(worker, again(one, crash=True, error="its process died"))
    assert await state(worker, run, "a") is QUEUED
    assert (await claim_one(worker)).crashes == 1


async def test_what_a_run_by_hand_has_started_is_told(late: Late) -> None:
    run = await select(late.ledger, ["a", "b"])
    turn = await late(late.ledger.turn(run.id, [], ["a", "b"]))
    assert [(one.tenant, one.epoch) for one in turn.claimed] == [("a", 1), ("b", 1)]
    assert turn.counts == Counts(2, running=2)


async def test_a_run_is_made_once(worker: Ledger, late: Late, store: PostgresStore) -> None:
    await late(worker.create(new_run()))
    runs = await late(worker.queue.enqueue([new_work("a"), new_work("b", key="k")]))
    assert store.fetch("select count(*) from runs") == [(3,)]
    assert sorted(tenants_of(await claim(worker))) == ["a", "b"]
    assert len({run.id for run in runs}) == len(runs)


@pytest.mark.parametrize("many", [1, 5])
@pytest.mark.parametrize("cut", ["before", "after", "late"])
async def test_what_is_enqueued_by_one_statement_is_made_once(
    worker: Ledger, commits: Commits, store: PostgresStore, cut: Cut, many: int
) -> None:
    await worker.queue.enqueue([new_work("a") for _ in range(many)])
    commits.cuts = [cut]
    runs = await worker.queue.enqueue([new_work("b") for _ in range(many)])
    assert commits.cuts == []
    if cut == "late":
        commits.hears.set()
        await commits.heard.wait()
    made = [(2 * many,)]
    assert store.fetch("select count(*) from runs") == store.fetch("select count(*) from executions") == made
    assert store.fetch(f"select id from runs order by n offset {many}") == [(run.id,) for run in runs]
    assert tenants_of(await claim(worker)) == ["a", "b"] * many


async def test_a_process_is_one(late: Late, store: PostgresStore) -> None:
    before = store.fetch("select count(*) from owners")
    await late(late.ledger.create(new_run()))
    assert store.fetch("select count(*) from owners") == [(before[0][0] + 1,)]


async def test_a_selection_is_made_once(worker: Ledger, late: Late) -> None:
    await enqueue_selecting(worker)
    taken = await worker.queue.take_selection()
    assert taken is not None
    assert await late(worker.queue.add(taken, ["a", "b"])) == 2
    run = await late(worker.queue.end_selection(taken))
    assert (run.selecting, run.executions) == (False, Counts(2, queued=2))
    assert sorted(tenants_of(await claim(worker))) == ["a", "b"]
