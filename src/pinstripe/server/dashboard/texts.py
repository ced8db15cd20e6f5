"""How values are written on pages: whatever is in them is made harmless, and long ones are cut with a note."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from pinstripe.actor import Door
from pinstripe.clock import to_datetime
from pinstripe.views import text as words

if TYPE_CHECKING:
    from jinja2 import Environment

    from pinstripe.actor import Actor
    from pinstripe.run import Run

NOTHING = Markup('<span class="nothing">-</span>')
"""What stands where there is no value; in rows of a phone it is left out, with its heading."""

MAX_TEXT = 20_000
"""How many characters of one text stand on a page, unless a page says otherwise."""

_DOORS = {
    Door.CLI: "on the command line",
    Door.CODE: "from code",
    Door.API: "by the API",
    Door.DASHBOARD: "in the dashboard",
}
"""By which way somebody came in, in words."""

_DAYS = 48
"""From how many hours on a span is told in days."""


def visible(text: object) -> str:
    """Give a text with every control, formatting and unpaired surrogate character written as its escape."""
    return words.visible(str(text))


def lines(text: object, most: int = MAX_TEXT) -> Markup:
    """Give a text of several lines with each line made `visible`, cut to `most` characters, with a note of the rest."""
    text = str(text)
    shown = escape(words.visible_lines(text[:most]))
    return shown if len(text) <= most else Markup("{}…\n{}").format(shown, _note(len(text) - most))


def cut(text: object, most: int = 200) -> str:
    """Give a text in one line, made `visible` and cut to `most` characters, with a note of how many there are more.

    It has no markup, so that it may stand in an attribute too.
    """
    text = str(text)
    shown = words.visible(text[:most])
    return shown if len(text) <= most else f"{shown}… (and {len(text) - most:,} characters more)"


def breakable(text: object) -> Markup:
    """Let the line end in a job's name where a word of it does."""
    return Markup(re.sub("(?<=[/_])(?=[^/_])", "<wbr>", str(escape(visible(text)))))  # noqa: S704 - it is escaped


def first_line(text: object, most: int = words.WIDEST_CELL) -> str:
    """Give the first line of a text, made `visible` and cut to `most` characters; an ellipsis tells of more."""
    return words.one_line(str(text), most)


def exact(text: object) -> Markup:
    """Give a text as it is, for the value of a form's field: what is sent back is the same."""
    return escape(str(text))


def short(run: object) -> str:
    """Give the end of a run's id that names it."""
    return words.visible(words.short(str(run)))


def number(value: float) -> str:
    """Write a number with commas between thousands."""
    return f"{value:,}"


def counted(value: int, one: str, many: str | None = None) -> str:
    """Write how many there are of something: `1 run`, `2 runs`."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def moment(at: datetime | int | None) -> str:
    """Write a time, which scripts write in the reader's zone; an integer is in microseconds UTC."""
    if at is None:
        return NOTHING
    at = (to_datetime(at) if isinstance(at, int) else at).astimezone(UTC)
    text = words.moment(at)
    return Markup('<time datetime="{}" title="UTC {}">{}</time>').format(
        at.isoformat(timespec="milliseconds").replace("+00:00", "Z"), text, text
    )


def span(value: timedelta | float | None) -> str:
    """Write a time span, a number being seconds, as `40 ms`, `3.2 s`, `2 min 5 s`, `1 h 4 min` or `3 d 2 h`."""
    if value is None:
        return NOTHING
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    hours = int(seconds // 3600)
    return f"{hours // 24} d {hours % 24} h" if hours >= _DAYS else words.span(seconds)


def way(actor: Actor) -> str:
    """Write by which way somebody came in: `in the dashboard`."""
    return _DOORS.get(actor.door, str(actor.door))


def who(actor: Actor) -> str:
    """Write who did something, and by which way: `operator, in the dashboard`."""
    return f"{cut(actor.name, 80)}, {way(actor)}"


def took(run: Run) -> str:
    """Write how long a finished run took."""
    return words.took(run) or NOTHING


def finalize(value: Any) -> Any:
    """Make what a template writes harmless, unless it is markup of our own: some filters and all macros give that."""
    if isinstance(value, Markup):
        return value
    return words.visible(value) if isinstance(value, str) else value


def add_filters(environment: Environment) -> None:
    """Let templates write by these."""
    for write in (
        visible,
        lines,
        cut,
        breakable,
        first_line,
        exact,
        short,
        number,
        counted,
        moment,
        span,
        way,
        who,
        took,
    ):
        environment.filters[write.__name__] = write
    environment.filters["json_line"] = words.as_json_line
    environment.filters["call"] = lambda run: words.as_call(run[0], run[1])


def _note(more: int) -> Markup:
    return Markup('<span class="note">(and {:,} characters more)</span>').format(more)
