"""A file for each test of the SQLite ledger's parts, and connections to it; what asks for a store has one in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pinstripe.ledgers.sqlite.connection import connect, log_ahead
from pinstripe.ledgers.sqlite.schema import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import apsw

    from tests.ledgers.stores import NewStore


@pytest.fixture
def new_store(new_sqlite_store: NewStore) -> NewStore:
    """Give what makes stores of this one kind."""
    return new_sqlite_store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a file that isn't there yet."""
    return tmp_path / "ledger.db"


@pytest.fixture
def connection(path: Path) -> Iterator[apsw.Connection]:
    """Give a connection to a ledger with nothing in it."""
    connection = connect(path, write=True)
    log_ahead(connection, path)
    migrate(connection, path)
    yield connection
    connection.close()
