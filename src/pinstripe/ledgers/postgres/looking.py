"""A look at the ledger's database with fresh eyes: for whoever asks whether the ledger can be used."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING

import asyncpg

from pinstripe.errors import LedgerError
from pinstripe.ledger import Look
from pinstripe.ledgers.hosts import boot_id, host
from pinstripe.ledgers.postgres import connection as connecting
from pinstripe.ledgers.postgres.aside import Aside, Row
from pinstripe.ledgers.postgres.database_clock import follow
from pinstripe.ledgers.postgres.transaction import Transaction

if TYPE_CHECKING:
    from pinstripe.ledgers.postgres.store import Store

LIMIT = 5.0
"""Seconds that connecting may take, and reading: a server that needs longer is of no use to who waits for it."""

_TROUBLE: tuple[tuple[type[BaseException], str], ...] = (
    (asyncpg.InvalidAuthorizationSpecificationError, "it lets nobody in by that name and password"),
    (asyncpg.InvalidCatalogNameError, "its database isn't there"),
    (asyncpg.InsufficientPrivilegeError, "it may not be used by this user"),
    (asyncpg.TooManyConnectionsError, "it has no connection left"),
    (asyncpg.LockNotAvailableError, "it is locked"),
    (asyncpg.QueryCanceledError, "it did not answer in time"),
    (TimeoutError, "it did not answer in time"),
    (ssl.SSLError, "it can't be reached over TLS"),
)
"""What is said of each complaint, without the host and who logs in: whoever asks may be anybody."""


def look(store: Store, lock_wait: float) -> Look:
    """Connect anew and read, whatever this process has open; from any thread. A lock is waited for `lock_wait` seconds.

    A server that doesn't answer is waited for longer, but no more than twice `LIMIT` seconds.
    """
    aside = Aside()
    try:
        return aside.run(lambda: _look(store, lock_wait))
    except (asyncpg.PostgresError, *connecting.LOST) as error:
        told = next((said for kind, said in _TROUBLE if isinstance(error, kind)), None)
        return Look(told or ("it can't be reached" if connecting.is_lost(error) else "it can't be read"))
    finally:
        aside.close()


async def _look(store: Store, lock_wait: float) -> Look:
    address = replace(store.address, connect_timeout=min(LIMIT, store.address.connect_timeout or LIMIT))
    async with asyncio.timeout(LIMIT):
        connection = await connecting.connect(address, LIMIT, statement_cache_size=0, record_class=Row)
    try:
        async with asyncio.timeout(LIMIT):
            found = await _read(store, connection, lock_wait)
            await connection.close()
            return found
    finally:
        connection.terminate()  # where it isn't closed


async def _read(store: Store, connection: asyncpg.Connection, lock_wait: float) -> Look:
    limits = connecting.limits(LIMIT)
    await connection.execute(f"begin;{limits};set local lock_timeout to {max(1, round(lock_wait * 1000))}")
    if await connection.fetchval("select current_setting('transaction_read_only')") == "on":
        return Look("it can only be read")
    try:
        if not await store.schema.is_made(connection) or await store.schema.pending(connection):
            return Look()
    except LedgerError:  # somebody else's schema, or one of a newer version
        return Look()
    tx = Transaction(connection, store.statement)
    await follow(store.clock, tx)  # who is asked for long-lived workers may have nothing else to do here
    rows = await tx.rows("heard_workers", host(), boot_id())
    return Look(is_current=True, workers=tuple((int(pid), int(beat)) for pid, beat in rows))
