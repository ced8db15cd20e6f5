from __future__ import annotations

import os
import subprocess
import sys
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.errors import LedgerError
from pinstripe.ledgers.hosts import boot_id, host
from pinstripe.ledgers.sqlite import locks, owners
from pinstripe.ledgers.sqlite.locks import Lock
from pinstripe.ledgers.sqlite.owners import Owner, Owners
from pinstripe.ledgers.sqlite.writer import Writer
from tests.ledgers.conftest import HandClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import apsw

LEASE = timedelta(seconds=owners.LEASE)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def writer(connection: apsw.Connection, path: Path) -> Iterator[Writer]:
    writer = Writer(connection, path)
    yield writer
    writer.close()


@pytest.fixture
def ours(path: Path, writer: Writer, clock: HandClock) -> Owners:
    return Owners(path, writer, clock)


@pytest.fixture
def watching(path: Path, writer: Writer, clock: HandClock) -> Owners:
    return Owners(path, writer, clock)


@pytest.fixture
def gone() -> int:
    """Give the number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def row(clock: HandClock, **given: Any) -> Owner:
    values = {
        "id": 7,
        "name": "seven",
        "host": host(),
        "boot_id": boot_id(),
        "pid": os.getppid(),
        "worker": 0,
        "stopping": 0,
    }
    return Owner(**{**values, "beat": clock.microseconds, **given})


@pytest.fixture
def held(path: Path) -> Iterator[Lock]:
    """Hold the lock of the owner that `row` makes."""
    lock = locks.hold(path.with_name("ledger.db-owners") / "seven.lock")
    yield lock
    lock.remove()


def test_a_process_has_one_row_and_one_lock(ours: Owners, connection: apsw.Connection, path: Path) -> None:
    assert ours.id is None
    number = ours.register("1.2.3")
    assert ours.register("1.2.3") == number == ours.id
    ((name, pid, version),) = connection.execute("select name, pid, code_version from owners").fetchall()
    assert (pid, version) == (os.getpid(), "1.2.3")
    assert [each.name for each in path.with_name("ledger.db-owners").iterdir()] == [f"{name}.lock"]
    ours.leave()
    assert (ours.id, connection.execute("select count(*) from owners").get) == (None, 0)
    assert list(path.with_name("ledger.db-owners").iterdir()) == []
    ours.leave()


def test_the_others_are_all_but_ours(ours: Owners, watching: Owners, connection: apsw.Connection) -> None:
    first, second = ours.register(""), watching.register("")
    assert [owner.id for owner in watching.others(connection)] == [first]
    assert [owner.id for owner in ours.others(connection)] == [second]
    ours.leave()
    watching.leave()


def test_a_beat_is_written(ours: Owners, watching: Owners, connection: apsw.Connection, clock: HandClock) -> None:
    ours.beat()
    ours.register("")
    clock.advance(LEASE * 5)
    ours.beat()
    (found,) = watching.others(connection)
    assert found.beat == clock.microseconds
    ours.leave()


def test_a_number_that_was_lost_is_not_used_again(ours: Owners, connection: apsw.Connection, path: Path) -> None:
    number = ours.register("")
    connection.execute("delete from owners")
    ours.forget()
    assert ours.register("") > number
    assert len(list(path.with_name("ledger.db-owners").iterdir())) == 1
    ours.leave()


def test_without_a_row_there_is_no_lock(ours: Owners, connection: apsw.Connection, path: Path) -> None:
    connection.execute("drop table owners")
    with pytest.raises(LedgerError):
        ours.register("")
    assert list(path.with_name("ledger.db-owners").iterdir()) == []


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("silent", [timedelta(), LEASE * 2, timedelta(days=400), -timedelta(days=400)])
def test_who_holds_the_lock_and_is_there_lives(watching: Owners, clock: HandClock, silent: timedelta) -> None:
    owner = row(clock)
    clock.jump(silent)
    assert watching.seize(owner) is False


def test_another_project_of_this_process_lives_however_long_it_stood_still(
    ours: Owners, watching: Owners, connection: apsw.Connection, clock: HandClock
) -> None:
    ours.register("")
    (other,) = watching.others(connection)
    assert other.pid == os.getpid()
    clock.advance(LEASE * 2)
    assert watching.seize(other) is False


def test_who_holds_no_lock_is_dead(watching: Owners, clock: HandClock, held: Lock, path: Path) -> None:
    lock = locks.hold(path.with_name("ledger.db-owners") / "eight.lock")
    lock.release()
    seized = watching.seize(row(clock, name="eight"))
    assert isinstance(seized, Lock)
    seized.remove()


@pytest.mark.usefixtures("held")
def test_a_child_that_holds_the_lock_of_the_dead(watching: Owners, clock: HandClock, gone: int) -> None:
    owner = row(clock, pid=gone)
    assert watching.seize(owner) is False
    clock.advance(LEASE * 0.9)
    assert watching.seize(owner) is False
    clock.advance(LEASE * 0.2)
    assert watching.seize(owner) is True


def test_a_lock_file_that_is_gone_tells_nothing(watching: Owners, clock: HandClock, gone: int) -> None:
    assert watching.seize(row(clock)) is False
    assert watching.seize(row(clock, pid=gone)) is True
    assert watching.seize(row(clock, boot_id="another boot")) is True
    assert watching.seize(row(clock, pid=os.getpid())) is True  # its number was given to this process
    elsewhere = row(clock, host="another-container", pid=gone)
    assert watching.seize(elsewhere) is False
    clock.jump(LEASE * 2)
    assert watching.seize(elsewhere) is True  # as in a copy of a ledger: its beat is all there is


def test_a_process_of_another_user_is_there(
    watching: Owners, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert watching.seize(row(clock)) is False


@pytest.mark.usefixtures("held")
def test_a_container_is_heard_by_a_clock_that_nobody_sets(watching: Owners, clock: HandClock, gone: int) -> None:
    """On another host of the same machine a process id means nothing, and the wall clock may be set at any time."""
    owner = row(clock, host="another-container", pid=gone)
    clock.jump(timedelta(days=400))
    assert watching.seize(owner) is False
    clock.jump(timedelta(days=400))
    assert watching.seize(owner) is False
    clock.advance(LEASE * 0.9)
    beaten = owner._replace(beat=owner.beat + 1)
    assert watching.seize(beaten) is False
    clock.advance(LEASE * 0.9)
    assert watching.seize(beaten) is False
    clock.advance(LEASE * 0.2)
    assert watching.seize(beaten) is True


def test_a_worker_without_a_lock_file_lives_as_long_as_it_beats(watching: Owners, clock: HandClock) -> None:
    worker = row(clock, worker=1)  # of that number is a process, but it may be another one by now
    assert watching.seize(worker) is False
    clock.advance(LEASE * 2)
    assert watching.seize(worker._replace(beat=clock.microseconds)) is False
    clock.advance(LEASE * 2)
    assert watching.seize(worker._replace(beat=worker.beat)) is False
    clock.advance(LEASE * 2)
    assert watching.seize(worker) is True


def test_who_leaves_while_a_thread_registers_leaves_nothing(path: Path, writer: Writer) -> None:
    registers, goes_on = threading.Event(), threading.Event()

    class Slow(HandClock):
        def now(self) -> int:
            registers.set()
            goes_on.wait()
            return super().now()

    ours = Owners(path, writer, Slow())
    threads = [threading.Thread(target=ours.register, args=("",)), threading.Thread(target=ours.leave)]
    threads[0].start()
    registers.wait()
    threads[1].start()
    threads[1].join(0.05)  # as it did once, when it had nothing yet to take away
    goes_on.set()
    for thread in threads:
        thread.join()
    assert ours.id is None
    assert list(path.with_name("ledger.db-owners").iterdir()) == []
    assert writer.write_now(lambda tx: tx.execute("select count(*) from owners").fetchall()) == [(0,)]
