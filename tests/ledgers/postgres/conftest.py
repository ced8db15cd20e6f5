"""Stores of the PostgreSQL ledger, each as one process has it; what asks for the suite's store has one in a schema."""

from __future__ import annotations

import secrets
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from sqlalchemy import make_url

from pinstripe.errors import LedgerError
from pinstripe.ledgers.postgres.store import Store
from pinstripe.postgres_address import read_postgres_url
from tests.ledgers.postgres.commits import Commits
from tests.ledgers.postgres.network import Network

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from pinstripe.clock import Clock
    from tests.ledgers.conftest import HandClock
    from tests.ledgers.ready import ReadyLedgers
    from tests.ledgers.stores import Hand, NewStore
    from tests.postgres import Postgres


class Database:
    """A ledger's schema, looked into and changed by hand."""

    def __init__(self, url: str, hand: Hand) -> None:
        self.url = url
        self.schema = f"ledger_{secrets.token_hex(6)}"
        self._hand = hand

    def prepare(self, ready: ReadyLedgers, clock: Clock) -> None:
        """Let a ledger have been made in it before; nobody has looked at it yet."""
        self.url, self.schema, self._hand = ready.take(clock)

    def fetch(self, sql: str) -> list[tuple[Any, ...]]:
        """Execute a statement; give its rows, if it has any."""
        hand = self._hand.connection
        hand.execute(f'set search_path to "{self.schema}"'.encode())
        cursor = hand.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []

    def owners(self, columns: str = "id") -> list[Any]:
        """Give some columns of the rows of owners, in order; values where it is one column."""
        rows = self.fetch(f"select {columns} from owners order by id")
        return rows if "," in columns else [value for (value,) in rows]

    def connected(self) -> set[int]:
        """Give the processes of the server that serve connections of ledgers to the tests' database."""
        others = "datname = current_database() and pid <> pg_backend_pid()"
        return {pid for (pid,) in self.fetch(f"select pid from pg_stat_activity where {others}")}

    @contextmanager
    def locked(self, table: str) -> Iterator[None]:
        """Keep a table to oneself meanwhile."""
        with self._hand.connection.transaction():
            self.fetch(f"lock table {table} in access exclusive mode")
            yield

    def cut(self, only: str = "true") -> None:
        """Break connections, as a failover does: all to the tests' database, or those for which a condition holds."""
        self.fetch(
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity"
            f" where datname = current_database() and pid <> pg_backend_pid() and {only}"
        )


class NewProcess(Protocol):
    """Opens stores on one ledger, as many as a test wants; they are closed after it."""

    async def __call__(self, clock: Clock | None = None, *, url: str | None = None, lease: float = 60.0) -> Store:
        """Open one with the test's clock, or its own, at the database's URL, or another one's before it."""
        ...


@pytest.fixture
def new_store(new_postgres_store: NewStore) -> NewStore:
    """Give what makes stores of this one kind."""
    return new_postgres_store


@pytest.fixture
def database(ledgers_database: tuple[str, Hand]) -> Iterator[Database]:
    """Give a ledger's schema, which the first store makes."""
    url, hand = ledgers_database
    database = Database(url, hand)
    own = database.schema
    yield database
    if database.schema == own:
        hand.connection.execute(f"drop schema if exists {database.schema}, {database.schema}_engine cascade".encode())


@pytest.fixture
async def new_process(database: Database, clock: HandClock) -> AsyncIterator[NewProcess]:
    """Give what opens stores."""
    hand = clock
    made: list[Store] = []

    async def new_process(clock: Clock | None = None, *, url: str | None = None, lease: float = 60.0) -> Store:
        address = read_postgres_url(url or database.url, "ledger")
        made.append(Store(address, clock or hand, schema=database.schema, lease=lease))
        await made[-1].open(write=True)
        return made[-1]

    yield new_process
    for store in made:
        with suppress(LedgerError):
            await store.close()


@pytest.fixture
async def process(new_process: NewProcess, database: Database, ready_ledgers: ReadyLedgers, clock: HandClock) -> Store:
    """Give the store of one process."""
    database.prepare(ready_ledgers, clock)
    return await new_process()


@pytest.fixture
async def neighbour(process: Store, new_process: NewProcess) -> Store:
    """Give the store of another process, which has a row."""
    neighbour = await new_process()
    await neighbour.register()
    return neighbour


@pytest.fixture
def network(postgres: Postgres) -> Iterator[Network]:
    """Give a network before the server, which can be half dead."""
    network = Network(postgres.host, postgres.port)
    yield network
    network.close()


@pytest.fixture
def through_network(network: Network, database: Database) -> str:
    """Give the database's URL by that network."""
    url = make_url(database.url).set(drivername="postgresql", host="127.0.0.1", port=network.port)
    return url.render_as_string(hide_password=False)


@pytest.fixture
async def commits(postgres: Postgres) -> AsyncIterator[Commits]:
    """Give a network before the server, in which commits may be cut."""
    commits = Commits(postgres.host, postgres.port)
    async with commits.forwarded():
        yield commits
