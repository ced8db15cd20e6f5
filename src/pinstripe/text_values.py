"""Values that came as text from the command line, read by the type of what they are compared with."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from enum import Enum
from functools import partial
from numbers import Number
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class TextValue(str):
    """A value that came as text, as the `5` of `--where seats__ge=5`; it is read by the type of the tenant's attribute.

    Exactly `null` stands for None, in every comparison but the three of text. (`none` doesn't: it is a likely name of a
    plan.) It is a `str`, so it goes through JSON as one, and must then be made a `TextValue` again.
    """

    __slots__ = ()

    @property
    def is_null(self) -> bool:
        """Whether it stands for None."""
        return str.__eq__(self, "null")

    def read_as(self, kind: type, *, aware: bool = False) -> Any:
        """Read the text as a value that can be compared with values of the type `kind`.

        - text: as it is; an `Enum`: by value or by name; a UUID in any form that `uuid.UUID` reads.
        - bool: `true`, `yes`, `1`, `false`, `no`, `0`; a number: as Python writes it, or `true` or `false` for an int,
          since SQLite keeps booleans so.
        - date, datetime, time: ISO 8601. With `aware` a datetime without an offset is UTC; else an offset is an error.

        Raises `ValueError` that tells what was expected.
        """
        expected, read = _reader(kind, aware=aware)
        try:
            return read(str.__str__(self))
        except (ValueError, KeyError, ArithmeticError):
            message = f"expected {expected}, got {str.__str__(self)!r}"
            raise ValueError(message) from None


def _reader(kind: type, *, aware: bool) -> tuple[str, Callable[[str], Any]]:
    """Give what is expected of a text for `kind`, in words, and what reads it."""
    if issubclass(kind, Enum):
        return f"one of {', '.join(str(one.value) for one in kind)}", partial(_enum, kind)
    for known, expected, read in _READERS:
        if issubclass(kind, known):
            return expected, read
    if issubclass(kind, Number):
        return "a number", partial(_number, kind)
    if issubclass(kind, datetime):
        zone = "" if aware else ", without an offset as the attribute is"
        return f"a time as 2026-11-21T20:00:00{zone}", partial(_datetime, aware=aware)
    if issubclass(kind, date):
        return "a date as 2026-11-21", date.fromisoformat
    return _rare_reader(kind)


def _rare_reader(kind: type) -> tuple[str, Callable[[str], Any]]:
    from uuid import UUID

    if issubclass(kind, UUID):
        return "a UUID", UUID
    return f"an attribute that text can be compared with, not a {kind.__name__}", _refuse


_READERS: tuple[tuple[type, str, Callable[[str], Any]], ...] = (
    (str, "text", str),
    (bool, "true, false, yes, no, 1 or 0", lambda text: _TRUTHS[text.lower()]),
    (time, "a time of day as 20:00", time.fromisoformat),
)


def _datetime(text: str, *, aware: bool) -> datetime:
    value = datetime.fromisoformat(text)
    if value.tzinfo is None:
        return value.replace(tzinfo=UTC) if aware else value
    return value if aware else _refuse(text)


def _enum(kind: type[Enum], text: str) -> Enum:
    for one in kind:
        if str(one.value) == text:
            return one
    return kind[text]


def _number(kind: type, text: str) -> object:
    if issubclass(kind, int):
        if text.lower() in ("true", "false"):
            return _TRUTHS[text.lower()]
        try:
            return int(text)
        except ValueError:
            pass  # seats__ge=2.5 is a fair question about whole numbers
    if issubclass(kind, float):
        value: Any = float(text)
    else:
        from decimal import Decimal

        value = Decimal(text)
    if value != value:  # noqa: PLR0124 - only a NaN differs from itself
        raise ValueError(text)
    return value


def _refuse(text: str) -> NoReturn:
    raise ValueError(text)
