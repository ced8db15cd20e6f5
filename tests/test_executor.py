from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from pinstripe.background_job import BackgroundJob
from pinstripe.errors import ConfigurationError
from pinstripe.run import ExecutionStatus
from pinstripe.tenants import Tenant
from tests.attempts import assign, executor

if TYPE_CHECKING:
    from pinstripe.outcome import Outcome

pytestmark = pytest.mark.anyio


class Waiting(BackgroundJob):
    """Waits for ever."""

    async def run(self) -> None:
        self.progress(0)
        await asyncio.Event().wait()


async def test_done_is_called_once_for_each_with_its_own_assignment() -> None:
    class Job(BackgroundJob):
        async def run(self) -> str:
            await asyncio.sleep(0)
            return self.tenant.id

    async with executor() as each:
        ended: asyncio.Queue[tuple[object, Outcome]] = asyncio.Queue()
        assignments = [assign(Job, tenant=Tenant(str(number))) for number in range(100)]
        for assignment in assignments:
            each.start(assignment, lambda assignment, outcome: ended.put_nowait((assignment, outcome)))
        pairs = [await ended.get() for _ in assignments]
        assert not each.executions
    assert ended.empty()
    assert {id(assignment) for assignment, _ in pairs} == {id(assignment) for assignment in assignments}
    assert sorted(int(outcome.value) for _, outcome in pairs) == list(range(100))


async def test_cancelling_execute_cancels_the_attempt() -> None:
    begun = asyncio.Event()
    async with executor() as each:
        task = asyncio.create_task(each.execute(assign(Waiting, progress=lambda _done, _total: begun.set())))
        await begun.wait()
        task.cancel()
        assert (await task).status is ExecutionStatus.CANCELLED


async def test_a_task_that_is_cancelled_before_its_first_step_is_told_of_all_the_same() -> None:
    async with executor() as each:
        ended: asyncio.Queue[Outcome] = asyncio.Queue()
        execution = each.start(assign(Waiting), lambda _, outcome: ended.put_nowait(outcome))
        assert execution.task is not None
        execution.task.cancel()  # as code does that cancels all tasks of the event loop
        outcome = await asyncio.wait_for(ended.get(), 10)
        assert not each.executions
    assert (outcome.status, outcome.error) == (ExecutionStatus.CANCELLED, "interrupted")
    assert ended.empty()


async def test_closing_it_cancels_what_still_runs() -> None:
    begun = asyncio.Event()
    outcomes: list[Outcome] = []
    async with executor() as each:
        each.start(
            assign(Waiting, progress=lambda _done, _total: begun.set()), lambda _, outcome: outcomes.append(outcome)
        )
        await begun.wait()
    assert [outcome.error for outcome in outcomes] == ["interrupted"]
    assert asyncio.get_running_loop().get_task_factory() is None


async def test_closing_it_does_not_wait_for_what_was_abandoned() -> None:
    released = asyncio.Event()
    begun = asyncio.Event()

    class Stubborn(BackgroundJob):
        async def run(self) -> None:
            self.progress(0)
            while not released.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await released.wait()

    outcomes: list[Outcome] = []
    async with executor(grace=0.02) as each:
        execution = each.start(
            assign(Stubborn, progress=lambda _done, _total: begun.set()), lambda _, outcome: outcomes.append(outcome)
        )
        await begun.wait()
        task = execution.task
    assert len(outcomes) == 1
    released.set()
    assert task is not None
    await asyncio.wait([task])


async def test_the_execution_of_a_task_is_found() -> None:
    class Job(BackgroundJob):
        async def run(self) -> list[bool]:
            async def inner() -> bool:
                return each.find(asyncio.current_task()) in each.executions

            return [each.find(asyncio.current_task()) in each.executions, await asyncio.create_task(inner())]

    async with executor() as each:
        assert (await each.execute(assign(Job))).value == [True, True]
        assert each.find(asyncio.current_task()) is None
        assert each.find(None) is None


async def test_a_service_that_does_not_exist_fails_the_attempt() -> None:
    class Job(BackgroundJob):
        mailer: object

        async def run(self) -> None: ...

    async with executor() as each:
        outcome = await each.execute(assign(Job))
    assert isinstance(outcome.exception, ConfigurationError)
