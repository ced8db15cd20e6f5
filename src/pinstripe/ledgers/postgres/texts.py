"""What PostgreSQL can't keep in a text, replaced: NUL, and halves of surrogate pairs, which no UTF-8 has."""

from __future__ import annotations

from typing import overload

REPLACEMENT = "\ufffd"
"""What stands for a character that can't be kept: Unicode's own sign for that."""


@overload
def writable(text: str) -> str: ...


@overload
def writable(text: str | None) -> str | None: ...


def writable(text: str | None) -> str | None:
    """Give a text as PostgreSQL can keep it; None stays None."""
    if text is None:
        return None
    if "\0" in text:
        text = text.replace("\0", REPLACEMENT)
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return text
