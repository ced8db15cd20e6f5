from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.errors import LedgerError, LedgerLost
from pinstripe.supervisor import FIRST_WAIT, LONGEST_WAIT, STEADY, Supervisor, next_wait

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

PATIENCE = 30
"""Seconds that a test waits for a process before it gives up."""


@dataclass
class Noted:
    """Stands for the ledger: keeps what it is told."""

    stopped: list[int | None] = field(default_factory=list)
    sweeps: int = 0
    trouble: Exception | None = None
    locked: asyncio.Event | None = None

    async def stopping(self, pid: int | None = None) -> None:
        self.stopped.append(pid)
        while self.locked is not None and not self.locked.is_set():
            with suppress(asyncio.CancelledError):  # as a write is waited for that has begun
                await self.locked.wait()

    async def sweep(self) -> None:
        self.sweeps += 1
        if self.trouble is not None:
            raise self.trouble


class Supervised:
    """A process of the supervisor, as it is heard of over a socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.pid = 0
        self.supervisor = ""
        self.group = 0
        self.found_again = ""

    async def line(self) -> str:
        """Wait for the next line that it says; an empty one when it is gone."""
        async with asyncio.timeout(PATIENCE):
            return (await self._reader.readline()).decode().strip()

    def tell(self, line: str) -> None:
        self._writer.write(f"{line}\n".encode())

    def close(self) -> None:
        self._writer.close()


@dataclass
class Shift:
    """A supervisor at work, and the processes that have come so far."""

    supervisor: Supervisor
    noted: Noted
    told: list[str]
    come: asyncio.Queue[Supervised]
    ended: asyncio.Task[None]

    async def next(self) -> Supervised:
        """Wait for another process."""
        async with asyncio.timeout(PATIENCE):
            return await self.come.get()

    async def end(self) -> None:
        """Wait until the supervisor has ended."""
        async with asyncio.timeout(PATIENCE):
            await self.ended


@asynccontextmanager
async def shift(
    folder: Path, count: int, *manners: str, grace: float = PATIENCE, drains: bool = False
) -> AsyncIterator[Shift]:
    come: asyncio.Queue[Supervised] = asyncio.Queue()
    all_of_them = []

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        process = Supervised(reader, writer)
        all_of_them.append(process)
        pid, process.supervisor, group, process.found_again = (await process.line()).split()
        process.pid, process.group = int(pid), int(group)
        come.put_nowait(process)

    server = await asyncio.start_unix_server(greet, folder / "s")
    noted, told = Noted(), list[str]()
    command = [sys.executable, "-m", "tests.supervised", str(folder / "s"), *manners]
    supervisor = Supervisor(command, count, queue=noted, grace=grace, tell=told.append, drains=drains)
    ended = asyncio.create_task(supervisor.supervise())
    try:
        yield Shift(supervisor, noted, told, come, ended)
    finally:
        ended.cancel()
        await asyncio.wait([ended])
        for process in all_of_them:
            process.close()
        server.close()


async def test_each_process_knows_its_supervisor_and_is_in_a_group_of_its_own(tmp_path: Path) -> None:
    async with shift(tmp_path, 2) as going:
        both = [await going.next(), await going.next()]
        for process in both:
            assert process.supervisor == str(os.getpid())
            assert process.found_again == "None"  # what a job starts isn't supervised
            assert process.group == process.pid
        assert both[0].pid != both[1].pid


@pytest.mark.parametrize(
    ("order", "how"), [("exit 7", "exit code 7"), ("exit 0", "exit code 0"), ("die", "signal SIGKILL")]
)
async def test_a_process_that_ends_is_swept_up_and_replaced(tmp_path: Path, order: str, how: str) -> None:
    async with shift(tmp_path, 1) as going:
        first = await going.next()
        first.tell(order)
        second = await going.next()
        assert going.noted.sweeps == 1
        assert going.told == [f"the worker's process {first.pid} ended: {how}; another one starts in 0.1s."]
        second.tell(order)
        await going.next()
        assert going.told[1].endswith("another one starts in 0.2s.")


async def test_a_stop_is_passed_on_to_all_and_waits_for_them(tmp_path: Path) -> None:
    async with shift(tmp_path, 2) as going:
        both = [await going.next(), await going.next()]
        going.supervisor.stop()
        assert [await process.line() for process in both] == ["SIGTERM", "SIGTERM"]
        await going.end()
        assert going.told == []
        assert going.noted.stopped == []


async def test_a_second_stop_is_passed_on_too_and_then_who_is_left_is_killed(tmp_path: Path) -> None:
    async with shift(tmp_path, 1, "stubborn", grace=0.2) as going:
        process = await going.next()
        going.supervisor.stop()
        assert await process.line() == "SIGTERM"
        going.supervisor.stop()
        assert await process.line() == "SIGINT"
        await going.end()
        assert await process.line() == ""
        assert going.noted.stopped == [process.pid]
        assert going.told == [f"the worker's process {process.pid} did not end, and was killed."]


async def test_who_does_not_end_within_the_grace_is_killed_without_blame(tmp_path: Path) -> None:
    async with shift(tmp_path, 2, "stubborn", grace=0.05) as going:
        both = [await going.next(), await going.next()]
        going.supervisor.stop()
        await going.end()
        assert sorted(map(str, going.noted.stopped)) == sorted(str(process.pid) for process in both)
        assert going.noted.sweeps == 2


async def test_a_ledger_that_is_locked_delays_no_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pinstripe.supervisor.LEDGER_LIMIT", 0.05)
    async with shift(tmp_path, 1, "stubborn", grace=0.05) as going:
        process = await going.next()
        unlocked = going.noted.locked = asyncio.Event()
        try:
            going.supervisor.stop()
            await going.end()
            assert going.noted.stopped == [process.pid]
        finally:
            unlocked.set()


async def test_a_stop_before_the_processes_are_there_ends_them_too(tmp_path: Path) -> None:
    async with shift(tmp_path, 2) as going:
        await asyncio.sleep(0)  # it starts them now
        going.supervisor.stop()
        await going.end()


async def test_a_stop_while_a_process_is_to_be_replaced_starts_no_other(tmp_path: Path) -> None:
    async with shift(tmp_path, 1) as going:
        process = await going.next()
        process.tell("exit 1")
        assert await process.line() == ""
        going.supervisor.stop()
        await going.end()
        assert going.come.empty()


async def test_when_all_have_drained_it_is_done_and_one_that_crashed_begins_again(tmp_path: Path) -> None:
    async with shift(tmp_path, 2, drains=True) as going:
        first, second = await going.next(), await going.next()
        first.tell("exit 0")
        second.tell("exit 1")
        third = await going.next()
        assert len(going.told) == 1
        third.tell("exit 0")
        await going.end()


async def test_a_ledger_in_trouble_is_warned_about_and_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with shift(tmp_path, 1) as going:
        going.noted.trouble = LedgerError("no space left")
        (await going.next()).tell("exit 1")
        again = await going.next()
        going.noted.trouble = ZeroDivisionError("a bug")
        again.tell("exit 1")
        await going.next()
    assert "can't be noted now: no space left" in caplog.text
    assert "a bug" in caplog.text


async def test_a_command_that_cannot_be_started_is_tried_again() -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    supervisor = Supervisor(["/nowhere/python"], 1, queue=Noted(), grace=1, tell=told.put_nowait)
    ended = asyncio.create_task(supervisor.supervise())
    async with asyncio.timeout(PATIENCE):
        assert await told.get() == (
            "a worker's process can't be started (No such file or directory); another one starts in 0.1s."
        )
        assert (await told.get()).endswith("another one starts in 0.2s.")
        supervisor.stop()
        await ended


SUPERVISE = """
import asyncio, sys
from pinstripe.supervisor import Supervisor
supervisor = Supervisor(sys.argv[1:], 2, queue=None, grace=30, tell=print)
asyncio.run(supervisor.supervise())
"""


async def test_processes_end_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    come: asyncio.Queue[Supervised] = asyncio.Queue()

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        process = Supervised(reader, writer)
        await process.line()
        come.put_nowait(process)

    server = await asyncio.start_unix_server(greet, tmp_path / "s")
    command = [sys.executable, "-m", "tests.supervised", str(tmp_path / "s")]
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", SUPERVISE, *command)
    async with asyncio.timeout(PATIENCE):
        both = [await come.get(), await come.get()]
        killed.kill()
        await killed.wait()
        for process in both:
            while await process.line():
                pass
            process.close()
    server.close()


async def test_who_finds_its_supervisor_gone_stops_at_once() -> None:
    from pinstripe.supervisor import end_with

    stopped = asyncio.Event()
    await end_with(os.getppid() + 1, stopped.set)
    assert stopped.is_set()


@given(wait=st.floats(0, LONGEST_WAIT), lived=st.floats(0, 3_600))
def test_the_wait_grows_up_to_its_bound_and_begins_anew_after_a_steady_life(wait: float, lived: float) -> None:
    after = next_wait(wait, lived)
    assert FIRST_WAIT <= after <= LONGEST_WAIT
    if lived >= STEADY:
        assert after == FIRST_WAIT
    else:
        assert after == min(max(2 * wait, FIRST_WAIT), LONGEST_WAIT)


def test_the_number_of_a_signal_without_a_name_is_told() -> None:
    from pinstripe.supervisor import how_ended

    assert how_ended(-signal.SIGTERM) == "signal SIGTERM"
    assert how_ended(-99) == "signal 99"


async def test_it_goes_on_when_nobody_listens_to_it_any_more(tmp_path: Path) -> None:
    def broken(_: str) -> None:
        raise BrokenPipeError

    async with shift(tmp_path, 2) as each:
        each.supervisor._tell = broken  # noqa: SLF001 - as where standard error is a pipe that nobody reads
        first, other = await each.next(), await each.next()
        first.tell("die")
        assert (await each.next()).pid not in {first.pid, other.pid}
        each.supervisor.stop()
        assert await other.line() == "SIGTERM"
        await each.end()


async def test_a_ledger_that_is_gone_ends_all_of_it(tmp_path: Path) -> None:
    async with shift(tmp_path, 2) as going:
        first, _second = await going.next(), await going.next()
        going.noted.trouble = LedgerLost("the ledger was removed")
        first.tell("exit 4")
        with pytest.raises(LedgerLost, match="was removed"):
            await going.end()
    assert going.told == []
