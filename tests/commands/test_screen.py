from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
import pytest

from pinstripe.commands import screen
from pinstripe.run import Counts, Run, RunStatus, Trigger

if TYPE_CHECKING:
    from tests.commands.conftest import Command
    from tests.conftest import ProjectFolder


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    lines = list(screen.table(["A", "LONG"], [["wide", "1"], ["x", "2"]]))
    assert lines[1:] == ["wide  1", "x     2"]
    assert "A     LONG" in lines[0]


def test_json_is_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    screen.write_json({"id": "zürich\x9b\udce9"})
    out = capsys.readouterr().out
    assert out.isascii()
    assert json.loads(out) == {"id": "zürich\x9b\udce9"}


@pytest.mark.parametrize(
    "words",
    [
        ["list-tenants"],
        ["list-background-jobs"],
        ["check"],
        ["run-background-job", "noisy", "--dry-run"],
    ],
)
def test_what_the_project_prints_is_no_part_of_the_answer(
    shop: ProjectFolder, process: Command, words: list[str]
) -> None:
    shop.configure("setup = 'shop:setup'\ntenants.source = 'shop:tenants'")
    shop.file("shop.py", "def setup():\n    print('set up')\n\ndef tenants():\n    print('asked')\n    return ['acme']")
    shop.job(
        "noisy",
        """
        from pinstripe import BackgroundJob
        print("imported")
        class Noisy(BackgroundJob):
            multi_tenant = True
            async def run(self): ...
        """,
    )
    answer = process(*words, "--json")
    assert isinstance(answer.json, (dict, list))
    assert "set up\n" in answer.err
    quiet = process(*words)
    assert not {"set up", "imported", "asked"} & set(quiet.out.splitlines())


def test_counts_are_in_the_colours_of_their_statuses() -> None:
    run = Run("1", "a", RunStatus.FAILED, Trigger.CLI, (), {}, datetime(2026, 11, 21, tzinfo=UTC))
    assert screen.tally(Counts(total=2, failed=2)) == f"{click.style('2 failed', fg='red')} of 2"
    assert screen.tally_of(run) == "nothing of 0"
