"""One lookup as a condition on one column, which holds for exactly the rows that `comparisons.py` would take.

Where it can be, the column is compared as it is, without a function around it, so that its indexes serve.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from numbers import Number
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    JSON,
    Boolean,
    DateTime,
    Enum,
    Float,
    Numeric,
    String,
    Text,
    Time,
    TypeDecorator,
    all_,
    and_,
    any_,
    bindparam,
    cast,
    false,
    func,
    literal,
    or_,
    select,
    true,
)
from sqlalchemy.types import NullType

from pinstripe.comparisons import OPERATORS, TEXT_COMPARISONS, Checks, Lookup, TextValue
from pinstripe.database.column_values import (
    SAMPLES,
    Bound,
    bound_type,
    find_bound,
    find_loose_bound,
    is_uuid_text,
    kept_type,
    plain_type,
    python_type,
)
from pinstripe.database.text_conditions import as_text, by_code_point, text_condition
from pinstripe.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.types import TypeEngine

MANY = 5_000
"""From how many values a list is handed over as one parameter: databases limit how many a statement may have."""


def condition(lookup: Lookup, column: ColumnElement[Any], dialect: str) -> ColumnElement[bool]:
    """Write `lookup`, asked of `column` (a column or a class's attribute), for "sqlite" or "postgresql".

    Raises `ConfigurationError`, as `comparisons.py` words it, where the column can't be compared with the values.
    """
    asked = _Asked(column, plain_type(column.type, dialect), dialect)
    values = [value for value in lookup.values if value is not None]
    null = len(values) < len(lookup.values)
    if not values:
        holds = asked.present() if lookup.comparison == "ne" else false()
    elif isinstance(asked.kind, NullType):
        holds = _of_unknown_kind(lookup, values, asked)
    else:
        holds = _of_known_kind(lookup, values, asked)
    if not null or lookup.comparison == "ne":
        return holds
    return or_(asked.absent(), holds) if values else asked.absent()


class _Asked(NamedTuple):
    """The column that is asked, its type (of a domain: what it is made of), and the database's dialect."""

    column: ColumnElement[Any]
    kind: TypeEngine[Any]
    dialect: str

    @property
    def nan(self) -> ColumnElement[Any] | None:
        """The NaN that the column may have: PostgreSQL keeps it, above all numbers; SQLite keeps it as NULL."""
        if self.dialect == "sqlite" or not isinstance(self.kind, Float | Numeric):
            return None
        if isinstance(self.kind, Float):
            return literal(math.nan, Float())
        return literal(Decimal("NaN"), Numeric())

    def present(self) -> ColumnElement[bool]:
        """Say that there is a value, which a NaN isn't."""
        if self.nan is not None:
            return self.column < self.nan
        if isinstance(self.kind, JSON):
            return and_(self.column.is_not(None), cast(self.column, Text) != "null")
        return self.column.is_not(None)

    def absent(self) -> ColumnElement[bool]:
        """Say that there is none."""
        if self.nan is not None:
            return or_(self.column.is_(None), self.column == self.nan)
        if isinstance(self.kind, JSON):  # which keeps None as JSON's own null, if it isn't told otherwise
            return or_(self.column.is_(None), cast(self.column, Text) == "null")
        return self.column.is_(None)


def _of_known_kind(lookup: Lookup, values: list[Any], asked: _Asked) -> ColumnElement[bool]:
    kind, dialect = asked.kind, asked.dialect
    if isinstance(kind, Boolean | Enum):
        return _of_few(lookup, asked, kind)
    values = _checked(lookup, values, kind)
    text_kind = kept_type(kind)
    if lookup.comparison in TEXT_COMPARISONS:
        text = as_text(asked.column, text_kind, dialect)
        return or_(*(text_condition(lookup.comparison, text, value, dialect) for value in values))
    column = asked.column
    if isinstance(text_kind, String) or is_uuid_text(text_kind):
        column = by_code_point(lookup.comparison, column, text_kind, dialect)
    as_type = bound_type(kind, dialect)
    if is_uuid_text(kind) and lookup.comparison not in ("", "ne"):
        as_type = String()
    return _compare(lookup.comparison, [find_bound(value, kind, dialect) for value in values], column, as_type, asked)


def _of_few(lookup: Lookup, asked: _Asked, kind: Boolean | Enum) -> ColumnElement[bool]:
    """Try in Python each of the few values that the column can have, and ask for those that pass."""
    if isinstance(kind, Boolean):
        members: Sequence[Any] = (False, True)
    elif kind.enum_class is not None:
        members = list(dict.fromkeys(kind.enum_class.__members__.values()))
    else:
        members = kind.enums
    checks = Checks(lookup)
    passing = [member for member in members if checks[type(member)](member)]
    if not passing:
        return false()
    if len(passing) == len(members):
        return asked.present()
    if isinstance(kind, Boolean):
        return asked.column == (true() if passing[0] else false())
    return asked.column.in_(bindparam(None, passing, type_=asked.column.type, expanding=True, unique=True))


def _checked(lookup: Lookup, values: list[Any], kind: TypeEngine[Any]) -> list[Any]:
    """Give the values as the column has them; raises as comparing them with one of its values in Python does."""
    python, plain = python_type(kind), kept_type(kind)
    aware = isinstance(plain, DateTime) and plain.timezone
    if not isinstance(kind, TypeDecorator):  # the author's own type may give, and take, what it likes
        sample = datetime(2000, 1, 1, tzinfo=UTC if aware else None) if python is datetime else SAMPLES.get(python)
        if sample is None or (isinstance(kind, Time) and kind.timezone):
            message = (
                f"where({lookup}): expected {lookup.attribute} to be of a kind that can be compared, got a column of "
                f"the type {kind!r}; ask only None of it, or use an expression of SQLAlchemy"
            )
            raise ConfigurationError(message)
        Checks(lookup)[type(sample)](sample)
    if lookup.comparison in TEXT_COMPARISONS:
        return [str.__str__(value) for value in values]
    try:
        return [value.read_as(python, aware=aware) if isinstance(value, TextValue) else value for value in values]
    except ValueError as error:
        message = f"where({lookup}): {error}"
        raise ConfigurationError(message) from None


def _compare(
    comparison: str, bounds: list[Bound], column: ColumnElement[Any], as_type: TypeEngine[Any], asked: _Asked
) -> ColumnElement[bool]:
    if comparison in ("", "ne"):
        forms = [form for one in bounds if one.exact for form in (one.first, one.last)[: 1 + (one.first != one.last)]]
        if comparison == "":
            return _is_one_of(column, forms, as_type, asked.dialect) if forms else false()
        if not forms:
            return asked.present()
        others = _is_none_of(column, forms, as_type, asked.dialect)
        return others if asked.nan is None else and_(others, asked.present())
    return or_(*(_is_beside(comparison, bound, column, as_type, asked) for bound in bounds))


def _is_beside(
    comparison: str, bound: Bound, column: ColumnElement[Any], as_type: TypeEngine[Any], asked: _Asked
) -> ColumnElement[bool]:
    below = comparison in ("lt", "le")
    if bound.first is None:
        return asked.present() if below else false()
    if not bound.exact:
        comparison = "lt" if below else "ge"
    value = literal(bound.first if comparison in ("lt", "ge") else bound.last, as_type)
    holds: ColumnElement[bool] = OPERATORS[comparison](column, value)
    return holds if below or asked.nan is None else and_(holds, asked.present())


def _is_one_of(
    column: ColumnElement[Any], forms: list[Any], as_type: TypeEngine[Any], dialect: str
) -> ColumnElement[bool]:
    if len(forms) == 1:
        return column == literal(forms[0], as_type)
    if len(forms) < MANY or not _fits_one(forms, dialect):
        return column.in_(bindparam(None, forms, type_=as_type, expanding=True, unique=True))
    if dialect == "postgresql":
        return column == any_(literal(forms, ARRAY(as_type)))
    return column.in_(_as_table(forms))


def _is_none_of(
    column: ColumnElement[Any], forms: list[Any], as_type: TypeEngine[Any], dialect: str
) -> ColumnElement[bool]:
    if len(forms) == 1:
        return column != literal(forms[0], as_type)
    if len(forms) < MANY or not _fits_one(forms, dialect):
        return column.not_in(bindparam(None, forms, type_=as_type, expanding=True, unique=True))
    if dialect == "postgresql":
        return column != all_(literal(forms, ARRAY(as_type)))
    return column.not_in(_as_table(forms))


def _fits_one(forms: list[Any], dialect: str) -> bool:
    """Tell whether the values can be handed over as one: on SQLite as JSON, in which a text has no NUL."""
    return dialect == "postgresql" or all(
        type(form) is int or (type(form) is str and "\0" not in form) for form in forms
    )


def _as_table(forms: list[Any]) -> Any:
    return select(func.json_each(literal(json.dumps(forms), String())).table_valued("value").c.value)


def _of_unknown_kind(lookup: Lookup, values: list[Any], asked: _Asked) -> ColumnElement[bool]:
    """Compare with a column that doesn't tell what it holds; in SQLite each of its rows may hold something else."""
    column, kind, dialect = asked.column, asked.kind, asked.dialect
    if lookup.comparison in TEXT_COMPARISONS:
        text = cast(column, Text) if dialect == "postgresql" else column
        holds = or_(*(text_condition(lookup.comparison, text, str.__str__(one), dialect) for one in values))
        return holds if dialect == "postgresql" else and_(func.typeof(column) == "text", holds)
    if dialect == "postgresql":
        bounds = [Bound(one, one) for one in (str(one) if isinstance(one, TextValue) else one for one in values)]
        return _compare(lookup.comparison, bounds, column, kind, asked)
    texts = [str.__str__(one) for one in values if isinstance(one, str)]
    numbers = [one for one in (_number_of(value) for value in values) if one is not None]
    others = [one for one in values if not isinstance(one, str | Number)]
    found = []
    for storage, some, as_kind in (("text", texts, String()), ("number", numbers, kind), ("blob", others, kind)):
        if not some:
            continue
        bounds = [find_bound(one, as_kind, dialect) if storage == "text" else find_loose_bound(one) for one in some]
        compared = column.collate("BINARY") if storage == "text" else column
        stored = func.typeof(column).in_(["integer", "real"] if storage == "number" else [storage])
        found.append(and_(stored, _compare(lookup.comparison, bounds, compared, as_kind, asked)))
    return or_(*found)


def _number_of(value: Any) -> Any:
    """Give a value as the number that it is, or that a text of the command line may stand for."""
    if isinstance(value, TextValue):
        try:
            return value.read_as(int)
        except ValueError:
            return None
    return value if isinstance(value, Number) else None
