"""How a worker ends: told to, by its task's cancellation, with its project, or for want of work."""

from __future__ import annotations

import asyncio
import logging
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import apsw
import pytest

from pinstripe import shutdown
from pinstripe.background_job import BackgroundJob
from pinstripe.run import Counts
from pinstripe.shutdown import Shutdown
from pinstripe.worker import LOOK_AGAIN
from tests.jobs import Sums
from tests.shop import FOUR, Recorder, open_shop
from tests.working import Gate, drain, enqueue, gated, seen, told_shop, working

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import ProjectFolder

pytestmark = pytest.mark.anyio


async def test_told_once_it_lets_what_runs_end_and_starts_no_more(project_folder: ProjectFolder) -> None:
    gate = Gate()
    async with open_shop(project_folder) as shop:
        runs = [await enqueue(shop, gated(gate) if not number else "gated", str(number)) for number in range(3)]
        async with working(shop, 2) as (worker, task):
            await gate.has(2)
            worker.stop()
            gate.open.set()
            await task
        assert _stopping(shop.project.settings.ledger_path) == [1]
        assert [(await seen(shop, run)).status for run in runs] == ["succeeded", "succeeded", "queued"]


def _stopping(path: Path) -> list[int]:
    """Tell which processes the ledger knows to end by intent."""
    connection = apsw.Connection(str(path))
    try:
        return [row[0] for row in connection.execute("select stopping from owners")]
    finally:
        connection.close()


async def test_told_twice_it_gives_back_what_runs(project_folder: ProjectFolder) -> None:
    gate = Gate()
    async with open_shop(project_folder) as shop:
        run = await enqueue(shop, gated(gate), "a")
        async with working(shop) as (worker, task):
            await gate.has(1)
            worker.stop()
            worker.stop("never mind")
            await task
            assert worker.left == []
        assert gate.inside == []
        execution = await shop.execution(run)
        assert (execution.status, execution.attempts, execution.error) == ("queued", 0, None)
        gate.open.set()
        await drain(shop)
        assert (await seen(shop, run)).result == "a"
        assert (await shop.execution(run)).attempts == 1


async def test_what_does_not_end_within_the_grace_is_given_back(project_folder: ProjectFolder) -> None:
    gate = Gate()
    async with open_shop(project_folder, settings='worker.shutdown_grace = "20ms"') as shop:
        run = await enqueue(shop, gated(gate), "a")
        async with working(shop) as (worker, task):
            await gate.has(1)
            worker.stop()
            await task
        assert (await seen(shop, run)).executions == Counts(1, 1)


async def test_told_before_it_works_it_does_nothing(project_folder: ProjectFolder) -> None:
    async with open_shop(project_folder) as shop:
        run = await enqueue(shop, Sums)
        worker = shop.project.worker(watcher=Recorder())
        worker.stop()
        await worker.work()
        assert (await seen(shop, run)).status == "queued"


async def test_cancelling_its_work_gives_back_what_runs(project_folder: ProjectFolder) -> None:
    gate = Gate()
    async with open_shop(project_folder) as shop:
        run = await enqueue(shop, gated(gate), "a")
        task = asyncio.create_task(shop.project.worker(watcher=Recorder()).work())
        await gate.has(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await seen(shop, run)).executions == Counts(1, 1)


async def test_closing_the_project_stops_its_worker(project_folder: ProjectFolder) -> None:
    gate = Gate()
    async with open_shop(project_folder) as shop:
        run = await enqueue(shop, gated(gate), "a")
        task = asyncio.create_task(shop.project.worker(watcher=Recorder()).work())
        await gate.has(1)
    await task
    async with open_shop(project_folder) as shop:
        assert (await seen(shop, run)).executions == Counts(1, 1)


async def test_a_selection_is_left_to_others(project_folder: ProjectFolder) -> None:
    reading = asyncio.Event()

    class Greets(BackgroundJob):
        multi_tenant = True

        async def run(self) -> str:
            return self.tenant.id

    async def stand_still(number: int) -> None:
        if number == 2:
            reading.set()
            await asyncio.Event().wait()

    async with open_shop(project_folder) as shop:
        run = await enqueue(shop, Greets)
        shop.on_reading(stand_still)
        async with working(shop) as (worker, task):
            await reading.wait()
            worker.stop()
            await task
        assert (await seen(shop, run)).selecting
        shop.on_reading(None)
        await drain(shop)
        assert (await seen(shop, run)).executions == Counts(len(FOUR) - 1, succeeded=3)


@pytest.mark.parametrize("cancels", [True, False])
async def test_what_still_waits_for_its_tenant_ends_too(project_folder: ProjectFolder, *, cancels: bool) -> None:
    reading = asyncio.Event()

    class Greets(BackgroundJob):
        multi_tenant = True

        async def run(self) -> None: ...

    async def stand_still(_number: int) -> None:
        reading.set()
        await asyncio.Event().wait()

    async with open_shop(project_folder) as shop:
        run = await enqueue(shop, Greets, tenants=["acme"])
        shop.on_reading(stand_still)
        async with working(shop) as (worker, task):
            await reading.wait()
            assert worker.left == ["greets"]
            if cancels:
                await shop.project.ledger.queue.cancel(run.id, "not needed")
                worker.stop()
            else:
                worker.stop()
                worker.stop()
            await task
        shop.on_reading(None)
        execution = await shop.execution(run, "acme")
        expected = ("cancelled", 0, "not needed") if cancels else ("queued", 0, None)
        assert (execution.status, execution.attempts, execution.error) == expected


async def test_a_worker_that_fails_gives_back_what_runs(project_folder: ProjectFolder) -> None:
    gate = Gate()
    failures = [RuntimeError("a bug")]
    async with told_shop(project_folder) as (shop, clock):
        run = await enqueue(shop, gated(gate), "a")
        task = asyncio.create_task(shop.project.worker(watcher=Recorder()).work())
        await gate.has(1)
        tell = clock.now

        def now() -> int:
            current = asyncio.current_task()
            if failures and current is not None and current.get_name() == "pinstripe worker":
                raise failures.pop()
            return tell()

        clock.now = now  # type: ignore[method-assign]
        with pytest.raises(RuntimeError, match="a bug"):
            await task
        assert (await seen(shop, run)).executions == Counts(1, 1)
        assert (await shop.execution(run)).attempts == 0


async def test_what_can_not_be_stopped_is_left_and_told(
    project_folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shutdown, "END_LIMIT", 0.05)
    begun, end = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    class Deaf(BackgroundJob):
        def run(self) -> None:
            loop.call_soon_threadsafe(begun.set)
            end.wait()

    async with open_shop(project_folder) as shop:
        run = await enqueue(shop, Deaf)
        async with working(shop) as (worker, task):
            await begun.wait()
            worker.stop()
            worker.stop()
            with caplog.at_level(logging.WARNING, "pinstripe"):
                await task
            assert worker.left == ["deaf"]
            assert (await seen(shop, run)).executions == Counts(1, running=1)
            end.set()
    assert "left behind and still running: deaf" in caplog.text


async def test_told_twice_it_stops_what_runs_also_while_the_ledger_is_locked(project_folder: ProjectFolder) -> None:
    gate = Gate()
    async with open_shop(project_folder) as shop:
        await enqueue(shop, gated(gate), "a")
        async with working(shop) as (worker, _):
            await gate.has(1)
            other = apsw.Connection(str(shop.project.settings.ledger_path))
            other.execute("begin immediate")
            worker.stop()
            try:
                for _turn in range(10):  # it now waits until it can note that it stops
                    await asyncio.sleep(0)
                worker.stop()
                async with asyncio.timeout(10):
                    await gate.has(0)
            finally:
                other.close()


async def test_it_sleeps_through_the_grace_whatever_has_come_due(
    project_folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    async with told_shop(project_folder) as (shop, clock):
        await enqueue(shop, gated(gate), "a")
        await enqueue(shop, "gated", "later", delay="1m")
        waits: list[float] = []
        queue, slept = shop.project.ledger.queue, asyncio.Event()
        wait = queue.wait

        async def heard(timeout: float) -> bool:  # noqa: ASYNC109 - as the queue has it
            waits.append(timeout)
            if len(waits) == 3:
                slept.set()
            return await wait(timeout)

        async with working(shop, 2) as (worker, _):
            await gate.has(1)
            worker.stop()
            clock.advance(timedelta(minutes=2))
            monkeypatch.setattr(queue, "wait", heard)
            await slept.wait()
            gate.open.set()
    assert min(waits) >= LOOK_AGAIN


async def test_what_is_cancelled_with_its_worker_is_left_as_by_a_crash(project_folder: ProjectFolder) -> None:
    gate = Gate()
    async with open_shop(project_folder) as shop:
        run = await enqueue(shop, gated(gate), "a")
        task = asyncio.create_task(shop.project.worker(watcher=Recorder()).work())
        await gate.has(1)
        for each in asyncio.all_tasks() - {asyncio.current_task()}:
            if each is task or each.get_name() == "pinstripe worker":
                each.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        execution = await shop.execution(run)
        assert (execution.status, execution.attempts) == ("running", 1)
    async with open_shop(project_folder) as shop:
        queue = shop.project.ledger.queue
        await shop.project.ledger.open()
        await queue.sweep()
        await queue.join(1)
        assert [started.solo for started in (await queue.turn([], 1)).started] == [True]


# The ledger fails, or takes this process for dead.


async def test_results_wait_for_a_ledger_that_fails(
    project_folder: ProjectFolder, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    async with open_shop(project_folder) as shop:
        path = shop.project.settings.ledger_path
        away = path.with_name("away.db")
        failed = asyncio.Event()
        handler = _Hears(failed, "the ledger can't be used")
        logging.getLogger("pinstripe").addHandler(handler)
        try:
            run = await enqueue(shop, gated(gate), "a")
            with caplog.at_level(logging.WARNING, "pinstripe"):
                task = asyncio.create_task(drain(shop))
                await gate.has(1)
                path.rename(away)
                gate.open.set()
                await failed.wait()
                away.rename(path)
                await task
        finally:
            logging.getLogger("pinstripe").removeHandler(handler)
        assert (await seen(shop, run)).result == "a"
    assert caplog.text.count("the ledger can't be used, so that nothing is started until it can") == 1


class _Hears(logging.Handler):
    def __init__(self, event: asyncio.Event, text: str) -> None:
        super().__init__()
        self._event = event
        self._text = text

    def emit(self, record: logging.LogRecord) -> None:
        if self._text in record.getMessage():
            self._event.set()


async def test_a_worker_that_was_taken_for_dead_goes_on_under_a_new_number(
    project_folder: ProjectFolder, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    async with open_shop(project_folder) as shop:
        run = await enqueue(shop, gated(gate), "a")
        with caplog.at_level(logging.WARNING, "pinstripe"):
            task = asyncio.create_task(drain(shop))
            await gate.has(1)
            connection = apsw.Connection(str(shop.project.settings.ledger_path))
            connection.execute("delete from owners")
            connection.close()
            await gate.has(0)  # it was stopped, for somebody else may do it
            gate.open.set()
            await task
        assert (await seen(shop, run)).result == "a"
        assert (await shop.execution(run)).attempts == 1
    assert "this worker was taken for dead" in caplog.text


# The state of a shutdown, by itself.


async def test_the_grace_begins_once_and_its_end_stops_what_runs_once() -> None:
    stopped: list[str] = []
    state = Shutdown(60, stopped.append)
    assert (state.reason, state.begun, state.hurried, state.time_left) == (None, False, False, float("inf"))
    state.tell("first")
    state.begin()
    assert (state.reason, state.begun, state.hurried) == ("first", True, False)
    state.tell("second")
    state.begin()
    state.begin()
    state.hurry()
    assert (stopped, state.hurried) == (["first"], True)
    assert 0 < state.time_left <= shutdown.END_LIMIT
    state.end()
