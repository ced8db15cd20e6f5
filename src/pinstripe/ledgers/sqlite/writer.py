"""Writing to the ledger's file: one transaction at a time, and many requests in one where they arrive together.

An idle writer runs a request at once, on the thread that asks (the inline path). When another process holds the file,
or requests have piled up, a thread takes what has arrived, commits it together, and takes the next: nothing lingers.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import apsw

from pinstripe.errors import LedgerError, LedgerLost
from pinstripe.ledgers.sqlite.connection import LOCK_WAIT, Patience, translated

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")

MAX_BATCH = 200
"""How many requests one transaction holds at most."""

MAX_BATCH_TIME = 0.003
"""Seconds after which a transaction takes no further request, so that other processes get their turn."""

CHECKPOINT_PAGES = 8_000
"""Pages of 2 KiB in the write-ahead log after which it is copied into the file, between two requests."""


class Writer:
    """The one writer of this process: runs requests (functions of the connection) in transactions."""

    def __init__(self, connection: apsw.Connection, path: Path, *, lock_wait: float = LOCK_WAIT) -> None:
        """Take the `connection`, which nothing else may write with, and the `path` for messages.

        Another process that is writing is waited for during `lock_wait` seconds.
        """
        self._connection = connection
        self._path = path
        self._lock_wait = lock_wait
        self._process = os.getpid()
        self.file = identity(path)
        """Which file this writes to, whatever has its name meanwhile."""
        self._patience = Patience(lock_wait)
        connection.set_busy_handler(self._patience)
        connection.set_wal_hook(self._committed)
        self._turn = threading.Lock()
        self._arrived = threading.Condition()
        self._waiting: deque[_Request[Any]] = deque()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._wal_pages = 0
        self._checkpoint_asked = False

    async def write(self, request: Callable[[apsw.Connection], T], *, long: bool = False) -> T:
        """Run `request` in a transaction and give what it gave, once that is committed.

        A `long` one (milliseconds and more) runs on the writer's thread, so that the event loop goes on. Cancelling
        this doesn't undo the request, and waits until it is done. Raises `LedgerError` where the file can't be written.
        """
        self._refuse_fork()
        if not long and not self._waiting and self._turn.acquire(blocking=False):
            try:
                self._patience.limit = 0
                return self._transaction(request)
            except apsw.BusyError:
                pass  # another process is writing: the thread waits for it
            finally:
                self._patience.limit = self._lock_wait
                self._turn.release()
                if self._wal_pages >= CHECKPOINT_PAGES and not self._checkpoint_asked:
                    self._checkpoint_asked = True
                    self._submit(_Request(None, None))
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._submit(_Request(request, _Waiter(loop, future)))
        try:
            return await future
        except asyncio.CancelledError:
            # It happens all the same. Whoever now mends what was begun must not do so before that.
            with suppress(LedgerError):
                behind: asyncio.Future[None] = loop.create_future()
                self._submit(_Request(lambda _: None, _Waiter(loop, behind)))
                await behind
            raise

    def write_now(self, request: Callable[[apsw.Connection], T]) -> T:
        """Run `request` in a transaction on this thread, waiting for its turn: for what has no event loop."""
        self._refuse_fork()
        with self._turn, translated(self._path):
            return self._transaction(request)

    def close(self) -> None:
        """Finish what has been asked for, and close the connection."""
        with self._arrived:
            self._closing = True
            self._arrived.notify_all()
        if self._thread is not None:
            self._thread.join()
        with self._turn, translated(self._path):
            self._checkpoint()
            self._connection.close()

    def _refuse_fork(self) -> None:
        """Refuse a connection that came along by fork(2), which loses data: sqlite.org/howtocorrupt.html, 2.6."""
        if os.getpid() != self._process:
            message = (
                f"the ledger {self._path} was opened by process {self._process}, of which this one is a fork; expected "
                "each process to open the project for itself, after the fork"
            )
            raise LedgerError(message)

    def refuse_moved(self) -> None:
        """Refuse to write into a file that nobody will read: SQLite goes on in it, and tells of nothing."""
        if identity(self._path) != self.file:
            message = (
                f"the ledger {self._path} was removed or replaced while this process had it open, so nothing more is "
                "recorded; put the file back, or look what the jobs have done before you run them again"
            )
            raise LedgerLost(message)

    def _transaction(self, request: Callable[[apsw.Connection], T]) -> T:
        connection = self._connection
        try:
            connection.execute("begin immediate")
            self.refuse_moved()
            answer = request(connection)
            connection.execute("commit")
        except apsw.BusyError:
            self._undo()
            raise
        except apsw.Error:
            self._undo()
            with translated(self._path):
                raise
        except BaseException:
            self._undo()
            raise
        return answer

    def _undo(self) -> None:
        if not self._connection.get_autocommit():
            with suppress(apsw.Error):  # what went wrong is told already
                self._connection.execute("rollback")

    def _submit(self, request: _Request[Any]) -> None:
        with self._arrived:
            if self._closing:
                message = f"the ledger {self._path} has been closed"
                raise LedgerError(message)
            self._waiting.append(request)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="pinstripe-ledger-writer", daemon=True)
                self._thread.start()
            self._arrived.notify()

    def _work(self) -> None:
        while True:
            with self._arrived:
                self._arrived.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    return
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_BATCH))]
            requests = [request for request in batch if request.run is not None]
            with self._turn:
                done = self._commit(requests)
            left = requests[len(done) :]
            if left:
                with self._arrived:
                    self._waiting.extendleft(reversed(left))
            # It is nobody's turn any more: who hears of the end and writes again at once finds the inline path free.
            for request, answer, failure in done:
                request.answer(answer, failure)
            if self._wal_pages >= CHECKPOINT_PAGES:
                with self._turn:
                    self._checkpoint()

    def _commit(self, batch: list[_Request[Any]]) -> list[tuple[_Request[Any], Any, BaseException | None]]:
        """Commit as many of `batch` as fit into one transaction; give those, with what each is answered.

        A request that fails spoils no neighbour; a transaction that can't be committed fails them all.
        """
        if not batch:
            return []
        done: list[tuple[_Request[Any], Any, BaseException | None]] = []
        until = time.monotonic() + MAX_BATCH_TIME
        try:
            with translated(self._path):
                self._connection.execute("begin immediate")
                self.refuse_moved()
                for request in batch:
                    done.append((request, *self._attempt(request)))
                    if time.monotonic() > until:
                        break
                self._connection.execute("commit")
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever waits must hear of it
            self._undo()
            done = [(request, None, error) for request in batch]
        return done

    def _attempt(self, request: _Request[T]) -> tuple[T | None, BaseException | None]:
        connection = self._connection
        connection.execute("savepoint request")
        try:
            with translated(self._path):
                answer = request.run(connection) if request.run is not None else None
        except Exception as failure:
            if connection.get_autocommit():
                raise  # the disk is full, or worse: SQLite has undone the whole transaction
            connection.execute("rollback to request")
            connection.execute("release request")
            return None, failure
        connection.execute("release request")
        return answer, None

    def _committed(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def _checkpoint(self) -> None:
        """Copy the write-ahead log into the file, as far as readers let it; a failure only leaves it for later."""
        self._wal_pages = 0
        self._checkpoint_asked = False
        try:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error:
            return


def identity(path: Path) -> tuple[int, int] | None:
    """Tell which file has that name now; None for none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


class _Waiter:
    """Someone on an event loop who awaits an answer."""

    __slots__ = ("future", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any]) -> None:
        self.loop = loop
        self.future = future


class _Request(Generic[T]):
    """What to run, and who waits for it; without a `run` it only asks for a checkpoint."""

    __slots__ = ("run", "waiter")

    def __init__(self, run: Callable[[apsw.Connection], T] | None, waiter: _Waiter | None) -> None:
        self.run = run
        self.waiter = waiter

    def answer(self, answer: T | None, failure: BaseException | None) -> None:
        """Hand the answer over to the waiter's event loop, unless that is gone or the waiter has left."""
        waiter = self.waiter
        if waiter is None:
            return

        def deliver() -> None:
            if waiter.future.done():
                return
            if failure is not None:
                waiter.future.set_exception(failure)
            else:
                waiter.future.set_result(answer)

        with suppress(RuntimeError):  # its event loop is closed
            waiter.loop.call_soon_threadsafe(deliver)
