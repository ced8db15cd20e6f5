"""What a job answers by raising `Cancel` or `RetryLater`, wherever it runs."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pinstripe.answers import Cancel, RetryLater
from pinstripe.background_job import BackgroundJob
from pinstripe.outcome import ended_by
from pinstripe.run import ExecutionStatus
from tests.attempts import assign, executor, outcome_of, service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

FAILED, CANCELLED = ExecutionStatus.FAILED, ExecutionStatus.CANCELLED


class OnLoop(BackgroundJob):
    async def run(self, answer: BaseException) -> None:
        raise answer


class InThread(BackgroundJob):
    def run(self, answer: BaseException) -> None:
        raise answer


class InGroup(BackgroundJob):
    async def run(self, answer: BaseException) -> None:
        async def one() -> None:
            raise answer

        async def other() -> None:
            await asyncio.Event().wait()

        async with asyncio.TaskGroup() as outer:
            outer.create_task(other())
            async with asyncio.TaskGroup() as inner:
                inner.create_task(one())


class Enough(Cancel):
    def __init__(self) -> None:
        pass


class Sometime(RetryLater):
    def __init__(self) -> None:
        pass

    def __str__(self) -> str:
        return "sometime"


JOBS = pytest.mark.parametrize("job", [OnLoop, InThread, InGroup])


@JOBS
async def test_cancel_cancels_it_with_the_reason(job: type[BackgroundJob]) -> None:
    outcome = await outcome_of(job, Cancel("the card has expired"))
    assert (outcome.status, outcome.error) == (CANCELLED, "the card has expired")
    assert (outcome.traceback, outcome.exception, outcome.retry_after) == (None, None, None)
    assert not outcome.stopped  # nobody else ended it


@JOBS
async def test_retry_later_fails_it_and_says_when_it_is_to_run_again(job: type[BackgroundJob]) -> None:
    answer = RetryLater("5m", "too many requests")
    outcome = await outcome_of(job, answer)
    assert (outcome.status, outcome.error) == (FAILED, "RetryLater: run again in 5m: too many requests")
    assert (outcome.traceback, outcome.exception, outcome.retry_after) == (None, answer, 300)


async def test_answers_that_come_with_others_are_no_answers() -> None:
    class Job(BackgroundJob):
        async def run(self) -> None:
            raise ExceptionGroup("two", [Cancel("one"), RetryLater("1s")])

    outcome = await outcome_of(Job)
    assert (outcome.status, outcome.error) == (FAILED, "ExceptionGroup: two (2 sub-exceptions)")
    assert outcome.retry_after is None


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        (Cancel("no more of it"), CANCELLED, "no more of it"),
        (RetryLater(timedelta(seconds=90)), FAILED, "RetryLater: run again in 1m30s"),
    ],
)
async def test_a_service_that_fails_to_close_after_it_is_told_too(
    answer: Exception, status: ExecutionStatus, error: str
) -> None:
    async def mailer() -> AsyncIterator[str]:
        yield "mailer"
        message = "the connection is gone"
        raise OSError(message)

    class Job(BackgroundJob):
        mailer: str

        async def run(self) -> None:
            raise answer

    async with executor(service(mailer)) as each:
        outcome = await each.execute(assign(Job))
    assert outcome.status is status
    assert outcome.error == f"{error}; service mailer failed to close: OSError: the connection is gone"


async def test_a_job_that_is_stopped_may_not_answer_any_more() -> None:
    class Job(BackgroundJob):
        async def run(self) -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise Cancel("so what") from None

    outcome = await outcome_of(Job, timeout=0.02)
    assert (outcome.status, outcome.error) == (FAILED, "TimeoutError: exceeded its timeout of 20ms")


def test_an_answer_of_an_authors_own_making_is_taken_as_far_as_it_goes() -> None:
    assert ended_by(Enough()).error == "cancelled by the job"
    outcome = ended_by(Sometime())
    assert (outcome.status, outcome.error, outcome.retry_after) == (FAILED, "Sometime: sometime", None)
