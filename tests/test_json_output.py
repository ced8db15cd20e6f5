"""What is printed in a process that writes JSON is lines of JSON, and it can be put back as it was."""

# ruff: noqa: T201 - what is printed is what is told

from __future__ import annotations

import io
import json
import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.json_output import MAX_UNFINISHED, JSONOutput, as_said, install, installed, show_line
from pinstripe.redaction import Mask

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def writing() -> Iterator[io.StringIO]:
    """Have standard error be in memory, and JSON, inside a test: pytest puts streams of its own before it."""
    with pytest.MonkeyPatch.context() as patch:
        stream = io.StringIO()
        patch.setattr("sys.stderr", stream)
        patch.setattr("sys.stdout", io.StringIO())
        patch.setattr("logging.root.handlers", [])
        output = install()
        yield stream
        output.remove()
        assert sys.stderr is stream
        assert installed() is None


def told(terminal: io.StringIO) -> list[tuple[str, str, str]]:
    read: list[dict[str, Any]] = [json.loads(line) for line in terminal.getvalue().splitlines()]
    return [(line["level"], line["logger"], line["message"]) for line in read]


def test_each_line_is_one_with_its_level() -> None:
    with writing() as terminal:
        print("one\ntwo")
        print("three\n\nWarning: four\nError: five", file=sys.stderr)
        assert told(terminal) == [
            ("INFO", "stdout", "one"),
            ("INFO", "stdout", "two"),
            ("WARNING", "stderr", "three"),
            ("WARNING", "stderr", "four"),
            ("ERROR", "stderr", "five"),
        ]


def test_a_line_is_told_once_it_is_whole_or_too_long_to_wait_for() -> None:
    with writing() as terminal:
        sys.stdout.write("o")
        sys.stdout.buffer.write(b"n\xff")
        sys.stdout.flush()
        assert told(terminal) == []
        print("e")
        sys.stdout.writelines(["a" * MAX_UNFINISHED, "b"])
        (first, second) = told(terminal)
        assert first == ("INFO", "stdout", "on\N{REPLACEMENT CHARACTER}e")
        assert second[2].startswith("aaa")


def test_what_is_an_object_already_is_passed_on() -> None:
    with writing() as terminal:
        print('{"event": "ours"}')
        print("{not quite}\n[1]")
        first, second, third = terminal.getvalue().splitlines()
        assert first == '{"event": "ours"}'
        assert [json.loads(line)["message"] for line in (second, third)] == ["{not quite}", "[1]"]


def test_it_is_no_terminal_and_takes_text_alone() -> None:
    with writing() as terminal:
        assert not sys.stdout.isatty()
        assert (sys.stdout.encoding, sys.stdout.errors, sys.stdout.writable()) == ("utf-8", "replace", True)
        assert sys.stdout.name == "<stdout>"
        sys.stdout.reconfigure(errors="strict")  # type: ignore[union-attr]
        with pytest.raises(TypeError, match="must be str, not bytes"):
            sys.stdout.write(b"no")  # type: ignore[arg-type]
        sys.stdout.close()
        print("still open")
        assert len(told(terminal)) == 1


def test_log_records_are_shown_unless_the_application_does_that() -> None:
    with writing() as terminal:
        install().settle()
        logging.getLogger("shop").warning("hello")
        assert told(terminal) == [("WARNING", "shop", "hello")]


def test_handlers_of_the_application_s_write_to_the_terminal() -> None:
    with writing() as terminal:
        logging.basicConfig(format="%(message)s")
        try:
            install().settle()
            logging.getLogger("shop").warning("as ever")
        finally:
            logging.root.handlers.clear()
        assert terminal.getvalue() == "as ever\n"


def test_a_sentence_of_a_signal_s_handler_is_a_line() -> None:
    with writing():
        line = as_said("Stopping.\n")
        assert line.endswith(b"}\n")
        assert (json.loads(line)["level"], json.loads(line)["message"]) == ("INFO", "Stopping.")


def test_without_it_a_sentence_is_as_it_is() -> None:
    assert installed() is None
    assert as_said("Stopping.\n") == b"Stopping.\n"
    show_line(b"{}", None)


def test_lines_of_another_process_are_shown_without_what_nobody_is_shown() -> None:
    with writing() as terminal:
        show_line(b'{"message": "open-sesame"}', Mask(["open-sesame"]))
        show_line(b'{"message": "open-sesame"}', None)
        show_line(b"nothing", Mask(["open-sesame"]))
        assert terminal.getvalue() == '{"message": "***"}\n{"message": "open-sesame"}\n'


def test_a_terminal_that_is_gone_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    output = JSONOutput()
    stream.close()
    output.write("{}")
