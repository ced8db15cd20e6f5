"""The output of jobs as a terminal or a page may have it: it is the jobs' own, and may hold anything."""

from __future__ import annotations

import re

from pinstripe.views.text import visible

_STYLES = re.compile(r"(\x1b\[[0-9;:]*m)")


def harmless(text: str) -> str:
    """Give jobs' output as a terminal may get it: colours stay, and end with their line; other controls are escaped.

    Of a line that was overwritten by carriage returns, as progress bars do, the last state stays.
    """
    if text.replace("\n", "").isprintable():
        return text
    return "".join(f"{_harmless_line(line)}\n" for line in text.split("\n")[:-1]) + _harmless_line(
        text.rpartition("\n")[2]
    )


def plain(text: str) -> str:
    """Give jobs' output as a page may get it: as `harmless`, without colours."""
    return _STYLES.sub("", harmless(text))


def _harmless_line(line: str) -> str:
    last = line.rstrip("\r").rpartition("\r")[2]
    if last.isprintable():
        return last
    parts = _STYLES.split(last)  # every second part is a style
    shown = "".join(
        part if number % 2 else "\t".join(map(visible, part.split("\t"))) for number, part in enumerate(parts)
    )
    return f"{shown}\x1b[0m" if len(parts) > 1 else shown
