"""The engine of the PostgreSQL ledger: PgQueuer carries its tickets, in tables of its own beside the ledger's.

Of PgQueuer only the repository of queries is used. A ticket is minted, taken and logged off in the ledger's own
transactions, so that none outlives its claim, and none is lost or doubled by a crash; its number is nobody's business.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import threading
import time
import uuid
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import pgqueuer
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.domain.settings import DBSettings, Durability
from pgqueuer.domain.types import Channel, QueueEntrypoint, QueueManagerId
from pgqueuer.ports.repository import EntrypointExecutionParameter

from pinstripe.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pinstripe.engine import NewTicket
    from pinstripe.ledgers.postgres.transaction import Transaction
    from pinstripe.ledgers.statements import Statements

ENTRYPOINT = "pinstripe"
"""Under which all tickets are."""

SPAN = 1 << 30
"""How many places each band has in PgQueuer's priorities, which are 32-bit numbers: the three lie one below another."""

REANCHOR = 1 << 29
"""How far a band may have been served beyond its anchor before that is moved: half of its places are left then."""

ANCHORED = 60.0
"""Seconds for which anchors are remembered: they are moved once in half a billion executions."""

PING_EVERY = 10.0
"""Seconds between two looks at whether the connection that listens still lives: nothing else would tell."""

PING_TIMEOUT = 5.0
"""Seconds in which it has to answer."""

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds between two tries to listen again: the first ones, doubled each time, and the last ones."""

LOOK_EVERY = 0.25
"""Seconds after which a wait ends where nothing can be heard, as behind a pooler."""

JITTER = 0.001
"""Seconds among which those who hear the same news part: the first of them may have done all by then."""

_NOBODY = QueueManagerId(uuid.UUID(int=0))
_NEVER = timedelta(days=36_500)
_LONG_AGO = timedelta(days=-1)
"""When a ticket may be taken, from its minting on: at once, in the same transaction too, however the clock is set."""

_log = logging.getLogger("pinstripe")


class PgQueuerEngine:
    """An engine over PgQueuer's tables in the schema `<schema>_engine`; see `pinstripe.engine.Carrier`."""

    version = str(pgqueuer.__version__)  # type: ignore[attr-defined]  # it is public: their command shows it

    def __init__(
        self, schema: str, statement: Statements, connect: Callable[[], Awaitable[asyncpg.Connection | None]]
    ) -> None:
        """Take the ledger's `schema` and statements.

        `connect` gives a connection of its own to listen on, or None where that can't be; it raises `LedgerError`.
        """
        self.settings = engine_settings(schema)
        self.lost = True
        """Whether something may have been missed since it was last set to False: a connection was made anew."""
        self._statement = statement
        self._connect = connect
        self._schedules = QuerySchedulerBuilder(self.settings)
        self._environment = QueryBuilderEnvironment(self.settings)
        self._builder = QueryQueueBuilder(self.settings)
        self._parameters = {QueueEntrypoint(ENTRYPOINT): EntrypointExecutionParameter(concurrency_limit=0)}
        self._heard = asyncio.Event()
        self._hears_soon = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._listening: asyncio.Task[None] | None = None
        self._deaf = True
        self._anchors_known: dict[int, int] = {}
        self._anchored_at = float("-inf")

    @property
    def schema(self) -> str:
        """The schema that PgQueuer's tables are in."""
        return str(self.settings.db_schema)

    @property
    def channel(self) -> str:
        """The channel on which news are told."""
        return str(self.settings.channel)

    async def open(self) -> None:
        """Begin to listen on the running event loop. Idempotent."""
        loop = self._adopt()
        if self._listening is None or self._listening.done():
            listens = asyncio.Event()
            self._listening = loop.create_task(self._listen(listens), name="pinstripe listener")
            with suppress(TimeoutError):
                await asyncio.wait_for(listens.wait(), PING_TIMEOUT)

    async def close(self) -> None:
        """Stop listening."""
        listening, self._listening = self._listening, None
        if listening is not None and not listening.get_loop().is_closed():
            listening.cancel()
            await asyncio.wait([listening])

    async def install(self, connection: asyncpg.Connection) -> None:
        """Make PgQueuer's tables in their schema, which is there, in the transaction of the connection."""
        await self._queries(connection).install(create_schema=False)
        await self._queries(connection).optimize_autovacuum()

    async def upgrade(self, connection: asyncpg.Connection) -> None:
        """Let PgQueuer bring its tables up to date."""
        await self._queries(connection).apply_upgrade()

    async def mint(self, tx: Transaction, tickets: Sequence[NewTicket], *, anew: bool = False) -> None:
        """Give each of some chunks a ticket; one that has one keeps it.

        To mint `anew` moves those up that were put too low, as by an older anchor; it takes the square of their number.
        """
        if not tickets:
            return
        many = len(tickets)
        anchors = await self._anchors(tx)
        ordered = sorted(tickets)  # who mints the same ones waits for us, and is never waited for
        conflict: Any = "update_priority" if anew else "skip"
        await self._queries(tx.connection).enqueue(
            [ENTRYPOINT] * many,
            [str(ticket.chunk).encode() for ticket in ordered],
            [priority(ticket.band, ticket.tag - anchors[ticket.band]) for ticket in ordered],
            [_LONG_AGO] * many,
            [str(ticket.chunk) for ticket in ordered],
            on_conflict=conflict,
        )

    async def take(self, tx: Transaction, most: int) -> list[int]:
        """Give the chunks of up to `most` tickets, the next to be served first, and log those off."""
        queries = self._queries(tx.connection)
        tickets = await queries.dequeue(most, self._parameters, _NOBODY, None, _NEVER)
        if tickets:
            await queries.log_jobs([(ticket, "successful", None) for ticket in tickets])
        return [int(ticket.payload or 0) for ticket in tickets]

    async def announce(self, tx: Transaction) -> None:
        """Let every process that listens hear with the commit that there is news."""
        await tx.connection.execute(self._statement("announce"), self.channel, _NEWS)

    async def tidy(self, tx: Transaction) -> None:
        """Clear PgQueuer's log, and move the anchor of a band that has been served far beyond its own.

        Until all that waits there is minted again, which `lost` asks for, new work of that band goes before old.
        """
        await self._queries(tx.connection).clear_queue_log(ENTRYPOINT)
        if await tx.rows("move_anchors", REANCHOR):
            self._anchored_at = float("-inf")
            self.lost = True

    @property
    def hears(self) -> bool:
        """Whether it listens now."""
        return not self._deaf

    def rouse(self) -> None:
        """End this process's own wait; from any thread."""
        loop = self._loop
        if loop is None or threading.get_ident() == self._loop_thread:
            self._heard.set()
        else:
            with suppress(RuntimeError):  # the event loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self._heard.set)

    async def wait(self, timeout: float) -> bool:  # noqa: ASYNC109 - an idle wait, not a limit of what is done
        """Wait for news, for at most `timeout` s; where none can be heard, look again after `LOOK_EVERY`."""
        self._adopt()
        deaf = self._deaf
        try:
            async with asyncio.timeout(min(timeout, LOOK_EVERY) if deaf else timeout):
                await self._heard.wait()
        except TimeoutError:
            return deaf
        self._heard.clear()
        return True

    def _queries(self, connection: Any) -> Queries:
        driver: Any = Driver(connection)  # nothing of ours listens or notifies by it
        return Queries(driver, self._environment, self._builder, self._schedules)

    async def _anchors(self, tx: Transaction) -> dict[int, int]:
        """Give where each band begins to count. An older anchor makes a ticket wait, until it is minted once more."""
        now = time.monotonic()
        if now - self._anchored_at > ANCHORED:
            self._anchors_known = {int(band): int(anchor) for band, anchor in await tx.rows("anchors")}
            self._anchored_at = now
        return self._anchors_known

    def _adopt(self) -> asyncio.AbstractEventLoop:
        """Belong to the running event loop from now on."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._loop_thread = loop, threading.get_ident()
            self._heard, self._hears_soon = asyncio.Event(), False
        return loop

    async def _listen(self, listens: asyncio.Event) -> None:
        """Listen, and begin anew whenever the connection breaks."""
        pause = FIRST_PAUSE
        while True:
            connection: asyncpg.Connection | None = None
            try:
                connection = await self._connect()
                if connection is None:
                    return  # it can't be: who waits looks by itself
                await connection.add_listener(self.channel, self._hear)
                self._deaf, self.lost, pause = False, True, FIRST_PAUSE
                self._heard.set()
                listens.set()
                await self._watch(connection)
            except (LedgerError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
                _log.debug("the connection that listens broke, and is made anew: %s", error)
            finally:
                self._deaf = True
                listens.set()
                if connection is not None:
                    connection.terminate()
            self._heard.set()
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - it hides nothing
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _watch(self, connection: asyncpg.Connection) -> None:
        """Stay until the connection breaks, which only asking tells where the network is gone."""
        broken = asyncio.Event()
        connection.add_termination_listener(lambda _: broken.set())
        while not broken.is_set():
            try:
                await asyncio.wait_for(broken.wait(), PING_EVERY)
            except TimeoutError:
                await connection.execute("select 1", timeout=PING_TIMEOUT)

    def _hear(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        """Hear news: tickets that were minted, and what `announce` says; tickets that are taken are none."""
        if self._loop is None or self._heard.is_set() or self._hears_soon:
            return
        if payload == _NEWS or _operation(payload) == "insert":
            self._hears_soon = True
            self._loop.call_later(random.uniform(0, JITTER), self._hear_now)  # noqa: S311 - it hides nothing

    def _hear_now(self) -> None:
        self._hears_soon = False
        self._heard.set()


_NEWS = "news"

_BANDS = 2
"""So that the first of the three bands ends at the largest number, and the last begins above the least."""


class Driver:
    """What PgQueuer's queries need of a connection: to be told the rows as mappings."""

    def __init__(self, connection: Any) -> None:
        """Work on a `connection` of a transaction."""
        self._connection = connection

    async def fetch(self, query: str, *values: object) -> list[dict[str, object]]:
        """Execute one statement; give its rows."""
        return [dict(row) for row in await self._connection.fetch(query, *values)]

    async def execute(self, query: str, *values: object) -> str:
        """Execute a statement, or several without values."""
        said: str = await self._connection.execute(query, *values)
        return said


def engine_settings(schema: str) -> DBSettings:
    """Name what PgQueuer keeps for the ledger in a `schema`: all, since it takes what is left out from elsewhere."""
    return DBSettings(
        prefix="",
        db_schema=f"{schema}_engine",
        channel=Channel(f"{schema}_engine"),
        function="fn_pgqueuer_changed",
        statistics_table="pgqueuer_statistics",
        queue_status_type="pgqueuer_status",
        queue_table="pgqueuer",
        queue_table_log="pgqueuer_log",
        trigger="tg_pgqueuer_changed",
        schedules_table="pgqueuer_schedules",
        durability=Durability.balanced,
        widen_id=True,
    )


def priority(band: int, place: int) -> int:
    """Give PgQueuer's priority, of which the highest goes first, for a `place` in a band counted from its anchor."""
    return SPAN * (_BANDS - band) - 1 - max(0, min(place, SPAN - 1))


def _operation(payload: object) -> str | None:
    try:
        operation = json.loads(str(payload)).get("operation")
    except (ValueError, AttributeError):
        return None
    return operation if isinstance(operation, str) else None
