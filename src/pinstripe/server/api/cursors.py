"""Cursors: where a page ends, as a text that says nothing to who carries it, and that goes with its own list alone."""

from __future__ import annotations

import base64
import binascii
import json
from hashlib import sha256
from typing import TYPE_CHECKING

from pinstripe.json_values import why_not_json

if TYPE_CHECKING:
    from collections.abc import Mapping

_CHECK = 9
"""Bytes of the check sum, which tells a cursor that was cut, changed, or is of another list."""

MAX_LENGTH = 4_000
"""How many characters a cursor may have."""

Position = int | str
"""Where a page ends, as `History` has it."""


class NotACursor(ValueError):
    """A text is none of this list's cursors."""


def write_cursor(position: Position, of: Mapping[str, object]) -> str:
    """Write a position in the list that was asked for by `of`."""
    body = json.dumps(position).encode()
    return base64.urlsafe_b64encode(_sum(body, of) + body).rstrip(b"=").decode()


def read_cursor(text: str, of: Mapping[str, object], kind: type[Position]) -> Position:
    """Read what `write_cursor` wrote for the same list, a position of that `kind`; raises `NotACursor`.

    That keeps nobody from making one: a cursor says only where to go on, and gives no right.
    """
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        position = json.loads(raw[_CHECK:])
    except (binascii.Error, ValueError, RecursionError) as error:
        raise NotACursor(text) from error
    if type(position) is not kind or raw[:_CHECK] != _sum(raw[_CHECK:], of):
        raise NotACursor(text)
    if write_cursor(position, of) != text or not _can_be_there(position):
        raise NotACursor(text)
    return position


def _can_be_there(position: Position) -> bool:
    """Tell whether a ledger can be asked for it: also what nobody wrote may have the right check sum."""
    return 0 <= position < 2**63 if isinstance(position, int) else why_not_json(position) is None


def _sum(body: bytes, of: Mapping[str, object]) -> bytes:
    asked = json.dumps(sorted((name, str(value)) for name, value in of.items() if value is not None))
    return sha256(body + b"\n" + asked.encode()).digest()[:_CHECK]
