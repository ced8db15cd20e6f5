"""The place of each case: a fresh database of each kind, with three tenants of three users each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.database.cases.applications import KINDS, Application, Place, application_at, make_place
from tests.database.cases.separate import KINDS as SEPARATE
from tests.database.cases.separate import Separate, separate_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Give a database of each kind."""
    if request.param == "sqlite":
        made = make_place("sqlite", tmp_path)
    else:
        postgres = request.getfixturevalue("postgres")
        made = make_place(request.param, tmp_path, postgres, request.getfixturevalue("postgres_database"))
    made.fill()
    return made


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
