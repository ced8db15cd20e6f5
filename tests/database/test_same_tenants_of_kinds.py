"""Columns of every kind are compared as their values are in Python: the same filter, asked of what the rows gave."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as trying
from hypothesis import strategies as st
from sqlalchemy import CHAR, REAL, DateTime, LargeBinary, Numeric, Text, Uuid, delete, insert
from sqlalchemy.dialects.postgresql import CITEXT
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from pinstripe.database.tenants import TableTenants
from pinstripe.tenant_sources import Tenants
from pinstripe.text_values import TextValue
from tests.database.readers import EngineReader, entry_of, new_engine, reflect_tables
from tests.database.test_same_tenants import answer, url
from tests.thoroughness import examples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres import Postgres

__all__ = ["url"]


class Base(DeclarativeBase):
    pass


class Colour(Enum):
    RED = "r"
    GREEN = "g"


class Plan(StrEnum):
    PRO = "professional"
    FREE = "free"


class Thing(Base):
    __tablename__ = "things"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime | None] = mapped_column(DateTime)
    day: Mapped[date | None]
    hour: Mapped[time | None]
    uuid: Mapped[UUID | None]
    uuid_text: Mapped[str | None] = mapped_column(Uuid(as_uuid=False))
    price: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    ratio: Mapped[float | None] = mapped_column(Numeric(12, 2, asdecimal=False))
    single: Mapped[float | None] = mapped_column(REAL)
    country: Mapped[str | None] = mapped_column(CHAR(3))
    mail: Mapped[str | None] = mapped_column(Text().with_variant(CITEXT(), "postgresql"))
    lax: Mapped[str | None] = mapped_column(Text().with_variant(Text(collation="nocase"), "sqlite"))
    colour: Mapped[Colour | None]
    plan: Mapped[Plan | None]
    raw: Mapped[bytes | None] = mapped_column(LargeBinary)


EAST = timezone(timedelta(hours=5, minutes=30))
UUIDS = [UUID(int=0), UUID(int=2**127), UUID("abcdefab-cdef-abcd-efab-cdefabcdefab")]
TIMES = [datetime(2026, 1, 2, 3, 4, 5), datetime(2026, 1, 2, 3, 4, 5, 600000), datetime.min, datetime(9999, 12, 31)]  # noqa: DTZ001, DTZ901
TEXTS = ["a", "A", "ab", "Ab ", "a%", "", "ß", "z", "_", "Z/"]
KINDS: dict[str, list[Any]] = {
    "at": TIMES,
    "day": [date(2026, 1, 2), date(2026, 1, 3), date.min],
    "hour": [time(3, 4, 5), time(3, 4, 5, 6), time(0)],
    "uuid": UUIDS,
    "uuid_text": [str(one) for one in UUIDS],
    "price": [Decimal("0.10"), Decimal("-2.50"), Decimal(0), Decimal("9999999.99")],
    "ratio": [0.1, 0.25, -2.5, 0.0],
    "single": [0.5, 0.25, -3.0],
    "country": ["de", "deu", "DE", "a"],
    "mail": TEXTS,
    "lax": TEXTS,
    "colour": list(Colour),
    "plan": list(Plan),
    "raw": [b"", b"a", b"a\0", b"\xff"],
}
ASKED: dict[str, list[Any]] = {
    **KINDS,
    "at": [*TIMES, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), date(2026, 1, 2)],
    "uuid_text": [*KINDS["uuid_text"], "ABCDEFAB-CDEF-ABCD-EFAB-CDEFABCDEFAB", "0", "", "8000"],
    "price": [*KINDS["price"], 0, 0.1, -2.5, Decimal("0.105"), Decimal("0.1"), 10**30, float("inf"), True],
    "ratio": [*KINDS["ratio"], 0, 1],
    "single": [*KINDS["single"], 0.1, 1, Decimal("0.5"), Decimal("0.3"), 10**39],
    "country": [*KINDS["country"], "de ", "d", " "],
    "mail": [*TEXTS, "AB", "%", "s"],
    "lax": [*TEXTS, "AB", "%", "s"],
    "colour": [*Colour, "r", "RED"],
    "plan": [*Plan, "free", "FREE", "g"],
}
COLLATE = """
    do $$ begin
        if exists (select from pg_collation where collname = 'und-x-icu') then
            alter table things alter lax type text collate "und-x-icu";
        end if;
    end $$
"""
OF_TEXT = {"uuid_text", "country", "mail", "lax", "plan"}
TYPED = ["2026-01-02", "2026-01-02T03:04:05", "2026-01-02T03:04:05Z", "03:04:05", "0.1", "a", "de ", "r", "RED", "free"]
WITHOUT: dict[str, Any] = dict.fromkeys(KINDS)
ROWS = st.lists(
    st.fixed_dictionaries({name: st.none() | st.sampled_from(some) for name, some in KINDS.items()}), max_size=6
)
COMPLETE = {name: some[0] for name, some in KINDS.items()}


@st.composite
def lookups(draw: st.DrawFn) -> dict[str, Any]:
    drawn: dict[str, Any] = {}
    for _ in range(draw(st.integers(1, 2))):
        column = draw(st.sampled_from([*KINDS]))
        of_text = ("begins_with", "ends_with", "contains") if column in OF_TEXT else ()
        comparison = draw(st.sampled_from(["", "ne", "lt", "gt", "le", "ge", *of_text]))
        fitting = st.sampled_from(ASKED[column])
        typed = st.sampled_from(TYPED).map(TextValue)
        one = st.one_of(fitting, fitting, fitting, typed, st.sampled_from([5, "x", b"y"]))
        one = st.none() | one if comparison in ("", "ne") else one
        drawn[f"{column}__{comparison}" if comparison else column] = draw(one | st.lists(one, max_size=3))
    return drawn


@contextmanager
def opened(at: str, runner: asyncio.Runner) -> Iterator[list[tuple[EngineReader, Any]]]:
    stack = AsyncExitStack()

    async def enter() -> list[tuple[EngineReader, Any]]:
        engine = await stack.enter_async_context(new_engine(at))
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        mapped, reflected = EngineReader(engine, [entry_of(Thing)]), EngineReader(engine, await reflect_tables(engine))
        return [(mapped, Thing), (reflected, "things")]

    try:
        yield runner.run(enter())
    finally:
        runner.run(stack.aclose())


@pytest.mark.filterwarnings("ignore:Dialect sqlite.* does .not. support Decimal")
@pytest.mark.parametrize("url", ["sqlite", "postgresql"], indirect=True)
def test_every_kind_is_compared_as_in_python(url: str, request: pytest.FixtureRequest) -> None:
    name = request.getfixturevalue("postgres_database") if url.startswith("postgresql") else None
    postgres: Postgres | None = request.getfixturevalue("postgres") if name else None
    with asyncio.Runner() as runner:
        if postgres is not None:
            runner.run(postgres.execute("create extension citext", database=name))
        with opened(url, runner) as readers:
            if postgres is not None:  # a collation that no model tells, and that orders as dictionaries do
                runner.run(postgres.execute(COLLATE, database=name))

            @trying(max_examples=examples(300), suppress_health_check=[HealthCheck.too_slow])
            @given(ROWS, lookups())
            def compare(rows: list[dict[str, Any]], where: dict[str, Any]) -> None:
                async def answers() -> None:
                    async with readers[0][0].engine.begin() as connection:
                        await connection.execute(delete(Thing))
                        items = [{"id": number, **row} for number, row in enumerate([COMPLETE, *rows], 1)]
                        await connection.execute(insert(Thing), items)
                    for reader, table in readers:
                        source = TableTenants(reader, table)
                        tenants = [tenant async for tenant in source]
                        expected = await answer(Tenants(tenants), lambda one: one.where(**where), None)
                        assert await answer(source, lambda one: one.where(**where), None) == expected, table

                runner.run(answers())

            compare()
