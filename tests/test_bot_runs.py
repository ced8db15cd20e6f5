"""The bot beside workers: what becomes of fires that overlap, fail or meet a pause, and of runs by hand beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.clock import to_microseconds
from pinstripe.errors import PinstripeError
from pinstripe.retry import Retry
from pinstripe.run import Counts
from pinstripe.runs import Request
from pinstripe.schedule import Schedule
from tests.firing import HOUR, MINUTE, NOON, SECOND, Process, World, machine, scheduled
from tests.shop import retried
from tests.working import Gate, drain, enqueue, working

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pinstripe.background_job import BackgroundJob
    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(project_folder: ProjectFolder) -> AsyncIterator[World]:
    async with machine(project_folder, tenants=[{"id": "a"}, {"id": "b"}]) as world:
        yield world


async def counts(process: Process) -> list[Counts]:
    return [run.executions for run in await process.runs()]


def slow(gate: Gate, *schedules: str | Schedule, **attributes: Any) -> type[BackgroundJob]:
    """Make a job that goes through the gate."""

    async def run(self: Any, name: str = "fire") -> None:
        await gate(name if self.workspace.tenant is None else self.tenant.id)

    return scheduled(*(schedules or ("0 * * * *",)), run=run, **attributes)


async def test_what_fires_is_executed_and_knows_its_time(world: World) -> None:
    seen = []

    async def run(self: Any, *args: int, **kwargs: int) -> str:
        seen.append((self.attempt.scheduled_for, args, kwargs))
        return "done"

    process = await world.start(scheduled(Schedule("0 * * * *", args=[1], kwargs={"b": 2}), run=run))
    await world.go(HOUR + MINUTE)
    await drain(process.shop())
    assert seen == [(NOON + HOUR, (1,), {"b": 2})]
    (done,) = await process.runs()
    assert (done.status, done.result) == ("succeeded", "done")


async def test_a_fire_is_for_all_tenants(world: World) -> None:
    process = await world.start(scheduled("0 * * * *", multi_tenant=True))
    await world.go(HOUR)
    assert [run.selecting for run in await process.runs()] == [True]
    await drain(process.shop())
    assert await counts(process) == [Counts(2, succeeded=2)]


@pytest.mark.parametrize(
    ("overlap", "during", "after"),
    [
        ("skip", Counts(1, skipped=1), Counts(1, skipped=1)),
        ("queue", Counts(1, queued=1), Counts(1, succeeded=1)),
        ("allow", Counts(1, running=1), Counts(1, succeeded=1)),
    ],
)
@pytest.mark.parametrize("tenants", [False, True])
async def test_a_fire_whose_predecessor_goes_on(
    world: World, overlap: str, during: Counts, after: Counts, tenants: bool
) -> None:
    gate = Gate()
    process = await world.start(slow(gate, overlap=overlap, multi_tenant=tenants))
    each = 2 if tenants else 1
    async with working(process.shop()):
        await world.go(HOUR)
        await gate.has(each)
        await world.go(HOUR)
        if overlap == "allow":
            await gate.has(2 * each)
        else:
            while (await process.runs())[1].selecting:
                await process.project.ledger.queue.wait(0.01)
        assert (await counts(process))[1] == Counts(*(each * count for count in during))
        gate.open.set()
        await gate.has(0)
    await drain(process.shop())
    assert await counts(process) == [Counts(each, succeeded=each), Counts(*(each * count for count in after))]


async def test_overlap_is_of_one_schedule_and_of_one_tenant(world: World) -> None:
    gate = Gate()
    process = await world.start(slow(gate, "0 * * * *", Schedule("0 14 * * *", args=["other"])))
    async with working(process.shop()):
        await world.go(2 * HOUR)
        await gate.has(2)
        assert sorted(gate.inside) == ["fire", "other"]
        gate.open.set()
        await gate.has(0)
    await drain(process.shop())
    assert sorted(run.executions.skipped for run in await process.runs()) == [0, 0, 1]


async def test_runs_by_hand_and_fires_do_not_disturb_each_other(world: World) -> None:
    gate = Gate()
    process = await world.start(slow(gate))
    shop, name = process.shop(), "job"
    due = process.bot.next_due
    async with working(shop):
        by_hand = await enqueue(shop, name, "by hand")
        await gate.has(1)
        assert process.bot.next_due == due
        await world.go(HOUR)  # a fire beside it isn't held back
        await gate.has(2)
        await enqueue(shop, name, "second")  # nor one by hand beside the fire
        await gate.has(3)
        gate.open.set()
        await gate.has(0)
        here = await process.project.run(Request(name, ("here",)))
    await drain(shop)
    assert here.status == "succeeded"
    assert (await process.project.ledger.find_run(by_hand.id)).status == "succeeded"
    assert await process.fired() == ["job 11-20 13:00"]
    assert process.bot.next_due == (due or 0) + HOUR.seconds * SECOND
    await world.go(HOUR)
    assert len(await process.fired()) == 2


async def test_a_retry_by_hand_is_no_fire(world: World) -> None:
    fails = [True]

    async def run(self: Any) -> None:
        if fails.pop():
            message = "not yet"
            raise ValueError(message)

    process = await world.start(scheduled("0 * * * *", run=run))
    await world.go(HOUR)
    await drain(process.shop())
    (failed,) = await process.runs()
    assert failed.status == "failed"
    before = await process.project.ledger.fires.states()
    fails.append(False)
    assert (await retried(process.shop(), failed)).status == "succeeded"
    assert await process.project.ledger.fires.states() == before
    fails.append(False)
    await world.go(HOUR)
    await drain(process.shop())
    assert [run.status for run in await process.runs() if run.trigger == "schedule"] == ["failed", "succeeded"]


async def test_a_fire_is_not_retried_past_the_next(world: World) -> None:
    tried = []

    async def run(self: Any) -> None:
        tried.append(world.clock.microseconds)
        message = "no"
        raise ValueError(message)

    retries = Retry(100, wait=lambda _: 25 * MINUTE)
    process = await world.start(scheduled("0 * * * *", run=run, retries=retries))
    await world.go(HOUR)
    for _ in range(9):
        await drain(process.shop())
        world.clock.advance(10 * MINUTE)  # and the bot is away
    (fired,) = await process.runs()
    assert fired.status == "failed"
    # 13:00, and some 13:25 and 13:50; the one after that would be after 14:00, when it fires again.
    assert [(at - to_microseconds(NOON + HOUR)) // (10 * 60 * SECOND) for at in tried] == [0, 3, 6]


async def test_one_that_fires_again_while_its_retries_wait(world: World) -> None:
    async def run(self: Any) -> None:
        message = "no"
        raise ValueError(message)

    process = await world.start(scheduled("0 * * * *", run=run, retries=Retry(100, wait=lambda _: 25 * MINUTE)))
    for _ in range(4):
        for _ in range(12):
            await world.go(5 * MINUTE)
            await drain(process.shop())
    # Each is given up before its next one is due, so that none is skipped for it.
    assert [str(run.status) for run in await process.runs()] == ["failed"] * 3 + ["running"]


async def test_a_paused_job_is_held_as_a_whole(world: World) -> None:
    process = await world.start(scheduled("0 * * * *", overlap="allow"), scheduled("0 * * * *", name="Other"))
    queue = process.project.ledger.queue
    await queue.pause("job", None)
    await world.go(2 * HOUR)
    await drain(process.shop())
    assert [str(run.status) for run in await process.runs()] == ["queued", "succeeded", "queued", "succeeded"]
    await queue.resume("job", None)
    await drain(process.shop())
    assert [str(run.status) for run in await process.runs() if run.job == "job"] == ["succeeded", "succeeded"]


async def test_a_paused_tenant_is_skipped(world: World) -> None:
    process = await world.start(scheduled("0 * * * *", multi_tenant=True))
    await process.project.ledger.queue.pause(None, "b")
    await world.go(HOUR)
    await drain(process.shop())
    assert await counts(process) == [Counts(2, succeeded=1, skipped=1)]
    await process.project.ledger.queue.resume(None, "b")
    await world.go(HOUR)
    await drain(process.shop())
    assert (await counts(process))[1] == Counts(2, succeeded=2)


async def test_a_cancelled_fire_lets_the_next_be(world: World) -> None:
    process = await world.start(scheduled("0 * * * *"))
    await world.go(HOUR)
    (first,) = await process.runs()
    await process.project.ledger.queue.cancel(first.id, "not needed")
    await world.go(HOUR)
    await drain(process.shop())
    assert [str(run.status) for run in await process.runs()] == ["cancelled", "succeeded"]


async def test_a_bot_works_once(world: World) -> None:
    process = world.make(scheduled("0 * * * *"))
    process.bot.stop()
    await process.bot.work()
    with pytest.raises(PinstripeError, match=r"this bot has worked; expected a new one, by project\.bot\(\)"):
        await process.bot.work()
