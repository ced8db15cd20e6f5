"""`scripts/environment` says what it lacks before it makes anything."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "environment"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone in a folder with a space in its name, with nothing in it but the script."""
    scripts = tmp_path / "a clone" / "scripts"
    scripts.mkdir(parents=True)
    shutil.copy(SCRIPT, scripts)
    return scripts.parent


def run(clone: Path, *args: str, python: Path | None = None, path: str | None = None) -> tuple[int, str]:
    environment = dict(os.environ)
    if python:
        environment["PINSTRIPE_PYTHON"] = str(python)
    if path:
        environment["PATH"] = path
    command = [shutil.which("bash") or "bash", str(clone / "scripts" / "environment"), *args]
    done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == ""
    return done.returncode, done.stderr


def make_python(path: Path, says: str) -> Path:
    """A stand-in that answers every question with the same text."""
    path.write_text(f"#!/bin/sh\n{says}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_a_python_that_is_too_old_is_named_with_its_version(clone: Path, tmp_path: Path) -> None:
    python = make_python(tmp_path / "python3", "echo old 3.9.2")
    code, said = run(clone, "demo", python=python)
    assert code == 2
    assert f"expected Python 3.11 or later with venv, found: {python} is 3.9.2\n" in said
    assert "PINSTRIPE_PYTHON=" in said
    assert not (clone / ".venv").exists()


def test_a_python_without_venv_is_told_how_to_get_it(clone: Path, tmp_path: Path) -> None:
    python = make_python(tmp_path / "python3", "case $2 in *ensurepip*) exit 1;; esac\necho new 3.12.1")
    code, said = run(clone, "demo", python=python)
    assert code == 2
    assert f"{python} is 3.12.1 without venv" in said
    assert "python3-venv" in said


def test_no_python_at_all_is_said(clone: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "dirname").symlink_to(shutil.which("dirname") or "/usr/bin/dirname")
    code, said = run(clone, "demo", path=str(tmp_path / "bin"))
    assert code == 2
    assert "found: none (looked for python3 python3.14" in said


@pytest.mark.parametrize("args", [(), ("prod",)])
def test_an_unknown_set_is_refused(clone: Path, args: tuple[str, ...]) -> None:
    code, said = run(clone, *args)
    assert code == 2
    assert "expected one of demo, dev" in said
