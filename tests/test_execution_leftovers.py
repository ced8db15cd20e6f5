"""What an attempt leaves behind: tasks, its workspace, context variables. Nothing of it reaches another."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.background_job import BackgroundJob
from pinstripe.errors import WorkspaceClosed
from pinstripe.executing import CURRENT
from pinstripe.run import ExecutionStatus
from tests.attempts import ACME, assign, executor, outcome_of, service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = pytest.mark.anyio

SUCCEEDED = ExecutionStatus.SUCCEEDED


async def test_tasks_left_behind_are_cancelled_and_told(caplog: pytest.LogCaptureFixture) -> None:
    ended: list[str] = []

    class Job(BackgroundJob):
        mailer: str

        async def run(self) -> None:
            async def forgotten() -> None:
                try:
                    await asyncio.Event().wait()
                finally:
                    ended.append(f"with {self.mailer}")  # services are still open

            self.task = asyncio.create_task(forgotten(), name="forgotten")
            await asyncio.sleep(0)

    def mailer() -> str:
        return "mailer"

    async with executor(service(mailer)) as each:
        outcome = await each.execute(assign(Job))
    assert outcome.status is SUCCEEDED
    assert ended == ["with mailer"]
    assert "the_job for tenant acme left 1 of its tasks running (forgotten)" in caplog.text


async def test_tasks_of_a_service_are_its_own_to_end(caplog: pytest.LogCaptureFixture) -> None:
    events: list[str] = []

    async def reader() -> AsyncIterator[str]:
        async def read() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                events.append("reader cancelled")
                raise

        task = asyncio.create_task(read())
        yield "reader"
        events.append("closing")
        task.cancel()
        await asyncio.wait([task])

    class Job(BackgroundJob):
        reader: str

        async def run(self) -> None:
            await asyncio.sleep(0)

    async with executor(service(reader)) as each:
        await each.execute(assign(Job))
    assert events == ["closing", "reader cancelled"]
    assert "tasks running" not in caplog.text


async def test_what_outlives_a_job_can_not_use_its_workspace() -> None:
    kept: list[Any] = []

    def mailer() -> str:
        return "mailer"

    class Job(BackgroundJob):
        mailer: str

        async def run(self) -> None:
            kept.append(self)

    async with executor(service(mailer)) as each:
        await each.execute(assign(Job))
    (job,) = kept
    assert job.tenant == ACME
    uses: list[Callable[[], object]] = [
        lambda: job.mailer,
        lambda: job.options(tenants=["a"]),
        lambda: job.progress(1, 2),
        lambda: job.wait(asyncio.sleep(0)),
    ]
    for use in uses:
        with pytest.raises(WorkspaceClosed, match="the workspace of job the_job for tenant acme is closed"):
            use()
    with pytest.raises(WorkspaceClosed):
        await job.run_background_job("other")


VARIABLE: ContextVar[str] = ContextVar("variable", default="clean")


@pytest.mark.parametrize("asynchronous", [True, False])
async def test_a_context_variable_of_one_attempt_is_not_seen_by_the_next(asynchronous: bool) -> None:
    class Job(BackgroundJob):
        async def run(self) -> str:
            return self.touch()

        def touch(self) -> str:
            before = VARIABLE.get()
            VARIABLE.set(self.tenant.id)
            return before

    class PlainJob(Job):
        def run(self) -> str:  # type: ignore[override]
            return self.touch()

    token = VARIABLE.set("of the caller")
    try:
        async with executor() as each:
            VARIABLE.reset(token)
            token = VARIABLE.set("set after the project was opened")
            job_class = Job if asynchronous else PlainJob
            values = [(await each.execute(assign(job_class))).value for _ in range(3)]
    finally:
        VARIABLE.reset(token)
    assert values == ["of the caller"] * 3
    assert CURRENT.get() is None


async def test_a_job_may_start_as_many_tasks_as_it_likes(caplog: pytest.LogCaptureFixture) -> None:
    class Job(BackgroundJob):
        async def run(self) -> int:
            async def one() -> int:
                await asyncio.sleep(0)
                return 1

            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one()) for _ in range(100)]
            return sum(task.result() for task in tasks) + sum(await asyncio.gather(one(), one()))

    with caplog.at_level(logging.WARNING):
        assert (await outcome_of(Job)).value == 102
    assert not caplog.records


async def test_a_leaked_task_that_ignores_its_cancellation_does_not_hold_up_the_outcome(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pinstripe.leftovers.SWEEP_LIMIT", 0.05)
    released = asyncio.Event()
    tasks: list[asyncio.Task[None]] = []

    class Job(BackgroundJob):
        async def run(self) -> None:
            async def stubborn() -> None:
                while not released.is_set():
                    with contextlib.suppress(asyncio.CancelledError):
                        await released.wait()

            tasks.append(asyncio.create_task(stubborn()))
            await asyncio.sleep(0)

    assert (await outcome_of(Job)).status is SUCCEEDED
    assert "1 of its tasks ignored their cancellation" in caplog.text
    released.set()
    await asyncio.wait(tasks)
