"""Every code block of the README and the documentation does what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.code_blocks import ROOT, Trial, read_blocks

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres import Postgres

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_a_page_does_what_it_says(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    def find_postgres() -> str:
        postgres: Postgres = request.getfixturevalue("postgres")
        return postgres.url(request.getfixturevalue("postgres_database"), "app_owner")

    trial = Trial(tmp_path, find_postgres)
    for block in read_blocks(page):
        trial.try_block(block)
