"""Every code block of the README and the documentation does what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.code_blocks import ROOT, Trial, read_blocks

if TYPE_CHECKING:
    from pathlib import Path

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_a_page_does_what_it_says(page: Path, tmp_path: Path) -> None:
    trial = Trial(tmp_path)
    for block in read_blocks(page):
        trial.try_block(block)
