from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from pinstripe.commands.generate_project import command
from pinstripe.config import find_project, load_settings


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_new_project_is_told_with_the_next_command() -> None:
    result = CliRunner().invoke(command, ["my-shop"])
    assert result.exit_code == 0
    files = sorted(path.relative_to("my-shop").as_posix() for path in Path("my-shop").rglob("*") if path.is_file())
    assert files == [
        ".gitignore",
        "README.md",
        "lib/background_jobs/greet_tenants.py",
        "lib/background_jobs/say_hello.py",
        "my_shop/__init__.py",
        "my_shop/tenancy.py",
        "pyproject.toml",
    ]
    assert all(f"  {file}\n" in result.stdout for file in files)
    assert result.stdout.endswith("Next:\n  cd my-shop\n  pinstripe run-background-job greet_tenants\n")


def test_the_new_project_is_one(tmp_path: Path) -> None:
    assert CliRunner().invoke(command, ["deep/Shop"]).exit_code == 0
    folder = find_project("deep/Shop/lib")
    assert folder == tmp_path / "deep" / "Shop"
    assert load_settings(folder).tenants.source == "shop.tenancy:tenants"


def test_the_new_project_runs_at_once() -> None:
    assert CliRunner().invoke(command, ["shop"]).exit_code == 0

    def pinstripe(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "pinstripe", *arguments], cwd="shop", capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    greeted = pinstripe("run-background-job", "greet_tenants")
    assert "Hello, Acme!" in greeted
    assert "Hello, Globex!" in greeted
    assert "Initech" not in greeted
    assert "Hello, you!" in pinstripe("run-background-job", "say_hello", "you")
    assert "greet_tenants" in pinstripe("list-background-jobs")
    pinstripe("check")


def test_every_command_of_its_readme_runs() -> None:
    assert CliRunner().invoke(command, ["shop"]).exit_code == 0
    block = Path("shop/README.md").read_text().split("```")[1]
    commands = [line for line in block.splitlines() if line]
    assert len(commands) == 7
    for line in commands:
        words = line.replace("pinstripe", f"{shlex.quote(sys.executable)} -m pinstripe", 1)
        done = subprocess.run(words, shell=True, cwd="shop", capture_output=True, text=True, check=False)
        assert done.returncode == 0, (line, done.stderr)


def test_what_it_writes_is_clean() -> None:
    assert CliRunner().invoke(command, ["shop"]).exit_code == 0
    for check in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *check, "--isolated", "shop"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout


def test_an_empty_folder_is_taken() -> None:
    Path("shop").mkdir()
    assert CliRunner().invoke(command, ["shop"]).exit_code == 0


def test_a_folder_with_something_in_it_is_left_alone() -> None:
    Path("shop").mkdir()
    Path("shop/mine.txt").touch()
    result = CliRunner().invoke(command, ["shop"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "shop exists already and is not an empty folder" in result.stderr
    assert [path.name for path in Path("shop").iterdir()] == ["mine.txt"]


def test_a_file_of_that_name_is_left_alone() -> None:
    Path("shop").touch()
    assert CliRunner().invoke(command, ["shop"]).exit_code == 1


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("2fast", "it needs a letter to begin with"),
        ("my shop", "it needs a letter to begin with"),
        ("..", "it needs a letter to begin with"),
        ("größe", "it needs a letter to begin with"),
        ("class", "'class' is a word of Python's own"),
        ("lib", "'lib' is where something else of the project is"),
        ("email", "Python has a module 'email' of its own"),
        ("click", "a package 'click' is installed already"),
    ],
)
def test_a_bad_name_is_explained(name: str, reason: str) -> None:
    result = CliRunner().invoke(command, [name])
    assert result.exit_code == 2
    assert f"can't name a project: {reason}" in result.stderr
    assert list(Path.cwd().iterdir()) == []


def test_git_ignoring_lib_is_warned_of(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    Path(".gitignore").write_text("lib/\n")
    assert "git ignores greet_tenants.py (.gitignore:1:lib/)" in CliRunner().invoke(command, ["shop"]).stderr


def test_help_has_an_example() -> None:
    assert "pinstripe generate-project newsletter" in CliRunner().invoke(command, ["--help"]).stdout
