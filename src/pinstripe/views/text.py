"""How things are written for people, on a terminal as on a page: text from outside made visible, times, spans, counts.

Nothing here knows of colours or of HTML.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from pinstripe.run import Counts, Run
    from pinstripe.schedule import Schedule

SHORT_ID = 8
"""How many of a run id's last characters name it to people: 32 of its random bits."""

WIDEST_CELL = 200
"""How many characters of an error stand in a table; one execution by itself has all of it."""

SPACES = " \u00a0\u202f\u3000"
"""The spaces that are shown as they are."""


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
    """Give the end of a run's id that names it to people."""
    return run_id[-SHORT_ID:]


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


def tally(counts: Counts, paint: Callable[[str, str], str] = lambda _, text: text) -> str:
    """Write a run's counts, those that are not zero: `199 succeeded, 1 failed of 200`.

    `paint` gives each part its colour: it is called with the status and with the text about it.
    """
    parts = [
        paint(name, f"{number:,} {name}")
        for name in ("succeeded", "failed", "cancelled", "skipped", "running", "queued")
        if (number := getattr(counts, name))
    ]
    return f"{', '.join(parts) or 'nothing'} of {counts.total:,}"


def tally_of(run: Run, paint: Callable[[str, str], str] = lambda _, text: text) -> str:
    """Write a run's counts, and that its tenants are still being selected; `paint` is as in `tally`."""
    if not run.selecting:
        return tally(run.executions, paint)
    return "selecting tenants" if not run.executions.total else f"{tally(run.executions, paint)}, selecting tenants"


def tally_in_short(run: Run) -> str:
    """Write a run's counts as `200`, or `200: 1 failed, 3 skipped`; of a run that selects, those so far."""
    counts = run.executions
    if run.selecting:
        return f"{counts.total:,}, selecting" if counts.total else "selecting"
    others = [
        f"{number:,} {name}"
        for name in ("failed", "cancelled", "skipped", "running", "queued")
        if (number := getattr(counts, name))
    ]
    return f"{counts.total:,}" + (f": {', '.join(others)}" if others else "")


def as_json_line(value: Any) -> str:
    """Write a value as JSON for a reader: letters of any script as they are, and the rest made `visible`."""
    import json

    return visible(json.dumps(value, ensure_ascii=False))


def as_call(args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Write arguments as they stand in a call, each as JSON: `"weekly", minutes=5`."""
    named = (f"{visible(name)}={as_json_line(value)}" for name, value in kwargs.items())
    return ", ".join([*map(as_json_line, args), *named])


def arguments_of(schedule: Schedule) -> str:
    """Write the arguments of a schedule's runs as they stand in a call."""
    return as_call(*schedule.shown())
