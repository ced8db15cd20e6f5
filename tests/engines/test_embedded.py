"""What is the embedded engine's own: how processes of one host wake one another."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import apsw
import pytest

from pinstripe.engine import Ticket
from pinstripe.engines.embedded import EmbeddedEngine
from tests.engines.offices import TABLE, TAKE, EmbeddedOffice, owner

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio

PATIENCE = 30
"""Seconds that a test waits for a process before it gives up."""


class Child:
    """Another process on the same ledger."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    async def line(self) -> str:
        """Wait for the next line that it says, while the event loop goes on."""
        assert self.process.stdout is not None
        line = await asyncio.to_thread(self.process.stdout.readline)
        assert line, f"it ended: {self.process.wait(PATIENCE)}"
        return line.strip()


@contextmanager
def child(office: EmbeddedOffice, what: str) -> Iterator[Child]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.engines.child", str(office.path), what],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield Child(process)
        finally:
            process.kill()


@pytest.fixture
def office(embedded_office: EmbeddedOffice) -> EmbeddedOffice:
    """Give the place of this one engine."""
    return embedded_office


def folder(office: EmbeddedOffice) -> Path:
    return office.path.with_name(f"{office.path.name}-owners")


def sockets(office: EmbeddedOffice) -> set[str]:
    return {path.name for path in folder(office).iterdir()}


async def test_a_ticket_tells_what_its_chunk_is(office: EmbeddedOffice) -> None:
    engine = office.engine()
    only = Ticket(chunk=3, run=9, flow="r:9", band=3, tag=40, until=1_040)
    with office.connection:
        office.connection.execute("insert into chunks values (?, ?, ?, ?, ?, ?)", only)
        engine.mint(office.connection, [only.chunk])
        assert engine.take(office.connection, 10) == [only]
        assert engine.take(office.connection, 0) == []


async def test_a_thread_may_wake_all(office: EmbeddedOffice) -> None:
    engine, other = office.engine(), office.engine()
    thread = Thread(target=engine.wake)
    thread.start()
    for listening in (engine, other):
        assert await listening.wait(PATIENCE)
    thread.join()


async def test_wakes_between_two_waits_are_heard_once(office: EmbeddedOffice) -> None:
    engine = office.engine()
    engine.wake()
    engine.wake()
    assert await engine.wait(PATIENCE)
    assert not await engine.wait(0.01)


async def test_another_process_is_woken(office: EmbeddedOffice) -> None:
    engine = office.engine(listens=False)
    with child(office, "listen") as other:
        assert await other.line() == "listening"
        for _ in range(3):
            engine.wake()
            assert await other.line() == "heard"


async def test_another_process_wakes_this_one(office: EmbeddedOffice) -> None:
    engine = office.engine()
    with child(office, "wake") as other:
        assert await engine.wait(PATIENCE)
        assert await other.line() == "woken"


async def test_what_another_process_wrote_is_found_where_it_told_nobody(office: EmbeddedOffice) -> None:
    engine = office.engine()
    with child(office, "write") as other:
        assert await other.line() == "written"
        assert await engine.wait(PATIENCE)


async def test_what_this_process_wrote_is_found_too(office: EmbeddedOffice) -> None:
    engine = office.engine()
    office.connection.execute("insert into chunks values (1, 1, 'j:hello', 2, 0, 1)")
    assert await engine.wait(PATIENCE)
    assert not await engine.wait(0.01)


async def test_a_process_that_never_opened_it_may_wait_all_the_same(office: EmbeddedOffice) -> None:
    engine = office.engine(listens=False)
    await engine.wait(0.01)  # it can't know what was before
    waiting = asyncio.create_task(engine.wait(PATIENCE))
    office.connection.execute("insert into chunks values (1, 1, 'j:hello', 2, 0, 1)")
    assert await waiting


async def test_the_socket_of_a_dead_process_stays_until_its_lock_file_is_gone(office: EmbeddedOffice) -> None:
    engine = office.engine()
    lock_file = folder(office) / "unknown.lock"
    with child(office, "die") as other:
        name = await other.line()
        lock_file = folder(office) / f"{name}.lock"
        lock_file.touch()
        other.process.send_signal(signal.SIGKILL)
        other.process.wait(PATIENCE)
    engine.wake()
    assert f"{name}.sock" in sockets(office)
    lock_file.unlink()
    engine.wake()
    assert f"{name}.sock" not in sockets(office)


async def test_a_closed_engine_leaves_nothing_behind(office: EmbeddedOffice) -> None:
    engine = office.engine()
    assert len(sockets(office)) == 1
    engine.close()
    assert sockets(office) == set()


async def test_a_process_that_was_taken_for_dead_listens_under_its_new_name(office: EmbeddedOffice) -> None:
    engine, other = office.engine(), office.engine(listens=False)
    name = owner()
    engine.open(name)
    engine.open(name)
    assert sockets(office) == {f"{name}.sock"}
    other.wake()
    assert await engine.wait(PATIENCE)


async def test_who_comes_right_after_a_wake_hears_the_next(office: EmbeddedOffice) -> None:
    teller = office.engine(listens=False)
    for _ in range(20):
        engine = office.engine()
        teller.wake()
        assert await engine.wait(PATIENCE)


async def test_who_comes_later_is_told_too(office: EmbeddedOffice) -> None:
    teller = office.engine(listens=False)
    first = office.engine()
    long_ago = 1_000_000_000
    os.utime(folder(office), ns=(long_ago, long_ago))
    teller.wake()  # from now on it knows the folder by heart
    teller.wake()
    later = office.engine()
    assert await first.wait(PATIENCE)
    teller.wake()
    assert await first.wait(PATIENCE)
    assert await later.wait(PATIENCE)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a way round")
async def test_a_ledger_may_lie_deeper_than_a_socket_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / ("deep " * 40) / "ledger.db"
    path.parent.mkdir()
    connection, reader = apsw.Connection(str(path)), apsw.Connection(str(path))
    connection.execute(TABLE)
    engines = [EmbeddedEngine(Path(f"{path}-owners"), reader, take=TAKE) for _ in range(2)]
    first, second = engines
    first.open(owner())
    assert not await first.wait(0.01)
    with child(EmbeddedOffice(path, connection), "wake") as other:
        assert await first.wait(PATIENCE)
        assert await other.line() == "woken"
    second.wake()
    assert await first.wait(PATIENCE)
    for engine in engines:
        engine.close()
    for opened in (connection, reader):
        opened.close()


async def test_where_no_socket_can_be_made_the_file_is_looked_at(
    office: EmbeddedOffice, caplog: pytest.LogCaptureFixture
) -> None:
    folder(office).write_text("no folder")
    with caplog.at_level("INFO", "pinstripe"):
        engine = office.engine()
    assert "no socket can be made" in caplog.text
    engine.wake()
    assert await engine.wait(PATIENCE)
    office.connection.execute("insert into chunks values (1, 1, 'j:hello', 2, 0, 1)")
    assert await engine.wait(PATIENCE)


async def test_a_system_without_such_sockets_looks_at_the_file(
    office: EmbeddedOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(socket, "AF_UNIX")
    engine = office.engine()
    assert not folder(office).exists()
    engine.wake()
    assert await engine.wait(PATIENCE)
    office.connection.execute("insert into chunks values (1, 1, 'j:hello', 2, 0, 1)")
    assert await engine.wait(PATIENCE)


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
async def test_a_forked_child_leaves_the_socket_to_its_parent(office: EmbeddedOffice) -> None:
    engine = office.engine()
    pid = os.fork()
    if pid == 0:
        try:
            engine.wake()  # it tells its parent, over the socket
            engine.close()
        finally:
            os._exit(0)
    assert await engine.wait(PATIENCE)
    assert (await asyncio.to_thread(os.waitpid, pid, 0))[1] == 0
    assert len(sockets(office)) == 1
    office.engine(listens=False).wake()
    assert await engine.wait(PATIENCE)


async def test_a_file_that_can_not_be_read_is_looked_at_again(office: EmbeddedOffice) -> None:
    engine = office.engine()
    office.readers[0].close()
    assert not await engine.wait(0.3)  # it has looked, and what is wrong is told by whoever uses the file
