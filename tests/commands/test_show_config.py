from __future__ import annotations

import json
from typing import TYPE_CHECKING

from click.testing import CliRunner

from pinstripe.commands.show_config import command
from pinstripe.errors import ConfigurationError
from pinstripe.setting_keys import KEYS

if TYPE_CHECKING:
    import pytest

    from tests.conftest import ProjectFolder


def test_every_setting_is_shown_with_its_origin(project_folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    project_folder.configure(
        "time_zone = 'Europe/Paris'\napp = 'newsletter.web:app'\ndatabase.shared_tables = ['plans', 'countries']"
    )
    monkeypatch.setenv("PINSTRIPE_LEDGER", "postgresql://user:pa55@host/db")
    result = CliRunner().invoke(command, ["--project", str(project_folder.path)])
    assert result.exit_code == 0
    lines = [line.split(maxsplit=1) for line in result.stdout.splitlines() if line]
    shown = {line[0]: line[1] for line in lines}
    assert shown["Project:"] == str(project_folder.path)
    assert set(shown) > {key.name for key in KEYS}
    assert shown["time_zone"].split() == ["Europe/Paris", "pyproject.toml"]
    assert shown["ledger"].split() == ["postgresql://user:***@host/db", "PINSTRIPE_LEDGER"]
    assert shown["multi_tenant"].split() == ["false", "default"]
    assert shown["worker.concurrency"].split() == ["20", "default"]
    assert shown["setup"].split() == ["-", "default"]
    assert "plans, countries" in result.stdout
    assert "pa55" not in result.output


def test_json_is_one_object_and_nothing_else(project_folder: ProjectFolder) -> None:
    project_folder.configure("app = 'newsletter.web:app'")
    result = CliRunner().invoke(command, ["--json", "--project", str(project_folder.path)])
    shown = json.loads(result.stdout)
    assert result.stderr == ""
    assert shown["project"] == str(project_folder.path)
    assert [one["key"] for one in shown["settings"]] == [key.name for key in KEYS]
    assert {"key": "worker.concurrency", "value": 20, "origin": "default"} in shown["settings"]
    assert {"key": "setup", "value": None, "origin": "default"} in shown["settings"]


def test_a_wrong_setting_is_the_commands_error(project_folder: ProjectFolder) -> None:
    project_folder.configure("ledgr = 'x'")
    result = CliRunner().invoke(command, ["--project", str(project_folder.path)])
    assert isinstance(result.exception, ConfigurationError)


def test_help_has_an_example() -> None:
    assert "pinstripe show-config" in CliRunner().invoke(command, ["--help"]).stdout
