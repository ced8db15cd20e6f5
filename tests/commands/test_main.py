from __future__ import annotations

import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest

from pinstripe import __version__, errors
from pinstripe.commands import main as main_module
from pinstripe.commands.main import COMMANDS, main, pinstripe

if TYPE_CHECKING:
    from tests.commands.conftest import Command
    from tests.conftest import ProjectFolder

NAMES = [name for names in COMMANDS.values() for name in names]


def ended(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[object, str, str]:
    with pytest.raises(SystemExit) as exit_:
        main(args)
    return (exit_.value.code, *capsys.readouterr())


def test_the_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(capsys, "--version") == (0, f"pinstripe {__version__}\n", "")


def test_help_groups_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = ended(capsys, "--help")
    assert code == 0
    for heading, names in COMMANDS.items():
        assert f"{heading}:\n" in out
        assert all(f"  {name}  " in out for name in names)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = ended(capsys, name, "--help")
    assert code == 0
    assert "Example" in out
    assert f"pinstripe {name}" in out
    if name != "generate-project":
        assert "--project DIR" in out


def test_without_a_command_the_help_is_shown_and_called_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = ended(capsys)
    assert (code, out) == (2, "")
    assert err.startswith("Usage: pinstripe ")
    assert "run-background-job" in err
    assert "Error" not in err


def test_an_unknown_command_is_answered_with_near_ones(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = ended(capsys, "list-rnus")
    assert (code, out) == (2, "")
    assert err.startswith("Error: there is no command 'list-rnus'. Did you mean list-runs")


@pytest.mark.parametrize("name", ["start-server", "pause", "cancel-run"])
def test_commands_of_later_versions_are_unknown(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(capsys, name)[0] == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (click.UsageError("x"), 2),
        (errors.ConfigurationError("x"), 2),
        (errors.InvalidJob("x"), 2),
        (errors.UnknownJob("x"), 2),
        (errors.UnknownTenant("x"), 2),
        (errors.UnknownRun("x"), 2),
        (errors.InvalidArguments("x"), 2),
        (errors.TenantSourceFailed("x"), 1),
        (errors.LedgerError("x"), 4),
        (errors.DatabaseUnavailable("x"), 4),
    ],
)
def test_each_error_has_its_exit_code(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise error

    command = click.Command("fail", callback=fail)
    monkeypatch.setattr(main_module.LazyGroup, "list_commands", lambda *_: ["fail"])
    monkeypatch.setattr(main_module.LazyGroup, "get_command", lambda *_: command)
    found, out, err = ended(capsys, "fail")
    assert (found, out) == (code, "")
    assert err.endswith("Error: x\n")


def test_interrupted_is_130(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pinstripe, "invoke", lambda _: fail())
    assert ended(capsys, "check") == (130, "", "\nInterrupted.\n")


def test_what_nobody_foresaw_is_shown_whole_and_called_a_bug(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pinstripe, "invoke", lambda _: 1 // 0)
    code, _, err = ended(capsys, "check")
    assert code == 1
    assert "Traceback (most recent call last)" in err
    assert err.endswith("ZeroDivisionError: integer division or modulo by zero\n" + err.splitlines()[-1] + "\n")
    assert "This is a bug in Pinstripe" in err


def test_errors_cannot_move_the_cursor(pinstripe: Command) -> None:
    answer = pinstripe("run-background-job", "greet", "--tenant", "\x1b[2J")
    assert answer.code == 2
    assert r"\x1b[2J" in answer.err
    assert "\x1b" not in answer.err


def test_without_a_project_it_says_how_to_make_one(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))
    code, out, err = ended(capsys, "list-runs")
    assert (code, out) == (2, "")
    assert "pinstripe generate-project NAME" in err


def test_a_reader_that_goes_away_is_no_error(shop: ProjectFolder) -> None:
    shop.file("shop.py", "tenants = [f'tenant-{n:06}' for n in range(50_000)]")
    shell = f"set -o pipefail; {shlex.quote(sys.executable)} -m pinstripe list-tenants | head -n 1"
    done = subprocess.run(["bash", "-c", shell], cwd=shop.path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "tenant-000000\n", "")


def test_what_an_encoding_cannot_write_ends_nothing(shop: ProjectFolder) -> None:
    shop.file("shop.py", "tenants = ['zürich']")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "pinstripe", "list-tenants"]
    done = subprocess.run(command, cwd=shop.path, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"z\\xfcrich\n")


def test_a_job_by_hand_imports_nothing_that_it_does_not_need(shop: ProjectFolder) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "pinstripe", "run-background-job", "hello"]
    # A measured process imports what measures it, too.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(command, cwd=shop.path, env=environment, capture_output=True, text=True, check=False)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "pinstripe.commands.by_hand" in imported
    assert not imported & {
        *("rich", "pydantic", "importlib.metadata", "importlib.resources", "pebble", "multiprocessing", "tempfile"),
        *("pinstripe.commands.live", "pinstripe.commands.show_run", "pinstripe.git", "urllib.request"),
    }
