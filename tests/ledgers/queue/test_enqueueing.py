"""Nothing becomes queued runs: one or many, all of them or none, each key once."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pinstripe.clock import to_datetime, to_microseconds
from pinstripe.errors import LedgerError
from pinstripe.ledger import RunFilter
from pinstripe.priority import Priority
from pinstripe.queue import Held, NewWork
from pinstripe.run import Counts, RunStatus, Trigger
from tests.ledgers.moves import SELECTION, new_run
from tests.ledgers.queue.moves import (
    FAILED,
    QUEUED,
    SECOND,
    claim,
    claim_one,
    drain,
    ended,
    enqueue,
    enqueue_selecting,
    execution,
    new_work,
    runs_of,
    settle,
    tenants_of,
)

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger
    from tests.ledgers.conftest import HandClock

pytestmark = pytest.mark.anyio


async def test_a_run_is_enqueued_whole(ledger: Ledger) -> None:
    given = new_run("billing/close_month", args=["größe", {"deep": [1.5]}], kwargs={"on": None}, parent="outer")
    (run,) = await ledger.queue.enqueue([NewWork(given, ["a", "b"])])
    assert (run.id, run.job, run.trigger, run.parent) == (given.id, "billing/close_month", Trigger.CODE, "outer")
    assert (run.args, run.kwargs) == (("größe", {"deep": [1.5]}), {"on": None})
    assert (run.status, run.selecting, run.executions) == (RunStatus.QUEUED, False, Counts(2, queued=2))
    assert (run.started_at, run.finished_at, run.error, run.result) == (None, None, None, None)
    assert await ledger.find_run(run.id) == run
    assert await ledger.list_runs(RunFilter(tenant="b")) == [run]


async def test_a_run_tells_of_itself_as_json(ledger: Ledger) -> None:
    run = await enqueue(ledger, "a", "b")
    assert json.loads(json.dumps(run.to_json())) == {
        "id": run.id,
        "job": "greet",
        "status": "queued",
        "trigger": "code",
        "args": [],
        "kwargs": {},
        "selecting": False,
        "retry_of": None,
        "parent": None,
        "scheduled_for": None,
        "error": None,
        "result": None,
        "created_at": run.to_json()["created_at"],
        "started_at": None,
        "finished_at": None,
        "executions": {
            "total": 2,
            "queued": 2,
            "running": 0,
            "succeeded": 0,
            "failed": 0,
            "cancelled": 0,
            "skipped": 0,
        },
        "failures": [],
    }


async def test_a_job_without_tenants_has_one_execution_without_one(worker: Ledger) -> None:
    run = await enqueue(worker)
    assert run.executions == Counts(1, queued=1)
    assert (await execution(worker, run)).tenant is None
    assert (await claim_one(worker)).tenant == ""


async def test_a_run_for_nobody_is_a_success_at_once(worker: Ledger) -> None:
    run = await enqueue(worker, tenants=[])
    assert (run.status, run.executions, run.selecting) == (RunStatus.SUCCEEDED, Counts(), False)
    assert run.finished_at is not None
    assert await claim(worker) == []


async def test_a_tenant_that_is_named_twice_runs_once(worker: Ledger) -> None:
    run = await enqueue(worker, "a", "b", "a")
    assert run.executions == Counts(2, queued=2)
    assert sorted(tenants_of(await drain(worker))) == ["a", "b"]


async def test_many_runs_are_given_in_the_order_of_their_works(worker: Ledger) -> None:
    works = [new_work(str(n), job=f"job_{n % 3}") for n in range(250)]
    runs = await worker.queue.enqueue(works)
    assert [run.id for run in runs] == [work.run.id for work in works]
    assert [run.job for run in runs] == [work.run.job for work in works]
    assert {run.executions for run in runs} == {Counts(1, queued=1)}
    assert sorted(runs_of(await drain(worker))) == sorted(run.id for run in runs)


async def test_nothing_to_enqueue_is_nothing_done(ledger: Ledger) -> None:
    assert await ledger.queue.enqueue([]) == []
    assert await ledger.list_runs(RunFilter()) == []


async def test_all_are_enqueued_or_none(worker: Ledger) -> None:
    kept = await enqueue(worker, "a")
    doubled = new_work("b", id=kept.id)
    with pytest.raises(LedgerError):
        await worker.queue.enqueue([new_work("c"), new_work("d", key="k"), doubled, new_work("e")])
    assert [run.id for run in await worker.list_runs(RunFilter())] == [kept.id]
    assert tenants_of(await drain(worker)) == ["a"]
    assert (await enqueue(worker, "d", key="k")).executions == Counts(1, queued=1)


async def test_enqueued_at_once_all_are_there(ledger: Ledger, second: Ledger) -> None:
    async def one(n: int) -> str:
        return (await enqueue((ledger, second)[n % 2], f"t{n}")).id

    ids = await asyncio.gather(*(one(n) for n in range(100)))
    assert sorted(runs_of(await drain(second))) == sorted(ids)


async def test_the_same_key_is_the_same_run(worker: Ledger) -> None:
    first = await enqueue(worker, "a", key="inv-17")
    second = await enqueue(worker, "a", key="inv-17", args=["other"])
    assert second == first
    assert tenants_of(await drain(worker)) == ["a"]
    finished = await enqueue(worker, "a", key="inv-17")
    assert (finished.id, finished.status) == (first.id, RunStatus.SUCCEEDED)
    assert await drain(worker) == []
    assert len(await worker.list_runs(RunFilter())) == 1


async def test_a_key_is_its_jobs_and_its_tenants(ledger: Ledger) -> None:
    works = [
        new_work("a", key="k"),
        new_work("a", key="k", key_tenant="a"),
        new_work("b", key="k", key_tenant="b"),
        new_work("a", key="k", job="other"),
        new_work("a", key="K"),
        new_work("a", key=""),
        new_work("a"),
        new_work("a"),
    ]
    runs = await ledger.queue.enqueue(works)
    assert [run.id for run in runs] == [work.run.id for work in works]
    assert [run.id for run in await ledger.queue.enqueue(works[:4])] == [run.id for run in runs[:4]]


async def test_a_key_is_kept_once_among_those_enqueued_together(worker: Ledger) -> None:
    works = [new_work("x"), new_work("a", key="k"), new_work("b", key="k"), new_work("y"), new_work("a", key="k")]
    runs = await worker.queue.enqueue(works)
    first = works[1].run.id
    assert [run.id for run in runs] == [works[0].run.id, first, first, works[3].run.id, first]
    assert sorted(tenants_of(await drain(worker))) == ["a", "x", "y"]


async def test_processes_that_enqueue_a_key_at_once_get_one_run(worker: Ledger, second: Ledger) -> None:
    asked = [enqueue((worker, second)[n % 2], "a", key=f"k{n // 6}") for n in range(60)]
    runs = await asyncio.gather(*asked)
    assert [len({run.id for run in runs[first : first + 6]}) for first in range(0, 60, 6)] == [1] * 10
    assert len(await drain(worker)) == len(await worker.list_runs(RunFilter(limit=100))) == 10


async def test_a_key_lives_as_long_as_its_run(worker: Ledger, clock: HandClock) -> None:
    first = await enqueue(worker, "a", key="k")
    await settle(worker, ended(await claim_one(worker), FAILED, error="no"))
    assert (await enqueue(worker, "a", key="k")).id == first.id
    clock.advance(timedelta(days=91))
    assert await worker.prune() == 1
    later = await enqueue(worker, "a", key="k")
    assert later.id != first.id
    assert runs_of(await drain(worker)) == [later.id]


async def test_a_selecting_run_has_a_key_too(worker: Ledger) -> None:
    first = await enqueue_selecting(worker, key="k")
    assert (await enqueue_selecting(worker, key="k")).id == first.id
    taken = await worker.queue.take_selection()
    assert taken is not None
    assert taken.id == first.id
    assert await worker.queue.take_selection() is None


async def test_what_is_due_later_waits_for_its_time(worker: Ledger, clock: HandClock) -> None:
    due = clock.microseconds + 300 * SECOND
    run = await enqueue(worker, "a", "b", due_at=due)
    assert (run.status, run.executions) == (RunStatus.QUEUED, Counts(2, queued=2))
    taken = await worker.queue.turn([], 9)
    assert (taken.started, taken.next_due, taken.more) == ([], due, False)
    assert (await worker.queue.status()).held == {Held.DUE: 2}
    clock.advance(timedelta(minutes=4))
    assert await claim(worker) == []
    clock.advance(timedelta(minutes=1))
    assert sorted(tenants_of(await claim(worker))) == ["a", "b"]


async def test_what_was_due_in_the_past_is_due_now(worker: Ledger, clock: HandClock) -> None:
    run = await enqueue(worker, "a", due_at=clock.microseconds - 3_600 * SECOND)
    assert runs_of(await claim(worker)) == [run.id]


async def test_what_becomes_due_starts_in_its_band(worker: Ledger, clock: HandClock) -> None:
    late = await enqueue(worker, "a", priority=Priority.INTERACTIVE, due_at=clock.microseconds + 60 * SECOND)
    soon = await enqueue(worker, "b")
    clock.advance(timedelta(minutes=2))
    assert runs_of(await claim(worker)) == [late.id, soon.id]


async def test_a_selection_is_for_a_worker_to_make(worker: Ledger) -> None:
    run = await enqueue_selecting(worker)
    assert (run.status, run.selecting, run.executions) == (RunStatus.QUEUED, True, Counts())
    assert await claim(worker) == []
    assert (await worker.queue.status()).selecting == 1


async def test_a_worker_is_told_all_of_a_run(worker: Ledger, clock: HandClock) -> None:
    origin = await enqueue(worker, "z")
    await drain(worker)
    moment = clock.microseconds
    run = await enqueue(
        worker,
        "a",
        job="billing/close_month",
        trigger=Trigger.RETRY,
        args=[1, None],
        kwargs={"deep": {"é": "🦓"}},
        selection={**SELECTION, "tenants": ["a"]},
        retry_of=origin.id,
        origin=origin.id,
        crashes=5,
        retry_until=moment + SECOND,
        scheduled_for=moment,
    )
    assert run.scheduled_for == to_datetime(moment)
    started = await claim_one(worker)
    told = started.run
    assert (told.id, told.job, told.trigger) == (run.id, "billing/close_month", Trigger.RETRY)
    assert (list(told.args), told.kwargs) == ([1, None], {"deep": {"é": "🦓"}})
    assert told.selection == {**SELECTION, "tenants": ["a"]}
    assert (told.retry_of, told.origin) == (origin.id, origin.id)
    assert (told.crashes, told.retry_until, told.scheduled_for, told.total) == (5, moment + SECOND, moment, 1)
    assert told.created_at == to_microseconds(run.created_at)
    assert (started.tenant, started.epoch, started.attempt, started.solo, started.crashes) == ("a", 1, 1, False, 0)


async def test_odd_tenants_are_themselves(worker: Ledger) -> None:
    odd = [
        "it's",
        "a;drop table runs",
        "%_\\",
        "na\u00efve",
        "nai\u0308ve",
        "🦓",
        "\uffff",
        " ",
        "x" * 1_000,
        "1",
        "1.0",
    ]
    run = await enqueue(worker, *odd)
    await enqueue(worker, "1")
    assert run.executions == Counts(len(odd), queued=len(odd))
    assert sorted(tenants_of(await drain(worker))) == sorted([*odd, "1"])


async def test_what_is_enqueued_is_queued_for_who_only_looks(ledger: Ledger, other: Ledger) -> None:
    run = await enqueue(ledger, "a", "b")
    assert await other.queued_tenants(run.id, after=None, limit=9) == ["a", "b"]
    assert (await execution(other, run, "a")).status is QUEUED
    assert [listed.id for listed in await other.list_runs(RunFilter(status=RunStatus.QUEUED))] == [run.id]
