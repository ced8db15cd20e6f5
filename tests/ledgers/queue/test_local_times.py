"""A schedule that fires in each tenant's zone: each tenant has each time of the wall clock once, wherever it moves."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.errors import LedgerError
from pinstripe.fires import KnownSchedule
from pinstripe.ledger import RunFilter
from pinstripe.run import Counts, RunStatus, Trigger
from tests.ledgers.queue.moves import (
    SECOND,
    counts,
    die,
    drain,
    enqueue_selecting,
    new_work,
    tenants_of,
)

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger
    from pinstripe.queue import QueuedRun
    from pinstripe.run import Run
    from tests.ledgers.conftest import HandClock
    from tests.ledgers.stores import Store

pytestmark = pytest.mark.anyio

NINE = "2026-09-21T09:00:00"
TEN = "2026-09-21T10:00:00"


@pytest.fixture(autouse=True)
async def _known(worker: Ledger, clock: HandClock) -> None:
    await know(worker, clock)


async def know(ledger: Ledger, clock: HandClock, *keys: str) -> None:
    """Let the ledger know the schedules of the job."""
    schedules = [KnownSchedule("greet", key, "", "0 9 * * *", None) for key in keys or ["daily", "other"]]
    await ledger.fires.register(schedules, keep=(), now=clock.microseconds)


async def fire(ledger: Ledger, local_time: str = NINE, schedule: str = "daily", **given: Any) -> Run:
    """Enqueue what a fire in one zone does."""
    return await enqueue_selecting(
        ledger, schedule=schedule, scheduled_for=1, local_time=local_time, trigger=Trigger.SCHEDULE, **given
    )


async def take(ledger: Ledger) -> QueuedRun:
    taken = await ledger.queue.take_selection()
    assert taken is not None
    return taken


async def select(ledger: Ledger, *tenants: str) -> int:
    """Select a run's tenants; give how many it has."""
    taken = await take(ledger)
    added = await ledger.queue.add(taken, tenants)
    await ledger.queue.end_selection(taken)
    return added


async def test_a_tenant_that_moves_west_has_no_second_fire_of_the_same_time(worker: Ledger) -> None:
    east, west = await fire(worker), await fire(worker)
    assert await select(worker, "a", "b") == 2
    assert await select(worker, "b", "c") == 1
    assert [await counts(worker, run) for run in (east, west)] == [Counts(2, queued=2), Counts(1, queued=1)]
    assert await worker.find_execution(west.id, "b") is None
    assert sorted(tenants_of(await drain(worker))) == ["a", "b", "c"]


async def test_a_run_whose_tenants_have_all_had_it_is_a_success_of_nobody(worker: Ledger) -> None:
    await fire(worker)
    await select(worker, "a")
    run = await fire(worker)
    assert await select(worker, "a") == 0
    assert await counts(worker, run) == Counts()
    assert (await worker.find_run(run.id)).status == RunStatus.SUCCEEDED


@pytest.mark.parametrize("other", [{"local_time": TEN}, {"schedule": "other"}, {"local_time": f"{NINE}+1"}])
async def test_another_time_or_schedule_is_another_fire(worker: Ledger, other: dict[str, str]) -> None:
    await fire(worker)
    assert await select(worker, "a", "b") == 2
    await fire(worker, **other)
    assert await select(worker, "a", "b") == 2


async def test_a_run_without_a_local_time_asks_nobody(worker: Ledger) -> None:
    await fire(worker)
    await select(worker, "a")
    await enqueue_selecting(worker, schedule="daily", scheduled_for=1)
    assert await select(worker, "a") == 1


async def test_a_selection_that_is_begun_again_keeps_whom_it_had(worker: Ledger, second: Ledger, store: Store) -> None:
    run = await fire(worker)
    await worker.queue.add(await take(worker), ["a", "b"])
    await die(worker, store, second)
    again = await take(second)
    assert again.id == run.id
    assert await second.queue.add(again, ["a", "b", "c"]) == 1
    await second.queue.end_selection(again)
    assert await counts(second, run) == Counts(3, queued=3)
    assert sorted(tenants_of(await drain(second))) == ["a", "b", "c"]


async def test_who_may_not_select_any_more_takes_nobodys_time(worker: Ledger, second: Ledger, store: Store) -> None:
    await fire(worker)
    first = await take(worker)
    await die(worker, store, second)
    again = await take(second)
    with pytest.raises(LedgerError):
        await worker.queue.add(first, ["a"])
    assert await second.queue.add(again, ["a"]) == 1


async def test_of_two_zones_that_are_selected_at_once_one_has_the_tenant(worker: Ledger, second: Ledger) -> None:
    tenants = [f"t{n:03}" for n in range(100)]
    runs = [await fire(worker), await fire(worker)]
    selections = [await take(worker), await take(second)]
    added = await asyncio.gather(
        *(
            ledger.queue.add(taken, tenants[first : first + 10])
            for first in range(0, 100, 10)
            for ledger, taken in zip((worker, second), selections, strict=True)
        )
    )
    assert sum(added) == 100
    for ledger, taken in zip((worker, second), selections, strict=True):
        await ledger.queue.end_selection(taken)
    assert sum([(await counts(worker, run)).total for run in runs]) == 100
    assert sorted(tenants_of(await drain(worker))) == tenants


async def test_it_goes_with_a_spread_and_with_a_guard(worker: Ledger, clock: HandClock) -> None:
    given: dict[str, Any] = {"overlap": "skip", "spread": 60 * SECOND}
    first = await fire(worker, **given)
    await select(worker, "a", "b")
    west = await fire(worker, **given)
    await select(worker, "b", "c")
    later = await fire(worker, TEN, **given)
    await select(worker, "a", "d")
    clock.advance(timedelta(minutes=2))
    assert sorted(tenants_of(await drain(worker))) == ["a", "b", "c", "d"]
    assert await counts(worker, first) == Counts(2, succeeded=2)
    assert await counts(worker, west) == Counts(1, succeeded=1)
    assert await counts(worker, later) == Counts(2, succeeded=1, skipped=1)


async def test_a_schedule_that_the_ledger_does_not_know_is_refused(worker: Ledger) -> None:
    works = [new_work("a"), new_work(tenants=None, schedule="unheard of", scheduled_for=1, local_time=NINE)]
    with pytest.raises(LedgerError, match="'unheard of' has the local time 2026-09-21T09:00:00, but the ledger"):
        await worker.queue.enqueue(works)
    assert await worker.list_runs(RunFilter()) == []


async def test_it_is_forgotten_after_some_days(worker: Ledger, clock: HandClock) -> None:
    await fire(worker)
    await select(worker, "a")
    await drain(worker)
    for days, has_it_again in ((2, 0), (2, 1)):
        clock.advance(timedelta(days=days))
        worker.beat()
        await worker.prune()
        await fire(worker)
        assert await select(worker, "a") == has_it_again


async def test_a_run_outlives_its_schedule(worker: Ledger, clock: HandClock) -> None:
    run = await fire(worker)
    await know(worker, clock, "other")
    clock.advance(timedelta(days=31))
    worker.beat()
    await worker.prune()
    assert {state.key for state in await worker.fires.states()} <= {"other"}
    assert await select(worker, "a") == 1
    assert await counts(worker, run) == Counts(1, queued=1)
