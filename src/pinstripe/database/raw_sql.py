"""What of a statement is SQL that somebody wrote as text: nothing can tell what that reaches."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Column, Extract, FunctionElement, TableClause, TextClause
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.elements import ColumnClause, quoted_name
from sqlalchemy.sql.functions import Function
from sqlalchemy.sql.operators import custom_op
from sqlalchemy.sql.selectable import SelectBase, TextualSelect

from pinstripe.database.internals import text_beside


def raw_sql(element: Any) -> object | None:
    """Give the raw SQL that an element of a statement is or has; None where there is none in it."""
    if isinstance(element, ColumnClause) and not isinstance(element, Column):
        return element if element.is_literal and element.name not in _HARMLESS else _name_that_is_no_name(element)
    if isinstance(element, TextClause | TextualSelect | TableClause):
        return element
    if isinstance(element, Extract):
        return None if str(element.field).isidentifier() else element.field
    if isinstance(element, Function):
        return f"{element.name}(…)" if element.name.lower() in _EXECUTES_TEXT else None
    for operator in (getattr(element, "operator", None), getattr(element, "modifier", None)):
        if isinstance(operator, custom_op) and not _OPERATOR.fullmatch(operator.opstring):
            return operator.opstring
    return next(iter(text_beside(element)), _name_that_is_no_name(element))


def _name_that_is_no_name(element: Any) -> str | None:
    """Give the name of an element that is written as it is, and is more than a name."""
    name = getattr(element, "name", None)
    return name if isinstance(name, quoted_name) and name.quote is False and not name.isidentifier() else None


def is_query_or_change(statement: Any) -> bool:
    """Tell whether a statement is one of those that can be looked into, and not DDL or something of its author's."""
    return isinstance(statement, SelectBase | UpdateBase | FunctionElement) or (
        isinstance(statement, Executable) and type(statement).__module__.startswith("sqlalchemy.sql.lambdas")
    )


_HARMLESS = ("*", "1")
"""What SQLAlchemy itself writes as text, in `count(*)` and `exists (select 1 …)`."""

_OPERATOR = re.compile(
    r"(?!.*(--|/\*))[-+*/<>=~!@#%^&|?:.]+|(not )?(in|i?like|glob|regexp|match|similar to)|is( not)?( distinct from)?|"
    r"overlaps|collate|at time zone",
    re.IGNORECASE,
)
"""An operator with which nothing but its two sides can be written. "union select" is words too, and "or" lets go."""

_EXECUTES_TEXT = frozenset(
    (
        *(
            f"{kind}_to_xml{rest}"
            for kind in ("query", "table", "schema", "database", "cursor")
            for rest in ("", "schema")
        ),
        *(f"{kind}_to_xml_and_xmlschema" for kind in ("query", "table", "schema", "database")),
        "connectby",
        *(f"crosstab{count}" for count in ("", "2", "3", "4")),
        "dblink",
        "dblink_exec",
        "dblink_open",
        "dblink_send_query",
        "load_extension",
        "pg_read_binary_file",
        "pg_read_file",
        "set_config",
        "ts_rewrite",
        "ts_stat",
        "xpath_table",
    )
)
"""Functions of the databases that execute text as SQL, name a table by text, or change whose a transaction is."""
