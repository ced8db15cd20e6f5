"""What the tests of ledgers may ask for: each that asks for a store, or for a ledger on it, runs over every kind."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.ledgers.ready import ReadyLedgers
from tests.ledgers.stores import Hand, PostgresStores, SQLiteStores

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from pinstripe.ledger import Ledger
    from tests.ledgers.stores import NewStore, Store
    from tests.postgres import Postgres

START = 1_790_000_000_000_000
"""When the tests' clock starts: 2026-09-21, in microseconds UTC."""


@dataclass
class HandClock:
    """A clock that goes on by a millisecond a look, and otherwise where it is set."""

    microseconds: int = START
    seconds: float = 0.0

    def now(self) -> int:
        self.microseconds += 1_000
        return self.microseconds

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, step: timedelta) -> None:
        """Let time pass on both clocks."""
        self.microseconds += step // timedelta(microseconds=1)
        self.seconds += step.total_seconds()

    def jump(self, step: timedelta) -> None:
        """Set the wall clock, as a person or a time server does."""
        self.microseconds += step // timedelta(microseconds=1)


@pytest.fixture
def clock() -> HandClock:
    """Give the clock of the store's ledgers."""
    return HandClock()


@pytest.fixture
def new_sqlite_store(tmp_path: Path) -> NewStore:
    """Give what makes stores in files."""
    return SQLiteStores(tmp_path)


@pytest.fixture(scope="session")
def ledgers_database(postgres: Postgres) -> Iterator[tuple[str, Hand]]:
    """Give the URL of the database in which each store has a schema, and a superuser's connection to it."""
    with postgres.database() as name, closing(Hand(postgres.url(name))) as hand:
        yield postgres.url(name, "app_owner"), hand


@pytest.fixture(scope="session")
def ready_ledgers(postgres: Postgres) -> Iterator[ReadyLedgers]:
    """Give ledgers on PostgreSQL that are made ahead."""
    with closing(ReadyLedgers(postgres)) as ready:
        yield ready


@pytest.fixture
def new_postgres_store(ledgers_database: tuple[str, Hand], ready_ledgers: ReadyLedgers) -> Iterator[NewStore]:
    """Give what makes stores in schemas."""
    stores = PostgresStores(*ledgers_database, ready_ledgers)
    yield stores
    stores.remove()


@pytest.fixture(params=["sqlite", "postgres"])
def new_store(request: pytest.FixtureRequest) -> NewStore:
    """Give what makes stores of each kind of ledger in turn."""
    new_store: NewStore = request.getfixturevalue(f"new_{request.param}_store")
    return new_store


@pytest.fixture
async def store(new_store: NewStore, clock: HandClock) -> AsyncIterator[Store]:
    """Give an empty store."""
    store = new_store(clock)
    yield store
    await store.close()


@pytest.fixture
async def ledger(store: Store) -> Ledger:
    """Give a ledger that is open for writing."""
    store.prepare()
    ledger = store.ledger()
    await ledger.open()
    return ledger


@pytest.fixture
async def other(store: Store, ledger: Ledger) -> Ledger:
    """Give the ledger of another process on the same store."""
    other = store.ledger()
    await other.open()
    return other


@pytest.fixture
async def worker(ledger: Ledger) -> Ledger:
    """Give the ledger of a worker."""
    await ledger.queue.join(10)
    return ledger


@pytest.fixture
async def second(worker: Ledger, other: Ledger) -> Ledger:
    """Give the ledger of another worker on the same store."""
    await other.queue.join(10)
    return other
