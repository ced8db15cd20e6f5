"""The reference leaves nothing out: every setting, command, option, exit code and public name is in it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest

import pinstripe
from pinstripe import Execution, Run, RunStatus, Trigger, errors
from pinstripe.commands.main import COMMANDS, EXIT_CODES
from pinstripe.commands.main import pinstripe as command_line
from pinstripe.duration import write_duration
from pinstripe.overdue import Overdue, SchedulesStatus
from pinstripe.queue import Pause, Process, QueueStatus, RunningExecution
from pinstripe.run import Failure
from pinstripe.setting_keys import KEYS, Key
from pinstripe.views.status import LedgerStatus, Seen, status_json

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
TEXT = "\n".join(path.read_text(encoding="utf-8") for path in sorted(REFERENCE.rglob("*.md")))
WALK = (REFERENCE.parent / "explanation" / "one-run.md").read_text(encoding="utf-8")
NAMES = [name for names in COMMANDS.values() for name in names]
NEVER_RAISED = {0, 3, 143}
"""Exit codes beside those of errors: done, nothing ran, terminated."""


def command(name: str) -> click.Command:
    found = command_line.get_command(click.Context(command_line), name)
    assert found is not None
    return found


def section(name: str) -> str:
    """Give what the reference says under the heading of a command, up to the next such heading."""
    parts = re.split(r"^#{1,3} (.*)\n", TEXT, flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert f"`{name}`" in sections, f"expected docs/reference/ to have a heading for the command {name}"
    return sections[f"`{name}`"]


def options(name: str) -> set[str]:
    """Give the options of a command, with their short and negative forms."""
    found = [one for one in command(name).params if isinstance(one, click.Option) and not one.hidden]
    return {text for option in found for text in (*option.opts, *option.secondary_opts)}


@pytest.mark.parametrize("key", KEYS, ids=[key.name for key in KEYS])
def test_every_setting_is_described_with_its_variable_and_default(key: Key) -> None:
    settings = (REFERENCE / "settings.md").read_text(encoding="utf-8")
    line = re.search(rf"^\| `{re.escape(key.name)}` \|(.*)$", settings, re.MULTILINE)
    assert line, "expected a table with a line of the setting"
    variable, default = (cell.strip().strip("`") for cell in line[1].split("|")[:2])
    assert (variable, default) == (key.variable, shown(key.default))


def shown(default: object) -> str:
    match default:
        case None | ():
            return ""
        case bool():
            return str(default).lower()
        case timedelta():
            return write_duration(default)
        case _:
            return str(default)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_is_described_with_its_options_and_no_others(name: str) -> None:
    table = re.findall(r"^\| `(--[\w-]+)", section(name), re.MULTILINE)
    assert sorted(table) == sorted(options(name))


@pytest.mark.parametrize("code", sorted({code for _, code in EXIT_CODES} | NEVER_RAISED))
def test_every_exit_code_is_described(code: int) -> None:
    assert re.search(rf"^\|\s*`?{code}`?\s*\|", TEXT, re.MULTILINE), "expected a table with a line of the exit code"


@pytest.mark.parametrize("name", pinstripe.__all__)
def test_every_public_name_is_described(name: str) -> None:
    assert re.search(rf"`(?:pinstripe\.)?{name}\b", TEXT)


@pytest.mark.parametrize("module", sorted(set(re.findall(r"`([\w/]+\.py)`", WALK))))
def test_every_file_on_the_way_of_one_run_is_there(module: str) -> None:
    assert (Path(pinstripe.__file__).parent / module).is_file()


def test_the_json_of_a_run_and_of_an_execution_are_as_described() -> None:
    page = (REFERENCE / "runs.md").read_text(encoding="utf-8")
    run, execution = map(json.loads, re.findall(r"^```json\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
    now = datetime.now(UTC)
    failed = Run("id", "job", RunStatus.FAILED, Trigger.CLI, (), {}, now, failures=(Failure("acme", 1, "error"),))
    written = failed.to_json()
    assert list(run) == list(written)
    assert list(run["executions"]) == list(written["executions"])
    assert list(run["failures"][0]) == list(written["failures"][0])
    assert list(execution) == list(Execution.__annotations__)


def test_the_json_of_the_status_is_as_described() -> None:
    (described,) = map(json.loads, re.findall(r"^```json\n(.*?)^```", section("status"), re.MULTILINE | re.DOTALL))
    running = (RunningExecution("greet", "acme", "id", 0),)
    process = Process(1, "web-1", 4711, "0.1.0", 0, 0, 3, 20, stopping=False, executions=running)
    schedules = SchedulesStatus(1, 0, 1, [Overdue("greet", "0 * * * * UTC", "acme", 0, None, "as no bot runs")])
    status = QueueStatus([process], [], {}, 3, 0, None, [Pause(None, "acme", 0)], {"greet": 1}, {})
    ledger = LedgerStatus("ledger.db", made=True, trouble=None)
    written = status_json(Seen(status, schedules, 0, timedelta(seconds=60), ledger))
    assert shape(described) == shape(written)


def shape(value: object) -> object:
    """Give the keys of JSON values, in their order, without what stands there."""
    match value:
        case dict():
            return [(key, shape(one)) for key, one in value.items()]
        case list():
            return [shape(one) for one in value]
        case _:
            return None


@pytest.mark.parametrize("name", [name for name, found in vars(errors).items() if isinstance(found, type)])
def test_every_error_is_described(name: str) -> None:
    assert f"| `{name}`" in (REFERENCE / "errors.md").read_text(encoding="utf-8")
