"""Every manner of tenant source filters as a database does: the same lookups, asked of SQL."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from pinstripe.tenant_sources import Tenants
from tests.tenant_manners import ids, manners

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SQL_OPERATORS = {"": "=", "ne": "<>", "lt": "<", "gt": ">", "le": "<=", "ge": ">="}
TEXTS = st.text(alphabet="aA%_é\N{GRINNING FACE}", max_size=3)
NUMBERS = st.integers(-3, 3)
COLUMNS: Mapping[str, st.SearchStrategy[Any]] = {
    "name": TEXTS,
    "seats": NUMBERS,
    "share": st.sampled_from([-1.5, 0.0, 0.5, 2.0]),
    "active": st.booleans(),
}


def one_or_many(values: st.SearchStrategy[Any], *, null: bool) -> st.SearchStrategy[Any]:
    one = st.none() | values if null else values
    return one | st.lists(one, max_size=3)


@st.composite
def lookups(draw: st.DrawFn) -> dict[str, Any]:
    drawn: dict[str, Any] = {}
    for _ in range(draw(st.integers(0, 3))):
        column = draw(st.sampled_from(sorted(COLUMNS)))
        of_text = ("begins_with", "ends_with", "contains") if column == "name" else ()
        comparison = draw(st.sampled_from([*SQL_OPERATORS, *of_text]))
        value = draw(one_or_many(COLUMNS[column], null=comparison in ("", "ne")))
        drawn[f"{column}__{comparison}" if comparison else column] = value
    return drawn


ROWS = st.lists(st.fixed_dictionaries({name: st.none() | values for name, values in COLUMNS.items()}), max_size=12)


def as_sql(key: str, value: object) -> tuple[str, list[object]]:
    column, _, comparison = key.partition("__")
    values = value if isinstance(value, list) else [value]
    conditions, parameters = [], []
    for one in values:
        if one is None:
            conditions.append(f"{column} is {'not ' if comparison == 'ne' else ''}null")
        elif comparison in SQL_OPERATORS:
            conditions.append(f"{column} {SQL_OPERATORS[comparison]} ?")
            parameters.append(one)
        else:
            before, after = {"begins_with": ("", "%"), "ends_with": ("%", ""), "contains": ("%", "%")}[comparison]
            conditions.append(f"{column} like ? escape '\\'")
            escaped = str(one).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            parameters.append(before + escaped + after)
    if comparison == "ne":
        return " and ".join([f"{column} is not null", *conditions]), parameters
    return f"({' or '.join(conditions) or 'false'})", parameters


def by_sql(rows: list[dict[str, Any]], where: dict[str, Any]) -> list[str]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("pragma case_sensitive_like = on")
        connection.execute("create table tenants (id text, name text, seats integer, share real, active boolean)")
        connection.executemany("insert into tenants values (:id, :name, :seats, :share, :active)", rows)
        conditions = [as_sql(key, value) for key, value in where.items()]
        text = " and ".join(["true", *(condition for condition, _ in conditions)])
        parameters = [one for _, some in conditions for one in some]
        return [row[0] for row in connection.execute(f"select id from tenants where {text} order by rowid", parameters)]


@given(ROWS, lookups())
def test_every_manner_answers_as_sql_does(rows: list[dict[str, Any]], where: dict[str, Any]) -> None:
    items = [{"id": str(number), **row} for number, row in enumerate(rows)]
    expected = by_sql(items, where)

    async def answers() -> dict[str, list[str]]:
        kinds = {**manners(items), "objects": [SimpleNamespace(**item) for item in items]}
        return {kind: await ids(Tenants(source).where(**where)) for kind, source in kinds.items()}

    assert all(answer == expected for answer in asyncio.run(answers()).values())


@given(
    names=st.lists(TEXTS, min_size=1, max_size=20),
    comparison=st.sampled_from(["begins_with", "ends_with", "contains", "lt", "ge"]),
    value=st.text(alphabet="aA%_", min_size=1, max_size=1) | st.lists(TEXTS, max_size=3),
)
def test_text_is_compared_as_sql_does(names: list[str], comparison: str, value: object) -> None:
    others = {"seats": None, "share": None, "active": None}
    items = [{"id": str(number), "name": name, **others} for number, name in enumerate(names)]
    where = {f"name__{comparison}": value}
    assert asyncio.run(ids(Tenants(items).where(**where))) == by_sql(items, where)


@given(ROWS, lookups())
def test_a_row_of_a_driver_answers_as_sql_does(rows: list[dict[str, Any]], where: dict[str, Any]) -> None:
    items = [{"id": str(number), **row} for number, row in enumerate(rows)]

    def read() -> Iterator[sqlite3.Row]:  # the connection may only be used in one thread: that of this reading
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("create table tenants (id text, name text, seats integer, share real, active boolean)")
            connection.executemany("insert into tenants values (:id, :name, :seats, :share, :active)", items)
            yield from connection.execute("select * from tenants order by rowid")

    assert asyncio.run(ids(Tenants(read).where(**where))) == by_sql(items, where)
