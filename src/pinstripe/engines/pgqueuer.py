"""The engine of the PostgreSQL ledger: PgQueuer carries its tickets, in tables of its own beside the ledger's.

A ticket is minted, taken and logged off in the ledger's own transactions, so that none outlives its claim, and none is
lost or doubled by a crash; its number is nobody's business. Each of it is one call of a function in the engine's
schema, which `pinstripe.engines.pgqueuer_tables` makes.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import threading
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import asyncpg

from pinstripe.engine import Ticket
from pinstripe.engines.pgqueuer_tables import SPAN, schema_of
from pinstripe.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pinstripe.engine import NewTicket
    from pinstripe.ledgers.postgres.transaction import Transaction
    from pinstripe.ledgers.statements import Statements

REANCHOR = SPAN // 2
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

AT_ONCE = timedelta(days=-1)
"""No delay: a ticket may be taken in the transaction that has minted it, however the clock is set."""

_log = logging.getLogger("pinstripe")


class PgQueuerEngine:
    """An engine over PgQueuer's tables in the schema `<schema>_engine`; see `pinstripe.engine.Carrier`."""

    def __init__(
        self, schema: str, statement: Statements, connect: Callable[[], Awaitable[asyncpg.Connection | None]]
    ) -> None:
        """Take the ledger's `schema` and statements.

        `connect` gives a connection of its own to listen on, or None where that can't be; it raises `LedgerError`.
        """
        self.schema = schema_of(schema)
        """The name of the schema that PgQueuer's tables are in."""
        self.channel = self.schema
        """On which news are told."""
        self.lost = True
        """Whether something may have been missed since it was last set to False: a connection was made anew."""
        self._statement = statement
        self._connect = connect
        self._heard = asyncio.Event()
        self._hears_soon = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._listening: asyncio.Task[None] | None = None
        self._deaf = True
        self._anchors_known: dict[int, int] = {}
        self._anchored_at = float("-inf")

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

    async def mint(
        self, tx: Transaction, tickets: Sequence[NewTicket], *, anew: bool = False, delay: timedelta = AT_ONCE
    ) -> None:
        """Give each of some chunks a ticket, which is to be taken after a `delay`; one that has one keeps it.

        To mint `anew` moves those up that were put too low, as by an older anchor; it takes the square of their number.
        """
        if not tickets:
            return
        anchors = await self._anchors(tx)
        places = [ticket.tag - anchors[ticket.band] for ticket in tickets]
        columns = [ticket.chunk for ticket in tickets], [ticket.band for ticket in tickets], places
        await tx.rows("mint", *columns, anew, delay)

    async def take(self, tx: Transaction, most: int) -> list[Ticket | None]:
        """Give up to `most` tickets, the next to be served first; None for one whose chunk is gone."""
        return [None if row[0] is None else Ticket(*row) for row in await tx.rows("take", most)]

    async def announce(self, tx: Transaction) -> None:
        """Let every process that listens hear with the commit that there is news."""
        await tx.connection.execute(self._statement("announce"), self.channel, _NEWS)

    async def tidy(self, tx: Transaction) -> None:
        """Move the anchor of a band that has been served far beyond its own.

        Until all that waits there is minted again, which `lost` asks for, new work of that band goes before old.
        """
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


def _operation(payload: object) -> str | None:
    try:
        operation = json.loads(str(payload)).get("operation")
    except (ValueError, AttributeError):
        return None
    return operation if isinstance(operation, str) else None
