from __future__ import annotations

import asyncio
import os
import shutil
import threading
import time
from typing import TYPE_CHECKING

import pytest

from pinstripe.errors import LedgerError
from pinstripe.ledgers.sqlite import writer as module
from pinstripe.ledgers.sqlite.connection import connect, log_ahead
from pinstripe.ledgers.sqlite.writer import MAX_BATCH, Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import apsw

pytestmark = pytest.mark.anyio


@pytest.fixture
def transactions() -> list[str]:
    """Collect how each of the writer's transactions ended."""
    return []


@pytest.fixture
def writer(path: Path, transactions: list[str]) -> Iterator[Writer]:
    connection = connect(path, write=True)
    log_ahead(connection, path)
    connection.execute("create table kept(n primary key)")
    writer = Writer(connection, path, lock_wait=10)

    def committing() -> bool:
        transactions.append("commit")
        return False

    connection.set_commit_hook(committing)
    connection.set_rollback_hook(lambda: transactions.append("rollback"))
    yield writer
    writer.close()


@pytest.fixture
def outside(writer: Writer, path: Path) -> Iterator[apsw.Connection]:
    """Connect as another process does."""
    connection = connect(path, write=True, lock_wait=0)
    yield connection
    connection.close()


def put(n: int, threads: list[str] | None = None) -> Callable[[apsw.Connection], int]:
    def request(connection: apsw.Connection) -> int:
        if threads is not None:
            threads.append(threading.current_thread().name)
        connection.execute("insert into kept values (?)", (n,))
        return n

    return request


def fail(connection: apsw.Connection) -> None:
    connection.execute("insert into kept values (-999)")
    raise ValueError("no")


def kept(connection: apsw.Connection) -> list[int]:
    return [n for (n,) in connection.execute("select n from kept order by n")]


async def test_an_idle_writer_writes_at_once_on_the_thread_that_asks(writer: Writer, outside: apsw.Connection) -> None:
    threads: list[str] = []
    assert await writer.write(put(1, threads)) == 1
    assert threads == [threading.current_thread().name]
    assert kept(outside) == [1]


async def test_a_long_request_leaves_the_event_loop_alone(writer: Writer, outside: apsw.Connection) -> None:
    threads: list[str] = []
    assert await writer.write(put(1, threads), long=True) == 1
    assert threads == ["pinstripe-ledger-writer"]
    assert kept(outside) == [1]


async def test_what_arrives_together_is_committed_together(
    writer: Writer, transactions: list[str], outside: apsw.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BATCH_TIME", 60)
    blocked, release = threading.Event(), threading.Event()

    def block(_: apsw.Connection) -> None:
        blocked.set()
        release.wait(10)

    blocking = asyncio.create_task(writer.write(block, long=True))
    await asyncio.to_thread(blocked.wait, 10)
    writes = [asyncio.create_task(writer.write(put(n))) for n in range(MAX_BATCH + 50)]
    await asyncio.sleep(0)
    assert kept(outside) == []
    release.set()
    assert await asyncio.gather(*writes) == list(range(MAX_BATCH + 50))
    await blocking
    assert transactions == ["commit"] * 3  # the one that blocked, a full batch, and the rest
    assert kept(outside) == list(range(MAX_BATCH + 50))


async def test_a_batch_ends_when_its_time_is_up(
    writer: Writer, transactions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BATCH_TIME", 0)
    assert await asyncio.gather(*(writer.write(put(n), long=True) for n in range(5))) == list(range(5))
    assert transactions == ["commit"] * 5


async def test_a_request_that_fails_spoils_no_neighbour(writer: Writer, outside: apsw.Connection) -> None:
    requests = [put(1), fail, put(2), put(1), put(3)]
    answers = await asyncio.gather(*(writer.write(one, long=True) for one in requests), return_exceptions=True)
    assert [answers[0], answers[2], answers[4]] == [1, 2, 3]
    assert isinstance(answers[1], ValueError)
    assert isinstance(answers[3], LedgerError)
    assert kept(outside) == [1, 2, 3]


@pytest.mark.parametrize("long", [False, True])
async def test_a_request_that_fails_is_undone(writer: Writer, outside: apsw.Connection, *, long: bool) -> None:
    with pytest.raises(ValueError, match="no"):
        await writer.write(fail, long=long)
    assert kept(outside) == []
    assert await writer.write(put(1), long=long) == 1
    assert kept(outside) == [1]


async def test_an_answer_comes_after_the_commit(writer: Writer, outside: apsw.Connection) -> None:
    for n in range(20):
        await writer.write(put(n), long=True)
        assert kept(outside)[-1] == n


async def test_a_file_that_another_process_holds_is_waited_for_by_the_thread(
    writer: Writer, outside: apsw.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []
    sleeping: set[str] = set()
    sleep = time.sleep

    def watched(seconds: float) -> None:
        sleeping.add(threading.current_thread().name)
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", watched)
    outside.execute("begin immediate")
    waiting = asyncio.create_task(writer.write(put(1, threads)))
    await asyncio.sleep(0)
    assert not waiting.done()
    outside.execute("insert into kept values (0)")
    outside.execute("commit")
    assert await waiting == 1
    assert threading.current_thread().name not in sleeping  # the event loop goes on meanwhile
    assert threads == ["pinstripe-ledger-writer"]
    assert kept(outside) == [0, 1]


async def test_a_file_that_is_held_for_too_long(path: Path, outside: apsw.Connection) -> None:
    impatient = Writer(connect(path, write=True), path, lock_wait=0.02)
    outside.execute("begin immediate")
    for long in (False, True):
        with pytest.raises(LedgerError, match="is locked: another process has held its lock"):
            await impatient.write(put(1), long=long)
    with pytest.raises(LedgerError, match="is locked"):
        impatient.write_now(put(1))
    outside.execute("commit")
    assert await impatient.write(put(2)) == 2
    assert impatient.write_now(put(3)) == 3
    assert kept(outside) == [2, 3]
    impatient.close()


async def test_a_full_disk_fails_what_it_must_and_loses_nothing(writer: Writer, outside: apsw.Connection) -> None:
    await writer.write(lambda tx: tx.execute("pragma max_page_count = 8"), long=True)

    def large(connection: apsw.Connection) -> None:
        connection.execute("insert into kept values (zeroblob(100000))")

    for long in (False, True):
        with pytest.raises(LedgerError, match="has no space left"):
            await writer.write(large, long=long)
        assert await writer.write(put(int(long)), long=long) == int(long)
    assert kept(outside) == [0, 1]


async def test_the_log_is_copied_into_the_file(writer: Writer, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but the writer makes checkpoints: without them the log would grow for ever."""
    monkeypatch.setattr(module, "CHECKPOINT_PAGES", 20)
    for n in range(400):
        await writer.write(put(n))
        await writer.write(put(-n - 1), long=True)
    assert path.with_name("ledger.db-wal").stat().st_size < 200 * 4_096


async def test_write_now_needs_no_event_loop(writer: Writer, outside: apsw.Connection) -> None:
    def write() -> None:
        for n in range(50):
            writer.write_now(put(n))

    threads = [threading.Thread(target=write)]
    threads[0].start()
    await asyncio.gather(*(writer.write(put(-n - 1)) for n in range(50)))
    threads[0].join()
    assert kept(outside) == list(range(-50, 50))
    with pytest.raises(ValueError, match="no"):
        writer.write_now(fail)


async def test_who_leaves_does_not_stop_the_write(writer: Writer, outside: apsw.Connection) -> None:
    leaving = asyncio.create_task(writer.write(put(1), long=True))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await writer.write(put(2), long=True)
    assert kept(outside) == [1, 2]


def test_a_waiter_whose_event_loop_is_gone_stops_nobody(path: Path) -> None:
    connection = connect(path, write=True)
    connection.execute("create table kept(n primary key)")
    writer = Writer(connection, path)
    started, release = threading.Event(), threading.Event()

    def slow(tx: apsw.Connection) -> None:
        started.set()
        release.wait(10)
        tx.execute("insert into kept values (1)")

    async def ask_and_leave() -> None:
        task = asyncio.create_task(writer.write(slow, long=True))
        await asyncio.to_thread(started.wait, 10)
        task.cancel()

    asyncio.run(ask_and_leave())
    release.set()
    assert asyncio.run(writer.write(put(2), long=True)) == 2
    assert kept(connection) == [1, 2]
    writer.close()


async def test_closing_ends_what_was_asked_for(path: Path, outside: apsw.Connection) -> None:
    writer = Writer(connect(path, write=True), path)
    writes = [asyncio.create_task(writer.write(put(n), long=True)) for n in range(300)]
    await asyncio.sleep(0)
    writer.close()
    assert await asyncio.gather(*writes) == list(range(300))
    assert kept(outside) == list(range(300))
    with pytest.raises(LedgerError, match="has been closed"):
        await writer.write(put(1), long=True)


async def test_a_cancelled_write_ends_only_when_it_is_done(writer: Writer, outside: apsw.Connection) -> None:
    outside.execute("begin immediate")
    writing = asyncio.create_task(writer.write(put(1)))
    await asyncio.sleep(0)
    writing.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not writing.done()
    outside.execute("rollback")
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert kept(outside) == [1]


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")  # that is what is tried
def test_a_forked_child_is_refused(writer: Writer, outside: apsw.Connection) -> None:
    reader, end = os.pipe()
    child = os.fork()
    if child == 0:
        refused = []
        try:
            writer.write_now(put(1))
        except LedgerError as error:
            refused.append(str(error))
        os.write(end, "".join(refused).encode())
        os._exit(0)
    os.close(end)
    os.waitpid(child, 0)
    with os.fdopen(reader) as said:
        assert "of which this one is a fork" in said.read()
    assert writer.write_now(put(2)) == 2
    assert kept(outside) == [2]


@pytest.mark.parametrize("replaced", [False, True])
@pytest.mark.parametrize("long", [False, True])
async def test_a_file_that_was_removed_or_replaced_is_told(
    writer: Writer, path: Path, *, replaced: bool, long: bool
) -> None:
    await writer.write(put(1))
    away = path.with_name("moved.db")
    shutil.move(path, away)
    if replaced:
        shutil.copy(away, path)
    with pytest.raises(LedgerError, match="was removed or replaced"):
        await writer.write(put(2), long=long)
    shutil.move(away, path)  # put back
    assert await writer.write(put(3), long=long) == 3
