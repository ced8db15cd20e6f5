"""What counts as SQL that somebody wrote as text."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import column, extract, func, literal, literal_column, select, table, text, update
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql.elements import quoted_name

from pinstripe.database.raw_sql import is_query_or_change, raw_sql
from tests.database.shop_models import User


@pytest.mark.parametrize(
    "element",
    [
        text("1"),
        literal_column("name"),
        column(quoted_name("name from users --", quote=False)),
        User.name.label(quoted_name("x from users --", quote=False)),
        select(User.name).subquery(quoted_name("u, users", quote=False)),
        table("users", column("id")),
        text("select 1").columns(column("id")),
        extract("year from now()) --", User.joined_at),
        func.query_to_xml("select 1"),
        func.DBLINK("select 1"),
        func.set_config("pinstripe.tenant", "b", True),
        User.name.op("= '' or 1 =")("x"),
        User.name.op("-- ")("x"),
        select(User).prefix_with(text("distinct")),
        select(User).with_hint(User, "index"),
    ],
    ids=str,
)
def test_text_is_found(element: Any) -> None:
    assert raw_sql(element) is not None


@pytest.mark.parametrize(
    "element",
    [
        literal("select 1"),
        literal_column("*"),
        literal_column("1"),
        column("name"),
        column(quoted_name("Name", quote=True)),
        column(quoted_name("title", quote=False)),
        extract("year", User.joined_at),
        func.lower(User.name),
        User.name.op("->>")("x"),
        User.name.op("not like")("x"),
        select(User),
    ],
    ids=str,
)
def test_what_is_built_of_expressions_is_none(element: Any) -> None:
    assert raw_sql(element) is None


def test_only_queries_and_changes_can_be_looked_into() -> None:
    assert is_query_or_change(select(User))
    assert is_query_or_change(update(User))
    assert is_query_or_change(func.now())
    assert not is_query_or_change(text("select 1"))
    assert not is_query_or_change(CreateTable(User.__table__))  # type: ignore[arg-type]
