"""Text in SQL as Python compares it: by code point, with regard to case, every character as itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import CHAR, LargeBinary, String, Text, and_, cast, false, func, literal
from sqlalchemy.dialects.postgresql import CITEXT

from pinstripe.database.column_values import after_prefix, fits_text, is_uuid_text

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.types import TypeEngine

UUID_PARTS = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
"""Where the parts of a UUID are in its 32 digits: the first one's number, and how many there are."""


def as_text(column: ColumnElement[Any], kind: TypeEngine[Any], dialect: str) -> ColumnElement[Any]:
    """Give the text that Python gets from the column."""
    if is_uuid_text(kind):
        if dialect == "postgresql":
            return cast(column, Text)
        digits = cast(column, Text)
        text, *others = (func.substr(digits, *part, type_=Text()).expression for part in UUID_PARTS)
        for other in others:
            text = text.concat("-").concat(other)
        return text
    if dialect == "postgresql" and isinstance(kind, CHAR):  # as text it would lose the blanks that it is filled up with
        return func.rpad(cast(column, Text), kind.length or 1)
    if dialect == "postgresql" and isinstance(kind, CITEXT):
        return cast(column, Text)
    if dialect == "postgresql" and isinstance(kind, String) and kind.collation:
        return column.collate("C")
    return column


def by_code_point(
    comparison: str, column: ColumnElement[Any], kind: TypeEngine[Any], dialect: str
) -> ColumnElement[Any]:
    """Give what compares as Python compares text, whatever collation the column has."""
    if is_uuid_text(kind) and comparison in ("", "ne"):
        return column
    if dialect == "postgresql" and comparison in ("", "ne"):
        # Nearly every collation tells texts apart as Python does; an index of the column's own collation then serves.
        return as_text(column, kind, dialect)
    return as_text(column, kind, dialect).collate("BINARY" if dialect == "sqlite" else "C")


def text_condition(comparison: str, text: ColumnElement[Any], value: str, dialect: str) -> ColumnElement[bool]:
    """Write that `text` (as `as_text` gives it) begins with, ends with or contains `value`."""
    if not fits_text(value, dialect):
        return false()
    if dialect == "postgresql":
        escaped = value.replace("/", "//").replace("%", "/%").replace("_", "/_")
        before, after = {"begins_with": ("", "%"), "ends_with": ("%", ""), "contains": ("%", "%")}[comparison]
        return text.like(literal(f"{before}{escaped}{after}", String()), escape="/")
    if not value:
        return text.is_not(None)
    if comparison == "contains":
        return func.instr(text, literal(value, String())) > 0
    # SQLite's LIKE ends at a NUL, and depends on a setting of the connection; a range uses an index too.
    if comparison == "begins_with":
        binary, above = text.collate("BINARY"), after_prefix(value)
        begins = binary >= literal(value, String())
        return begins if above is None else and_(begins, binary < literal(above, String()))
    ending = value.encode()
    return func.substr(cast(text, LargeBinary), -len(ending)) == literal(ending, LargeBinary())
