"""The nine comparisons of `where(…)` asked of a Django table, with the answers that `comparisons.py` gives."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pinstripe.comparisons import TEXT_COMPARISONS, Checks, Lookup, read_values
from pinstripe.errors import ConfigurationError, UnknownColumn

if TYPE_CHECKING:
    from collections.abc import Callable

_KINDS: dict[str, type] = {
    **dict.fromkeys(("CharField", "TextField", "SlugField", "FileField", "FilePathField"), str),
    **dict.fromkeys(("AutoField", "BigAutoField", "SmallAutoField", "IntegerField", "BigIntegerField"), int),
    **dict.fromkeys(("SmallIntegerField", "PositiveIntegerField", "PositiveBigIntegerField"), int),
    "PositiveSmallIntegerField": int,
    "BooleanField": bool,
    "FloatField": float,
    "DecimalField": Decimal,
    "DateTimeField": datetime,
    "DateField": date,
    "TimeField": time,
    "DurationField": timedelta,
    "UUIDField": UUID,
}
"""What Python makes of a column, by the internal type of its field."""

_ORDERS = {"lt": "lt", "gt": "gt", "le": "lte", "ge": "gte"}
_COLLATIONS = {"postgresql": "C", "sqlite": "BINARY", "mysql": "utf8mb4_bin"}
"""The collation of each database that orders text by code points."""

_DIGITS = Context(prec=400)
_INTEGERS = 19
"""How many digits a whole number in a column has at most."""


def find_field(model: Any, name: str) -> Any:
    """Give the field of a Django model whose attribute is `name`; raises `UnknownColumn` with the nearest names."""
    options = model._meta  # noqa: SLF001 - Django documents it
    fields = {field.attname: field for field in options.concrete_fields}
    if name == "pk":
        return options.pk
    if name not in fields:
        from pinstripe.names import nearest

        near = nearest(name, fields)
        hint = f"the nearest is {' or '.join(near)}" if near else f"it has {', '.join(fields)}"
        message = f"the Django model {model.__name__} has no column {name!r}; {hint}"
        raise UnknownColumn(message)
    return fields[name]


def kind_of(field: Any) -> type:
    """Give the Python type of what a field holds; raises `ConfigurationError` where it can't be compared."""
    while field.remote_field is not None:
        field = field.target_field
    kind = _KINDS.get(field.get_internal_type())
    if kind is None:
        message = f"{field.attname}: a {field.get_internal_type()} can't be compared"
        raise ConfigurationError(message)
    return kind


def holds_text(field: Any) -> bool:
    """Tell whether a field holds text, or what its author's own kind of field makes of text."""
    while field.remote_field is not None:
        field = field.target_field
    return _KINDS.get(field.get_internal_type()) is str


def exact_text(field: Any, vendor: str) -> Any:
    """Give the expression of a text field that a database `vendor` tells apart as Python does, by code point."""
    from django.db.models import F
    from django.db.models.functions import Collate

    collation = _COLLATIONS.get(vendor)
    return F(field.attname) if collation is None else Collate(F(field.attname), collation)


def condition(lookup: Lookup, model: Any, vendor: str) -> Any:
    """Give one lookup as a `Q` over `model`, whose database is `vendor`.

    Raises `UnknownColumn`, and `ConfigurationError` for what can't be compared.
    """
    from django.conf import settings
    from django.db.models import Q

    field = find_field(model, lookup.attribute)
    name, kind = field.attname, kind_of(field)
    values = read_values(lookup, kind, aware=bool(settings.USE_TZ))
    nan = Q(**{name: float("nan")}) if kind is float and vendor == "postgresql" else None  # SQLite keeps it as NULL
    there = Q(**{f"{name}__isnull": False})
    if nan is not None:
        there &= ~nan
    nothing = Q(pk__in=[])
    if kind is bool:
        holds = Checks(Lookup(lookup.attribute, lookup.comparison, tuple(values), lookup.several))[bool]
        tests = [Q(**{name: value}) for value in (True, False) if holds(value)]
    else:
        test = _Tests(field, kind, vendor)
        tests = [test(lookup.comparison, value) for value in values]
        tests = [nothing if one is False else Q() if one is True else one for one in tests]
        if any(not one for one in tests) and lookup.comparison != "ne":
            tests = [Q()]
    if lookup.comparison == "ne" and kind is not bool:
        return reduce(lambda all_, one: all_ & ~one, (one for one in tests if one != nothing), there)
    found = there & reduce(or_, tests) if tests else nothing
    if lookup.comparison == "" and None in lookup.values:
        found |= ~there
    return found


class _Tests:
    """Makes the test of one value: a `Q`, or True or False where the answer is known without asking."""

    def __init__(self, field: Any, kind: type, vendor: str) -> None:
        self._name = field.attname
        self._kind = kind
        while field.remote_field is not None:
            field = field.target_field
        self._field = field
        self._vendor = vendor

    def __call__(self, comparison: str, value: Any) -> Any:
        """Test for `value`; that of "ne" is a test for what is equal."""
        from django.db.models import Q

        comparison = "" if comparison == "ne" else comparison
        if self._kind is str:
            return self._of_text(comparison, value)
        if self._kind is int or self._kind is Decimal:
            value = self._on_grid(comparison, value)
            if isinstance(value, bool):
                return value
        elif self._kind is float:
            value = float(value)
        return Q(**{f"{self._name}__{_ORDERS[comparison]}" if comparison else self._name: value})

    def _of_text(self, comparison: str, value: str) -> Any:
        # Not LIKE, which on SQLite takes "a" and "A" for the same; and not the column's own collation.
        from django.db.models import CharField, F, Q, Value
        from django.db.models.functions import Collate, Left, Right, StrIndex
        from django.db.models.lookups import Exact, GreaterThan, GreaterThanOrEqual, LessThan, LessThanOrEqual

        collation = _COLLATIONS.get(self._vendor)
        own = getattr(self._field, "db_collation", None)
        exact: Callable[[Any], Any] = lambda text: text if collation is None else Collate(text, collation)  # noqa: E731
        if comparison in TEXT_COMPARISONS:
            if not value:
                return True
            if comparison == "contains":
                return Q(GreaterThan(StrIndex(exact(F(self._name)), Value(value)), 0))
            part = Left if comparison == "begins_with" else Right
            return Q(Exact(exact(part(F(self._name), len(value), output_field=CharField())), value))
        if not comparison:
            if own is None and self._vendor in {"postgresql", "sqlite"}:
                return Q(**{self._name: value})  # an index serves it
            return Q(Exact(exact(F(self._name)), value))
        order = {"lt": LessThan, "gt": GreaterThan, "le": LessThanOrEqual, "ge": GreaterThanOrEqual}[comparison]
        return Q(order(exact(F(self._name)), value))

    def _on_grid(self, comparison: str, value: Any) -> Any:
        """Give the value among those that the column can hold which asks the same, or the answer where there is none.

        Django would cut 2.5 to 2 for a column of whole numbers, and round it for one of decimals.
        """
        places, digits = 0, _INTEGERS
        if self._kind is Decimal:
            places, digits = self._field.decimal_places, self._field.max_digits
        exact = Decimal(value)
        if exact.is_infinite() or abs(exact) >= Decimal(10) ** (digits - places):
            return False if not comparison else (comparison in {"lt", "le"}) == (exact > 0)
        step = Decimal(1).scaleb(-places)
        nearest = exact.quantize(step, ROUND_CEILING if comparison in {"lt", "ge"} else ROUND_FLOOR, _DIGITS)
        if not comparison and nearest != exact:
            return False
        with suppress(AttributeError):
            nearest = nearest.normalize(_DIGITS)
        return int(nearest) if self._kind is int else nearest
