"""A file for each test of the SQLite ledger's parts, and connections to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pinstripe.ledgers.sqlite.connection import connect, log_ahead
from pinstripe.ledgers.sqlite.schema import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import apsw


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
