"""The place of each case: a fresh database of each kind, with three tenants of three users each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.database.cases.applications import (
    KINDS,
    Application,
    Place,
    application_at,
    filling,
    make_place,
    postgres_place,
    postgres_schema,
)
from tests.database.cases.separate import KINDS as SEPARATE
from tests.database.cases.separate import Separate, separate_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.database.cases.applications import Kind
    from tests.postgres import Postgres


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Give a database of each kind."""
    kind: Kind = request.param
    if kind == "sqlite":
        made = make_place(kind, tmp_path)
        made.fill()
        yield made
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    # Row-level security keeps the owner from writing, too.
    with postgres.database(f"{postgres_schema(kind)}; reset role; {filling()}") as name:
        yield postgres_place(kind, tmp_path, postgres, name)


@pytest.fixture
async def application(place: Place) -> AsyncIterator[Application]:
    """Give the service over it; afterwards every connection must be back, and clean."""
    async with application_at(place) as application:
        yield application
        assert await application.is_calm()


@pytest.fixture(params=SEPARATE)
async def separate(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Separate]:
    """Give an application whose tenants have schemas or databases of their own."""
    postgres, database = None, ""
    if request.param == "schemas":
        postgres, database = request.getfixturevalue("postgres"), request.getfixturevalue("postgres_database")
    async with separate_at(request.param, tmp_path, postgres, database) as separate:
        yield separate
