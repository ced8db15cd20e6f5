from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest

from pinstripe.commands.generated import TEMPLATES, write_file

if TYPE_CHECKING:
    from pathlib import Path


def test_a_template_is_written_with_its_words_filled_in(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "pyproject.toml"
    write_file(path, "project/pyproject.toml", name="shop", package="shop")
    assert 'source = "shop.tenancy:tenants"' in path.read_text(encoding="utf-8")


def test_an_existing_file_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text("mine")
    with pytest.raises(click.ClickException, match="exists already; it was left as it is"):
        write_file(path, "project/README.md", name="shop", package="shop")
    assert path.read_text() == "mine"


def test_a_place_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(click.ClickException, match="can't be written: "):
        write_file(tmp_path / "file" / "new.py", "project/package.py")


def test_a_name_that_is_too_long_for_a_file_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match="can't be written: "):
        write_file(tmp_path / f"{'x' * 500}.py", "project/package.py")


def test_every_template_is_there_as_text() -> None:
    files = [path for path in TEMPLATES.rglob("*") if path.is_file()]
    assert len(files) == 8
    assert all(path.suffix == ".template" and path.read_text(encoding="utf-8") for path in files)
