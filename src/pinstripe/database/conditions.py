"""The lookups of `where(…)` as SQL: what a key names in a table or a mapped class, and the conditions on it.

A key is a column, alone or with one of the suffixes of `comparisons.py`, or a relationship of a mapped class and a key
of the class that it leads to: `posts__title="x"` is "some post is titled x". Several lookups of one and the same post
are asked as `posts={"title": "x", "likes__ge": 5}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, and_, inspect, true
from sqlalchemy.ext.hybrid import HybridExtensionType
from sqlalchemy.orm import aliased

from pinstripe.comparisons import COMPARISONS, TextValue, parse_key, read_lookup
from pinstripe.database.column_conditions import condition
from pinstripe.errors import ConfigurationError, UnknownColumn
from pinstripe.names import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import InstrumentedAttribute, Mapper, QueryableAttribute

__all__ = ["column_of", "condition", "conditions", "find_column"]


def conditions(entity: type | Table, lookups: Mapping[str, object], dialect: str) -> list[ColumnElement[bool]]:
    """Write the `lookups` of a `where`, asked of a mapped class or a table, for "sqlite" or "postgresql".

    Raises `UnknownColumn` with the nearest names, and `ConfigurationError` for an unknown comparison or a value that
    can't be compared with the column.
    """
    return [_condition(entity, key, value, dialect, "") for key, value in lookups.items()]


def column_of(entity: type | Table, name: str) -> ColumnElement[Any]:
    """Give the column of a table, or the attribute of a mapped class, that has this name.

    Raises `UnknownColumn` with the nearest names.
    """
    column = find_column(entity, name)
    if column is None:
        raise _unknown(entity, name)
    return column


def find_column(entity: type | Table, name: str) -> ColumnElement[Any] | None:
    """Give the column or attribute as `column_of` does; None where there is none."""
    if isinstance(entity, Table):
        return entity.columns.get(name)
    mapper: Mapper[Any] = inspect(entity).mapper
    if name in mapper.column_attrs or name in mapper.synonyms or name in _hybrids(mapper):
        attribute: Any = getattr(entity, name)
        return attribute if hasattr(attribute, "type") else None  # a synonym may stand for a relationship
    return None


def _hybrids(mapper: Mapper[Any]) -> list[str]:
    kind = HybridExtensionType.HYBRID_PROPERTY
    return [name for name, one in mapper.all_orm_descriptors.items() if one.extension_type is kind]


def _condition(entity: type | Table, key: str, value: object, dialect: str, path: str) -> ColumnElement[bool]:
    """Write one lookup; `path` is what led to `entity`, for messages: `user__`."""
    attribute, _, comparison = key.rpartition("__")
    column = find_column(entity, attribute) if attribute and comparison in COMPARISONS[1:] else None
    if column is None:
        attribute, comparison = key, ""
        column = find_column(entity, key)  # its own name may have "__" in it
    if column is not None:
        return condition(read_lookup(path + attribute, comparison, value), column, dialect)
    for name, rest in _partings(key):
        related = _relationship(entity, name)
        if related is not None:
            return _related(related, rest, value, dialect, f"{path}{name}")
    if any(find_column(entity, name) is not None for name, _ in _partings(key)):
        raise _unknown(entity, parse_key(key)[0])  # most often parse_key raises: the suffix is wrong, not the column
    attribute, _, comparison = key.rpartition("__")
    raise _unknown(entity, attribute if attribute and comparison in COMPARISONS else key.partition("__")[0] or key)


def _partings(key: str) -> Iterator[tuple[str, str]]:
    """Give what of a key may be a name, the longest first, and what then follows: names may have "__" in them."""
    parts = key.split("__")
    for count in range(len(parts), 0, -1):
        yield "__".join(parts[:count]), "__".join(parts[count:])


def _relationship(entity: type | Table, name: str) -> InstrumentedAttribute[Any] | None:
    if isinstance(entity, Table) or name not in inspect(entity).mapper.relationships:
        return None
    attribute: InstrumentedAttribute[Any] = getattr(entity, name)
    return attribute


def _related(
    related: QueryableAttribute[Any], rest: str, value: object, dialect: str, path: str
) -> ColumnElement[bool]:
    """Write a condition on what a relationship leads to: that there is one for which all of it holds."""
    target = related.property.mapper.class_
    if related.property.mapper.common_parent(related.property.parent):
        # Under an alias of the class: the one of its table, which SQLAlchemy makes, has no criteria of the tenant.
        target = aliased(target)
        related = related.of_type(target)
    exists = related.any if related.property.uselist else related.has
    if rest and not (rest in COMPARISONS and find_column(target, rest) is None):
        return exists(_condition(target, rest, value, dialect, f"{path}__"))
    if value is None or (isinstance(value, TextValue) and value.is_null):
        if rest in ("", "ne"):
            return exists() if rest else ~exists()
    elif not rest and isinstance(value, Mapping):
        return exists(and_(true(), *(_condition(target, key, one, dialect, f"{path}__") for key, one in value.items())))
    message = (
        f"where({path}{rest and '__' + rest}={value!r}): expected lookups of {target.__name__} as "
        f'{path}={{"{_names(target)[0]}": …}} or {path}__{_names(target)[0]}=…, or None; got {type(value).__name__}'
    )
    raise ConfigurationError(message)


def _names(entity: type | Table) -> list[str]:
    if isinstance(entity, Table):
        return list(entity.columns.keys())
    mapper: Mapper[Any] = inspect(entity).mapper
    return [*mapper.column_attrs.keys(), *mapper.synonyms.keys(), *_hybrids(mapper), *mapper.relationships.keys()]


def _unknown(entity: type | Table, name: str) -> UnknownColumn:
    known = _names(entity)
    near = nearest(name, known)
    hint = f"the nearest is {' or '.join(near)}" if near else f"it has {', '.join(known[:20])}"
    shown = f"table {entity.name!r}" if isinstance(entity, Table) else inspect(entity).mapper.class_.__qualname__
    if not isinstance(entity, Table):
        mapper: Mapper[Any] = inspect(entity).mapper
        if name in mapper.relationships:
            return UnknownColumn(f"{shown}.{name} is a relationship; expected a column, such as {known[0]}")
        named = [attribute.key for attribute in mapper.column_attrs if name in {one.name for one in attribute.columns}]
        if named:
            return UnknownColumn(f"{shown} has no attribute {name!r}: the class calls that column {named[0]!r}")
    return UnknownColumn(f"{shown} has no column {name!r}; {hint}")
