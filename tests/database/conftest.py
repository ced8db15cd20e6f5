"""What the tests of the database service share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.database.guarded import SCHEMA, Guarded

if TYPE_CHECKING:
    from tests.postgres import Postgres


@pytest.fixture
def guarded(postgres: Postgres, postgres_database: str) -> Guarded:
    """Give a database with tenant tables, without row-level security."""
    from tests.postgres import OWNER

    postgres.execute_now(SCHEMA, database=postgres_database, user=OWNER)
    return Guarded(postgres, postgres_database)
