"""What schedules should have let run by now is told: what waits and why, what was skipped, what was not selected."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.fires import Fire, KnownSchedule, LateWork
from pinstripe.limits import Limits
from pinstripe.run import Trigger
from pinstripe.schedule import offset
from pinstripe.selection import Selection, ZoneChoice
from tests.ledgers.conftest import START
from tests.ledgers.queue.moves import (
    SECOND,
    again,
    claim,
    claim_one,
    die,
    ended,
    enqueue,
    enqueue_selecting,
    new_work,
    settle,
)

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger
    from pinstripe.run import Run
    from tests.ledgers.conftest import HandClock
    from tests.ledgers.stores import NewStore, Store

pytestmark = pytest.mark.anyio

AT = START - 600 * SECOND
"""When the schedules of these tests fire, where nothing is said: ten minutes ago."""

HOUR = 3_600 * SECOND


def given(at: int, **given: Any) -> dict[str, Any]:
    """Give what a run of a schedule has."""
    return {"schedule": "hourly", "scheduled_for": at, "overlap": "skip", "trigger": Trigger.SCHEDULE, **given}


async def fire(ledger: Ledger, *tenants: str, at: int = AT, job: str = "greet", **more: Any) -> Run:
    """Enqueue what a fire makes."""
    return await enqueue(ledger, *tenants, job=job, **given(at, **more))


async def late(ledger: Ledger, before: int = START, limit: int = 1_000) -> list[LateWork]:
    return await ledger.fires.late(before, limit)


async def told(ledger: Ledger, before: int = START) -> list[tuple[str | None, str]]:
    """Give the tenants and the reasons."""
    return [(work.tenant, work.reason) for work in await late(ledger, before)]


async def test_without_schedules_nothing_is_late(worker: Ledger) -> None:
    await enqueue(worker, "a")
    assert await late(worker) == []


async def test_what_no_worker_takes_is_late(worker: Ledger) -> None:
    run = await fire(worker, "a", "b")
    alone = await fire(worker, job="sweep", at=AT - SECOND)
    assert await late(worker) == [
        LateWork("sweep", "hourly", None, AT - SECOND, alone.id, "waits for a worker"),
        LateWork("greet", "hourly", "a", AT, run.id, "waits for a worker"),
        LateWork("greet", "hourly", "b", AT, run.id, "waits for a worker"),
    ]
    assert [work.job for work in await late(worker, AT)] == ["sweep"]
    assert await late(worker, AT - SECOND) == []
    assert [work.tenant for work in await late(worker, limit=2)] == [None, "a"]


async def test_what_runs_or_has_ended_is_not(worker: Ledger) -> None:
    await fire(worker, *"abc")
    await fire(worker, job="sweep")
    (first, *_) = await claim(worker, 3)
    await settle(worker, ended(first))
    assert len(await late(worker)) == 1
    await claim(worker)
    assert await late(worker) == []


async def test_what_was_enqueued_by_hand_is_not(worker: Ledger) -> None:
    await fire(worker)
    await enqueue(worker, "a")
    assert [work.tenant for work in await late(worker)] == [None]


async def test_what_waits_for_its_next_attempt_has_run(worker: Ledger, clock: HandClock) -> None:
    await fire(worker, "a")
    one = await claim_one(worker)
    await settle(worker, again(one, clock.microseconds + 60 * SECOND))
    assert await late(worker, START + HOUR) == []
    clock.advance(timedelta(hours=1))
    await settle(worker)  # it becomes ready
    assert await late(worker, START + HOUR) == []


async def test_what_asked_to_run_later_is_late_from_then_on(worker: Ledger, clock: HandClock) -> None:
    await fire(worker, "a")
    one = await claim_one(worker)
    due = clock.microseconds + 60 * SECOND
    await settle(worker, again(one, due, counted=False))
    assert await late(worker, due) == []
    assert [work.due_at for work in await late(worker, due + 1)] == [due]
    clock.advance(timedelta(hours=1))
    await settle(worker)
    assert await late(worker, due + 60 * SECOND) == []
    assert [work.due_at > due for work in await late(worker, clock.microseconds + 1)] == [True]


async def test_what_a_worker_died_of_is_late(worker: Ledger, second: Ledger, store: Store, clock: HandClock) -> None:
    run = await fire(worker, "a", crashes=2)
    await claim_one(worker)
    await die(worker, store, second)
    clock.advance(timedelta(minutes=1))
    (work,) = await late(second, clock.microseconds)
    assert (work.run, work.reason) == (run.id, "waits for a worker")


async def test_what_limits_hold_says_by_which(worker: Ledger) -> None:
    await fire(worker, *"ab", job="narrow", limits=Limits(total=1))
    await fire(worker, "a", job="each", limits=Limits(per_tenant=1))
    await fire(worker, "a", job="each", limits=Limits(per_tenant=1), schedule="daily")
    assert len(await claim(worker)) == 2
    assert sorted(await told(worker)) == [
        ("a", "waits for its job's limit per tenant"),
        ("b", "waits for its job's limit"),
    ]


async def test_what_waits_for_an_earlier_fire_says_so(worker: Ledger) -> None:
    await fire(worker, "a", at=AT - HOUR, overlap="queue")
    await claim_one(worker)
    await fire(worker, "a", overlap="queue")
    assert await told(worker) == [("a", "waits for an earlier fire")]


async def test_of_several_that_a_tenant_waits_for_the_first_is_told(worker: Ledger) -> None:
    for hours in range(5):
        await fire(worker, "a", at=AT - hours * HOUR, overlap=None)
    await fire(worker, "b", overlap=None)
    assert [(work.tenant, work.due_at) for work in await late(worker, limit=2)] == [("a", AT - 4 * HOUR), ("b", AT)]


async def test_what_is_paused_is_meant(worker: Ledger) -> None:
    await fire(worker, *"ab")
    await fire(worker, job="sweep")
    await enqueue_selecting(worker, job="bill", **given(AT), due_at=AT)
    await worker.queue.pause(None, "a")
    assert [work.tenant for work in await late(worker)] == [None, "b", None]
    await worker.queue.pause("sweep", None)
    await worker.queue.pause("bill", None)
    assert [work.tenant for work in await late(worker)] == ["b"]
    await worker.queue.pause("greet", "b")
    assert await late(worker) == []
    await claim(worker)
    assert await late(worker) == []
    await worker.queue.resume("sweep", None)
    assert [work.job for work in await late(worker)] == ["sweep"]
    await worker.queue.pause(None, None)
    assert await late(worker) == []


async def test_what_is_being_cancelled_is_not_late(worker: Ledger) -> None:
    run = await fire(worker, *"ab")
    await claim(worker, 1)
    await worker.queue.cancel(run.id, "no longer wanted")
    assert await late(worker) == []


async def test_what_waits_for_its_place_in_a_window_is_late_after_it(worker: Ledger, clock: HandClock) -> None:
    spread = 1_000 * SECOND
    run = await enqueue_selecting(worker, **given(AT), spread=spread)
    taken = await worker.queue.take_selection()
    assert taken is not None
    tenants = [f"t{n}" for n in range(20)]
    await worker.queue.add(taken, tenants)
    await worker.queue.end_selection(taken)
    dues = {tenant: AT + offset("greet", tenant, spread) for tenant in tenants}
    for before in (START - 300 * SECOND, START, START + 200 * SECOND):
        expected = sorted((due, tenant) for tenant, due in dues.items() if due < before)
        found = await late(worker, before)
        assert [(work.due_at, work.tenant) for work in found] == expected
        assert {work.run for work in found} <= {run.id}
    clock.advance(timedelta(hours=1))
    await settle(worker)  # all become ready
    assert sorted((work.due_at, work.tenant) for work in await late(worker, START + HOUR)) == sorted(
        (due, tenant) for tenant, due in dues.items()
    )


async def test_a_job_without_tenants_is_due_at_its_own_place(worker: Ledger) -> None:
    due = AT + 300 * SECOND
    await fire(worker, due_at=due)
    assert await late(worker, due) == []
    assert [work.due_at for work in await late(worker, due + 1)] == [due]


async def test_a_run_without_its_tenants_is_late(worker: Ledger) -> None:
    run = await enqueue_selecting(worker, **given(AT))
    assert await late(worker) == [
        LateWork("greet", "hourly", None, AT, run.id, "waits for a worker to select its tenants")
    ]
    taken = await worker.queue.take_selection()
    assert taken is not None
    await worker.queue.add(taken, ["a"])
    assert await told(worker) == [(None, "its tenants are being selected")]
    await worker.queue.leave_selection(taken)
    assert await told(worker) == [(None, "waits for a worker to select its tenants")]


async def schedule(ledger: Ledger, zone: str | None = "UTC", key: str = "hourly") -> int:
    """Let the schedule be known since yesterday, and give its number."""
    known = KnownSchedule("greet", key, f"0 * * * * {zone}", "0 * * * *", zone)
    registered = await ledger.fires.register([known], keep=(), now=AT - 24 * HOUR)
    (number,) = registered.numbers
    return number


async def fire_it(ledger: Ledger, number: int, *tenants: str, at: int = AT, zone: str = "UTC", **more: Any) -> None:
    """Let a schedule fire; without tenants a worker is to select them."""
    work = new_work(*tenants, **given(at, **more))
    assert await ledger.fires.fire([Fire(number, zone, at, work if tenants else work._replace(tenants=None))]) == [True]


async def test_who_was_skipped_for_an_unfinished_run_is_late(worker: Ledger) -> None:
    number = await schedule(worker)
    await fire_it(worker, number, *"abc", at=AT - HOUR)
    started = {one.tenant: one for one in await claim(worker)}
    await settle(worker, ended(started["a"]))
    await fire_it(worker, number, *"abcd")
    await claim(worker)
    reason = "skipped, since its run of 2026-09-21 13:03:20Z is unfinished"
    assert await told(worker) == [("b", reason), ("c", reason)]
    assert {work.due_at for work in await late(worker)} == {AT}
    assert await told(worker, AT) == []
    assert [work.tenant for work in await late(worker, limit=1)] == ["b"]
    await worker.queue.pause(None, "b")
    assert await told(worker) == [("c", reason)]
    await settle(worker, ended(started["c"]))
    assert await told(worker) == []


async def test_what_holds_up_the_next_fire_may_wait_itself(worker: Ledger) -> None:
    number = await schedule(worker)
    await fire_it(worker, number, *"ab", at=AT - HOUR)
    await fire_it(worker, number, *"ab")
    assert [(work.tenant, work.due_at) for work in await late(worker)] == [("a", AT - HOUR), ("b", AT - HOUR)]
    ready, held = await claim(worker)
    await settle(worker, again(ready, START + HOUR), again(held, START - SECOND))  # the one is held, the other ready
    skipped = await told(worker)
    assert [tenant for tenant, _ in skipped] == ["a", "b"]
    assert all(reason.startswith("skipped, since its run of ") for _, reason in skipped)


async def test_only_the_last_fire_tells_who_was_skipped(worker: Ledger) -> None:
    number = await schedule(worker)
    await fire_it(worker, number, "a", at=AT - 2 * HOUR)
    (one,) = await claim(worker)
    await fire_it(worker, number, *"ab", at=AT - HOUR)
    assert [tenant for tenant, reason in await told(worker) if reason.startswith("skipped")] == ["a"]
    await fire_it(worker, number, *"bc")
    assert [tenant for tenant, reason in await told(worker) if reason.startswith("skipped")] == []
    await settle(worker, ended(one))


async def test_each_zone_has_a_last_fire_of_its_own(worker: Ledger) -> None:
    number = await schedule(worker, None)
    await worker.fires.set_zones(number, ["Europe/Paris", "Asia/Tokyo"], since=AT - 24 * HOUR, now=AT)

    async def fire_in(zone: str, at: int, tenant: str) -> None:
        choice = Selection(zone=ZoneChoice(zone, "time_zone", "UTC")).to_json()
        await fire_it(worker, number, at=at, zone=zone, selection=choice)
        taken = await worker.queue.take_selection()
        assert taken is not None
        await worker.queue.add(taken, [tenant])
        await worker.queue.end_selection(taken)
        await claim(worker)

    await fire_in("Europe/Paris", AT - 3 * HOUR, "paris")
    await fire_in("Asia/Tokyo", AT - 3 * HOUR, "tokyo")
    await fire_in("Europe/Paris", AT - 2 * HOUR, "paris")  # skipped
    await fire_in("Asia/Tokyo", AT - HOUR, "tokyo")  # skipped
    assert [(work.tenant, work.due_at) for work in await late(worker)] == [
        ("paris", AT - 2 * HOUR),
        ("tokyo", AT - HOUR),
    ]
    await worker.fires.set_zones(number, ["Europe/Paris"], since=AT, now=AT)
    assert [work.tenant for work in await late(worker)] == ["paris"]


async def test_a_selection_that_failed_is_late_until_the_next_fire(worker: Ledger) -> None:
    number = await schedule(worker)
    await fire_it(worker, number)
    taken = await worker.queue.take_selection()
    assert taken is not None
    await worker.queue.end_selection(taken, error="TenantSourceFailed: no route\nto the database")
    (work,) = await late(worker)
    assert work == LateWork(
        *("greet", "hourly", None, AT, taken.id),
        reason="its tenants could not be selected: TenantSourceFailed: no route",
    )
    assert await late(worker, AT) == []
    await worker.queue.pause("greet", None)
    assert await late(worker) == []
    await worker.queue.resume("greet", None)
    await fire_it(worker, number, "a", at=AT + 60 * SECOND)
    await claim(worker)
    assert await late(worker) == []


async def test_of_a_schedule_that_fires_each_minute_it_is_told_all_the_time(worker: Ledger) -> None:
    number = await schedule(worker)
    await fire_it(worker, number, "a", at=AT)
    (one,) = await claim(worker)
    for minutes in range(1, 4):
        at = AT + minutes * 60 * SECOND
        await fire_it(worker, number, "a", at=at)
        assert [work.due_at for work in await late(worker, at)] == ([] if minutes == 1 else [at - 60 * SECOND])
    await settle(worker, ended(one))
    assert await late(worker) == []


async def test_a_selection_that_fails_each_minute_is_told_until_one_succeeds(worker: Ledger) -> None:
    number = await schedule(worker)
    for minutes in range(3):
        await fire_it(worker, number, at=AT + minutes * 60 * SECOND)
        taken = await worker.queue.take_selection()
        assert taken is not None
        await worker.queue.end_selection(taken, error="no route")
        due = [work.due_at for work in await late(worker, AT + minutes * 60 * SECOND)]
        assert due == ([AT + (minutes - 1) * 60 * SECOND] if minutes else [])
    at = AT + 3 * 60 * SECOND
    await fire_it(worker, number, at=at)
    assert await told(worker, at) == [(None, "its tenants could not be selected: no route")]
    taken = await worker.queue.take_selection()
    assert taken is not None
    await worker.queue.end_selection(taken)
    assert await late(worker, at) == []


async def test_a_selection_that_is_tried_again_is_late_no_more(worker: Ledger) -> None:
    number = await schedule(worker)
    await fire_it(worker, number)
    taken = await worker.queue.take_selection()
    assert taken is not None
    await worker.queue.end_selection(taken, error="no route")
    await enqueue(worker, "a", retry_of=taken.id, origin=taken.id, trigger=Trigger.RETRY)
    assert await late(worker) == []


async def test_a_schedule_that_is_gone_tells_nothing_of_its_last_fire(worker: Ledger) -> None:
    number = await schedule(worker)
    await fire_it(worker, number)
    taken = await worker.queue.take_selection()
    assert taken is not None
    await worker.queue.end_selection(taken, error="no route")
    await worker.fires.register([], keep=(), now=START)
    assert await late(worker) == []


async def test_who_only_looks_is_told_too(worker: Ledger, store: Store, new_store: NewStore) -> None:
    nowhere = new_store().ledger()
    await nowhere.open(write=False)
    assert await late(nowhere) == []
    await nowhere.close()
    await fire(worker, "a")
    looking = store.ledger()
    await looking.open(write=False)
    assert [work.tenant for work in await late(looking)] == ["a"]
