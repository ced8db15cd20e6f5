"""The services of an attempt: opened for it, and closed whatever becomes of it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from pinstripe.background_job import BackgroundJob
from pinstripe.run import ExecutionStatus
from tests.attempts import Waiting, assign, cancelled, executor, service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from pinstripe.outcome import Outcome
    from pinstripe.tenants import Tenant

pytestmark = pytest.mark.anyio

FAILED, CANCELLED = ExecutionStatus.FAILED, ExecutionStatus.CANCELLED


async def test_a_job_that_stops_everything_itself_still_closes_its_services() -> None:
    closed: list[str] = []

    class Job(BackgroundJob):
        mailer: str

        async def run(self) -> None:
            (execution,) = each.executions
            execution.cancel()  # the cancellation arrives at the next await, which is not in the job any more

    async def mailer() -> AsyncIterator[str]:
        yield "mailer"
        await asyncio.sleep(0)
        closed.append("mailer")

    async with executor(service(mailer)) as each:
        outcome = await each.execute(assign(Job))
    assert (outcome.status, closed) == (CANCELLED, ["mailer"])


async def test_services_are_opened_in_the_declared_order_and_closed_in_reverse() -> None:
    events: list[str] = []

    async def database(tenant: Tenant) -> AsyncIterator[str]:
        events.append(f"open database of {tenant.id}")
        yield "database"
        events.append("close database")

    def mailer(database: str) -> Iterator[str]:
        events.append(f"open mailer on {database}")
        yield "mailer"
        events.append("close mailer")

    async def clock() -> str:
        return "clock"

    class Job(BackgroundJob):
        clock: str
        mailer: str
        database: str  # type: ignore[assignment]

        async def run(self) -> str:
            events.append("run")
            return f"{self.clock} {self.mailer} {self.database}"

    async with executor(service(mailer), service(database), service(clock)) as each:
        outcome = await each.execute(assign(Job))
    assert outcome.value == "clock mailer database"
    assert events == [
        "open database of acme",
        "open mailer on database",
        "run",
        "close mailer",
        "close database",
    ]


@pytest.mark.parametrize("how", ["raise", "timeout", "cancel"])
async def test_services_are_closed_whatever_the_job_does(how: str) -> None:
    closed: list[str] = []

    class Job(Waiting):
        mailer: str

        async def run(self) -> None:
            if how == "raise":
                raise SystemExit(1)
            await self.begin()

    async def mailer() -> AsyncIterator[str]:
        yield "mailer"
        await asyncio.sleep(0)  # closing may await, also after a cancellation
        closed.append("mailer")

    if how == "cancel":
        await cancelled(Job, service(mailer))
    else:
        async with executor(service(mailer)) as each:
            await each.execute(assign(Job, timeout=0.05))
    assert closed == ["mailer"]


async def test_a_service_that_fails_to_open_fails_it_and_closes_the_others() -> None:
    closed: list[str] = []

    async def database() -> AsyncIterator[str]:
        yield "database"
        closed.append("database")

    async def mailer() -> str:
        message = "refused"
        raise ConnectionRefusedError(message)

    class Job(BackgroundJob):
        database: str  # type: ignore[assignment]
        mailer: str

        async def run(self) -> None: ...

    async with executor(service(mailer), service(database)) as each:
        outcome = await each.execute(assign(Job))
    assert outcome.status is FAILED
    assert outcome.error == ("service mailer (lib/services/mailer.py) failed to open: ConnectionRefusedError: refused")
    assert closed == ["database"]


async def test_a_failing_close_fails_what_succeeded_and_closes_the_others() -> None:
    closed: list[str] = []

    async def database() -> AsyncIterator[str]:
        yield "database"
        closed.append("database")

    async def mailer(database: str) -> AsyncIterator[str]:
        yield "mailer"
        message = "unsent"
        raise OSError(message)

    class Job(BackgroundJob):
        mailer: str

        async def run(self) -> int:
            return 1

    async with executor(service(mailer), service(database)) as each:
        outcome = await each.execute(assign(Job))
    assert (outcome.status, outcome.error) == (FAILED, "service mailer failed to close: OSError: unsent")
    assert closed == ["database"]


async def test_a_failing_close_is_noted_on_the_jobs_own_error_and_hides_nothing() -> None:
    async def mailer() -> AsyncIterator[str]:
        yield "mailer"
        message = "unsent"
        raise OSError(message)

    class Job(BackgroundJob):
        mailer: str

        async def run(self) -> None:
            message = "bad address"
            raise ValueError(message)

    async with executor(service(mailer)) as each:
        outcome = await each.execute(assign(Job))
    assert outcome.error == "ValueError: bad address"
    assert outcome.traceback is not None
    assert "service mailer failed to close: OSError: unsent" in outcome.traceback


async def test_a_closing_that_hangs_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pinstripe.service_stack.CLOSE_LIMIT", 0.05)

    async def mailer() -> AsyncIterator[str]:
        yield "mailer"
        await asyncio.Event().wait()

    class Job(BackgroundJob):
        mailer: str

        async def run(self) -> None: ...

    async with executor(service(mailer)) as each:
        outcome = await each.execute(assign(Job))
    assert (outcome.status, outcome.error) == (FAILED, "service mailer failed to close: it took longer than 0.05s")


async def test_a_closing_that_ignores_its_cancellation_is_abandoned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pinstripe.service_stack.CLOSE_LIMIT", 0.02)
    monkeypatch.setattr("pinstripe.execution.CLOSE_LIMIT", 0.02)
    released = asyncio.Event()

    async def mailer() -> AsyncIterator[str]:
        yield "mailer"
        while not released.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await released.wait()

    class Job(BackgroundJob):
        mailer: str

        async def run(self) -> None: ...

    async with executor(service(mailer), grace=0.05) as each:
        outcomes: asyncio.Queue[Outcome] = asyncio.Queue()
        execution = each.start(assign(Job), lambda _, outcome: outcomes.put_nowait(outcome))
        task = execution.task
        outcome = await outcomes.get()
        released.set()
        assert task is not None
        await asyncio.wait([task])
    assert outcome.status is FAILED
    assert outcome.error == "its services did not close (it did not stop and was abandoned)"
    assert outcomes.empty()


async def test_a_project_service_is_shared_and_outlives_the_attempt() -> None:
    events: list[str] = []

    async def pool() -> AsyncIterator[object]:
        events.append("open")
        yield object()
        events.append("close")

    class Job(BackgroundJob):
        pool: object

        async def run(self) -> object:
            return self.pool

    async with executor(service(pool, scope="project")) as each:
        first, second = await asyncio.gather(each.execute(assign(Job)), each.execute(assign(Job)))
        assert first.value is second.value
        assert events == ["open"]
    assert events == ["open", "close"]
