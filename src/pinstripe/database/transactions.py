"""Taking turns: one operation, or one transaction, uses a workspace's session at a time.

Each operation is a transaction of its own, and gives its connection back at its end. In a `transaction()` several are
one. A task that was started inside a transaction works in it; any other waits for its end.
"""

from __future__ import annotations

import asyncio
import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from sqlalchemy.exc import DBAPIError

from pinstripe.database.session import forget_rows, keep_rows, restore_rows
from pinstripe.errors import PinstripeError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType

    from sqlalchemy.orm import Session, SessionTransaction

    from pinstripe.database.session import Begin, DatabaseSession, ScopedSession

T = TypeVar("T")

PATIENCE = 30.0
"""After how many seconds of waiting for its turn an operation says so."""

_WAITS = (
    "an operation of the database has waited %g s for its turn: a transaction() of the same workspace goes on. "
    "A task that was started before a transaction waits for its end; await it before or after that, not inside"
)

_log = logging.getLogger("pinstripe.database")

_INSIDE: ContextVar[Transaction | None] = ContextVar("pinstripe_transaction", default=None)
"""The innermost transaction that the running code is inside of. It tells whose turn it is, never whose tenant."""


class Sessions(Protocol):
    """A workspace's database, as operations and transactions see it."""

    turn: asyncio.Lock

    async def use(self) -> DatabaseSession:
        """Give the session, ready for use; raises where it can't be used."""
        ...

    def failed(self, error: BaseException) -> BaseException:
        """Give what is to be raised for what SQLAlchemy or a driver raised."""
        ...


async def operate(database: Sessions, work: Callable[[ScopedSession], T], begins: Begin) -> T:
    """Do `work` with the session, inside SQLAlchemy's greenlet: in the open transaction, or in one of its own.

    `begins` tells how one of its own begins in SQLite. Raises what `work` raises, where the database can't be reached
    `DatabaseUnavailable`; nothing is then left half done, and no connection kept.
    """
    outer = _holder(database)
    async with _Turn(outer):
        _check_open(outer)
        session = await database.use()
        sync = session.sync_session
        _check_kept(outer, sync)
        if sync.open:
            _check_failure(sync)
            try:
                return await session.run_sync(lambda _: work(sync))
            except Exception as error:
                failure = database.failed(error)
                if failure is error:
                    raise
                raise failure from error
        sync.begins = "immediate" if begins == "nothing" and _has_changes(sync) else begins
        try:
            return await session.run_sync(_complete, sync, work)
        except BaseException as error:
            await finish(_undo(session, keep=True, gone=not isinstance(error, Exception)))
            failure = database.failed(error)
            if failure is error:
                raise
            raise failure from error
        finally:
            sync.begins = "deferred"


class _Turn:
    """The turn at a database or in a transaction; waiting for it is told where it takes long.

    What waits may wait for good: a task from outside a transaction that is awaited inside it waits for its end.
    """

    __slots__ = ("_outer",)

    def __init__(self, outer: Sessions | Transaction) -> None:
        self._outer = outer

    async def __aenter__(self) -> None:
        turn = self._outer.turn
        if not turn.locked():
            await turn.acquire()
            return
        complaint = asyncio.get_running_loop().call_later(PATIENCE, _log.warning, _WAITS, PATIENCE)
        try:
            await turn.acquire()
        finally:
            complaint.cancel()

    async def __aexit__(self, *_raised: object) -> None:
        self._outer.turn.release()


def _complete(_: Session, session: ScopedSession, work: Callable[[ScopedSession], T]) -> T:
    value = work(session)
    session.commit()
    return value


class Transaction:
    """Several operations as one: `async with database.transaction():`. Inside another one it is a savepoint.

    It commits at its end, and is rolled back by an exception that leaves it, and by a cancellation. One in which a
    statement failed can only be rolled back, also where the job has caught the error: PostgreSQL would only pretend to
    commit it. What may fail belongs into a `transaction()` of its own inside.
    """

    def __init__(self, database: Sessions) -> None:
        """Take the `database`."""
        self.database = database
        self.turn = asyncio.Lock()
        self.open = False
        self._outer: Sessions | Transaction | None = None
        self.around: Transaction | None = None
        """The transaction, of whichever database, inside of which this one was begun."""
        self.root: SessionTransaction | None = None
        """The session's transaction that it is, or that it is a savepoint in."""
        self._savepoint: SessionTransaction | None = None
        self._known: frozenset[Any] = frozenset()

    async def __aenter__(self) -> Self:
        """Wait for the turn and begin."""
        if self._outer is not None:
            message = "a transaction is used once; call database.transaction() for another one"
            raise PinstripeError(message)
        outer = self._outer = _holder(self.database)
        await _Turn(outer).__aenter__()
        try:
            _check_open(outer)
            session = await self.database.use()
            _check_kept(outer, session.sync_session)
            await session.run_sync(lambda _: self._begin(session.sync_session))
        except BaseException as error:
            outer.turn.release()
            failure = self.database.failed(error)
            if failure is error:
                raise
            raise failure from error
        self.open = True
        self.around = _INSIDE.get()
        _INSIDE.set(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        """Commit, or roll back where an exception leaves it or a statement in it has failed."""
        if _INSIDE.get() is self:
            _INSIDE.set(self.around)
        try:
            await self._end(error)
        finally:
            self.open = False
            if self._outer is not None:
                self._outer.turn.release()

    async def _end(self, error: BaseException | None) -> None:
        try:
            # What a task inside it has begun comes to its end first, also where this is cancelled meanwhile.
            await (finish(self.turn.acquire()) if self.turn.locked() else self.turn.acquire())
        except asyncio.CancelledError as cancelled:
            await self._end_by(cancelled)
            raise
        await self._end_by(error)

    async def _end_by(self, error: BaseException | None) -> None:
        """Commit, or undo where there is an `error`; the turn is its own, and is given back."""
        session: DatabaseSession | None = None
        try:
            self.open = False
            session = await self.database.use()
            if error is None:
                sync = session.sync_session
                _check_kept(self, sync)
                await session.run_sync(lambda _: self._commit(sync))
                return
        except BaseException as problem:
            await finish(self._roll_back(session, gone=not isinstance(problem, Exception)))
            failure = self.database.failed(problem)
            if failure is problem:
                raise
            raise failure from problem
        finally:
            self.turn.release()
        await finish(self._roll_back(session, gone=not isinstance(error, Exception)))

    def _begin(self, session: ScopedSession) -> None:
        if session.open:
            _check_failure(session)
            self._savepoint = session.begin_nested()
        else:
            session.begins = "immediate"
            if not session.in_transaction():
                session.begin()
            session.managed = True
        self.root = session.get_transaction()
        self._known = frozenset(session.identity_map.keys())

    def _commit(self, session: ScopedSession) -> None:
        if self._savepoint is not None:
            self._savepoint.commit()
        else:
            session.managed = False
            session.commit()
            session.begins = "deferred"

    async def _roll_back(self, session: DatabaseSession | None, *, gone: bool) -> None:
        """Undo it; after a cancellation (`gone`) of the whole, its connection is given up."""
        if session is None:
            return  # the workspace is closed, and has undone everything
        savepoint, sync = self._savepoint, session.sync_session
        if savepoint is None:
            sync.managed, sync.begins = False, "deferred"
            await _undo(session, keep=False, gone=gone)
            forget_rows(sync, self._known)
            return
        failure = sync.failure
        try:
            await session.run_sync(lambda _: savepoint.rollback())
        except Exception as error:  # noqa: BLE001 - the transaction around it is lost, and will say so
            await session.invalidate()
            sync.failure = error
        else:
            sync.failure = failure if _is_lost(failure) else None
            forget_rows(sync, self._known)


async def finish(work: Coroutine[Any, Any, T]) -> T:
    """Wait for `work` to its end, also when the caller is cancelled meanwhile, and be cancelled only then."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancelled = error
        except BaseException:  # noqa: BLE001 - it is raised below
            break
    if cancelled is not None:
        raise cancelled
    return task.result()


async def _undo(session: DatabaseSession, *, keep: bool, gone: bool) -> None:
    """Roll back, so that the connection is clean; one where that fails, or that a cancellation left, is given up.

    With `keep`, the rows that were read before stay readable.
    """
    sync = session.sync_session
    if gone:
        await session.invalidate()
    else:
        kept = keep_rows(sync) if keep else []
        try:
            await session.run_sync(lambda _: sync.rollback())
        except Exception:  # noqa: BLE001 - what went wrong first is what is raised
            await session.invalidate()
        restore_rows(kept)
    sync.failure = None


def _holder(database: Sessions) -> Sessions | Transaction:
    """Give what the running code has to take its turn at: the transaction that it is inside of, or the database."""
    inside = _INSIDE.get()
    while inside is not None and inside.database is not database:
        inside = inside.around
    return database if inside is None else inside


def _check_open(outer: Sessions | Transaction) -> None:
    if isinstance(outer, Transaction) and not outer.open:
        message = "the transaction that this task was started in has ended; await the task inside it"
        raise PinstripeError(message)


def _check_kept(outer: Sessions | Transaction, session: ScopedSession) -> None:
    """Raise where a statement in the transaction has failed, or somebody has closed the session under it, say."""
    if not isinstance(outer, Transaction):
        return
    _check_failure(session)
    if session.get_transaction() is not outer.root:
        message = (
            "the session was closed, committed or rolled back inside database.transaction(), which ends by itself; use "
            "`database.session` there without `async with` and close()"
        )
        raise PinstripeError(message)


def _check_failure(session: ScopedSession) -> None:
    if session.failure is not None:
        message = (
            f"a statement in this transaction has failed ({type(session.failure).__name__}), so nothing of it can be "
            "kept; let the error leave the transaction, or do what may fail in a transaction() of its own inside it"
        )
        raise PinstripeError(message) from session.failure


def _is_lost(failure: BaseException | None) -> bool:
    """Tell whether the connection went with what failed, and with it every transaction around."""
    return isinstance(failure, asyncio.CancelledError) or (
        isinstance(failure, DBAPIError) and failure.connection_invalidated
    )


def _has_changes(session: ScopedSession) -> bool:
    return bool(session.new or session.dirty or session.deleted)
