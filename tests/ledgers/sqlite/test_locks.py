from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pinstripe.ledgers.sqlite import locks

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "owners" / "one.lock"


def test_a_lock_that_is_held_is_not_taken(file: Path) -> None:
    lock = locks.hold(file)
    assert locks.take(file) is None
    lock.release()
    taken = locks.take(file)
    assert taken is not None
    assert locks.take(file) is None
    taken.remove()
    assert not file.exists()


def test_closing_another_descriptor_does_not_free_it(file: Path) -> None:
    """A lock of lockf(3) is lost when its process closes any descriptor of the file; one of flock(2) isn't."""
    lock = locks.hold(file)
    os.close(os.open(file, os.O_RDWR))
    file.read_bytes()
    assert locks.take(file) is None
    lock.remove()


def test_another_process_sees_it_held_and_free(file: Path) -> None:
    look = (
        f"from pathlib import Path; from pinstripe.ledgers.sqlite.locks import take; print(take(Path({str(file)!r})))"
    )

    def seen() -> str:
        return subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout.strip()

    lock = locks.hold(file)
    assert seen() == "None"
    lock.release()
    assert seen() != "None"


def test_a_started_program_does_not_keep_it(file: Path) -> None:
    lock = locks.hold(file)
    program = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False)
    lock.release()
    taken = locks.take(file)
    program.communicate()
    assert taken is not None
    taken.remove()


def test_a_file_appears_only_once_it_is_locked(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locked: list[bool] = []
    flock = fcntl.flock

    def watched(descriptor: int, operation: int) -> None:
        flock(descriptor, operation)
        locked.append(file.exists())

    monkeypatch.setattr(fcntl, "flock", watched)
    lock = locks.hold(file)
    assert locked == [False]
    assert [each.name for each in file.parent.iterdir()] == [file.name]
    lock.remove()
    assert list(file.parent.iterdir()) == []


def test_a_file_that_was_replaced_meanwhile_is_not_taken(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The taker compares inodes: it may have opened the file of a process that left, whose name another has now."""
    old = locks.hold(file)
    flock = fcntl.flock
    left: list[locks.Lock] = []

    def slow(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        old.remove()
        left.append(locks.hold(file))
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", slow)
    assert locks.take(file) is None
    left[0].remove()


def test_a_file_that_was_removed_meanwhile_is_not_taken(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = locks.hold(file)
    flock = fcntl.flock

    def slow(descriptor: int, operation: int) -> None:
        old.remove()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", slow)
    assert locks.take(file) is None


def test_a_file_that_is_not_there(file: Path) -> None:
    with pytest.raises(FileNotFoundError):
        locks.take(file)


def test_removing_twice_what_another_removed_is_no_error(file: Path) -> None:
    lock = locks.hold(file)
    file.unlink()
    lock.remove()
