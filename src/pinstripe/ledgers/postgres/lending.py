"""The connections that applications lend, each made to do what a transaction of the ledger needs.

Nothing of them is changed: not their settings, nor how they give rows; and no statement is prepared in psycopg's.
"""

from __future__ import annotations

import asyncio
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

import asyncpg

from pinstripe.errors import InvalidArguments
from pinstripe.threads import start_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

T = TypeVar("T")

EXPECTED = (
    "expected the connection or session on which your transaction is open: SQLAlchemy's AsyncSession or "
    "AsyncConnection over asyncpg or psycopg, asyncpg's Connection, or psycopg's AsyncConnection; or, of what isn't "
    "awaited, SQLAlchemy's Session or Connection over psycopg, psycopg's Connection, or Django's over psycopg"
)

_JSON_ARRAY = re.compile(r"(\$\d+)::(jsonb?\[\])", re.IGNORECASE)


class Lent(Protocol):
    """A connection that is lent; it does what `pinstripe.ledgers.postgres.transaction.Connection` says."""

    @property
    def holds(self) -> bool:
        """Whether it is in a transaction, or begins one with its first statement."""
        ...

    async def fetch(self, query: str, *values: Any) -> Sequence[Any]:
        """Execute one statement; give its rows."""
        ...

    async def execute(self, query: str, *values: Any) -> str:
        """Execute one statement; give PostgreSQL's word for what it did."""
        ...

    async def beside(self, other: Coroutine[Any, Any, T]) -> T:
        """Wait for something else than this connection, on the ledger's event loop."""
        ...


async def lend(connection: Any, work: Callable[[Lent], Coroutine[Any, Any, T]]) -> T:
    """Let `work` use a connection; give what it gives.

    A connection that isn't awaited is used in a thread, while the caller waits. Raises `InvalidArguments` for what is
    no connection of a kind that is known.
    """
    lender = getattr(type(connection), "lend", None)
    if lender is not None:  # the session of a workspace, which lends nobody else what is under it
        return await lender(connection, lambda under: work(_awaited(under, connection)))  # type: ignore[no-any-return]
    if _is(connection, "sqlalchemy.ext.asyncio", "AsyncSession", "AsyncConnection"):
        return await work(await _under_async(connection))
    if _is(connection, "sqlalchemy.orm", "Session") or _is(connection, "sqlalchemy", "Connection"):
        return await _in_thread(lambda: _under(connection), work)
    if _is(connection, "psycopg", "Connection"):
        return await _in_thread(lambda: connection, work)
    return await work(_awaited(connection, connection))


def _is(connection: object, module: str, *names: str) -> bool:
    """Tell whether it is an instance of a class of a module, which isn't imported for that."""
    found = sys.modules.get(module)
    return found is not None and isinstance(connection, tuple(getattr(found, name) for name in names))


def _awaited(driver: Any, given: object) -> Lent:
    """Give a driver's connection as one that is lent; `given` is what the caller gave."""
    if isinstance(driver, asyncpg.Connection | asyncpg.pool.PoolConnectionProxy):
        return _Asyncpg(driver)
    if _is(driver, "psycopg", "AsyncConnection"):
        return _Psycopg(driver)
    modules = [kind.__module__.partition(".")[0] for kind in type(driver).__mro__]
    raise _unknown(given, "" if driver is given else next(name for name in modules if name != "pinstripe"))


async def _under_async(given: Any) -> Lent:
    """Give what is under SQLAlchemy's session or connection, in the transaction that SQLAlchemy knows of."""
    connection = await given.connection() if _is(given, "sqlalchemy.ext.asyncio", "AsyncSession") else given
    driver = (await connection.get_raw_connection()).driver_connection
    lent = _awaited(driver, given)
    if not connection.in_transaction() or not lent.holds:
        await connection.exec_driver_sql("select 1")  # it begins with its own first statement, and ends only that
    return lent


def _under(given: Any) -> Any:
    """Do as `_under_async` with what isn't awaited; give psycopg's connection."""
    is_session = _is(given, "sqlalchemy.orm", "Session")
    dialect = (given.get_bind() if is_session else given).dialect
    if dialect.driver != "psycopg":  # looked at first: SQLite's connections must not be made in this thread
        raise _unknown(given, dialect.driver)
    connection = given.connection() if is_session else given
    driver = connection.connection.driver_connection
    if not connection.in_transaction():
        connection.exec_driver_sql("select 1")
    return driver


def _unknown(given: object, driver: str) -> InvalidArguments:
    over = f" over {driver}" if driver else ""
    return InvalidArguments(f"options(connection=…): {EXPECTED}; got {_class(given)}{over}")


def _class(thing: object) -> str:
    kind = type(thing)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


class _Asyncpg:
    """asyncpg's connection, its own or as its pool gives it."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @property
    def holds(self) -> bool:
        connection = self._connection
        return bool(connection.is_closed() or connection.is_in_transaction())  # a closed one says so itself

    async def fetch(self, query: str, *values: Any) -> Sequence[Any]:
        rows: Sequence[Any] = await self._connection.fetch(_as_text(query), *values)
        return rows

    async def execute(self, query: str, *values: Any) -> str:
        said: str = await self._connection.execute(_as_text(query), *values)
        return said

    async def beside(self, other: Coroutine[Any, Any, T]) -> T:
        return await other


def _as_text(query: str) -> str:
    """Let JSON go there as text: applications tell their connections to make JSON of whatever they are given."""
    return _JSON_ARRAY.sub(r"\1::text[]::\2", query)


class _Row(tuple[Any, ...]):
    """A row of psycopg's that is unpacked, and has its values by name also, as asyncpg's have."""

    __slots__ = ()
    names: ClassVar[tuple[str, ...]] = ()

    def keys(self) -> tuple[str, ...]:
        return self.names

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(self.names.index(key) if isinstance(key, str) else key)


def _row_factory(cursor: Any) -> type[_Row]:
    names = tuple(column.name for column in cursor.description or ())
    return type("_Row", (_Row,), {"__slots__": (), "names": names})


class _Psycopg:
    """psycopg's connection that is awaited."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @property
    def holds(self) -> bool:
        return _holds(self._connection)

    async def fetch(self, query: str, *values: Any) -> Sequence[Any]:
        rows: Sequence[Any] = await (await self._do(query, values)).fetchall()
        return rows

    async def execute(self, query: str, *values: Any) -> str:
        return (await self._do(query, values)).statusmessage or ""

    async def beside(self, other: Coroutine[Any, Any, T]) -> T:
        return await other

    async def _do(self, query: str, values: Sequence[Any]) -> Any:
        from psycopg import AsyncRawCursor

        connection = self._connection
        cursor = AsyncRawCursor(connection, row_factory=_row_factory)
        if connection.pgconn.pipeline_status:
            async with connection.pipeline():  # whose end waits for the answer
                await cursor.execute(query, values or None, prepare=False)
        else:
            await cursor.execute(query, values or None, prepare=False)
        return cursor


def _holds(connection: Any) -> bool:
    from psycopg.pq import TransactionStatus

    in_none = connection.info.transaction_status == TransactionStatus.IDLE and not connection.pgconn.pipeline_status
    return not (connection.autocommit and in_none)


async def _in_thread(find: Callable[[], Any], work: Callable[[Lent], Coroutine[Any, Any, T]]) -> T:
    """Let `work` use psycopg's plain connection, in a thread: a statement may have to wait for another transaction."""
    loop = asyncio.get_running_loop()
    lent = _Plain(loop)

    def use() -> T:
        lent.connection = find()
        return _drive(work(lent))

    try:
        value, raised = await start_thread(loop, "pinstripe enqueueing", use)
    except asyncio.CancelledError:
        lent.stop()
        raise
    if raised is not None:
        raise raised
    result: T = value
    return result


def _drive(work: Coroutine[Any, Any, T]) -> T:
    """Go through what never has to wait for an event loop."""
    try:
        work.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    work.close()
    message = "something else than the connection was awaited"
    raise RuntimeError(message)


class _Plain:
    """psycopg's plain connection, used in a thread of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._stopped = False
        self.connection: Any = None

    @property
    def holds(self) -> bool:
        return _holds(self.connection)

    async def fetch(self, query: str, *values: Any) -> Sequence[Any]:
        rows: Sequence[Any] = self._do(query, values).fetchall()
        return rows

    async def execute(self, query: str, *values: Any) -> str:
        return self._do(query, values).statusmessage or ""

    async def beside(self, other: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(other, self._loop).result()

    def stop(self) -> None:
        """Let no further statement follow, and end the one that goes on: nobody waits any more, as after Ctrl-C."""
        self._stopped = True
        if self.connection is not None:
            start_thread(self._loop, "pinstripe cancelling", self._cancel)

    def _cancel(self) -> None:
        with suppress(Exception):  # it may be closed meanwhile
            self.connection.cancel_safe()

    def _do(self, query: str, values: Sequence[Any]) -> Any:
        from psycopg import RawCursor

        if self._stopped:
            raise asyncio.CancelledError
        connection = self.connection
        cursor = RawCursor(connection, row_factory=_row_factory)
        if connection.pgconn.pipeline_status:
            with connection.pipeline():
                cursor.execute(query, values or None, prepare=False)
        else:
            cursor.execute(query, values or None, prepare=False)
        return cursor
