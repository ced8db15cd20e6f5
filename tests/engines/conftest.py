"""The engines that the behaviour suite runs over: a new one is put into `office`, and is done when the suite passes."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import apsw
import pytest

from tests.engines.offices import TABLE, EmbeddedOffice, PgQueuerOffice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.engines.offices import Office
    from tests.postgres import Postgres


@pytest.fixture
async def embedded_office(tmp_path: Path) -> AsyncIterator[EmbeddedOffice]:
    """Give an empty file for the embedded engine."""
    path = tmp_path / "ledger.db"
    connection = apsw.Connection(str(path))
    connection.execute("pragma journal_mode = wal")
    connection.execute(TABLE)
    office = EmbeddedOffice(path, connection)
    yield office
    await office.close()


@pytest.fixture
async def pgqueuer_office(postgres: Postgres, postgres_database: str) -> AsyncIterator[PgQueuerOffice]:
    """Give an empty database for PgQueuer."""
    office = PgQueuerOffice(postgres.url(postgres_database, "app_owner"), f"ledger_{secrets.token_hex(4)}")
    await office.install()
    yield office
    await office.close()


@pytest.fixture(params=["embedded", "pgqueuer"])
def office(request: pytest.FixtureRequest) -> Office:
    """Give an empty place for each engine in turn."""
    office: Office = request.getfixturevalue(f"{request.param}_office")
    return office
