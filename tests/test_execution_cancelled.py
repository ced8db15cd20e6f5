"""How an attempt is cancelled, also one that does not let itself be."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from pinstripe.background_job import BackgroundJob
from pinstripe.run import ExecutionStatus
from tests.attempts import Waiting, assign, cancelled, executor, service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pinstripe.outcome import Outcome

pytestmark = pytest.mark.anyio

CANCELLED = ExecutionStatus.CANCELLED


async def test_cancelling_it_from_outside() -> None:
    class Job(Waiting):
        async def run(self) -> None:
            await self.begin()

    outcome = await cancelled(Job)
    assert (outcome.status, outcome.error, outcome.exception) == (CANCELLED, "interrupted", None)
    assert outcome.stopped


async def test_a_job_that_swallows_its_cancellation_is_cancelled_all_the_same() -> None:
    class Job(Waiting):
        async def run(self) -> str:
            with contextlib.suppress(asyncio.CancelledError):
                await self.begin()
            await asyncio.sleep(0)  # it may still tidy up
            return "all well"

    outcome = await cancelled(Job)
    assert (outcome.status, outcome.error, outcome.result) == (CANCELLED, "interrupted", None)


async def test_a_job_that_ignores_its_cancellation_is_abandoned(caplog: pytest.LogCaptureFixture) -> None:
    stopped = asyncio.Event()
    closed: list[str] = []

    class Job(Waiting):
        mailer: str

        async def run(self) -> None:
            while not stopped.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    self.workspace.progress(0)
                    await stopped.wait()

    async def mailer() -> AsyncIterator[str]:
        yield "mailer"
        closed.append("mailer")

    begun = asyncio.Event()
    outcomes: asyncio.Queue[Outcome] = asyncio.Queue()
    async with executor(service(mailer), grace=0.05) as each:
        execution = each.start(
            assign(Job, progress=lambda _done, _total: begun.set()), lambda _, outcome: outcomes.put_nowait(outcome)
        )
        await begun.wait()
        task = execution.task
        execution.cancel()
        outcome = await outcomes.get()
        assert (outcome.status, outcome.error) == (CANCELLED, "interrupted (it did not stop and was abandoned)")
        assert outcome.stopped
        assert execution.abandoned
        assert each.stuck() == []  # which are threads
        assert "the_job for tenant acme did not stop within 0.05s" in caplog.text
        stopped.set()
        assert task is not None
        await asyncio.wait([task])
        assert task.done()
        assert not each.executions
    assert closed == ["mailer"]
    assert outcomes.empty()


async def test_cancelling_it_before_it_began_runs_nothing() -> None:
    ran: list[str] = []

    class Job(BackgroundJob):
        async def run(self) -> None:
            ran.append("it")

    async with executor() as each:
        outcomes: asyncio.Queue[Outcome] = asyncio.Queue()
        execution = each.start(assign(Job), lambda _, outcome: outcomes.put_nowait(outcome))
        execution.cancel("not started")
        outcome = await outcomes.get()
    assert (outcome.status, outcome.error, ran) == (CANCELLED, "not started", [])
    assert outcome.stopped
