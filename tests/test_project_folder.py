from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pinstripe.errors import ConfigurationError
from pinstripe.project_folder import find_project, read_table

if TYPE_CHECKING:
    from pathlib import Path


def test_a_table_in_pyproject_makes_a_project(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.pinstripe]\n")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert find_project(below, {}) == tmp_path
    assert find_project(str(below), {}) == tmp_path


def test_a_folder_of_jobs_makes_a_project(tmp_path: Path) -> None:
    (tmp_path / "lib" / "background_jobs").mkdir(parents=True)
    assert find_project(tmp_path / "lib", {}) == tmp_path


def test_the_nearest_project_is_taken(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.pinstripe]\n")
    inner = tmp_path / "inner"
    (inner / "lib" / "background_jobs").mkdir(parents=True)
    assert find_project(inner / "lib", {}) == inner


def test_the_search_begins_at_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").write_text("tool.pinstripe = {}\n")
    (tmp_path / "docs").mkdir()
    monkeypatch.chdir(tmp_path / "docs")
    assert find_project(environment={}) == tmp_path


def test_the_environment_names_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        (folder / "lib" / "background_jobs").mkdir(parents=True)
    monkeypatch.chdir(here)
    assert find_project(environment={"PINSTRIPE_PROJECT": str(there)}) == there
    assert find_project(environment={"PINSTRIPE_PROJECT": ""}) == here
    assert find_project(here, {"PINSTRIPE_PROJECT": str(there)}) == here


def test_no_project_tells_what_was_looked_for_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.other]\n")
    with pytest.raises(ConfigurationError) as caught:
        find_project(tmp_path, {})
    assert f"found no project in {tmp_path} or above it" in str(caught.value)
    assert "`pinstripe generate-project NAME`" in str(caught.value)
    assert "lib/background_jobs" in str(caught.value)


def test_a_named_folder_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"PINSTRIPE_PROJECT is '.*nowhere': .* there is no folder"):
        find_project(environment={"PINSTRIPE_PROJECT": str(tmp_path / "nowhere")})


def test_a_broken_file_that_is_not_about_pinstripe_is_passed_by(tmp_path: Path) -> None:
    (tmp_path / "lib" / "background_jobs").mkdir(parents=True)
    between = tmp_path / "between"
    between.mkdir()
    (between / "pyproject.toml").write_text("[tool.other\n")
    assert find_project(between, {}) == tmp_path


@pytest.mark.parametrize(
    ("text", "line"),
    [("[tool.pinstripe]\nledger = \n", 2), ("\n\n[tool.pinstripe\n", 3), ('[tool.pinstripe]\nledger = """\nx\n', 4)],
)
def test_a_file_that_is_not_toml_is_named_with_the_line(tmp_path: Path, text: str, line: int) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=f"pyproject.toml, line {line}: it is not valid TOML"):
        find_project(tmp_path, {})


def test_a_file_that_is_not_text_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_bytes(b"[tool.pinstripe]\nledger = '\xff'\n")
    with pytest.raises(ConfigurationError, match="is not UTF-8 text"):
        read_table(path)


def test_a_file_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="can't be read: "):
        read_table(tmp_path)


@pytest.mark.parametrize("text", ["tool = 5\n", "[tool]\nother = 1\n", ""])
def test_a_file_without_the_table_is_no_project(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text(text)
    assert read_table(path) is None


def test_something_else_than_a_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text("[tool]\npinstripe = 5\n")
    with pytest.raises(ConfigurationError, match=r"expected a table \[tool.pinstripe\], found 5"):
        read_table(path)
