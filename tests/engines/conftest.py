"""The engines that the behaviour suite runs over: a new one is put into `office`, and is done when the suite passes."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import apsw
import pytest

from pinstripe.engines.embedded import EmbeddedEngine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pinstripe.engine import Engine, Ticket

TABLE = """
create table chunks(id integer primary key, run integer, flow text, band integer, tag integer, until integer);
create index chunks_in_order on chunks(band, tag, id) where tag is not null
"""

TAKE = """
select id, run, flow, band, tag, until from chunks where tag is not null order by band, tag, id limit ?
"""


def owner() -> str:
    """Give a name as a ledger's owners have."""
    return uuid.uuid4().hex


@dataclass
class EmbeddedOffice:
    """One store of chunks, and as many engines on it as a test wants: each stands for a process."""

    path: Path
    connection: apsw.Connection
    made: list[EmbeddedEngine] = field(default_factory=list)
    readers: list[apsw.Connection] = field(default_factory=list)

    def engine(self, *, listens: bool = True) -> Engine[apsw.Connection]:
        """Give another open engine on the store; it is closed after the test."""
        reader = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READWRITE)
        engine = EmbeddedEngine(self.path.with_name(f"{self.path.name}-owners"), reader, take=TAKE)
        engine.open(owner() if listens else None)
        self.made.append(engine)
        self.readers.append(reader)
        return engine

    async def put(self, engine: Engine[apsw.Connection], *tickets: Ticket) -> None:
        """Write chunks of ready executions, and have them minted, in one transaction."""
        with self.connection:
            self.connection.executemany("insert into chunks values (?, ?, ?, ?, ?, ?)", tickets)
            engine.mint(self.connection, [ticket.chunk for ticket in tickets])

    async def put_away(self, engine: Engine[apsw.Connection], ticket: Ticket) -> None:
        """Write a chunk of a run that is still selecting: it has no ticket yet."""
        with self.connection:
            self.connection.execute("insert into chunks values (?, ?, ?, ?, null, ?)", (*ticket[:4], ticket.until))

    async def mint(self, engine: Engine[apsw.Connection], chunks: Sequence[int]) -> None:
        """Have chunks minted in a transaction of their own."""
        with self.connection:
            engine.mint(self.connection, chunks)

    async def look(self, engine: Engine[apsw.Connection], most: int) -> list[Ticket]:
        """Have tickets taken in a transaction that is undone."""
        self.connection.execute("begin immediate")
        taken = engine.take(self.connection, most)
        self.connection.execute("rollback")
        return taken

    async def claim(self, engine: Engine[apsw.Connection], most: int) -> list[Ticket]:
        """Take tickets and start all that is in their chunks, as the ledger's claim does."""
        with self.connection:
            taken = engine.take(self.connection, most)
            self.connection.executemany("delete from chunks where id = ?", [(ticket.chunk,) for ticket in taken])
        return taken

    async def claim_some(self, engine: Engine[apsw.Connection], tag: int) -> Ticket:
        """Take one ticket and start a part of its chunk, whose next execution then has this `tag`."""
        with self.connection:
            (taken,) = engine.take(self.connection, 1)
            self.connection.execute("update chunks set tag = ? where id = ?", (tag, taken.chunk))
            engine.mint(self.connection, [taken.chunk])
        return taken


@pytest.fixture(params=["embedded"])
def office(tmp_path: Path) -> Iterator[EmbeddedOffice]:
    """Give an empty store of chunks; each kind of engine has one."""
    path = tmp_path / "ledger.db"
    connection = apsw.Connection(str(path))
    connection.execute("pragma journal_mode = wal")
    connection.execute(TABLE)
    office = EmbeddedOffice(path, connection)
    yield office
    for engine in office.made:
        engine.close()
    for opened in (connection, *office.readers):
        opened.close()
