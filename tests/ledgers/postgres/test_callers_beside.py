"""Callers whose transactions take long keep nobody waiting, whatever is done beside them."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urldefrag

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pinstripe.ledger import RunFilter
from pinstripe.ledgers.postgres.queue import WITH_KEYS
from pinstripe.ledgers.postgres.store import CONNECTIONS
from pinstripe.limits import Limits
from tests.ledgers.postgres.applications import Undone, asyncpg_connection, asyncpg_with_settings, psycopg_connection
from tests.ledgers.postgres.open_transactions import waits
from tests.ledgers.queue.moves import claim, ended, enqueue, new_work

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pinstripe.ledger import Ledger
    from pinstripe.queue import Started
    from tests.ledgers.conftest import HandClock
    from tests.ledgers.stores import NewStore, Store

pytestmark = pytest.mark.anyio

OPENED = (asyncpg_connection, psycopg_connection, asyncpg_with_settings)


async def _everything(ledger: Ledger, clock: HandClock, label: str) -> None:
    """Do all that processes do to a ledger, for the same jobs and tenants."""
    queue = ledger.queue
    await enqueue(ledger, "a", key=label)
    await enqueue(ledger, "a", "b", job="bulky")
    run = await enqueue(ledger, "a", job="limited", limits=Limits(total=2, per_tenant=1))
    await enqueue(ledger, job="picks", tenants=None)
    started = await claim(ledger)
    await queue.turn([ended(each) for each in started], 0)
    taken = await queue.take_selection()
    assert taken is not None
    await queue.add(taken, ["a", "b"])
    await queue.end_selection(taken)
    await queue.pause("greet", "a")
    await queue.resume("greet", "a")
    await queue.set_limits({"limited": Limits(total=3, per_tenant=1)})
    await queue.set_limits({"limited": Limits(total=2, per_tenant=1)})
    await queue.cancel(run.id, "enough")
    await queue.sweep()
    await queue.status()
    await queue.turn([ended(each) for each in await claim(ledger)], 0)
    clock.microseconds += 86_400_000_000 * 40
    await ledger.prune()
    await ledger.list_runs(RunFilter())


async def test_nobody_waits_for_callers_that_take_long(
    worker: Ledger, second: Ledger, store: Store, clock: HandClock
) -> None:
    url = urldefrag(store.address).url
    runs = []
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(opened(url)) for opened in (*OPENED, *OPENED)]
        for number, connection in enumerate(connections):
            works = [
                new_work("a", key=f"caller {number}"),
                new_work("a", "b", job="bulky"),
                new_work("a", job="limited", limits=Limits(total=2, per_tenant=1)),
                new_work(job="picks", tenants=None),
                new_work(
                    "a", "b", job="timed", schedule=f"nightly {number}", scheduled_for=clock.now(), overlap="skip"
                ),
            ]
            runs += await second.queue.enqueue(works, connection)
        watcher = await asyncpg.connect(url)
        await _impatient(worker)
        await _impatient(second)
        for label in ("one", "two"):
            await _everything(worker, clock, label)
            await _everything(second, clock, f"{label} more")
        held = await watcher.fetchval("select count(*) from pg_stat_activity where state = 'idle in transaction'")
        assert held >= len(connections)
        await watcher.close()
    assert {run.id for run in runs} <= {run.id for run in await worker.list_runs(RunFilter(limit=1_000))}
    done: list[Started] = []
    while started := await claim(worker):
        await worker.queue.turn([ended(each) for each in started], 0)
        done += started
    assert {each.run.id for each in done} >= {run.id for run in runs if not run.selecting}


async def test_those_who_wait_for_a_caller_s_key_leave_connections_for_others(worker: Ledger, store: Store) -> None:
    """They took all of a worker's, which for as long settled and started nothing."""
    await enqueue(worker, "b")
    async with asyncpg_connection(urldefrag(store.address).url) as connection:
        kept = await worker.queue.enqueue([new_work("a", key="k")], connection)
        waiting = [asyncio.create_task(enqueue(worker, "a", key="k")) for _ in range(2 * CONNECTIONS)]
        await waits(store, *waiting[:WITH_KEYS])  # type: ignore[arg-type]
        started = await asyncio.wait_for(claim(worker), 5)
        assert [one.tenant for one in started] == ["b"]
        assert not any(task.done() for task in waiting)
    assert {run.id for run in await asyncio.gather(*waiting)} == {kept[0].id}


async def _impatient(ledger: Ledger) -> None:
    """Let each transaction of a process fail that has to wait for a lock."""
    store: Any = ledger._store  # type: ignore[attr-defined]  # noqa: SLF001 - nothing public has its connections
    pool = store._pool  # noqa: SLF001
    connections = [await pool.acquire() for _ in range(4)]
    for connection in connections:
        await connection.execute("set lock_timeout = '300ms'")
    for connection in connections:
        await pool.release(connection)


class _Callers:
    """Callers by number, each of which may have a transaction open, in which runs were enqueued."""

    def __init__(self, ledger: Ledger, url: str) -> None:
        self._ledger = ledger
        self._url = url
        self._open: dict[int, tuple[AsyncExitStack, Any, set[str]]] = {}
        self.kept: set[str] = set()

    async def put(self, who: int) -> None:
        if who not in self._open:
            stack = AsyncExitStack()
            self._open[who] = stack, await stack.enter_async_context(OPENED[who](self._url)), set()
        _, connection, runs = self._open[who]
        works = [new_work("a"), new_work("b", "c")]
        runs.update(run.id for run in await self._ledger.queue.enqueue(works, connection))

    async def commit(self, who: int) -> None:
        if who in self._open:
            stack, _, runs = self._open.pop(who)
            await stack.aclose()
            self.kept |= runs

    async def undo(self, who: int) -> None:
        if who in self._open:
            stack, *_ = self._open.pop(who)
            with suppress(Undone):
                await stack.__aexit__(Undone, Undone(), None)


MOVES = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["put", "put", "commit", "undo", "claim", "own", "sweep"])),
    max_size=25,
)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=MOVES)
async def test_what_is_committed_is_done_once_and_nothing_else(
    new_store: NewStore, moves: Sequence[tuple[int, str]]
) -> None:
    store = new_store()
    ledger = store.ledger()
    await ledger.open()
    await ledger.queue.join(10)
    callers = _Callers(ledger, urldefrag(store.address).url)
    done: Counter[tuple[str, str]] = Counter()

    async def work() -> None:
        while started := await claim(ledger):
            done.update((each.run.id, each.tenant) for each in started)
            await ledger.queue.turn([ended(each) for each in started], 0)

    for who, move in moves:
        match move:
            case "claim":
                await work()
            case "sweep":
                await ledger.queue.sweep()
            case "own":
                callers.kept.add((await enqueue(ledger, "a")).id)
            case _:
                await getattr(callers, move)(who)
    for who in range(3):
        await callers.undo(who)
    await work()
    assert {run for run, _ in done} == callers.kept
    assert set(done.values()) <= {1}
    assert {run.id for run in await ledger.list_runs(RunFilter(limit=1_000))} == callers.kept
    await store.close()
