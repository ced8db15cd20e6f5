"""What the behaviour suite needs of an engine: a new engine gets an office here, and is done when the suite passes."""

from __future__ import annotations

import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import apsw
import asyncpg

from pinstripe.engine import NewTicket
from pinstripe.engines.embedded import EmbeddedEngine
from pinstripe.engines.pgqueuer import PgQueuerEngine
from pinstripe.engines.pgqueuer_tables import EngineTables
from pinstripe.ledgers.postgres.schema import Schema
from pinstripe.ledgers.postgres.statements import statements
from pinstripe.ledgers.postgres.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from pinstripe.engine import Ticket

TABLE = """
create table chunks(id integer primary key, run integer, flow text, band integer, tag integer, until integer);
create index chunks_in_order on chunks(band, tag, id) where tag is not null
"""

TAKE = """
select id, run, flow, band, tag, until from chunks where tag is not null order by band, tag, id limit ?
"""


class Chunk(NamedTuple):
    """A chunk of ready executions."""

    id: int
    band: int = 1
    tag: int = 0


class Listening(Protocol):
    """What all engines have that a worker's loop asks for."""

    def rouse(self) -> None: ...

    async def wait(self, timeout: float) -> bool: ...  # noqa: ASYNC109 - as the engine's


class Office(Protocol):
    """One ledger with chunks, and as many engines on it as a test wants: each stands for a process."""

    async def open(self, *, listens: bool = True) -> Listening:
        """Give another engine, which has heard nothing yet; it is closed after the test."""
        ...

    async def put(self, engine: Any, *chunks: Chunk) -> None:
        """Write chunks of ready executions, and have them minted, in one transaction."""
        ...

    async def put_and_claim(self, engine: Any, *chunks: Chunk) -> list[int]:
        """Write chunks, have them minted, and claim all that there is, in one transaction."""
        ...

    async def put_away(self, engine: Any, chunk: Chunk) -> None:
        """Write a chunk of a run that is still selecting: it has no ticket yet."""
        ...

    async def mint(self, engine: Any, *chunks: Chunk) -> None:
        """Have chunks minted in a transaction of their own."""
        ...

    async def look(self, engine: Any, most: int) -> list[int]:
        """Have tickets taken in a transaction that is undone; give their chunks."""
        ...

    async def claim(self, engine: Any, most: int) -> list[int]:
        """Take tickets and start all that is in their chunks, as the ledger's claim does."""
        ...

    async def claim_some(self, engine: Any, tag: int) -> int:
        """Take one ticket and start a part of its chunk, whose next execution then has this `tag`."""
        ...

    async def tell(self, engine: Any) -> None:
        """Have every process that listens told that there are news."""
        ...

    async def leave(self, engine: Any) -> None:
        """Close an engine."""
        ...


def owner() -> str:
    """Give a name as a ledger's owners have."""
    return uuid.uuid4().hex


class EmbeddedOffice:
    """A file with chunks, which are their own tickets."""

    def __init__(self, path: Path, connection: apsw.Connection) -> None:
        self.path = path
        self.connection = connection
        self.made: list[EmbeddedEngine] = []
        self.readers: list[apsw.Connection] = []

    def engine(self, *, listens: bool = True) -> EmbeddedEngine:
        reader = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READWRITE)
        engine = EmbeddedEngine(self.path.with_name(f"{self.path.name}-owners"), reader, take=TAKE)
        engine.open(owner() if listens else None)
        self.made.append(engine)
        self.readers.append(reader)
        return engine

    async def open(self, *, listens: bool = True) -> Listening:
        return self.engine(listens=listens)

    async def put(self, engine: EmbeddedEngine, *chunks: Chunk) -> None:
        with self.connection:
            self._put(engine, chunks)

    async def put_and_claim(self, engine: EmbeddedEngine, *chunks: Chunk) -> list[int]:
        taken: list[int] = []
        with self.connection:
            self._put(engine, chunks)
            taken += self._claim(engine, 1_000)
        return taken

    async def put_away(self, engine: EmbeddedEngine, chunk: Chunk) -> None:
        with self.connection:
            self.connection.execute("insert into chunks values (?, ?, ?, ?, null, 1)", _whole(chunk)[:4])

    async def mint(self, engine: EmbeddedEngine, *chunks: Chunk) -> None:
        with self.connection:
            engine.mint(self.connection, [chunk.id for chunk in chunks])

    async def look(self, engine: EmbeddedEngine, most: int) -> list[int]:
        self.connection.execute("begin immediate")
        taken = engine.take(self.connection, most)
        self.connection.execute("rollback")
        return _chunks(taken)

    async def claim(self, engine: EmbeddedEngine, most: int) -> list[int]:
        taken: list[int] = []
        with self.connection:
            taken += self._claim(engine, most)
        return taken

    async def claim_some(self, engine: EmbeddedEngine, tag: int) -> int:
        with self.connection:
            (taken,) = engine.take(self.connection, 1)
            self.connection.execute("update chunks set tag = ? where id = ?", (tag, taken.chunk))
            engine.mint(self.connection, [taken.chunk])
        return taken.chunk

    async def tell(self, engine: EmbeddedEngine) -> None:
        engine.wake()

    async def leave(self, engine: EmbeddedEngine) -> None:
        engine.close()

    async def close(self) -> None:
        for engine in self.made:
            engine.close()
        for opened in (self.connection, *self.readers):
            opened.close()

    def _put(self, engine: EmbeddedEngine, chunks: Sequence[Chunk]) -> None:
        rows = [(*_whole(chunk), chunk.tag + 1) for chunk in chunks]
        self.connection.executemany("insert into chunks values (?, ?, ?, ?, ?, ?)", rows)
        engine.mint(self.connection, [chunk.id for chunk in chunks])

    def _claim(self, engine: EmbeddedEngine, most: int) -> list[int]:
        taken = _chunks(engine.take(self.connection, most))
        self.connection.executemany("delete from chunks where id = ?", [(chunk,) for chunk in taken])
        return taken


class PgQueuerOffice:
    """A ledger's schema in PostgreSQL, with chunks, and PgQueuer's beside it, which carries their tickets."""

    def __init__(self, url: str, schema: str) -> None:
        self.url = url
        self.schema = schema
        self.made: list[PgQueuerEngine] = []
        self.pooled = False
        """Whether a pooler stands between, so that nobody can listen."""

    def engine(self) -> PgQueuerEngine:
        """Give another engine, which doesn't listen yet."""
        self.made.append(PgQueuerEngine(self.schema, statements(self.schema), self._listen))
        return self.made[-1]

    async def open(self, *, listens: bool = True) -> PgQueuerEngine:
        engine = self.engine()
        if listens:
            await engine.open()
            if not self.pooled:  # else each wait ends, as if something had been heard
                await heard_nothing(engine)
        return engine

    async def install(self) -> None:
        """Make the schemas."""
        connection = await self.connect()
        await Schema(self.schema, "the tests' database").migrate(connection, EngineTables(self.schema))
        await connection.close()

    async def put(self, engine: PgQueuerEngine, *chunks: Chunk) -> None:
        async with self.transaction() as tx:
            await self.put_in(tx, *chunks)
            await engine.mint(tx, [NewTicket(*chunk) for chunk in chunks])

    async def put_and_claim(self, engine: PgQueuerEngine, *chunks: Chunk) -> list[int]:
        async with self.transaction() as tx:
            await self.put_in(tx, *chunks)
            await engine.mint(tx, [NewTicket(*chunk) for chunk in chunks])
            return await self._claim(tx, engine, 1_000)

    async def put_away(self, engine: PgQueuerEngine, chunk: Chunk) -> None:
        async with self.transaction() as tx:
            await self.put_in(tx, chunk, selects=True)

    async def mint(self, engine: PgQueuerEngine, *chunks: Chunk) -> None:
        async with self.transaction() as tx:
            await engine.mint(tx, [NewTicket(*chunk) for chunk in chunks])

    async def look(self, engine: PgQueuerEngine, most: int) -> list[int]:
        taken: list[int] = []
        try:
            async with self.transaction() as tx:
                taken = await self.take(tx, engine, most)
                raise UndoneError  # noqa: TRY301 - as a claim that fails
        except UndoneError:
            return taken

    async def claim(self, engine: PgQueuerEngine, most: int) -> list[int]:
        async with self.transaction() as tx:
            return await self._claim(tx, engine, most)

    async def claim_some(self, engine: PgQueuerEngine, tag: int) -> int:
        async with self.transaction() as tx:
            (taken,) = await self.take(tx, engine, 1)
            await tx.connection.execute(f"update {self.schema}.chunks set tag = $1 where id = $2", tag, taken)
            await engine.mint(tx, [NewTicket(taken, 1, tag)])
        return taken

    async def tell(self, engine: PgQueuerEngine) -> None:
        async with self.transaction() as tx:
            await engine.announce(tx)

    async def leave(self, engine: PgQueuerEngine) -> None:
        await engine.close()

    async def close(self) -> None:
        for engine in self.made:
            await engine.close()

    async def connect(self) -> asyncpg.Connection:
        """Give a connection, which the test closes."""
        return await asyncpg.connect(self.url, **({"statement_cache_size": 0} if self.pooled else {}))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Give a transaction on a connection of its own, which is committed at its end, or undone with an error."""
        connection = await self.connect()
        try:
            async with connection.transaction():
                yield Transaction(connection, statements(self.schema))
        finally:
            connection.terminate()

    async def take(self, tx: Transaction, engine: PgQueuerEngine, most: int) -> list[int]:
        """Take tickets in a transaction; give their chunks."""
        return _chunks([ticket for ticket in await engine.take(tx, most) if ticket is not None])

    async def _claim(self, tx: Transaction, engine: PgQueuerEngine, most: int) -> list[int]:
        taken = await self.take(tx, engine, most)
        await tx.connection.execute(f"delete from {self.schema}.chunks where id = any($1::bigint[])", taken)
        return taken

    async def put_in(self, tx: Transaction, *chunks: Chunk, selects: bool = False) -> None:
        """Write chunks in a transaction."""
        insert = f"insert into {self.schema}.chunks(id, run, flow, band, tag, until) values ($1, $2, $3, $4, $5, $6)"
        for chunk in chunks:
            *head, tag = _whole(chunk)
            await tx.connection.execute(insert, *head, None if selects else tag, tag + 1)

    async def _listen(self) -> asyncpg.Connection | None:
        return None if self.pooled else await self.connect()


class UndoneError(Exception):
    """Undoes a transaction."""


async def heard_nothing(engine: Listening) -> None:
    """Let an engine forget what it has heard: who begins to listen may have missed something."""
    while await engine.wait(0):
        pass


def _whole(chunk: Chunk) -> tuple[int, int, str, int, int]:
    return chunk.id, 7, "t:acme", chunk.band, chunk.tag


def _chunks(tickets: Sequence[Ticket]) -> list[int]:
    return [ticket.chunk for ticket in tickets]
