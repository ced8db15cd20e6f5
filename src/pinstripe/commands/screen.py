"""How things are written on a terminal: statuses in colour, tables, and JSON for programs."""

from __future__ import annotations

import sys
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any, TextIO

import click

from pinstripe.views import text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from pinstripe.run import Counts, Run

SHOWN_FAILURES = 20
"""How many failures stand in a summary; `show-run` has the others."""

COLOURS: Mapping[str, str] = {
    "succeeded": "green",
    "failed": "red",
    "cancelled": "yellow",
    "skipped": "yellow",
    "running": "cyan",
    "queued": "cyan",
}


def styled_status(status: str, words: str | None = None) -> str:
    """Give a status, or the `words` about it, in the status's colour, which `click.echo` drops without a terminal."""
    return click.style(words or status, fg=COLOURS.get(status))


def tally(counts: Counts) -> str:
    """Write a run's counts in colour, those that are not zero: `199 succeeded, 1 failed of 200`."""
    return text.tally(counts, styled_status)


def tally_of(run: Run) -> str:
    """Write a run's counts in colour, and that its tenants are still being selected."""
    return text.tally_of(run, styled_status)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, indent: str = "") -> Iterator[str]:
    """Give the lines of a table whose columns are as wide as their widest cell; the last column is not padded."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    for number, row in enumerate([headings, *rows]):
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        line = indent + "  ".join([*cells, row[-1]]).rstrip()
        yield click.style(line, dim=True) if number == 0 else line


@contextmanager
def aside() -> Iterator[TextIO]:
    """Send what the project's code prints meanwhile to standard error; give standard output, for the answer alone."""
    answer = sys.stdout
    with redirect_stdout(sys.stderr):
        yield answer


def write_json(value: Any, answer: TextIO | None = None) -> None:
    """Print one JSON value on standard output, in ASCII: no terminal can be misled by it, and no encoding stops it."""
    import json

    (answer or sys.stdout).write(json.dumps(value, indent=2) + "\n")


async def write_json_array(values: AsyncIterator[Any], answer: TextIO) -> None:
    """Print a JSON array on standard output, each value as it comes."""
    import json

    before = "[\n  "
    async for value in values:
        answer.write(before + json.dumps(value))
        before = ",\n  "
    answer.write("[]\n" if before.startswith("[") else "\n]\n")
