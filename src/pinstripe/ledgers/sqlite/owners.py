"""Owners: each process that runs something has one row and one lock file; who is gone is found by both."""

from __future__ import annotations

import os
import threading
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

from pinstripe.ledgers.hosts import boot_id, host, is_gone
from pinstripe.ledgers.sqlite import locks
from pinstripe.ledgers.sqlite.statements import statement

if TYPE_CHECKING:
    from pathlib import Path

    import apsw

    from pinstripe.clock import Clock
    from pinstripe.ledgers.sqlite.writer import Writer

LEASE = 60.0
"""Seconds after which an owner that hasn't beaten is dead, where its lock can't tell: a child may have kept it."""


class Owner(NamedTuple):
    """A row of the table `owners`. `beat` is in microseconds UTC."""

    id: int
    name: str
    host: str
    boot_id: str
    pid: int
    beat: int
    worker: int
    stopping: int


class Owners:
    """The process's own row and lock, and the search for those whose process is gone."""

    def __init__(self, ledger: Path, writer: Writer, clock: Clock, *, lease: float = LEASE) -> None:
        """Keep the lock files beside the `ledger`, in a folder of their own; the `lease` is in seconds."""
        self._lease = lease
        self._folder = owners_folder(ledger)
        self._writer = writer
        self._clock = clock
        self._lock: locks.Lock | None = None
        self._id: int | None = None
        self.name: str | None = None
        """The name of this process's lock file and socket; None before it has one."""
        self._heard: dict[int, tuple[int, float]] = {}
        self._registering = threading.Lock()

    @property
    def id(self) -> int | None:
        """The number of this process's row; None before it has one."""
        return self._id

    def register(self, code_version: str) -> int:
        """Give this process's number, after taking a lock file and a row if it has none yet; from any thread."""
        with self._registering:
            return self._register(code_version) if self._id is None else self._id

    def _register(self, code_version: str) -> int:
        name = uuid.uuid4().hex
        self._lock = locks.hold(self._path(name))
        values = {
            "name": name,
            "host": host(),
            "boot_id": boot_id(),
            "pid": os.getpid(),
            "code_version": code_version,
            "now": self._clock.now(),
        }
        try:
            rows: list[Any] = self._writer.write_now(
                lambda tx: tx.execute(statement("register_owner"), values).fetchall()
            )
        except BaseException:
            self.forget()
            raise
        self.name = name
        self._id = number = int(rows[0][0])  # last: who sees it uses both
        return number

    def forget(self, number: int | None = None) -> None:
        """Take a new number and lock file the next time: a row that is gone is never revived.

        Where a `number` is given, only if that is still this process's: another request may have found out first.
        """
        if number is not None and number != self._id:
            return
        self._id = self.name = None
        if self._lock is not None:
            self._lock.remove()
            self._lock = None

    def beat(self) -> None:
        """Say that this process lives; called from a thread that a blocked event loop doesn't stop."""
        if self._id is not None:
            values = {"now": self._clock.now(), "owner": self._id}
            self._writer.write_now(lambda tx: tx.execute(statement("beat"), values))

    def leave(self) -> None:
        """Remove this process's row and lock file; where it leaves an open run, give up only the lock: for rescue.

        A thread that registers meanwhile, for a task that was cancelled, is waited for.
        """
        with self._registering:
            if self._id is not None:
                self._leave()

    def _leave(self) -> None:
        values = {"owner": self._id}
        left = True
        try:
            self._writer.write_now(lambda tx: tx.execute(statement("delete_owner"), values))
            left = self._writer.write_now(lambda tx: tx.execute(statement("owner_row"), values).fetchone() is not None)
        finally:
            if left and self._lock is not None:
                self._lock.release()
                self._lock = None
            self.forget()

    def others(self, connection: apsw.Connection) -> list[Owner]:
        """Read the rows of the other processes."""
        values = {"owner": -1 if self._id is None else self._id}
        return [Owner(*row) for row in connection.execute(statement("other_owners"), values)]

    def seize(self, owner: Owner) -> locks.Lock | bool:
        """Tell whether `owner` is dead: its lock, now ours, or True where its file is gone; False while it lives."""
        path = self._path(owner.name)
        silent = not 0 <= self._clock.now() - owner.beat <= self._lease * 1_000_000
        near = owner.host == host()  # in another container its process id means nothing here
        try:
            lock = locks.take(path)
        except FileNotFoundError:  # as in a copy of a ledger; its number may be another process's by now
            gone = _is_gone(owner.pid) if near else silent
            return owner.boot_id != boot_id() or gone or (bool(owner.worker) and self._is_unheard(owner))
        if lock is not None:
            return lock
        # Someone holds it: the process itself, or a child that inherited it. A run by hand is its process's, however
        # long that has been stopped; what a worker had goes to another one.
        if owner.worker:
            return self._is_unheard(owner)
        if near:
            is_ours = owner.pid == os.getpid() and locks.is_held_here(path)  # of another project that is open here
            return silent and _is_gone(owner.pid) and not is_ours
        return self._is_unheard(owner)

    def _is_unheard(self, owner: Owner) -> bool:
        """Tell whether it hasn't beaten for a lease by the clock of this process, which no one can set."""
        now = self._clock.monotonic()
        beat, since = self._heard.setdefault(owner.id, (owner.beat, now))
        if beat != owner.beat:
            self._heard[owner.id] = (owner.beat, now)
            return False
        return now - since > self._lease

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.lock"


def owners_folder(ledger: Path) -> Path:
    """Give the folder of the lock files and sockets of a ledger's processes."""
    return ledger.with_name(f"{ledger.name}-owners")


def _is_gone(pid: int) -> bool:
    """Tell whether no process, or only this one, has that number."""
    return pid == os.getpid() or is_gone(pid)
