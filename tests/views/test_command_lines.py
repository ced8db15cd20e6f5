from __future__ import annotations

import os
import shlex
import subprocess

import pytest

from pinstripe.views.command_lines import command_line, shell_word


def test_commands_can_be_copied_into_a_shell() -> None:
    line = command_line("show-run", "x", "--tenant", "it's; rm", project="/a b")
    assert shlex.split(line) == ["pinstripe", "show-run", "x", "--tenant", "it's; rm", "--project", "/a b"]


@pytest.mark.parametrize(
    "word", ["a\x1b[31mb", "it's\n\\2", "\x851", "\u202ea'b", "\xa0", "plain", "é", "a b", "\udcff9", "\U000e0001"]
)
def test_a_word_for_a_shell_is_harmless_on_a_screen_and_the_same_in_a_shell(word: str) -> None:
    written = shell_word(word)
    assert written.isprintable()
    answer = subprocess.run(
        ["bash", "-c", f"printf %s {written}"],
        capture_output=True,
        check=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    assert os.fsdecode(answer.stdout) == word
