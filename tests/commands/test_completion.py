from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.commands.conftest import Command
    from tests.conftest import ProjectFolder


@pytest.fixture(autouse=True)
def _bash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_PINSTRIPE_COMPLETE", "bash_complete")


def offered(folder: ProjectFolder, line: str) -> list[str]:
    """Ask as bash does, with the cursor at the end of the line."""
    words = line.split(" ")
    environment = {**os.environ, "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [sys.executable, "-m", "pinstripe"],
        cwd=folder.path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return [answer.partition(",")[2] for answer in done.stdout.splitlines() if answer]


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("pinstripe list-", ["list-background-jobs", "list-tenants", "list-runs"]),
        ("pinstripe run-background-job gr", ["greet"]),
        ("pinstripe run-background-job --name gr", ["greet"]),
        ("pinstripe run-background-job greet gr", []),
        ("pinstripe run-background-job greet --tenant g", ["globex"]),
        ("pinstripe run-background-job greet --except ", ["acme", "globex", "initech"]),
        ("pinstripe run-background-job greet --dry", ["--dry-run"]),
        ("pinstripe list-tenants ", ["ask", "boom", "greet", "hello", "leave_thread", "stubborn", "wait"]),
        ("pinstripe show-run la", ["last"]),
    ],
)
def test_names_are_completed(shop: ProjectFolder, line: str, names: list[str]) -> None:
    assert offered(shop, line) == names


def test_runs_are_completed_by_their_short_ids(
    shop: ProjectFolder, pinstripe: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("_PINSTRIPE_COMPLETE")
    pinstripe("run-background-job", "hello")
    short = pinstripe("list-runs", "--json").json[0]["id"][-8:]
    monkeypatch.setenv("_PINSTRIPE_COMPLETE", "bash_complete")
    assert offered(shop, "pinstripe retry-run ") == ["last", short]


def test_runs_to_cancel_are_those_that_go_on(
    shop: ProjectFolder, pinstripe: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("_PINSTRIPE_COMPLETE")
    pinstripe("run-background-job", "hello", "--enqueue")
    short = pinstripe("list-runs", "--json").json[0]["id"][-8:]
    pinstripe("run-background-job", "hello")
    monkeypatch.setenv("_PINSTRIPE_COMPLETE", "bash_complete")
    assert offered(shop, "pinstripe cancel-run ") == ["last", short]


def test_what_is_to_be_resumed_is_what_is_paused(
    shop: ProjectFolder, pinstripe: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("_PINSTRIPE_COMPLETE")
    pinstripe("pause", "--job", "greet", "--tenant", "acme")
    pinstripe("pause", "--job", "hello")
    monkeypatch.setenv("_PINSTRIPE_COMPLETE", "bash_complete")
    assert offered(shop, "pinstripe pause --job gr") == ["greet"]
    assert offered(shop, "pinstripe resume --job ") == ["greet", "hello"]
    assert offered(shop, "pinstripe resume --tenant ") == ["acme"]


def test_what_is_broken_is_silent(shop: ProjectFolder) -> None:
    shop.file("shop.py", "print('noise')\nraise SystemExit")
    assert offered(shop, "pinstripe list-runs --tenant ") == []
    shop.configure("nonsense = 1")
    assert offered(shop, "pinstripe run-background-job ") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shop: ProjectFolder, shell: str) -> None:
    environment = {**os.environ, "_PINSTRIPE_COMPLETE": f"{shell}_source"}
    command = [sys.executable, "-m", "pinstripe"]
    done = subprocess.run(command, cwd=shop.path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "_PINSTRIPE_COMPLETE" in done.stdout
