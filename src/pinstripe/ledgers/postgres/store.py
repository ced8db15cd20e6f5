"""The ledger's database: connections and transactions, and this process as an owner; what ledger and queue share."""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import asyncpg

from pinstripe.engines.pgqueuer_tables import EngineTables
from pinstripe.errors import LedgerError, UnknownRun
from pinstripe.ledgers.postgres import connection as connecting
from pinstripe.ledgers.postgres.connection import is_conflict, is_lost, translated
from pinstripe.ledgers.postgres.database_clock import follow
from pinstripe.ledgers.postgres.owners import LEASE, Owners
from pinstripe.ledgers.postgres.schema import Schema
from pinstripe.ledgers.postgres.statements import SCHEMA, statements
from pinstripe.ledgers.postgres.transaction import Transaction
from pinstripe.postgres_outages import reason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pinstripe.clock import Clock
    from pinstripe.engines.pgqueuer import PgQueuerEngine
    from pinstripe.postgres_address import PostgresAddress

T = TypeVar("T")

LEAVE_TIMEOUT = 5.0
"""Seconds that a process waits at its end for a server that doesn't answer."""

CONNECTIONS = 4
"""How many connections a process has at most for its transactions; one to listen and one to beat come to that."""

UNUSED = 60.0
"""Seconds after which a connection that nobody uses is closed."""

CONFLICTS = 20
"""How often a transaction is tried that fails for others' sake: each time one of them has come through."""

RECONNECTIONS = 3
"""How often a transaction is tried whose connection broke: once for an old one, once more for a server that starts."""

RECONNECT_EVERY = 0.5
"""Seconds between two tries of who waits for a server that is away."""


_log = logging.getLogger("pinstripe")


class Store:
    """A ledger's database, from its opening to its closing. It belongs to the event loop on which it was opened."""

    def __init__(
        self,
        address: PostgresAddress,
        clock: Clock,
        *,
        schema: str = SCHEMA,
        code_version: str = "",
        lease: float = LEASE,
    ) -> None:
        """Take where it is; the `lease` is in seconds."""
        self.address = address
        self.clock = clock
        self.schema = Schema(schema, str(address))
        self.statement = statements(schema)
        self.lease = lease
        self.trouble_at = float("-inf")
        """When a connection broke the last time, in the clock's monotonic seconds: who is silent may be so for that."""
        self._awaited_since: float | None = None
        self._code_version = code_version
        self._pool: asyncpg.Pool | None = None
        self._pooled: bool | None = None
        self._writes = False
        self._opening = asyncio.Lock()
        self._engine: PgQueuerEngine | None = None
        self.owners: Owners | None = None

    @property
    def shown(self) -> str:
        """The ledger's URL without its password, for messages."""
        return str(self.address)

    @property
    def is_open(self) -> bool:
        """Whether there is a ledger to read."""
        return self._pool is not None

    @property
    def is_pooled(self) -> bool:
        """Whether a pooler gives each transaction a connection of its own, so that nothing outlives one."""
        return bool(self._pooled)

    @property
    def engine(self) -> PgQueuerEngine:
        """What carries tickets, and wakes workers."""
        if self._engine is None:
            from pinstripe.engines.pgqueuer import PgQueuerEngine  # half of the start of a run by hand, without need

            self._engine = PgQueuerEngine(self.schema.name, self.statement, self.listen)
        return self._engine

    async def open(self, *, write: bool) -> None:
        """Connect; with `write` create or migrate the schema, else only look at what is there."""
        if self._pool is not None and (self._writes or not write):
            return
        async with self._opening:  # several may be the first to write
            await self._open(write=write)

    async def _open(self, *, write: bool) -> None:
        if self._pool is not None and (self._writes or not write):
            return
        with translated(self.shown):
            pool = self._pool or await self._make_pool()
            made = True
            try:
                async with pool.acquire() as connection:
                    await self._follow(connection)
                    if write:
                        await self.schema.migrate(connection, EngineTables(self.schema.name), pooled=self.is_pooled)
                    elif self._pool is None:
                        async with connection.transaction():
                            made = await self.schema.is_made(connection)
                            if made:
                                await self.schema.pending(connection)
                if not made:
                    await pool.close()
                    return
            except BaseException:
                if self._pool is None:
                    pool.terminate()
                raise
        self._pool = pool
        if write and not self._writes:
            self._writes = True
            self.owners = Owners(self, lease=self.lease)

    async def close(self) -> None:
        """Disconnect; this process's row goes, unless something of its is still open: that is up for rescue."""
        engine, self._engine = self._engine, None
        owners, self.owners = self.owners, None
        if engine is not None:
            await engine.close()
        try:
            if owners is not None:
                await self._leave(owners)
        finally:
            pool, self._pool, self._writes = self._pool, None, False
            if pool is not None:
                with suppress(TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    await asyncio.wait_for(pool.close(), connecting.CLOSE_TIMEOUT)
                pool.terminate()

    async def _leave(self, owners: Owners) -> None:
        """Remove this process's row, if that can be done soon; else it goes with its lease."""
        try:
            await asyncio.wait_for(owners.leave(), LEAVE_TIMEOUT)
        except (LedgerError, TimeoutError) as error:
            _log.info("this process could not say good-bye to the ledger %s: %s", self.shown, error)

    async def write(
        self, request: Callable[[Transaction], Awaitable[T]], *, patient: bool = False, single: bool = False
    ) -> T:
        """Run `request` in a transaction that is committed when this returns; a cancelled one ends when it is done.

        It is run again where it failed for another transaction's sake, and where its connection broke: so it builds
        what it gives anew each time, and where `again` says that it may have been committed it looks for what it did.
        With `patient` a server that is away is waited for, for a lease. A `single` statement is begun and committed by
        no other, unless it is run `again`: then there may be several. Raises `LedgerError` where the ledger can't be
        used.
        """
        if not self._writes:
            raise LedgerError(f"the ledger {self.shown} is not open for writing")
        task = asyncio.ensure_future(self._run(request, begin=not single or self.is_pooled, patient=patient))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.done():
                await asyncio.wait([task])
            if not task.cancelled():
                task.exception()  # whoever asked has left
            raise

    async def read(self, request: Callable[[Transaction], Awaitable[T]], *, patient: bool = False) -> T:
        """Give what `request` reads, in a transaction; raises `UnknownRun` where there is no ledger yet.

        `patient` is as for `write`.
        """
        if self._pool is None:
            raise UnknownRun(f"the ledger {self.shown} is empty: nothing has run yet")
        return await self._run(request, patient=patient)

    async def rows(self, name: str, *values: Any) -> Sequence[Any]:
        """Give the rows of a statement; none where there is no ledger yet."""
        if self._pool is None:
            return []
        return await self._run(lambda tx: tx.rows(name, *values), begin=self.is_pooled)

    def ours(self) -> Owners:
        """Give this process as an owner; raises `LedgerError` where the ledger isn't open for writing."""
        if self.owners is None:
            raise LedgerError(f"the ledger {self.shown} is not open for writing")
        return self.owners

    async def register(self) -> int:
        """Give the number of this process's row, after making it if there is none."""
        return await self.ours().register(self._code_version)

    async def listen(self) -> asyncpg.Connection | None:
        """Give a connection of its own on which can be listened; None where a pooler stands between."""
        if self._pooled:
            return None
        with translated(self.shown):
            return await connecting.connect(self.address, self.lease / 4)

    async def _run(
        self, request: Callable[[Transaction], Awaitable[T]], *, begin: bool = True, patient: bool = False
    ) -> T:
        again, lost, conflicts = False, 0, 0
        while True:
            unit = _Unit(self, request, begin=begin or again, again=again)
            try:
                result = await unit.run()
            except (asyncpg.PostgresError, *connecting.LOST) as error:
                # The first try's commit may still have been on its way: then what it wrote is in the second one's.
                twice = again and isinstance(error, asyncpg.UniqueViolationError)
                if (is_conflict(error) or twice) and conflicts < CONFLICTS:
                    conflicts += 1
                    await asyncio.sleep(random.uniform(0, 0.002 * min(conflicts, 10)))  # noqa: S311 - it hides nothing
                    continue
                if is_lost(error):
                    self.trouble_at = self.clock.monotonic()
                    again = again or unit.committing
                    lost += 1
                    if lost < RECONNECTIONS:
                        await asyncio.sleep(0 if lost == 1 else 0.2)
                        continue
                    if patient and await self._outlast(error):
                        continue
                with translated(self.shown):
                    raise
            self._answers()
            return result

    async def _outlast(self, error: BaseException) -> bool:
        """Wait a moment for a server that is away; tell whether it is to be tried again.

        It is until it has been away for a lease: after that this process is taken for dead anyway.
        """
        now = asyncio.get_running_loop().time()
        if self._awaited_since is None:
            self._awaited_since = now
            text = "the ledger %s is away, and is waited for, for up to %gs: %s"
            _log.warning(text, self.shown, self.lease, reason(error))
        if now - self._awaited_since >= self.lease:
            return False
        await asyncio.sleep(min(RECONNECT_EVERY, self.lease / 4))
        return True

    def _answers(self) -> None:
        if self._awaited_since is not None:
            self._awaited_since = None
            _log.warning("the ledger %s is there again", self.shown)

    async def _make_pool(self) -> asyncpg.Pool:
        if self._pooled is None:
            first = await connecting.connect(self.address, self.lease / 4, statement_cache_size=0)
            try:
                self._pooled = await connecting.is_pooled(first)
            finally:
                first.terminate()

        async def connect(*_arguments: Any, **options: Any) -> asyncpg.Connection:
            classes = {name: options[name] for name in ("connection_class", "record_class") if name in options}
            cache = {"statement_cache_size": 0} if self._pooled else {}
            return await connecting.connect(self.address, self.lease / 4, **classes, **cache)

        async def leave(_connection: object) -> None:
            """Reset nothing: all that is set is set for a transaction."""

        pool: asyncpg.Pool = await asyncpg.create_pool(
            min_size=0,
            max_size=CONNECTIONS,
            max_inactive_connection_lifetime=UNUSED,
            connect=connect,
            reset=leave,
        )
        return pool

    async def _follow(self, connection: asyncpg.Connection) -> None:
        """Let the clock follow the database's."""
        async with connection.transaction():
            await follow(self.clock, Transaction(connection, self.statement))


class _Unit(Generic[T]):
    """One try of a request."""

    def __init__(
        self, store: Store, request: Callable[[Transaction], Awaitable[T]], *, begin: bool, again: bool
    ) -> None:
        self._store = store
        self._request = request
        self._begin = begin
        self._again = again
        self.committing = False

    async def run(self) -> T:
        pool = self._store._pool  # noqa: SLF001 - a part of it
        if pool is None:
            raise LedgerError(f"the ledger {self._store.shown} is not open")
        connection = await pool.acquire(timeout=connecting.COMMAND_TIMEOUT)
        try:
            return await self._in_transaction(connection)
        except BaseException as error:
            if is_lost(error) or isinstance(error, asyncio.CancelledError | asyncpg.ReadOnlySQLTransactionError):
                connection.terminate()  # also where it leads to a replica since a failover: the next may lead elsewhere
            elif connection.is_in_transaction():
                await self._roll_back(connection)
            raise
        finally:
            with suppress(*connecting.LOST):
                await pool.release(connection, timeout=connecting.CLOSE_TIMEOUT)

    async def _in_transaction(self, connection: asyncpg.Connection) -> T:
        tx = Transaction(connection, self._store.statement, again=self._again)
        if not self._begin:
            await follow(self._store.clock, tx, when_stale=True)
            self.committing = True
            return await self._request(tx)
        limits = f";{connecting.limits(self._store.lease / 4)}" if self._store.is_pooled else ""
        await connection.execute(f"begin isolation level read committed{limits}")
        await follow(self._store.clock, tx, when_stale=True)  # who only enqueues has no heart
        result = await self._request(tx)
        self.committing = True
        said = await connection.execute("commit")
        self.committing = False
        if said != "COMMIT":
            raise LedgerError(f"the ledger {self._store.shown} undid a transaction, and said {said}")
        return result

    async def _roll_back(self, connection: asyncpg.Connection) -> None:
        try:
            await connection.execute("rollback")
        except (asyncpg.PostgresError, *connecting.LOST):
            connection.terminate()
