"""The nine comparisons of `where(…)`, on Python values; every other tenant source must give the same answers.

A key is an attribute, alone (equal) or with one of the suffixes `__ne`, `__lt`, `__gt`, `__le`, `__ge`,
`__begins_with`, `__ends_with`, `__contains`. The rules are those of SQL:

- NULL (None, and a NaN, which SQLite keeps as NULL) on the tenant's side passes no comparison, not even `ne`. The two
  exceptions ask for it: `plan=None` is "is null", `plan__ne=None` is "is not null". None elsewhere is an error.
- A list, tuple or set is "any of", and for `ne` "none of". An empty one matches nothing, and for `ne` every non-null.
- Text is compared case-sensitively, and ordered by code point (SQLite: BINARY and `case_sensitive_like`; PostgreSQL:
  the collation "C").
- Only like is compared with like: text with text, numbers with numbers (bool is one of them, as in SQLite), a datetime
  with a zone with another such. Anything else is an error that names the key, never a silent "no".
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from datetime import date, datetime
from numbers import Number
from typing import TYPE_CHECKING, Any

from pinstripe.errors import ConfigurationError
from pinstripe.text_values import TextValue

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

__all__ = [
    "COMPARISONS",
    "Checks",
    "Lookup",
    "TextValue",
    "parse_condition",
    "parse_key",
    "read_lookup",
    "read_lookups",
    "read_values",
]

OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "gt": operator.gt,
    "le": operator.le,
    "ge": operator.ge,
}
TEXT_COMPARISONS = ("begins_with", "ends_with", "contains")
COMPARISONS = (*OPERATORS, *TEXT_COMPARISONS)
"""The nine suffixes; the empty one is "equal"."""

_HASHED = (str, int, date)
_SAFE = (*_HASHED, float)
"""Types whose operators can't raise on one another, once they are of one family."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """One lookup of a `where`: the `attribute`, one of the nine `comparison`s, and the `values`, any of which will do.

    `several` tells whether they were given as a list. It holds values only, so it pickles.
    """

    attribute: str
    comparison: str
    values: tuple[Any, ...]
    several: bool = False

    @property
    def key(self) -> str:
        """The key as it is written: `seats__ge`."""
        return f"{self.attribute}__{self.comparison}" if self.comparison else self.attribute

    def __str__(self) -> str:
        """Write the lookup as in a `where`: `seats__ge=5`."""
        shown = [str(value) if isinstance(value, TextValue) else repr(value) for value in self.values]
        return f"{self.key}=[{', '.join(shown)}]" if self.several else f"{self.key}={shown[0]}"


def parse_key(key: str) -> tuple[str, str]:
    """Take `seats__ge` apart into the attribute `seats` and the comparison `ge`.

    Raises `ConfigurationError` for a suffix that is none of the nine.
    """
    attribute, separator, comparison = key.rpartition("__")
    if not separator:
        attribute, comparison = key, ""
    if not attribute or comparison not in COMPARISONS or (separator and not comparison):
        from pinstripe.names import nearest

        near = nearest(comparison, COMPARISONS[1:]) if separator else []
        hint = f"; the nearest is {attribute}__{near[0]}" if near and attribute else ""
        known = ", ".join(f"__{name}" for name in COMPARISONS[1:])
        message = (
            f"{key!r}: expected an attribute, alone (equal) or with one of {known}; got {comparison or key!r}{hint}"
        )
        raise ConfigurationError(message)
    return attribute, comparison


def parse_condition(text: str) -> tuple[str, TextValue]:
    """Read a condition of the command line: `seats__ge=5` gives the key `seats__ge` and the text `5`.

    Raises `ConfigurationError` where it isn't KEY=VALUE or the key's suffix is unknown.
    """
    key, separator, value = text.partition("=")
    key = key.strip()
    if not separator or not key or key[-1] in "<>!~" or value.startswith("="):
        message = (
            f"condition {text!r}: expected KEY=VALUE as plan=pro, or with a suffix as seats__ge=5: "
            f"{', '.join(f'__{name}' for name in COMPARISONS[1:])}"
        )
        raise ConfigurationError(message)
    parse_key(key)
    return key, TextValue(value)


def read_lookups(lookups: Mapping[str, object]) -> tuple[Lookup, ...]:
    """Check the keyword arguments of a `where`, and give them as `Lookup`s.

    Raises `ConfigurationError` for an unknown suffix, or a value that its comparison can't be asked for.
    """
    return tuple(read_lookup(*parse_key(key), value) for key, value in lookups.items())


def read_lookup(attribute: str, comparison: str, value: object) -> Lookup:
    """Check the `value` that an `attribute` is to be compared with; raises as `read_lookups` does."""
    several = isinstance(value, list | tuple | set | frozenset)
    values = tuple(value) if isinstance(value, list | tuple | set | frozenset) else (value,)
    if comparison not in TEXT_COMPARISONS:
        values = tuple(None if isinstance(one, TextValue) and one.is_null else one for one in values)
    lookup = Lookup(attribute, comparison, values, several)
    reason = _unanswerable(lookup)
    if reason:
        message = f"where({lookup}): {reason}"
        raise ConfigurationError(message)
    return lookup


def _unanswerable(lookup: Lookup) -> str | None:
    """Give the reason why nothing could ever be compared with the lookup's values, if there is one."""
    for value in lookup.values:
        if lookup.comparison in TEXT_COMPARISONS and not isinstance(value, str):
            return f"expected text to compare with, got {_name(type(value))}"
        if value is None and lookup.comparison not in ("", "ne"):
            return f"None has no order; ask {lookup.attribute}=None or {lookup.attribute}__ne=None"
        if isinstance(value, Number) and value != value:  # noqa: PLR0124 - only a NaN differs from itself
            return f"nothing can be compared with a NaN; {lookup.attribute}=None finds it"
    kinds = [type(value) for value in lookup.values if value is not None and not isinstance(value, TextValue)]
    odd = [kind for kind in kinds if not _alike(kinds[0], kind)]
    return f"expected values of one kind, got {_name(kinds[0])} and {_name(odd[0])}" if odd else None


def read_values(lookup: Lookup, kind: type, *, aware: bool = False) -> list[Any]:
    """Give the values of a lookup, without None, as they are compared with what is of the type `kind`.

    `aware` tells whether datetimes there have a time zone. Raises `ConfigurationError` for what can't be compared.
    """
    return [_expected(lookup, value, kind, aware=aware) for value in lookup.values if value is not None]


class Checks(dict[type, "Callable[[Any], bool]"]):
    """The checks of one lookup by the type of what is found, each made when that type is first met.

    `checks[type(value)](value)` tells whether the lookup holds; a dictionary, because a million tenants go through it.
    Raises `ConfigurationError` where the value can't be compared.
    """

    __slots__ = ("_lookup",)

    def __init__(self, lookup: Lookup) -> None:
        """Make the checks of `lookup`."""
        super().__init__()
        self._lookup = lookup

    def __missing__(self, kind: type) -> Callable[[Any], bool]:
        """Make the check for values of the type `kind`."""
        lookup = self._lookup
        null = not lookup.comparison and None in lookup.values
        if kind is type(None):
            check = _constant(null)
        elif issubclass(kind, datetime):
            check = _by_zone(lookup, kind)
        else:
            check = _check(lookup, kind)
        if issubclass(kind, Number) and not issubclass(kind, int):
            check = _unless_nan(check, null=null)
        self[kind] = check
        return check


def _check(lookup: Lookup, kind: type, *, aware: bool = False) -> Callable[[Any], bool]:
    values = read_values(lookup, kind, aware=aware)
    check = _compare(lookup.comparison, values, kind)
    safe = issubclass(kind, _SAFE) and all(isinstance(value, _SAFE) for value in values)
    return check if safe else _guarded(lookup, check)


def _expected(lookup: Lookup, value: Any, kind: type, *, aware: bool) -> Any:
    """Give the `value` to compare with what is of the type `kind` (a datetime: `aware` of its zone or not)."""
    if lookup.comparison in TEXT_COMPARISONS:
        if not issubclass(kind, str):
            raise _unlike(lookup, "text", _name(kind))
        return str.__str__(value)
    if isinstance(value, TextValue):
        try:
            return value.read_as(kind, aware=aware)
        except ValueError as error:
            message = f"where({lookup}): {error}"
            raise ConfigurationError(message) from None
    if not _alike(type(value), kind):
        raise _unlike(lookup, _name(type(value)), _name(kind))
    if isinstance(value, datetime) and (value.tzinfo is not None) != aware:
        zones = ("a datetime without a time zone", "a datetime with a time zone")
        raise _unlike(lookup, zones[not aware], zones[aware])
    return value


def _by_zone(lookup: Lookup, kind: type) -> Callable[[datetime], bool]:
    """Tell datetimes with a zone from those without: Python calls two such unequal, and can't order them."""
    checks: dict[bool, Callable[[Any], bool]] = {}

    def check(found: datetime) -> bool:
        aware = found.tzinfo is not None
        if aware not in checks:
            checks[aware] = _check(lookup, kind, aware=aware)
        return checks[aware](found)

    return check


def _compare(comparison: str, values: list[Any], kind: type) -> Callable[[Any], bool]:
    if not values:
        return _constant(comparison == "ne")
    if comparison in TEXT_COMPARISONS:
        return _compare_text(comparison, tuple(values))
    holds = OPERATORS[comparison]
    if len(values) == 1:
        value = values[0]
        return lambda found: bool(holds(found, value))
    known: Collection[Any] = frozenset(values) if issubclass(kind, _HASHED) else values
    if comparison == "":
        return lambda found: found in known
    if comparison == "ne":
        return lambda found: found not in known
    return lambda found: any(holds(found, value) for value in values)


def _compare_text(comparison: str, values: tuple[str, ...]) -> Callable[[Any], bool]:
    if comparison == "begins_with":
        return lambda found: found.startswith(values)
    if comparison == "ends_with":
        return lambda found: found.endswith(values)
    return lambda found: any(value in found for value in values)


def _constant(answer: bool) -> Callable[[Any], bool]:  # noqa: FBT001 - the only thing that it is about
    return lambda _: answer


def _unless_nan(check: Callable[[Any], bool], *, null: bool) -> Callable[[Any], bool]:
    return lambda found: check(found) if found == found else null  # noqa: PLR0124 - only a NaN differs from itself


def _guarded(lookup: Lookup, check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    def guarded(found: object) -> bool:
        try:
            return bool(check(found))
        except Exception as error:
            message = f"where({lookup}): {_name(type(found))} can't be compared so: {type(error).__name__}: {error}"
            raise ConfigurationError(message) from error

    return guarded


def _unlike(lookup: Lookup, expected: str, found: str) -> ConfigurationError:
    return ConfigurationError(f"where({lookup}): expected {lookup.attribute} to be {expected}, got {found}")


def _alike(one: type, other: type) -> bool:
    """Tell whether values of two types may be compared: of one family, or one type derived from the other."""
    for family in (str, Number, datetime, date):  # a datetime is a date, and is not compared with one
        if issubclass(one, family) or issubclass(other, family):
            return issubclass(one, family) and issubclass(other, family)
    return issubclass(one, other) or issubclass(other, one)


def _name(kind: type) -> str:
    if issubclass(kind, str):
        return "text"
    if issubclass(kind, Number):
        return f"a number ({kind.__name__})"
    return kind.__name__
