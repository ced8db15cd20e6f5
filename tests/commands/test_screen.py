from __future__ import annotations

import json
import os
import shlex
import subprocess
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.commands import screen
from pinstripe.run import Counts, Run, RunStatus, Trigger

if TYPE_CHECKING:
    from tests.commands.conftest import Command
    from tests.conftest import ProjectFolder


@given(st.text())
def test_nothing_visible_controls_a_terminal(text: str) -> None:
    shown = screen.visible(text)
    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@given(st.text(alphabet=st.characters(categories=("L", "N", "P", "S"))))
def test_what_is_harmless_stays_as_it_is(text: str) -> None:
    assert screen.visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("zürich 東京", "zürich 東京"),
        ("10\u202f000", "10\u202f000"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x9b31m", r"\x9b31m"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\u202eevil", r"\u202eevil"),
        ("\udce9", r"\udce9"),
    ],
)
def test_controls_are_shown_as_their_escapes(text: str, shown: str) -> None:
    assert screen.visible(text) == shown


def test_a_value_is_written_as_json_with_its_letters_as_they_are() -> None:
    assert screen.as_json_line({"city": "zürich 東京"}) == '{"city": "zürich 東京"}'
    assert screen.as_json_line("\x1b[31mred\u202e") == r'"\u001b[31mred\u202e"'


def test_lines_stay_lines() -> None:
    assert screen.visible_lines("a\n\tb\x1b[2J\r\nc") == "a\n    b\\x1b[2J\nc"


@pytest.mark.parametrize(
    ("text", "line"), [("short", "short"), ("one\ntwo", "one…"), ("x" * 11, "x" * 9 + "…"), ("\n  trimmed ", "trimmed")]
)
def test_one_line_tells_that_there_is_more(text: str, line: str) -> None:
    assert screen.one_line(text, 10) == line


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 ms"), (0.0404, "40 ms"), (3.21, "3.2 s"), (59.96, "1 min 0 s"), (125, "2 min 5 s"), (3_840, "1 h 4 min")],
)
def test_spans_are_written_for_people(seconds: float, text: str) -> None:
    assert screen.span(seconds) == text


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


def test_times_counts_and_statuses() -> None:
    began = datetime(2026, 11, 21, 20, tzinfo=UTC)
    run = Run("0199-1234567890", "a", RunStatus.FAILED, Trigger.CLI, (), {}, began)
    assert (screen.moment(None), screen.moment(began), screen.took(run)) == ("-", "2026-11-21 20:00:00Z", None)
    ended = Run(
        "1",
        "a",
        RunStatus.FAILED,
        Trigger.CLI,
        (),
        {},
        began,
        started_at=began,
        finished_at=began + timedelta(seconds=2),
    )
    assert screen.took(ended) == "2.0 s"
    assert screen.short(run.id) == "34567890"
    assert "1,999 succeeded" in screen.tally(Counts(total=2_000, succeeded=1_999, failed=1))
    assert screen.tally(Counts()) == "nothing of 0"


def test_commands_can_be_copied_into_a_shell() -> None:
    line = screen.command_line("show-run", "x", "--tenant", "it's; rm", project="/a b")
    assert shlex.split(line) == ["pinstripe", "show-run", "x", "--tenant", "it's; rm", "--project", "/a b"]


@pytest.mark.parametrize(
    "word", ["a\x1b[31mb", "it's\n\\2", "\x851", "\u202ea'b", "\xa0", "plain", "é", "a b", "\udcff9", "\U000e0001"]
)
def test_a_word_for_a_shell_is_harmless_on_a_screen_and_the_same_in_a_shell(word: str) -> None:
    written = screen.shell_word(word)
    assert written.isprintable()
    answer = subprocess.run(
        ["bash", "-c", f"printf %s {written}"],
        capture_output=True,
        check=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    assert os.fsdecode(answer.stdout) == word
