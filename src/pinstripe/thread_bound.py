"""Connections that belong to a thread: what stands for them is found where the caller is, and some must stay there."""

from __future__ import annotations

import inspect
import sys
from typing import Any

from pinstripe.errors import InvalidArguments


def resolve(connection: Any) -> Any:
    """Give what a connection stands for in the running thread or task; any other is given as it is.

    It is the session of SQLAlchemy's `scoped_session`, and psycopg's connection under Django's. Raises
    `InvalidArguments` for one of Django's over anything else than psycopg 3, and Django's
    `TransactionManagementError` where its transaction is broken.
    """
    plain, awaited = sys.modules.get("sqlalchemy.orm"), sys.modules.get("sqlalchemy.ext.asyncio")
    if plain is not None and isinstance(connection, plain.scoped_session):
        return connection()
    if awaited is not None and isinstance(connection, awaited.async_scoped_session):
        return connection()
    return _under_django(connection) if "django.db" in sys.modules else connection


def refuse_awaited(connection: Any) -> None:
    """Raise `InvalidArguments` for a connection that is awaited: its event loop stands still as long as its caller."""
    execute = inspect.unwrap(getattr(type(connection), "execute", None) or _nothing)
    if inspect.iscoroutinefunction(execute):
        kind = type(connection)
        message = (
            "options(connection=…): expected, for plain calls, a connection or session that isn't awaited, such as "
            f"psycopg's Connection or SQLAlchemy's Session; got {kind.__module__}.{kind.__qualname__}, which belongs "
            "into `async with pinstripe.open_project()`"
        )
        raise InvalidArguments(message)


def _nothing() -> None:
    """Do nothing."""


def _under_django(connection: Any) -> Any:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.utils.connection import ConnectionProxy

    if not isinstance(connection, BaseDatabaseWrapper | ConnectionProxy):
        return connection
    connection.ensure_connection()
    connection.validate_no_broken_transaction()
    driver = connection.connection
    module = type(driver).__module__.partition(".")[0]
    if module != "psycopg":
        message = (
            "options(connection=…): expected Django's connection to PostgreSQL over psycopg 3, got that to the "
            f"database {connection.alias!r}, whose ENGINE is {connection.settings_dict['ENGINE']!r}, over {module}"
        )
        raise InvalidArguments(message)
    return driver
