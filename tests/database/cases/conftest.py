"""The place of each case: a fresh database of each kind, with three tenants of three users each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.database.cases.applications import KINDS, Application, Place, application_at, make_place

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
