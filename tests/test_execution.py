"""How an attempt goes and ends."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from pinstripe.background_job import BackgroundJob
from pinstripe.capture import Capture
from pinstripe.errors import PinstripeError
from pinstripe.executing import CURRENT
from pinstripe.run import ExecutionStatus
from pinstripe.stopping import FAILED_LOG, SUCCEEDED_LOG
from tests.attempts import assign, executor, outcome_of

pytestmark = pytest.mark.anyio

SUCCEEDED, FAILED = ExecutionStatus.SUCCEEDED, ExecutionStatus.FAILED


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
        assert limit - 100 < len(outcome.log.encode()) <= limit
        assert "bytes of output cut" in outcome.log
