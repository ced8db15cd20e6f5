from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.background_job import BackgroundJob
from pinstripe.capture import Capture
from pinstripe.errors import PinstripeError, WorkspaceClosed
from pinstripe.executing import CURRENT
from pinstripe.execution import FAILED_LOG, SUCCEEDED_LOG
from pinstripe.run import ExecutionStatus
from tests.attempts import ACME, assign, executor, outcome_of, service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from pinstripe.outcome import Outcome
    from pinstripe.tenants import Tenant

pytestmark = pytest.mark.anyio

SUCCEEDED, FAILED, CANCELLED = ExecutionStatus.SUCCEEDED, ExecutionStatus.FAILED, ExecutionStatus.CANCELLED


async def test_what_run_returns_is_the_value_and_its_json() -> None:
    class Job(BackgroundJob):
        async def run(self, number: int) -> dict[str, int]:
            return {self.tenant.id: number}

    outcome = await outcome_of(Job, 3)
    assert outcome.status is SUCCEEDED
    assert outcome.value == {"acme": 3}
    assert outcome.result == '{"acme":3}'


async def test_a_job_that_returns_nothing_has_no_result() -> None:
    class Job(BackgroundJob):
        async def run(self) -> None: ...

    outcome = await outcome_of(Job)
    assert (outcome.status, outcome.result, outcome.error, outcome.log) == (SUCCEEDED, None, None, None)


async def test_a_result_that_is_no_json_is_dropped_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    class Job(BackgroundJob):
        async def run(self) -> object:
            return object()

    outcome = await outcome_of(Job)
    assert outcome.status is SUCCEEDED
    assert outcome.result is None
    assert "the result was dropped" in caplog.text


async def test_an_exception_fails_it_with_its_text_and_a_traceback_that_starts_at_the_job() -> None:
    class Job(BackgroundJob):
        async def run(self) -> None:
            message = "bad address"
            raise ValueError(message)

    outcome = await outcome_of(Job)
    assert (outcome.status, outcome.error) == (FAILED, "ValueError: bad address")
    assert isinstance(outcome.exception, ValueError)
    assert outcome.traceback is not None
    assert "in run" in outcome.traceback
    assert "pinstripe/execution.py" not in outcome.traceback


@pytest.mark.parametrize("asynchronous", [True, False])
@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (SystemExit(0), "the job called sys.exit(0)"),
        (SystemExit(), "the job called sys.exit()"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (GeneratorExit(), "GeneratorExit"),
        (asyncio.CancelledError(), "CancelledError"),
        (BaseException("low"), "BaseException: low"),
        (BaseExceptionGroup("many", [SystemExit(1)]), "BaseExceptionGroup: many (1 sub-exception)"),
    ],
)
async def test_nothing_that_a_job_raises_ends_the_process(
    raised: BaseException, error: str, asynchronous: bool
) -> None:
    class Job(BackgroundJob):
        async def run(self) -> None:
            raise raised

    class PlainJob(BackgroundJob):
        def run(self) -> None:
            raise raised

    outcome = await outcome_of(Job if asynchronous else PlainJob)
    assert (outcome.status, outcome.error) == (FAILED, error)
    assert type(outcome.exception) is PinstripeError  # a caller may raise it without ending itself
    assert outcome.exception.__cause__ is raised


async def test_an_error_in_init_fails_it() -> None:
    class Job(BackgroundJob):
        def __init__(self) -> None:
            message = f"no luck for {self.tenant.id}"
            raise LookupError(message)

        async def run(self) -> None: ...

    assert (await outcome_of(Job)).error == "LookupError: no luck for acme"


async def test_a_timeout_fails_it() -> None:
    class Job(BackgroundJob):
        async def run(self) -> None:
            await asyncio.Event().wait()

    outcome = await outcome_of(Job, timeout=0.05)
    assert (outcome.status, outcome.error) == (FAILED, "TimeoutError: exceeded its timeout of 50ms")
    assert isinstance(outcome.exception, TimeoutError)
    assert outcome.traceback is not None
    assert "asyncio.Event().wait()" in outcome.traceback  # where it was at that time


async def test_a_timeout_that_is_not_reached_leaves_nothing_behind() -> None:
    class Job(BackgroundJob):
        async def run(self) -> None: ...

    async with executor() as each:
        outcome = await each.execute(assign(Job, timeout=60))
        assert outcome.status is SUCCEEDED
        assert not each.executions


async def test_a_job_that_swallows_its_timeout_has_failed_all_the_same() -> None:
    class Job(BackgroundJob):
        async def run(self) -> str:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            return "all well"

    outcome = await outcome_of(Job, timeout=0.05)
    assert (outcome.status, outcome.error) == (FAILED, "TimeoutError: exceeded its timeout of 50ms")


async def test_a_timeout_of_the_jobs_own_is_an_error_of_the_job() -> None:
    class Job(BackgroundJob):
        async def run(self) -> None:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()

    outcome = await outcome_of(Job, timeout=60)
    assert (outcome.status, outcome.error) == (FAILED, "TimeoutError")


class Waiting(BackgroundJob):
    """Says that it has begun, and waits for ever."""

    abstract = True

    async def begin(self) -> None:
        self.workspace.progress(0)
        await asyncio.Event().wait()


async def cancelled(job_class: type[BackgroundJob], *services: Any, grace: float = 25.0) -> Outcome:
    """Start a job, cancel it once it says that it has begun, and give its outcome."""
    begun = asyncio.Event()
    async with executor(*services, grace=grace) as each:
        outcomes: asyncio.Queue[Outcome] = asyncio.Queue()
        execution = each.start(
            assign(job_class, progress=lambda _done, _total: begun.set()),
            lambda _, outcome: outcomes.put_nowait(outcome),
        )
        await begun.wait()
        execution.cancel()
        outcome = await outcomes.get()
        assert outcomes.empty()
        return outcome


async def test_cancelling_it_from_outside() -> None:
    class Job(Waiting):
        async def run(self) -> None:
            await self.begin()

    outcome = await cancelled(Job)
    assert (outcome.status, outcome.error, outcome.exception) == (CANCELLED, "interrupted", None)


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
        database: str

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
        database: str
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


async def test_what_a_job_has_not_is_told_with_the_remedy() -> None:
    class Job(BackgroundJob):
        @property
        def broken(self) -> str:
            return self.tenant.missing  # type: ignore[no-any-return]

        async def run(self, name: str) -> None:
            getattr(self, name)

    outcome = await outcome_of(Job, "mailer")
    assert outcome.error is not None
    assert "job the_job has no service 'mailer'; expected a file lib/services/mailer.py" in outcome.error
    outcome = await outcome_of(Job, "broken")  # a property's own error isn't mistaken for a missing service
    assert outcome.error == "AttributeError: tenant 'acme' has no attribute 'missing'; it has what its source gave"


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
        execution.cancel()
        with pytest.raises(TimeoutError):  # a thread can't be stopped, so its slot is held, beyond the grace
            await asyncio.wait_for(outcomes.get(), 0.05)
        may_end.set()
        outcome = await outcomes.get()
    assert (outcome.status, outcome.error) == (CANCELLED, "interrupted")
    assert [type(each) for each in seen] == [WorkspaceClosed, bool, WorkspaceClosed]
    assert seen[1] is True


async def test_what_is_printed_is_kept_with_the_outcome_up_to_its_limit() -> None:
    class Job(BackgroundJob):
        async def run(self, fails: bool) -> None:
            capture = self.captured
            assert capture is not None
            capture.write("x" * 1_000_000 + "\n")
            if fails:
                raise ValueError

        @property
        def captured(self) -> Capture | None:
            executing = CURRENT.get()
            return None if executing is None else executing.capture

    for fails, limit in ((False, SUCCEEDED_LOG), (True, FAILED_LOG)):
        outcome = await outcome_of(Job, fails, capture=Capture("acme"))
        assert outcome.log is not None
        assert limit < len(outcome.log.encode()) < limit + 100
        assert "bytes of output cut" in outcome.log


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
    monkeypatch.setattr("pinstripe.execution.SWEEP_LIMIT", 0.05)
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
