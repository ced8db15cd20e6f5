from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.run import Counts, Run, RunStatus, Trigger
from pinstripe.views import text as texts


@given(st.text())
def test_nothing_visible_controls_a_terminal(text: str) -> None:
    shown = texts.visible(text)
    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@given(st.text(alphabet=st.characters(categories=("L", "N", "P", "S"))))
def test_what_is_harmless_stays_as_it_is(text: str) -> None:
    assert texts.visible(text) == text


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
    assert texts.visible(text) == shown


def test_a_value_is_written_as_json_with_its_letters_as_they_are() -> None:
    assert texts.as_json_line({"city": "zürich 東京"}) == '{"city": "zürich 東京"}'
    assert texts.as_json_line("\x1b[31mred\u202e") == r'"\u001b[31mred\u202e"'


def test_lines_stay_lines() -> None:
    assert texts.visible_lines("a\n\tb\x1b[2J\r\nc") == "a\n    b\\x1b[2J\nc"


@pytest.mark.parametrize(
    ("text", "line"), [("short", "short"), ("one\ntwo", "one…"), ("x" * 11, "x" * 9 + "…"), ("\n  trimmed ", "trimmed")]
)
def test_one_line_tells_that_there_is_more(text: str, line: str) -> None:
    assert texts.one_line(text, 10) == line


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 ms"), (0.0404, "40 ms"), (3.21, "3.2 s"), (59.96, "1 min 0 s"), (125, "2 min 5 s"), (3_840, "1 h 4 min")],
)
def test_spans_are_written_for_people(seconds: float, text: str) -> None:
    assert texts.span(seconds) == text


def test_times_counts_and_statuses() -> None:
    began = datetime(2026, 11, 21, 20, tzinfo=UTC)
    run = Run("0199-1234567890", "a", RunStatus.FAILED, Trigger.CLI, (), {}, began)
    assert (texts.moment(None), texts.moment(began), texts.took(run)) == ("-", "2026-11-21 20:00:00Z", None)
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
    assert texts.took(ended) == "2.0 s"
    assert texts.short(run.id) == "34567890"
    assert "1,999 succeeded" in texts.tally(Counts(total=2_000, succeeded=1_999, failed=1))
    assert texts.tally(Counts()) == "nothing of 0"


def test_arguments_are_written_as_in_a_call() -> None:
    assert texts.as_call(("weekly", 1), {"when": None}) == '"weekly", 1, when=null'


def test_each_part_of_a_tally_can_be_painted() -> None:
    painted = texts.tally(Counts(total=3, succeeded=2, failed=1), lambda status, words: f"<{status[0]}>{words}</>")
    assert painted == "<s>2 succeeded</>, <f>1 failed</> of 3"
