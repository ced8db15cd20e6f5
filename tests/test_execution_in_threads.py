"""Attempts of jobs whose `run` is a plain `def`, each in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.background_job import BackgroundJob
from pinstripe.errors import WorkspaceClosed
from pinstripe.run import ExecutionStatus
from tests.attempts import Waiting, assign, executor, outcome_of, service

if TYPE_CHECKING:
    from pinstripe.outcome import Outcome

pytestmark = pytest.mark.anyio

CANCELLED = ExecutionStatus.CANCELLED


async def test_a_plain_def_runs_in_a_thread_of_its_own_and_waits_for_services_on_the_loop() -> None:
    local = threading.local()

    async def mailer() -> Any:
        loop = asyncio.get_running_loop()

        async def send(text: str) -> str:
            assert asyncio.get_running_loop() is loop
            return f"sent {text}"

        return send

    class Job(BackgroundJob):
        mailer: Any

        def run(self) -> tuple[str, int, object]:
            former = getattr(local, "tenant", None)
            local.tenant = self.tenant
            return self.wait(self.mailer("hello")), threading.get_ident(), former

    async with executor(service(mailer)) as each:
        outcomes = [await each.execute(assign(Job)) for _ in range(2)]
    for outcome in outcomes:
        text, thread, former = outcome.value
        assert text == "sent hello"
        assert thread != threading.get_ident()
        assert former is None  # what another tenant's attempt left in its thread is gone


async def test_cancelling_a_plain_def_tells_it_and_waits_for_its_thread() -> None:
    seen: list[object] = []
    may_end = threading.Event()

    class Job(Waiting):
        mailer: Any

        def run(self) -> str:
            try:
                self.wait(self.begin())
            except WorkspaceClosed as closed:
                seen.append(closed)
            seen.append(self.attempt.cancelled)
            try:
                self.mailer  # noqa: B018 - its use is what is tried
            except WorkspaceClosed as closed:
                seen.append(closed)
            may_end.wait()
            return "all well"

    def mailer() -> str:
        return "mailer"

    begun = asyncio.Event()
    outcomes: asyncio.Queue[Outcome] = asyncio.Queue()
    async with executor(service(mailer), grace=0.01) as each:
        execution = each.start(
            assign(Job, progress=lambda _done, _total: begun.set()), lambda _, outcome: outcomes.put_nowait(outcome)
        )
        await begun.wait()
        assert each.stuck() == []  # it runs, but nobody has told it to stop
        execution.cancel()
        assert each.stuck() == [execution]
        with pytest.raises(TimeoutError):  # a thread can't be stopped, so its slot is held, beyond the grace
            await asyncio.wait_for(outcomes.get(), 0.05)
        may_end.set()
        outcome = await outcomes.get()
        assert each.stuck() == []
    assert (outcome.status, outcome.error, outcome.stopped) == (CANCELLED, "interrupted", True)
    assert [type(each) for each in seen] == [WorkspaceClosed, bool, WorkspaceClosed]
    assert seen[1] is True


async def test_progress_is_heard_on_the_loops_thread_wherever_it_is_said() -> None:
    heard: list[tuple[float, float | None, int]] = []

    class Job(BackgroundJob):
        async def run(self) -> None:
            self.progress(1, 3)

    class PlainJob(BackgroundJob):
        def run(self) -> None:
            self.progress(2)

    def hear(done: float, total: float | None) -> None:
        heard.append((done, total, threading.get_ident()))

    await outcome_of(Job, progress=hear)
    await outcome_of(PlainJob, progress=hear)
    assert heard == [(1, 3, threading.get_ident()), (2, None, threading.get_ident())]
