from __future__ import annotations

import asyncio
import itertools
import logging
import queue
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from pinstripe import pulse as module
from pinstripe.background_job import BackgroundJob
from pinstripe.capture import Capture
from pinstripe.errors import LedgerError
from pinstripe.pulse import Pulse
from pinstripe.redirection import redirected
from tests.attempts import assign, executor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pinstripe.executor import Executor

pytestmark = pytest.mark.anyio


class Heard(logging.Handler):
    """Puts what is logged where a thread can wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: queue.SimpleQueue[str] = queue.SimpleQueue()

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.put(record.getMessage())

    @contextmanager
    def last(self) -> Iterator[None]:
        """Hear of a record only after every other handler has."""
        logging.getLogger("pinstripe").removeHandler(self)
        logging.getLogger().addHandler(self)
        yield
        logging.getLogger().removeHandler(self)

    def wait(self) -> str:
        return self.messages.get(timeout=10)


@pytest.fixture
def heard() -> Iterator[Heard]:
    """Give what hears Pinstripe's own log."""
    handler = Heard()
    logger = logging.getLogger("pinstripe")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


async def test_it_beats_in_a_thread_of_its_own_also_while_the_loop_is_blocked() -> None:
    beats: list[int] = []
    beaten = threading.Event()

    def beat() -> None:
        beats.append(threading.get_ident())
        if len(beats) == 1:
            message = "the first one fails, and is not the last"
            raise OSError(message)
        beaten.set()

    async with executor() as each:
        pulse = Pulse(each, beat, beat_every=0.02, blocked_after=0.05)
        pulse.start()
        pulse.start()  # does nothing more
        assert beaten.wait(10)  # which blocks the event loop
        pulse.stop()
    assert threading.get_ident() not in beats
    assert len(set(beats)) == 1


@pytest.mark.parametrize("in_a_task", [False, True])
async def test_a_job_that_blocks_the_loop_is_named_with_its_place_and_the_time_it_took(
    in_a_task: bool, heard: Heard
) -> None:
    class Job(BackgroundJob):
        async def run(self) -> str:
            if in_a_task:
                return await asyncio.create_task(self.block())
            return await self.block()

        async def block(self) -> str:
            return heard.wait()  # which blocks until somebody warns

    capture = Capture("acme")
    async with executor() as each:
        pulse = Pulse(each, blocked_after=0.05)
        pulse.start()
        with redirected(), heard.last():
            outcome = await each.execute(assign(Job, capture=capture))
            last = await asyncio.to_thread(heard.wait)
        pulse.stop()
    first = outcome.value
    assert first.startswith("the_job for tenant acme has blocked the event loop for 0.")
    assert f"{Path(__file__)}:" in first
    assert " in wait; all else waits" in first
    assert last.startswith("the_job for tenant acme blocked the event loop for ")
    assert " in all, at " in last
    assert outcome.log is not None
    assert "has blocked the event loop" in outcome.log  # kept with the output of whoever did it


async def test_what_blocks_the_loop_and_is_no_job_is_told_too(heard: Heard) -> None:
    async with executor() as each:
        pulse = Pulse(each, blocked_after=0.05)
        pulse.start()
        message = heard.wait()
        pulse.stop()
    assert message.startswith("something that is no job has blocked the event loop")
    assert message.endswith("Await what takes long, or give it a thread of its own")


async def test_logging_that_raises_does_not_stop_the_heart() -> None:
    class Raises(logging.Handler):
        def emit(self, _: logging.LogRecord) -> None:
            raise LookupError("no request goes on")

    beaten = threading.Semaphore(0)

    def beat() -> None:
        beaten.release()
        raise OSError("this is logged, too")

    handler = Raises()
    logging.getLogger("pinstripe").addHandler(handler)
    try:
        async with executor() as each:
            pulse = Pulse(each, beat, beat_every=0.01, blocked_after=0.02)
            pulse.start()
            assert all(beaten.acquire(timeout=10) for _ in range(10))  # which blocks the event loop
            pulse.stop()
    finally:
        logging.getLogger("pinstripe").removeHandler(handler)


@pytest.mark.parametrize(("error", "traceback"), [(LedgerError("no space left"), False), (OSError("what?"), True)])
async def test_a_beat_that_fails_is_told_of_and_only_what_is_unforeseen_by_its_traceback(
    error: Exception, traceback: bool, caplog: pytest.LogCaptureFixture, heard: Heard
) -> None:
    beats = iter([error, error, None, error])

    def beat() -> None:
        if found := next(beats, None):
            raise found

    async with executor() as each:
        pulse = Pulse(each, beat, beat_every=0.01, blocked_after=0.2)
        pulse.start()
        with heard.last():
            told = [await asyncio.to_thread(heard.wait) for _ in range(4)]
        pulse.stop()
    failed = f"the heartbeat failed; it is tried again every 0.01s: {error}"
    again = "the heartbeat succeeds again"
    assert told == [failed, again, failed, again], "once for as long as it fails"
    assert [bool(record.exc_info) for record in caplog.records] == [traceback, False, traceback, False]


async def test_a_loop_that_runs_is_left_in_peace(heard: Heard) -> None:
    async with executor() as each:
        beats = threading.Semaphore(0)
        pulse = Pulse(each, beats.release, beat_every=0.01, blocked_after=0.2)
        pulse.start()
        for _ in range(5):
            await asyncio.to_thread(beats.acquire)
        pulse.stop()
    assert heard.messages.empty()


def test_a_loop_that_is_not_run_for_a_while_is_blocked_by_nobody(heard: Heard) -> None:
    with asyncio.Runner() as runner:  # as in a job's process, which runs it for each job
        each = runner.run(opened())
        beaten = threading.Semaphore(0)
        pulse = Pulse(each, beaten.release, beat_every=0.01, blocked_after=0.05)
        runner.run(start(pulse))
        for _ in range(12):
            assert beaten.acquire(timeout=10)
        runner.run(asyncio.sleep(0))
        pulse.stop()
    assert heard.messages.empty()


async def opened() -> Executor:
    async with executor() as each:
        return each


async def start(pulse: Pulse) -> None:
    pulse.start()


@pytest.mark.parametrize(("used", "warned"), [(0.0, False), (3.0, True)])
async def test_a_process_that_stood_still_is_told_from_one_that_was_busy(
    heard: Heard, monkeypatch: pytest.MonkeyPatch, used: float, *, warned: bool
) -> None:
    looked = threading.Event()

    def times(first: float, second: float, looks: int, then: float) -> Iterator[float]:
        yield from [first] * looks
        yield second
        looked.set()  # asked for once more: the first look is over
        yield from itertools.repeat(then)

    now = time.monotonic()
    wall, cpu = times(now, now + 3, 2, now + 3), times(0.0, used, 1, used)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=wall.__next__, process_time=cpu.__next__))
    async with executor() as each:
        pulse = Pulse(each, blocked_after=1.0)
        pulse.start()
        assert looked.wait(10)  # the event loop doesn't tick meanwhile
        pulse.stop()
    assert heard.messages.empty() is not warned
