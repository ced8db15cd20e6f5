"""What the tests of the database service share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.database.guarded import SCHEMA, Guarded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.database.shops import Shop
    from tests.postgres import Postgres


@pytest.fixture
def guarded(postgres: Postgres) -> Iterator[Guarded]:
    """Give a database with tenant tables, without row-level security."""
    with postgres.database(SCHEMA) as name:
        yield Guarded(postgres, name)


@pytest.fixture
def postgres_shop_url(postgres: Postgres) -> Iterator[str]:
    """Give the URL of a shop's PostgreSQL database, as the application has it."""
    from tests.database.shops import postgres_sql

    with postgres.database(postgres_sql()) as name:
        yield postgres.url(name, "app")


@pytest.fixture(params=["sqlite-declared", "sqlite-reflected", "postgresql-declared", "postgresql-reflected"])
async def shop(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shop]:
    """Give a shop with the rows of two tenants, in each database, with declared models and with tables as found."""
    made = _make_shop(request, tmp_path)
    yield made
    await made.close()


@pytest.fixture(params=["sqlite-declared", "postgresql-declared"])
async def declared_shop(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shop]:
    """Give the same with declared models, for what needs classes."""
    made = _make_shop(request, tmp_path)
    yield made
    await made.close()


def _make_shop(request: pytest.FixtureRequest, folder: Path) -> Shop:
    from tests.database.shops import open_shop, sqlite_shop

    dialect, _, kind = request.param.partition("-")
    models = kind == "declared"
    if dialect == "sqlite":
        return sqlite_shop(folder, models=models)
    return open_shop(folder, request.getfixturevalue("postgres_shop_url"), models=models, isolation="rows")
