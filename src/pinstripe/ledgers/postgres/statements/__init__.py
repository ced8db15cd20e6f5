"""The statements of the PostgreSQL ledger, in the `.sql` files of this folder; there its schema is `pinstripe`.

The engine's, beside it, is `pinstripe_engine`.
"""

from __future__ import annotations

import os
import re
from functools import cache

from pinstripe.ledgers.statements import Statements

SCHEMA = "pinstripe"
"""What the ledger's schema is called in the files of statements and migrations, and where nothing else is said."""

_IN_SCHEMA = re.compile(rf"\b{SCHEMA}(?=(?:_engine)?\.[a-z])")


class SchemaStatements(Statements):
    """The statements for a ledger in a schema of another name."""

    def __init__(self, schema: str) -> None:
        """Take the name of the `schema`, a plain identifier."""
        super().__init__(os.path.dirname(__file__))  # noqa: PTH120 - as SQLite's
        self._schema = schema

    def _put_together(self, name: str) -> str:
        return in_schema(super()._put_together(name), self._schema)


def in_schema(sql: str, schema: str) -> str:
    """Let what `sql` says of the schema `pinstripe` be of another one."""
    return sql if schema == SCHEMA else _IN_SCHEMA.sub(schema, sql)


@cache
def statements(schema: str) -> Statements:
    """Give the statements for the ledger in a schema."""
    return SchemaStatements(schema)
