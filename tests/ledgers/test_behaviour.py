"""What every ledger does, told in the order of a run's life, and tried through the protocol alone."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.clock import to_datetime
from pinstripe.errors import LedgerError
from pinstripe.ledger import NO_TENANT, NewRun, RunFilter, Settlement
from pinstripe.run import Counts, RunStatus, Trigger, new_run_id
from tests.ledgers.moves import CANCELLED, FAILED, SKIPPED, SUCCEEDED, carry_out, ended, new_run, recount, select, start

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger
    from pinstripe.run import ExecutionStatus
    from tests.ledgers.conftest import HandClock

pytestmark = pytest.mark.anyio

ODD_TENANTS = [
    "it's",
    '"quoted"',
    "a;drop table runs",
    "%_\\",
    "Ünïcödé",
    "na\u00efve",
    "nai\u0308ve",
    "日本",
    "🦓🏳️‍🌈",
    "\N{PILE OF POO}",
    "\uffff",
    "\U0001f600",
    " ",
    "line\nbreak\t",
    "x" * 1_000,
    "1",
    "1.0",
    "null",
    "[]",
    "A",
    "a",
]


async def test_a_run_is_created_small(ledger: Ledger) -> None:
    made = await ledger.create(
        NewRun(
            id=(id_ := new_run_id(1_790_000_000_000_000)),
            job="billing/close_month",
            trigger=Trigger.CLI,
            args=["weekly", None, 1.5, {"deep": [True]}],
            kwargs={"größe": "🦓", "lone": "\ud800"},
            selection={"tenants": ["a"], "exclude": [], "where": [["plan", {"text": "pro"}]], "force": True},
            parent="the-outer-run",
        )
    )
    assert (made.id, made.job, made.trigger, made.parent) == (id_, "billing/close_month", "cli", "the-outer-run")
    assert made.args == ("weekly", None, 1.5, {"deep": [True]})
    assert made.kwargs == {"größe": "🦓", "lone": "\ud800"}
    assert (made.status, made.selecting, made.executions) == (RunStatus.QUEUED, True, Counts())
    assert (made.started_at, made.finished_at, made.error, made.result) == (None, None, None, None)
    assert await ledger.find_run(made.id) == made


async def test_times_are_those_of_the_clock(ledger: Ledger, clock: HandClock) -> None:
    run = await ledger.create(new_run())
    await ledger.add(run.id, ["a"])
    before = to_datetime(clock.microseconds)
    assert run.created_at <= before
    await ledger.end_selection(run.id)
    clock.advance(timedelta(hours=1))
    claimed = await start(ledger, run.id, "a")
    clock.advance(timedelta(hours=1))
    await ledger.turn(run.id, [ended(claimed["a"])], [])
    found = await ledger.find_run(run.id)
    execution = await ledger.find_execution(run.id, "a")
    assert execution is not None
    assert found.started_at is not None
    assert found.finished_at is not None
    assert timedelta(hours=1) <= found.started_at - before < timedelta(hours=1, seconds=1)
    assert timedelta(hours=1) <= found.finished_at - found.started_at < timedelta(hours=1, seconds=1)
    assert (execution.started_at, execution.finished_at) == (found.started_at, found.finished_at)


async def test_tenants_are_added_once_each(ledger: Ledger) -> None:
    run = await ledger.create(new_run())
    assert await ledger.add(run.id, ["a", "b", "a"]) == 2
    assert await ledger.add(run.id, ["b", "c"]) == 1
    assert await ledger.add(run.id, []) == 0
    found = await ledger.find_run(run.id)
    assert (found.selecting, found.executions) == (True, Counts(total=3, queued=3))
    assert await ledger.queued_tenants(run.id, after=None, limit=9) == ["a", "b", "c"]


async def test_nothing_starts_before_the_selection_is_complete(ledger: Ledger) -> None:
    run = await ledger.create(new_run())
    await ledger.add(run.id, ["a"])
    with pytest.raises(LedgerError, match="before its selection is complete"):
        await ledger.turn(run.id, [], ["a"])
    await ledger.end_selection(run.id)
    assert set(await start(ledger, run.id, "a")) == {"a"}


async def test_nobody_is_added_once_the_selection_is_complete(ledger: Ledger) -> None:
    run = await select(ledger, ["a"])
    with pytest.raises(LedgerError):
        await ledger.add(run.id, ["b"])
    assert (await ledger.find_run(run.id)).executions == await recount(ledger, run.id, ["a", "b"])


async def test_an_empty_selection_is_a_success_of_nobody(ledger: Ledger) -> None:
    run = await select(ledger, [])
    assert (run.status, run.selecting, run.executions) == (RunStatus.SUCCEEDED, False, Counts())
    assert run.finished_at is not None


async def test_a_selection_that_failed_is_a_failed_run(ledger: Ledger) -> None:
    run = await ledger.create(new_run())
    await ledger.add(run.id, ["a", "b"])
    failed = await ledger.end_selection(run.id, error="the tenant source failed")
    assert (failed.status, failed.error) == (RunStatus.FAILED, "the tenant source failed")
    assert (failed.executions, failed.finished) == (Counts(total=2, cancelled=2), True)
    execution = await ledger.find_execution(run.id, "a")
    assert execution is not None
    assert (execution.status, execution.error, execution.attempts) == (CANCELLED, "not started", 0)
    assert not (await ledger.selected_by(run.id)).complete


async def test_a_job_without_tenants_has_one_execution(ledger: Ledger) -> None:
    run = await select(ledger, [NO_TENANT], job="clean_up")
    claimed = await start(ledger, run.id, NO_TENANT)
    await ledger.turn(run.id, [ended(claimed[NO_TENANT], result='{"removed": [1, null]}')], [])
    found = await ledger.find_run(run.id)
    execution = await ledger.find_execution(run.id, None)
    assert (found.status, found.result, found.executions.total) == (RunStatus.SUCCEEDED, {"removed": [1, None]}, 1)
    assert execution is not None
    assert (execution.tenant, execution.result) == (None, {"removed": [1, None]})
    assert await ledger.list_runs(RunFilter(tenant=NO_TENANT)) == []


async def test_a_failure_without_a_tenant_has_none(ledger: Ledger) -> None:
    run = await select(ledger, [NO_TENANT])
    await carry_out(ledger, run.id, {NO_TENANT: FAILED})
    assert [failure.tenant for failure in (await ledger.find_run(run.id)).failures] == [None]


async def test_the_result_of_one_among_several_is_its_executions_alone(ledger: Ledger) -> None:
    run = await select(ledger, ["a", "b"])
    claimed = await start(ledger, run.id, "a", "b")
    await ledger.turn(run.id, [ended(claimed["a"], result="5"), ended(claimed["b"])], [])
    execution = await ledger.find_execution(run.id, "a")
    assert (await ledger.find_run(run.id)).result is None
    assert execution is not None
    assert execution.result == 5


async def test_a_turn_settles_and_starts_at_once(ledger: Ledger) -> None:
    run = await select(ledger, ["a", "b", "c"])
    first = await ledger.turn(run.id, [], ["a", "b"])
    assert sorted((one.tenant, one.epoch, one.attempt) for one in first.claimed) == [("a", 1, 1), ("b", 1, 1)]
    assert first.counts == Counts(total=3, queued=1, running=2)
    second = await ledger.turn(run.id, [ended(first.claimed[0])], ["c"])
    assert [one.tenant for one in second.claimed] == ["c"]
    assert second.counts == Counts(total=3, running=2, succeeded=1)
    found = await ledger.find_run(run.id)
    assert (found.status, found.executions) == (RunStatus.RUNNING, second.counts)


async def test_what_is_not_queued_is_not_started(ledger: Ledger) -> None:
    run = await select(ledger, ["a", "b"])
    await carry_out(ledger, run.id, {"a": SUCCEEDED})
    claimed = await start(ledger, run.id, "a", "b", "b", "stranger")
    assert set(claimed) == {"b"}
    assert await start(ledger, run.id, "b") == {}


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ([SUCCEEDED, SUCCEEDED], RunStatus.SUCCEEDED),
        ([SUCCEEDED, SKIPPED], RunStatus.SUCCEEDED),
        ([SKIPPED, SKIPPED], RunStatus.SUCCEEDED),
        ([SUCCEEDED, CANCELLED], RunStatus.CANCELLED),
        ([CANCELLED, FAILED], RunStatus.FAILED),
        ([FAILED, SUCCEEDED], RunStatus.FAILED),
    ],
)
async def test_the_last_execution_closes_the_run(
    ledger: Ledger, outcomes: list[ExecutionStatus], status: RunStatus
) -> None:
    run = await select(ledger, ["a", "b"])
    await carry_out(ledger, run.id, {"a": outcomes[0]})
    assert not (await ledger.find_run(run.id)).finished
    await carry_out(ledger, run.id, {"b": outcomes[1]})
    found = await ledger.find_run(run.id)
    assert (found.status, found.executions.done) == (status, 2)
    assert found.finished_at is not None


async def test_what_was_kept_of_an_attempt(ledger: Ledger) -> None:
    run = await select(ledger, ["a", "b"])
    claimed = await start(ledger, run.id, "a", "b")
    kept = ended(claimed["a"], FAILED, error="ValueError: 🦓", traceback="Traceback …", log="first\nsecond\n")
    await ledger.turn(run.id, [kept, ended(claimed["b"], log="fine\n")], [])
    a, b = await ledger.find_execution(run.id, "a"), await ledger.find_execution(run.id, "b")
    assert a is not None
    assert b is not None
    assert (a.status, a.error, a.traceback, a.log) == (FAILED, "ValueError: 🦓", "Traceback …", "first\nsecond\n")
    assert (b.status, b.error, b.traceback, b.log) == (SUCCEEDED, None, None, "fine\n")
    (failure,) = (await ledger.find_run(run.id)).failures
    assert (failure.tenant, failure.attempts, failure.error) == ("a", 1, "ValueError: 🦓")
    assert failure.traceback == "Traceback …"
    (listed,) = await ledger.list_runs(RunFilter())
    assert [each.traceback for each in listed.failures] == [None]


async def test_an_execution_is_never_settled_twice(ledger: Ledger) -> None:
    run = await select(ledger, ["a", "b"])
    claimed = await start(ledger, run.id, "a", "b")
    both = [ended(claimed["a"]), ended(claimed["a"], FAILED, error="late"), ended(claimed["a"])]
    assert (await ledger.turn(run.id, both, [])).counts == Counts(total=2, running=1, failed=1)
    again = await ledger.turn(run.id, [ended(claimed["a"], CANCELLED, error="later"), ended(claimed["a"])], [])
    assert again.counts == Counts(total=2, running=1, failed=1)
    assert again.counts == await recount(ledger, run.id, ["a", "b"])


@pytest.mark.parametrize("kept", [{}, {"error": "late", "log": "late"}])
async def test_a_settlement_is_fenced_by_its_epoch(ledger: Ledger, kept: dict[str, Any]) -> None:
    run = await select(ledger, ["a"])
    claimed = (await start(ledger, run.id, "a"))["a"]
    for epoch in (claimed.epoch - 1, claimed.epoch + 1):
        turn = await ledger.turn(run.id, [Settlement(claimed.id, epoch, FAILED, **kept)], [])
        assert turn.counts == Counts(total=1, running=1)
    execution = await ledger.find_execution(run.id, "a")
    assert execution is not None
    assert (execution.error, execution.log) == (None, None)


@pytest.mark.parametrize("kept", [{}, {"error": "late"}])
async def test_what_never_started_is_not_settled(ledger: Ledger, kept: dict[str, Any]) -> None:
    run = await select(ledger, ["a", "b"])
    claimed = (await start(ledger, run.id, "a"))["a"]
    turn = await ledger.turn(run.id, [Settlement(claimed.id + 1, 0, SUCCEEDED, **kept)], [])
    assert turn.counts == Counts(total=2, running=1, queued=1)


@pytest.mark.parametrize("kept", [{}, {"error": "not mine"}])
async def test_a_settlement_counts_for_its_own_run_alone(ledger: Ledger, kept: dict[str, Any]) -> None:
    mine, others = await select(ledger, ["a"]), await select(ledger, ["a"])
    await start(ledger, mine.id, "a")
    claimed = (await start(ledger, others.id, "a"))["a"]
    assert (await ledger.turn(mine.id, [ended(claimed, FAILED, **kept)], [])).counts == Counts(total=1, running=1)
    assert (await ledger.find_run(others.id)).executions == Counts(total=1, running=1)


async def test_what_never_started_ends_with_its_reason(ledger: Ledger) -> None:
    run = await select(ledger, ["a", "b", "c"])
    await carry_out(ledger, run.id, {"a": SUCCEEDED})
    found = await ledger.end(run.id, SKIPPED, "no longer a tenant")
    assert (found.status, found.executions) == (RunStatus.SUCCEEDED, Counts(total=3, succeeded=1, skipped=2))
    execution = await ledger.find_execution(run.id, "b")
    assert execution is not None
    assert (execution.status, execution.error) == (SKIPPED, "no longer a tenant")
    assert await ledger.end(run.id, CANCELLED, "again") == found


async def test_a_run_that_ends_with_an_error_has_failed(ledger: Ledger) -> None:
    run = await select(ledger, ["a", "b"])
    claimed = await start(ledger, run.id, "a")
    open_ = await ledger.end(run.id, CANCELLED, "not started", error="the source failed")
    assert (open_.status, open_.error) == (RunStatus.RUNNING, "the source failed")
    await ledger.turn(run.id, [ended(claimed["a"])], [])
    found = await ledger.find_run(run.id)
    assert (found.status, found.error) == (RunStatus.FAILED, "the source failed")
    assert found.executions == Counts(total=2, succeeded=1, cancelled=1)


async def test_an_interrupted_selection_is_cancelled(ledger: Ledger) -> None:
    run = await ledger.create(new_run())
    await ledger.add(run.id, ["a"])
    found = await ledger.abandon(run.id)
    assert (found.status, found.selecting) == (RunStatus.CANCELLED, False)
    assert found.executions == Counts(total=1, cancelled=1)
    assert not (await ledger.selected_by(run.id)).complete


async def test_odd_tenants_are_themselves(ledger: Ledger) -> None:
    run = await select(ledger, ODD_TENANTS)
    assert run.executions.total == len(set(ODD_TENANTS))
    pages: list[str] = []
    while page := await ledger.queued_tenants(run.id, after=pages[-1] if pages else None, limit=4):
        pages += page
    assert pages == sorted(ODD_TENANTS)
    claimed = await start(ledger, run.id, *ODD_TENANTS)
    assert set(claimed) == set(ODD_TENANTS)
    await ledger.turn(run.id, [ended(one, FAILED, error=tenant) for tenant, one in claimed.items()], [])
    for tenant in ODD_TENANTS:
        execution = await ledger.find_execution(run.id, tenant)
        assert execution is not None
        assert (execution.tenant, execution.error) == (tenant, tenant)
        assert [listed.id for listed in await ledger.list_runs(RunFilter(tenant=tenant))] == [run.id]
    assert await ledger.retryable(run.id, skipped=False, after=None, limit=99) == sorted(ODD_TENANTS)
    assert await ledger.succeeded(run.id, ODD_TENANTS) == set()


async def test_a_large_run_is_ended_and_paged(ledger: Ledger) -> None:
    tenants = [f"{n:05}" for n in range(4_500)]
    run = await select(ledger, tenants)
    assert await ledger.queued_tenants(run.id, after="04497", limit=9) == ["04498", "04499"]
    turn = await ledger.turn(run.id, [], tenants[1_000:2_000])
    assert len(turn.claimed) == 1_000
    assert (await ledger.end(run.id, CANCELLED, "not started")).executions == Counts(
        4_500, running=1_000, cancelled=3_500
    )
    await ledger.turn(run.id, [ended(one) for one in turn.claimed], [])
    assert (await ledger.find_run(run.id)).executions == Counts(4_500, succeeded=1_000, cancelled=3_500)


async def test_at_most_a_thousand_failures_are_told(ledger: Ledger) -> None:
    run = await select(ledger, [f"{n:04}" for n in range(1_001)])
    await carry_out(ledger, run.id, {f"{n:04}": FAILED for n in range(1_001)})
    found = await ledger.find_run(run.id)
    assert found.executions.failed == 1_001
    assert [failure.tenant for failure in found.failures] == [f"{n:04}" for n in range(1_000)]
