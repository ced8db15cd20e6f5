"""Enqueueing in an application's own transaction, on the connection that it lends.

What is enqueued is then a part of that transaction: it is committed with it or not at all, and nobody sees it before.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from pinstripe.errors import InvalidArguments, LedgerError
from pinstripe.ledgers.postgres.lending import lend
from pinstripe.ledgers.postgres.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pinstripe.ledgers.postgres.lending import Lent
    from pinstripe.ledgers.postgres.store import Store
    from pinstripe.ledgers.statements import Statements

T = TypeVar("T")

SAVEPOINT = "pinstripe_enqueue"
"""To what is gone back where something can't be enqueued, so that the caller's transaction can go on."""

_INSUFFICIENT_PRIVILEGE = "42501"

_NOW = frozenset({"new_numbers", "anchors"})
"""The statements that ask how far the queue is: a caller's snapshot of that would be an old one, and to read it in a
serializable transaction would let two of them fail that enqueue at the same time."""


class Place(NamedTuple):
    """To where a connection leads: a database of a server, which is told from all others by when it was started.

    A server's address isn't the same from everywhere, and a copy of it has the same name and the same contents.
    """

    database: str
    started: int


OWN: WeakKeyDictionary[Store, Place] = WeakKeyDictionary()
"""Where each ledger is, as far as that was looked at: its server may have been started anew since."""


async def within(store: Store, connection: object, request: Callable[[Transaction], Awaitable[T]]) -> T:
    """Run `request` in the transaction that is open on a caller's `connection`; the caller commits it, or doesn't.

    Where it fails, it leaves nothing there, and the caller's transaction can go on. What the database complains about
    is raised as the connection's driver tells it. Raises `InvalidArguments` where the connection is of another kind or
    leads elsewhere than the ledger's, or is in no transaction; `LedgerError` where its user has no right to enqueue.
    """
    own = OWN.get(store) or await _read_own(store)
    try:
        return await lend(connection, partial(_work, store, own, request))
    except _Elsewhere as elsewhere:
        own, there = await _read_own(store), elsewhere.place
        if there != own:
            where = f"to the database {there.database}" if there.database != own.database else "to another server"
            message = (
                f"options(connection=…): expected a connection to the database of the ledger, {store.shown}, since "
                f"only there it is one transaction; got one that leads {where}"
            )
            raise InvalidArguments(message) from None
    return await lend(connection, partial(_work, store, own, request))  # its server was started anew


async def _read_own(store: Store) -> Place:
    ((database, started, *_),) = await store.rows("place")
    own = OWN[store] = Place(database, started)
    return own


class _Elsewhere(Exception):
    """The connection doesn't lead to where the ledger was the last time that was looked."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.place = place


async def _work(store: Store, own: Place, request: Callable[[Transaction], Awaitable[T]], lent: Lent) -> T:
    if not lent.holds:
        message = (
            "options(connection=…): expected a connection in a transaction, got one on which each statement is "
            "committed by itself; begin one, such as `async with connection.transaction():`, or leave the option out"
        )
        raise InvalidArguments(message)
    await lent.execute(f"savepoint {SAVEPOINT}")
    user = ""
    try:
        ((database, started, isolation, user),) = await lent.fetch(store.statement("place"))
        _check(Place(database, started), own)
        result = await request(_CallersTransaction(store, lent, store.statement, isolation))
        await lent.execute(f"release savepoint {SAVEPOINT}")
    except BaseException as error:
        with suppress(Exception):  # where even that fails, so will whatever the caller does next
            await lent.execute(f"rollback to savepoint {SAVEPOINT}")
            await lent.execute(f"release savepoint {SAVEPOINT}")
        if getattr(error, "sqlstate", None) == _INSUFFICIENT_PRIVILEGE:
            raise LedgerError(_without_rights(store, user)) from error
        raise
    return result


def _check(there: Place, own: Place) -> None:
    if there != own:
        raise _Elsewhere(there)


class _CallersTransaction(Transaction):
    """A transaction of a caller, which may have begun long ago."""

    def __init__(self, store: Store, lent: Lent, statements: Statements, isolation: str) -> None:
        super().__init__(lent, statements)
        self._store = store
        self._lent = lent
        self.has_snapshot = isolation != "read committed"

    async def rows(self, name: str, *values: Any) -> Sequence[Any]:
        if self.has_snapshot and name in _NOW:
            return await self._lent.beside(self._store.rows(name, *values))
        return await super().rows(name, *values)


def _without_rights(store: Store, user: str) -> str:
    schemas = f"{store.schema.name}, {store.schema.name}_engine"
    whom = '"' + user.replace('"', '""') + '"'
    return (
        f"the ledger {store.shown} may not be written by {user}, who is the user of the connection in "
        f"options(connection=…): expected the owner of its schemas to have said `grant usage on schema {schemas} to "
        f"{whom}; grant select, insert, update, delete on all tables in schema {schemas} to {whom}; grant usage on all "
        f"sequences in schema {schemas} to {whom}; grant execute on all functions in schema {store.schema.name}_engine "
        f"to {whom}`"
    )
