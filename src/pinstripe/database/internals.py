"""Every private attribute of SQLAlchemy that the service leans on, in one place; a test fails when one changes.

Nothing here decides anything: it only reads what a statement is made of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.sql.visitors import HasTraverseInternals
from sqlalchemy.util import await_only as await_only  # noqa: PLC0414 - the service awaits inside SQLAlchemy's greenlets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy.orm import Mapper, Session
    from sqlalchemy.sql.elements import ClauseElement
    from sqlalchemy.types import TypeEngine

PRIVATE = (
    "sqlalchemy.sql.elements.ClauseElement._annotations",
    "sqlalchemy.sql.dml.ValuesBase._values",
    "sqlalchemy.sql.dml.ValuesBase._multi_values",
    "sqlalchemy.sql.base.Executable._with_options",
    "sqlalchemy.sql.base.Executable._execution_options",
    "sqlalchemy.orm.Session.identity_map",
    "sqlalchemy.sql.visitors.HasTraverseInternals.get_children",
    "sqlalchemy.util.await_only",
    "sqlalchemy.types.TypeEngine._variant_mapping",
)
"""What is leant on, by its full name."""


def entity_of(element: ClauseElement) -> Mapper[Any] | None:
    """Give the mapper whose class or alias an element of a statement was made from; None where there is none."""
    annotations = element._annotations  # noqa: SLF001 - see PRIVATE
    entity = annotations.get("parententity") or annotations.get("parentmapper")
    return None if entity is None else entity.mapper


def children(element: ClauseElement) -> Iterable[Any]:
    """Give what an element is written of; for a query without what SQLAlchemy derives from that to read from."""
    return HasTraverseInternals.get_children(element)


def assigned(statement: Any) -> Iterator[tuple[str, Any]]:
    """Give each name that an update or insert sets, with the value."""
    values = statement._values  # noqa: SLF001 - see PRIVATE
    pairs: Iterable[tuple[Any, Any]] = values if isinstance(values, tuple | list) else (values or {}).items()
    for key, value in pairs:
        yield str(getattr(key, "name", None) or getattr(key, "key", None) or key), value
    for group in statement._multi_values:  # noqa: SLF001 - see PRIVATE
        for each in group:
            for key, value in each.items() if isinstance(each, dict) else ():
                yield str(getattr(key, "name", None) or getattr(key, "key", None) or key), value


def variant_of(kind: TypeEngine[Any], dialect: str) -> TypeEngine[Any]:
    """Give the type that a column's type was said to be on that dialect by `with_variant`; itself, if nothing was."""
    return kind._variant_mapping.get(dialect, kind)  # noqa: SLF001 - see PRIVATE


def has_rows(session: Session) -> bool:
    """Tell whether the session knows of any row."""
    return bool(session.identity_map)
