from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from pinstripe.git import ignoring_rule

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    return tmp_path


def test_the_rule_that_ignores_a_file_is_named(repository: Path) -> None:
    (repository / ".gitignore").write_text("build/\nlib/\n")
    assert ignoring_rule(repository / "lib" / "background_jobs" / "x.py") == ".gitignore:2:lib/"
    assert ignoring_rule(repository / "jobs" / "x.py") is None


def test_a_rule_that_takes_it_in_again_is_none(repository: Path) -> None:
    (repository / ".gitignore").write_text("lib/\n!/lib/\n")
    assert ignoring_rule(repository / "lib" / "background_jobs" / "x.py") is None


def test_a_file_that_git_keeps_is_not_ignored(repository: Path) -> None:
    path = repository / "lib" / "x.py"
    path.parent.mkdir()
    path.touch()
    subprocess.run(["git", "add", "lib"], cwd=repository, check=True)
    (repository / ".gitignore").write_text("lib/\n")
    assert ignoring_rule(path) is None


def test_outside_of_a_repository_nothing_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert ignoring_rule(tmp_path / "lib" / "x.py") is None


def test_without_git_nothing_is_ignored(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository / ".gitignore").write_text("lib/\n")
    monkeypatch.setenv("PATH", str(repository))
    assert ignoring_rule(repository / "lib" / "x.py") is None
