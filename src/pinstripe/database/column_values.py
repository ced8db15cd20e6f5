"""Where a Python value stands among the values that a column of the database can hold.

A comparison is exact in Python and must be so in SQL, where a value may not fit: 2.5 among whole numbers, ten to the
hundredth among 64-bit ones, a tenth among binary fractions, a text with a NUL on PostgreSQL. Such a value is equal to
none, and stands just below the smallest value that the column can hold above it: which is what is asked for instead.
"""

from __future__ import annotations

import math
import re
import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import MAX_PREC, Context, Decimal
from fractions import Fraction
from numbers import Number
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Float, Integer, Numeric, String, Time, TypeDecorator, Uuid
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import DOMAIN

from pinstripe.database.internals import variant_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.types import TypeEngine

SMALLEST, LARGEST = -(2**63), 2**63 - 1
"""The whole numbers that both databases can hold."""

SCALE = 10
"""How many digits after the point SQLAlchemy gives a `Decimal` that SQLite keeps as a float, if no column says so."""

_DIGITS_BEFORE, _DIGITS_AFTER = 131_072, 16_383
"""How many digits a `numeric` of PostgreSQL can have before the point, and after it."""

_NOT_TEXT: Mapping[str, re.Pattern[str]] = {
    "sqlite": re.compile("[\ud800-\udfff]"),
    "postgresql": re.compile("[\0\ud800-\udfff]"),
}

SAMPLES: Mapping[type, object] = {
    bool: False,
    int: 0,
    float: 0.0,
    Decimal: Decimal(0),
    str: "",
    date: date(2000, 1, 1),
    time: time(0),
    timedelta: timedelta(0),
    UUID: UUID(int=0),
    bytes: b"",
}
"""A value of each kind that a column can be compared by; a datetime's depends on its zone."""


class Bound(NamedTuple):
    """Where a value stands in a column: `first` to `last` are the forms in which the column keeps it (often but one).

    With `exact` false the column can't hold it, and `first` is the smallest that the column can hold above it; None
    where there is nothing above.
    """

    first: Any
    last: Any
    exact: bool = True


def plain_type(kind: TypeEngine[Any], dialect: str) -> TypeEngine[Any]:
    """Give the type that a column has on the dialect; of a domain of PostgreSQL, that which it is made of."""
    kind = variant_of(kind, dialect)
    while isinstance(kind, DOMAIN):
        kind = kind.data_type
    return kind


def kept_type(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """Give the type that the database has for one of an author's own."""
    while isinstance(kind, TypeDecorator):
        kind = kind.impl_instance
    return kind


def python_type(kind: TypeEngine[Any]) -> type:
    """Give the type of the column's values in Python; `object` where it isn't known."""
    own = kind.python_type
    return kept_type(kind).python_type if own is object else own


def bound_type(kind: TypeEngine[Any], dialect: str) -> TypeEngine[Any]:
    """Give the type by which values are handed over that are compared with a column of the type `kind`."""
    if isinstance(kind, TypeDecorator):
        return kind
    if isinstance(kind, Integer):
        return BigInteger()  # as wide as it gets: SQL compares whole numbers of different width exactly
    if isinstance(kind, Float) or (isinstance(kind, Numeric) and dialect == "sqlite"):
        return Float()
    if isinstance(kind, Numeric):
        return Numeric()
    if isinstance(kind, String) or (dialect == "sqlite" and isinstance(kind, DateTime | Time)):
        return String()
    return kind


def find_bound(value: Any, kind: TypeEngine[Any], dialect: str) -> Bound:
    """Tell where `value`, which is of the kind that a column of the type `kind` holds, stands in that column."""
    if isinstance(kind, TypeDecorator):
        return Bound(value, value)  # the author's own type knows how its values are kept
    if isinstance(kind, Integer | Numeric | Float):
        return _number(value, kind, dialect)
    if isinstance(value, str):
        return _text(str.__str__(value), dialect) if isinstance(kind, String) else _uuid_text(value, kind)
    if isinstance(value, datetime):
        return _datetime(value, kind, dialect)
    if isinstance(value, time) and dialect == "sqlite":
        return _forms(value, kind, value.isoformat(), value.isoformat("microseconds"))
    return Bound(value, value)


def find_loose_bound(value: Any) -> Bound:
    """Tell where a value stands in a column of SQLite that may hold any: whole numbers beside fractions, or bytes."""
    value = _real(value) if isinstance(value, Number) else value
    if value is None:
        return Bound(None, None, exact=False)
    if not isinstance(value, Number):
        return Bound(value, value)
    whole, fraction = _whole(value), _float(value)
    if whole.exact or fraction.exact:
        return whole if whole.exact else fraction
    return fraction if whole.first is None or fraction.first < whole.first else whole


def is_uuid_text(kind: TypeEngine[Any]) -> bool:
    """Tell whether a column of this type gives UUIDs, as text."""
    return isinstance(kind, Uuid) and kind.python_type is str


def fits_text(text: str, dialect: str) -> bool:
    """Tell whether the database can hold the text at all."""
    return not _NOT_TEXT[dialect].search(text)


def after_prefix(prefix: str) -> str | None:
    """Give the smallest text above all that begin with `prefix`; None where there is none."""
    rest = prefix.rstrip(chr(sys.maxunicode))
    if not rest:
        return None
    following = ord(rest[-1]) + 1
    return rest[:-1] + chr(0xE000 if following == 0xD800 else following)  # noqa: PLR2004 - surrogates aren't characters


def _text(text: str, dialect: str) -> Bound:
    unfit = _NOT_TEXT[dialect].search(text)
    if not unfit:
        return Bound(text, text)
    above = text[: unfit.start()] + ("\x01" if unfit[0] == "\0" else "\ue000")
    return Bound(above, above, exact=False)


def _uuid_text(value: str, kind: TypeEngine[Any]) -> Bound:
    """Find the text of a UUID in a column that gives its UUIDs as text: only as it gives them."""
    try:
        exact = not isinstance(kind, Uuid) or str(UUID(value)) == value
    except ValueError:
        exact = False
    return Bound(value, value, exact=exact)


def _datetime(value: datetime, kind: TypeEngine[Any], dialect: str) -> Bound:
    if value.tzinfo is not None:
        try:
            value = value.astimezone(UTC)
        except OverflowError:  # in UTC it is before the first year, or after the last
            early = datetime.min.replace(tzinfo=UTC)
            if value.year > 1:
                return Bound(None, None, exact=False)
            return find_bound(early, kind, dialect)._replace(exact=False)
    if dialect != "sqlite":
        return Bound(value, value)
    value = value.replace(tzinfo=None)
    return _forms(value, kind, value.isoformat(" "), value.isoformat(" ", "microseconds"))


def _forms(value: datetime | time, kind: TypeEngine[Any], short: str, full: str) -> Bound:
    """Give the forms of a moment in SQLite: SQLAlchemy's own, and the shorter one of `current_timestamp`."""
    dialect = sqlite.dialect()
    write = kind.dialect_impl(dialect).bind_processor(dialect)
    kept = write(value) if write else full
    return Bound(short, full) if kept == full else Bound(kept, kept)


def _number(value: Any, kind: TypeEngine[Any], dialect: str) -> Bound:
    value = _real(value)
    if value is None:
        return Bound(None, None, exact=False)
    if isinstance(kind, Integer):
        return _whole(value)
    if isinstance(kind, Float):
        return _float(value)
    if dialect == "sqlite":
        return _as_sqlite_keeps_it(value, kind) if kind.python_type is Decimal else _float(value)
    if kind.python_type is float and not isinstance(value, int):
        value = Decimal(repr(float(value)))  # the column gives floats: a tenth is then the decimal one
    return _decimal(value)


def _real(value: Any) -> Any:
    """Give a number as one of Python's own; None for what is equal to no real one, a complex number."""
    if isinstance(value, bool | int):
        return int(value)
    if isinstance(value, complex):
        return None if value.imag else value.real
    if isinstance(value, Decimal) and value and value.is_finite():
        sign = -1 if value < 0 else 1
        if value.adjusted() > 2 * _DIGITS_BEFORE:  # far beyond what any column holds, and too long to calculate with
            return sign * Fraction(10 ** (2 * _DIGITS_BEFORE))
        if value.adjusted() < -2 * _DIGITS_AFTER:
            return sign * Fraction(1, 10 ** (2 * _DIGITS_AFTER))
    return value


def _is_infinite(value: Any) -> bool:
    return isinstance(value, float | Decimal) and math.isinf(value)


def _whole(value: Any) -> Bound:
    if _is_infinite(value):
        above = SMALLEST if value < 0 else None
        return Bound(above, above, exact=False)
    exact = Fraction(value)
    above = max(math.ceil(exact), SMALLEST)
    if above > LARGEST:
        return Bound(None, None, exact=False)
    return Bound(above, above, exact=above == exact)


def _float(value: Any) -> Bound:
    if _is_infinite(value):
        return Bound(float(value), float(value))
    exact = Fraction(value)
    try:
        near = float(exact)
    except OverflowError:
        near = math.inf if exact > 0 else -math.inf
    if math.isfinite(near) and Fraction(near) == exact:
        return Bound(near, near)
    if near == -math.inf or (math.isfinite(near) and Fraction(near) < exact):
        near = math.nextafter(near, math.inf)
    return Bound(near, near, exact=False)


def _as_sqlite_keeps_it(value: Any, kind: Any) -> Bound:
    """Find a number in a column that keeps decimals as floats, and gives them rounded to its digits after the point."""
    if _is_infinite(value):
        return Bound(float(value), float(value))
    scale = next((one for one in (kind.decimal_return_scale, kind.scale) if one is not None), SCALE)
    above = _at_scale(value, scale)
    try:
        near = float(above.first)
    except OverflowError:
        near = math.inf if above.first > 0 else -math.inf
    return Bound(near, near, exact=above.exact and math.isfinite(near))


def _decimal(value: Any) -> Bound:
    if _is_infinite(value):
        return Bound(Decimal(value), Decimal(value))
    if isinstance(value, int | float | Decimal):
        value = Decimal(value)
        if value and value.adjusted() >= _DIGITS_BEFORE:
            above = Decimal(-1).scaleb(_DIGITS_BEFORE - 1) if value < 0 else None
            return Bound(above, above, exact=False)
        if value.as_tuple().exponent >= -_DIGITS_AFTER:
            return Bound(value, value)
    return _at_scale(value, _DIGITS_AFTER)


def _at_scale(value: Any, scale: int) -> Bound:
    scaled = Fraction(value) * 10**scale
    number = math.ceil(scaled)
    above = Decimal(number).scaleb(-scale, Context(prec=MAX_PREC))
    return Bound(above, above, exact=number == scaled)
