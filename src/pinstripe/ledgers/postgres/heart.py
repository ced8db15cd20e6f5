"""The heartbeat on PostgreSQL: on a connection and an event loop of its own, which nothing else can hold up."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import asyncpg

from pinstripe.ledgers.postgres import connection as connecting
from pinstripe.ledgers.postgres.aside import Aside, Row
from pinstripe.ledgers.postgres.database_clock import follow
from pinstripe.ledgers.postgres.transaction import Transaction

if TYPE_CHECKING:
    from pinstripe.ledgers.postgres.owners import Owners
    from pinstripe.ledgers.postgres.store import Store

LIMIT = 5.0
"""Seconds that connecting may take, and saying that this process lives: what takes longer is tried at the next beat.

With a short lease it is less: three times that are a quarter of it.
"""

CLOSE_LIMIT = 1.0
"""Seconds that the connection has to say good-bye."""


class Heart:
    """Says in the ledger that its process lives, and hears what time it is there; from any thread, one at a time."""

    def __init__(self, store: Store) -> None:
        """Beat for the process's row in a `store`; nothing is opened before the first beat."""
        self._store = store
        self.limit = min(LIMIT, store.lease / 12)
        """Seconds that connecting may take, and as many that saying it may."""
        self._aside = Aside()
        self._connection: asyncpg.Connection | None = None

    def beat(self) -> None:
        """Say that this process lives, if it has a row; a row that is gone stays so.

        A connection that broke since the last beat is made anew, once. Takes a quarter of the lease at most, and raises
        `LedgerError` where it couldn't be said: the next beat begins anew.
        """
        owners = self._store.owners
        if owners is None or owners.id is None:
            return
        with suppress(asyncio.CancelledError):  # it is closed meanwhile
            self._aside.run(lambda: self._beat(owners))

    def close(self) -> None:
        """End a beat that is on its way, and the connection, within about a second. Idempotent."""
        with suppress(asyncio.CancelledError):
            self._aside.close(self._disconnect)

    async def _beat(self, owners: Owners) -> None:
        with connecting.translated(self._store.shown):
            used = self._connection is not None
            try:
                await self._try(owners)
            except (asyncpg.PostgresError, *connecting.LOST) as error:
                if not used or isinstance(error, TimeoutError) or not connecting.is_lost(error):
                    raise
                await self._try(owners)

    async def _try(self, owners: Owners) -> None:
        try:
            async with asyncio.timeout(self.limit):
                connection = self._connection or await self._connect()
                self._connection = connection
            async with asyncio.timeout(self.limit):
                await self._say(connection, owners)
        except BaseException as error:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.terminate()
            if connecting.is_lost(error):
                self._store.trouble_at = self._store.clock.monotonic()
            raise

    async def _connect(self) -> asyncpg.Connection:
        # Nothing is kept on it from one transaction to the next: it doesn't matter whether a pooler stands between.
        address = replace(self._store.address, connect_timeout=self.limit)
        return await connecting.connect(address, self._store.lease / 4, statement_cache_size=0, record_class=Row)

    async def _say(self, connection: asyncpg.Connection, owners: Owners) -> None:
        clock, number = self._store.clock, owners.id
        tx = Transaction(connection, self._store.statement)
        limits = f"{connecting.limits(self._store.lease / 4)};set local statement_timeout to {int(self.limit * 1000)}"
        await connection.execute(f"begin;{limits}")
        await follow(clock, tx)
        now = clock.now()
        await tx.run("beat", number, now, owners.expiry(now))
        await connection.execute("commit")

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.close(timeout=CLOSE_LIMIT)
            except (asyncpg.PostgresError, *connecting.LOST):
                connection.terminate()
