"""How things are written for people: ids and messages from outside made harmless, tables, times, statuses in colour."""

from __future__ import annotations

import sys
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any, TextIO

import click

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
    from datetime import datetime

    from pinstripe.run import Counts, Run
    from pinstripe.schedule import Schedule

SHORT_ID = 8
"""How many of a run id's last characters name it on a screen: 32 of its random bits."""

SHOWN_FAILURES = 20
"""How many failures stand in a summary; `show-run` has the others."""

WIDEST_CELL = 200
"""How many characters of an error stand in a table; `show-run --tenant` has all of it."""

SPACES = " \u00a0\u202f\u3000"

COLOURS: Mapping[str, str] = {
    "succeeded": "green",
    "failed": "red",
    "cancelled": "yellow",
    "skipped": "yellow",
    "running": "cyan",
    "queued": "cyan",
}


def visible(text: str) -> str:
    """Give `text` with every control, formatting and unpaired surrogate character written as its escape.

    So an id or a message from outside can't move the cursor, colour the screen or turn the line around.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character in SPACES else character.encode("unicode_escape").decode()
        for character in text
    )


def visible_lines(text: str) -> str:
    """Give a text of several lines with each line made `visible`; tabs become spaces."""
    return "\n".join(visible(line) for line in text.expandtabs(4).splitlines())


def one_line(text: str, width: int = WIDEST_CELL) -> str:
    """Give the first line of `text`, made `visible` and cut to `width` characters; an ellipsis tells of more."""
    first, _, rest = text.strip().partition("\n")
    shown = visible(first[: width + 1].rstrip("\r"))
    return shown if len(shown) <= width and not rest else f"{shown[: width - 1].rstrip()}…"


def short(run_id: str) -> str:
    """Give the end of a run's id that names it on a screen."""
    return run_id[-SHORT_ID:]


def styled_status(status: str, text: str | None = None) -> str:
    """Give a status, or the `text` about it, in the status's colour, which `click.echo` drops without a terminal."""
    return click.style(text or status, fg=COLOURS.get(status))


def moment(at: datetime | None) -> str:
    """Write a time as `2026-11-21 20:00:00Z`; "-" for none."""
    return "-" if at is None else f"{at:%Y-%m-%d %H:%M:%S}Z"


def span(seconds: float) -> str:
    """Write a time span, given in seconds, as `40 ms`, `3.2 s`, `2 min 5 s` or `1 h 4 min`."""
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    if seconds < 59.95:  # noqa: PLR2004 - what rounds to 60.0
        return f"{seconds:.1f} s"
    minutes, whole = divmod(round(seconds), 60)
    return f"{minutes} min {whole} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"  # noqa: PLR2004


def took(run: Run) -> str | None:
    """Write how long a finished run took; None for one that isn't finished or never started."""
    if run.finished_at is None:
        return None
    return span((run.finished_at - (run.started_at or run.created_at)).total_seconds())


def tally(counts: Counts) -> str:
    """Write a run's counts, those that are not zero: `199 succeeded, 1 failed of 200`."""
    parts = [
        styled_status(name, f"{number:,} {name}")
        for name in ("succeeded", "failed", "cancelled", "skipped", "running", "queued")
        if (number := getattr(counts, name))
    ]
    return f"{', '.join(parts) or 'nothing'} of {counts.total:,}"


def tally_of(run: Run) -> str:
    """Write a run's counts, and that its tenants are still being selected."""
    if not run.selecting:
        return tally(run.executions)
    return "selecting tenants" if not run.executions.total else f"{tally(run.executions)}, selecting tenants"


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


def as_json_line(value: Any) -> str:
    """Write a value as JSON for a reader: letters of any script as they are, and the rest made `visible`."""
    import json

    return visible(json.dumps(value, ensure_ascii=False))


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


def command_line(*words: str, project: str | None) -> str:
    """Write a command for copying into a shell; `project` is what `--project` was given, if anything."""
    return " ".join(map(shell_word, ["pinstripe", *words, *(["--project", project] if project else [])]))


def shell_word(text: str) -> str:
    """Write a word for copying into a shell; one with control characters as `$'…'`, as bash, ksh and zsh read it."""
    import shlex

    if text.isprintable():
        return shlex.quote(text)
    return f"$'{''.join(map(_shell_character, text))}'"


def _shell_character(character: str) -> str:
    if character in "'\\":
        return f"\\{character}"
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # noqa: PLR2004 - a byte that isn't UTF-8, as PEP 383 writes it
        return f"\\{code - 0xDC00:03o}"
    return f"\\{code:03o}" if code < 0x80 else f"\\U{code:08x}"  # noqa: PLR2004 - octal is a byte, not a character


def arguments_of(schedule: Schedule) -> str:
    """Write the arguments of a schedule's runs as they stand in a call."""
    named = (f"{visible(name)}={as_json_line(value)}" for name, value in schedule.kwargs.items())
    return ", ".join([*map(as_json_line, schedule.args), *named])
