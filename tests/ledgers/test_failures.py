"""The failures that a simpler ledger had, each with the sentence that tells it. Processes and signals are real."""

from __future__ import annotations

import asyncio
import signal
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pinstripe.errors import LedgerError, UnknownRun
from pinstripe.ledger import RunFilter
from pinstripe.run import Counts, RunStatus, Trigger
from tests.ledgers.moves import CANCELLED, FAILED, SUCCEEDED, carry_out, ended, new_run, recount, select, start
from tests.ledgers.processes import child

if TYPE_CHECKING:
    from pinstripe.ledger import Ledger
    from tests.ledgers.conftest import HandClock
    from tests.ledgers.stores import Store

pytestmark = pytest.mark.anyio

YEAR = timedelta(days=365)


async def test_a_foreground_run_belongs_to_its_process_from_the_first_transaction(ledger: Ledger, store: Store) -> None:
    """Workers steal a foreground run: so it has its owner from its creating transaction."""
    with child(store, "create") as process:
        run = process.line()
        assert await ledger.rescue() == 0
        assert (await ledger.find_run(run)).selecting
        process.kill()
        assert await ledger.rescue() == 1
        found = await ledger.find_run(run)
        assert (found.status, found.executions) == (RunStatus.CANCELLED, Counts())


async def test_nobody_else_starts_what_a_foreground_run_has_queued(ledger: Ledger, other: Ledger) -> None:
    """Workers steal a foreground run: so only its own process claims from it."""
    run = await select(ledger, ["a", "b"])
    await select(other, ["a"])
    with pytest.raises(LedgerError):
        await other.turn(run.id, [], ["a"])
    assert (await ledger.find_run(run.id)).executions == Counts(2, queued=2)
    assert set(await start(ledger, run.id, "a", "b")) == {"a", "b"}


async def test_a_stopped_process_keeps_its_run(ledger: Ledger, store: Store, clock: HandClock) -> None:
    """Ctrl-Z for a minute must not cost a foreground run its owner, nor must a year."""
    with child(store, "run") as process:
        run = process.line()
        process.send(signal.SIGSTOP)
        process.wait_until_stopped()
        for step in (timedelta(), timedelta(minutes=2), YEAR):
            clock.advance(step)
            assert await ledger.rescue() == 0
            assert (await ledger.find_run(run)).executions == Counts(3, queued=1, running=1, succeeded=1)
        process.send(signal.SIGCONT)
        assert process.release() == 0


async def test_a_killed_process_leaves_a_closed_run(ledger: Ledger, store: Store) -> None:
    """When the owner is dead, `running` and `queued` become `cancelled` ("interrupted", "not started")."""
    with child(store, "run") as process:
        run = process.line()
        process.kill()
    assert await ledger.rescue() == 1
    found = await ledger.find_run(run)
    assert (found.status, found.executions) == (RunStatus.CANCELLED, Counts(3, succeeded=1, cancelled=2))
    assert found.executions == await recount(ledger, run, ["a", "b", "c"])
    reasons = [execution and execution.error for execution in [await ledger.find_execution(run, t) for t in "abc"]]
    assert reasons == [None, "interrupted", "not started"]
    assert found.finished_at is not None
    assert await ledger.retryable(run, skipped=False, after=None, limit=9) == ["b", "c"]
    assert await ledger.rescue() == 0


async def test_whoever_only_looks_finds_the_killed_run_closed(store: Store) -> None:
    """A killed run is found and marked at the next start of any command, reading ones too."""
    with child(store, "run") as process:
        run = process.line()
        process.kill()
    looking = store.ledger()
    await looking.open(write=False)
    assert await looking.rescue() == 1
    assert (await looking.find_run(run)).finished


async def test_two_who_rescue_at_once_count_nothing_twice(ledger: Ledger, other: Ledger, store: Store) -> None:
    """Rescue is idempotent, whoever else does it at the same moment."""
    with child(store, "run") as process:
        run = process.line()
        process.kill()
    await asyncio.gather(ledger.rescue(), other.rescue())
    assert (await ledger.find_run(run)).executions == Counts(3, succeeded=1, cancelled=2)
    assert await ledger.rescue() + await other.rescue() == 0


async def test_a_selection_holds_no_lock(ledger: Ledger, other: Ledger) -> None:
    """Streaming tenants inside a transaction holds the write lock for as long as the source is slow."""
    selecting = await ledger.create(new_run())
    await ledger.add(selecting.id, ["a", "b"])
    meanwhile = await select(other, ["x"])
    await carry_out(other, meanwhile.id, {"x": SUCCEEDED})
    await ledger.add(selecting.id, ["b", "c"])
    assert (await ledger.end_selection(selecting.id)).executions == Counts(3, queued=3)
    assert (await ledger.find_run(meanwhile.id)).status == RunStatus.SUCCEEDED


async def test_a_selection_that_was_killed_was_never_complete(ledger: Ledger, store: Store) -> None:
    """An interrupted selection must not look like one that found only these tenants."""
    with child(store, "select") as process:
        run = process.line()
        process.kill()
    assert await ledger.rescue() == 1
    found = await ledger.find_run(run)
    assert (found.status, found.selecting, found.executions) == (RunStatus.CANCELLED, False, Counts(2, cancelled=2))
    assert found.error is None
    assert not (await ledger.selected_by(run)).complete


async def test_a_zombie_starts_nothing_and_is_told(ledger: Ledger, other: Ledger, store: Store) -> None:
    """A zombie claims after its owner row is gone: so the owner check is in the claim."""
    run = await select(ledger, ["a", "b"])
    claimed = await start(ledger, run.id, "a")
    store.kill(ledger)
    assert await other.rescue() == 1
    with pytest.raises(LedgerError, match="taken for dead"):
        await ledger.turn(run.id, [], ["b"])
    turn = await ledger.turn(run.id, [ended(claimed["a"], FAILED, error="late")], [])
    assert turn.counts == Counts(2, cancelled=2)
    assert (await ledger.find_run(run.id)).status == RunStatus.CANCELLED


async def test_a_zombie_selects_nobody_and_is_told(ledger: Ledger, other: Ledger, store: Store) -> None:
    """What is added to a run that was closed meanwhile would be open for ever."""
    run = await ledger.create(new_run())
    await ledger.add(run.id, ["a"])
    store.kill(ledger)
    assert await other.rescue() == 1
    with pytest.raises(LedgerError, match="taken for dead"):
        await ledger.add(run.id, ["b"])
    ended_ = await ledger.end_selection(run.id)
    assert (ended_.status, ended_.executions) == (RunStatus.CANCELLED, Counts(1, cancelled=1))


async def test_an_owner_row_that_is_gone_is_never_revived(ledger: Ledger, other: Ledger, store: Store) -> None:
    """A process that was taken for dead goes on under a new number: its next run is its own, and is rescued too."""
    old = await select(ledger, ["a"])
    store.kill(ledger)
    await other.rescue()
    new = await select(ledger, ["a"])
    assert set(await start(ledger, new.id, "a")) == {"a"}
    with pytest.raises(LedgerError):
        await ledger.turn(old.id, [], ["a"])
    assert await other.rescue() == 0
    store.kill(ledger)
    assert await other.rescue() == 1
    assert (await other.find_run(new.id)).status == RunStatus.CANCELLED


@pytest.mark.parametrize("jump", [YEAR, -YEAR])
async def test_a_clock_that_jumps_kills_nobody(ledger: Ledger, store: Store, clock: HandClock, jump: timedelta) -> None:
    """A clock that is set must not make living owners look dead, nor dead ones look alive."""
    with child(store, "run") as process:
        run = process.line()
        clock.jump(jump)
        assert await ledger.rescue() == 0
        assert not (await ledger.find_run(run)).finished
        process.kill()
        assert await ledger.rescue() == 1
        assert (await ledger.find_run(run)).finished


async def test_processes_that_hammer_one_store_lose_nothing(ledger: Ledger, store: Store) -> None:
    """SQLite's own handler made others wait for half a second, and gave up: nobody gets a lock error here."""
    processes, rounds, together = 4, 12, 4
    with ExitStack() as stack:
        children = [stack.enter_context(child(store, "hammer", rounds, together)) for _ in range(processes)]
        ours = []
        for _ in range(rounds):
            run = await select(ledger, ["a", "b"])
            await carry_out(ledger, run.id, {"a": SUCCEEDED, "b": FAILED})
            ours.append(run.id)
        told = [[process.line() for _ in range(rounds * together + 1)] for process in children]
        assert [process.release() for process in children] == [0] * processes
    assert [lines[-1] for lines in told] == ["done"] * processes
    acknowledged = {id_ for lines in told for id_ in lines[:-1]}
    kept = {run.id: run for run in await ledger.list_runs(RunFilter(limit=10_000))}
    assert set(kept) == acknowledged | set(ours)
    assert {kept[id_].executions for id_ in acknowledged} == {Counts(3, succeeded=3)}
    assert {kept[id_].executions for id_ in ours} == {Counts(2, succeeded=1, failed=1)}
    assert all(run.finished for run in kept.values())


async def test_what_was_acknowledged_survives_a_kill_amid_writing(ledger: Ledger, store: Store) -> None:
    """Futures resolve after COMMIT: whatever a process heard of is there, however it ended."""
    with child(store, "hammer", 100_000, 3) as process:
        heard = [process.line() for _ in range(100)]
        process.kill()
        assert process.process.stdout is not None
        heard += [line.strip() for line in process.process.stdout if line.endswith("\n")]
    await ledger.rescue()
    runs = await ledger.list_runs(RunFilter(limit=100_000))
    kept = {run.id: run for run in runs}
    assert {kept[id_].executions for id_ in heard} == {Counts(3, succeeded=3)}
    assert all(run.finished for run in runs)


async def test_retention_takes_whole_runs(ledger: Ledger, clock: HandClock) -> None:
    """Retention by row makes "absent" look like "never ran": so whole closed runs, by the run's status."""
    succeeded, failed, cancelled = [await select(ledger, ["a", "b"]) for _ in range(3)]
    await carry_out(ledger, succeeded.id, {"a": SUCCEEDED, "b": SUCCEEDED})
    await carry_out(ledger, failed.id, {"a": SUCCEEDED, "b": FAILED})
    await carry_out(ledger, cancelled.id, {"a": SUCCEEDED, "b": CANCELLED})
    open_ = await select(ledger, ["a", "b"])
    await carry_out(ledger, open_.id, {"a": SUCCEEDED})

    async def left() -> list[str]:
        names = {succeeded.id: "succeeded", failed.id: "failed", cancelled.id: "cancelled", open_.id: "open"}
        return [names[run.id] for run in await ledger.list_runs(RunFilter())]

    clock.advance(timedelta(days=29))
    assert (await ledger.prune(), await left()) == (0, ["open", "cancelled", "failed", "succeeded"])
    clock.advance(timedelta(days=2))
    assert (await ledger.prune(), await left()) == (1, ["open", "cancelled", "failed"])
    assert (await ledger.find_run(failed.id)).executions == await recount(ledger, failed.id, ["a", "b"])
    clock.advance(timedelta(days=60))
    assert (await ledger.prune(), await left()) == (2, ["open"])
    clock.advance(YEAR)
    assert (await ledger.prune(), await left()) == (0, ["open"])


async def test_retention_of_a_large_run_leaves_nothing_behind(ledger: Ledger, clock: HandClock) -> None:
    """At most 50 executions a transaction; a run on its way out is shown by nothing, whole."""
    tenants = [f"{n:03}" for n in range(333)]
    run = await select(ledger, tenants)
    await carry_out(ledger, run.id, dict.fromkeys(tenants, SUCCEEDED))
    clock.advance(timedelta(days=31))
    pruned = 0
    while not pruned:
        pruned = await ledger.prune()
        with pytest.raises(UnknownRun):
            await ledger.find_run(run.id)
    assert await ledger.list_runs(RunFilter(tenant="000")) == []
    assert await ledger.prune() == 0


async def test_the_logs_of_what_succeeded_go_sooner(ledger: Ledger, clock: HandClock) -> None:
    """Logs are the bulk of a ledger, and those of what succeeded are the least read."""
    run = await select(ledger, ["a", "b"])
    claimed = await start(ledger, run.id, "a", "b")
    await ledger.turn(run.id, [ended(claimed["a"], log="fine"), ended(claimed["b"], FAILED, log="bad")], [])

    async def logs() -> list[str | None]:
        found = [await ledger.find_execution(run.id, tenant) for tenant in ("a", "b")]
        return [execution.log for execution in found if execution is not None]

    clock.advance(timedelta(days=6))
    await ledger.prune()
    assert await logs() == ["fine", "bad"]
    clock.advance(timedelta(days=2))
    await ledger.prune()
    assert await logs() == [None, "bad"]


async def test_a_pruned_run_is_told_to_be_gone(ledger: Ledger, clock: HandClock) -> None:
    """Retrying a pruned run is a clear error, and so is looking for it."""
    run = await select(ledger, ["a"])
    await carry_out(ledger, run.id, {"a": SUCCEEDED})
    clock.advance(timedelta(days=31))
    assert await ledger.prune() == 1
    for reference in (run.id, run.id[-12:]):
        with pytest.raises(UnknownRun, match="retention has passed"):
            await ledger.find_run(reference)
    with pytest.raises(UnknownRun, match="retention has passed"):
        await ledger.retryable(run.id, skipped=False, after=None, limit=1)


async def test_a_retry_is_kept_as_long_as_what_it_retried(ledger: Ledger, clock: HandClock) -> None:
    """Without the retry that succeeded, who succeeded in it would be run once more."""
    run = await select(ledger, ["a", "b"])
    await carry_out(ledger, run.id, {"a": FAILED, "b": FAILED})
    first = await select(ledger, ["a", "b"], trigger=Trigger.RETRY, retry_of=run.id, origin=run.id)
    await carry_out(ledger, first.id, {"a": SUCCEEDED, "b": FAILED})
    second = await select(ledger, ["b"], trigger=Trigger.RETRY, retry_of=first.id, origin=run.id)
    await carry_out(ledger, second.id, {"b": SUCCEEDED})
    clock.advance(timedelta(days=31))
    assert await ledger.prune() == 0
    assert await ledger.retryable(run.id, skipped=False, after=None, limit=9) == []
    clock.advance(timedelta(days=60))
    assert await ledger.prune() == 3
    assert await ledger.list_runs(RunFilter()) == []


async def test_a_beat_is_heard(ledger: Ledger, store: Store, clock: HandClock) -> None:
    """Heartbeats come from a thread of their own, and need no event loop."""
    await ledger.create(new_run())
    clock.advance(YEAR)
    await asyncio.to_thread(ledger.beat)
    watching = store.ledger()
    await watching.open()
    assert await watching.rescue() == 0
