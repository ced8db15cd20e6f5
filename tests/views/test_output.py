from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.views.output import harmless, plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\nlines\n", "plain\nlines\n"),
        ("\x1b[31mred\x1b[0m\n", "\x1b[31mred\x1b[0m\x1b[0m\n"),
        ("\x1b[2Jgone\x07\n", "\\x1b[2Jgone\\x07\n"),
        ("\r 10 %\r 20 %\r\n", " 20 %\n"),
        ("a\tb\n", "a\tb\n"),
        ("\x1b]0;title\x07\n", "\\x1b]0;title\\x07\n"),
    ],
)
def test_output_keeps_its_colours_and_nothing_else(text: str, shown: str) -> None:
    assert harmless(text) == shown


@given(st.text())
def test_of_controls_only_colours_tabs_and_line_ends_are_left(text: str) -> None:
    rest = re.sub(r"\x1b\[[0-9;:]*m", "", harmless(text)).replace("\n", "").replace("\t", "")
    assert all(character.isprintable() or character in "\u00a0\u202f\u3000" for character in rest)


@given(st.text())
def test_a_page_gets_no_colours_either(text: str) -> None:
    assert "\x1b" not in plain(text)
    assert plain(f"\x1b[31m{'red'}\x1b[0m {text}").startswith("red" if "\r" not in text else "")
