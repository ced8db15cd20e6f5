"""Every source of tenants gives the same answers: in Python of each manner, and from tables of both databases."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as trying
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Boolean, Double, Integer, String, delete, insert
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from pinstripe.database.tenants import TableTenants
from pinstripe.errors import PinstripeError
from pinstripe.tenant_sources import Tenants
from pinstripe.text_values import TextValue
from tests.database.readers import EngineReader, entry_of, new_engine, reflect_tables
from tests.postgres import OWNER
from tests.thoroughness import examples

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncEngine

    from pinstripe.tenants import TenantSource
    from tests.postgres import Postgres


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"

    id: Mapped[str] = mapped_column(String, primary_key=True)
    name: Mapped[str | None] = mapped_column(String)
    code: Mapped[str | None] = mapped_column(String(20))
    seats: Mapped[int | None] = mapped_column(Integer)
    bytes: Mapped[int | None] = mapped_column(BigInteger)
    share: Mapped[float | None] = mapped_column(Double)
    active: Mapped[bool | None] = mapped_column(Boolean)


# What is compared: letters in both cases, what LIKE and its escapes mean something by, what is ordered differently by
# code point than by a dictionary, and what UTF-16 and UTF-8 order differently.
TEXTS = st.one_of(
    st.text(alphabet="aA%_/", min_size=1, max_size=3),
    st.text(alphabet="abAB%_\\/'0é\u0301ß \ue000\uffff\N{GRINNING FACE}\U0010ffff", max_size=4),
)
UNFIT_TEXTS = st.sampled_from(["\ud800", "a\udfff", "a\0", "\0", "\ud7ff\ud800", "a\0b"])
ASKED_TEXTS = st.one_of(st.text(alphabet="aA%_/", min_size=1, max_size=1), TEXTS, UNFIT_TEXTS)
NUMBERS_AS_TEXT = st.sampled_from(["1", "01", "10", "2", "1.0", "true", "null", "-1", ""])
INFINITY = float("inf")
INTEGERS = st.integers(-3, 3) | st.sampled_from([2**31 - 1, -(2**31)])
LONG_INTEGERS = INTEGERS | st.sampled_from([2**53, 2**53 + 1, 2**63 - 1, -(2**63)])
FLOATS = st.sampled_from([-1.5, -0.0, 0.0, 0.1, 0.3, 0.5, 1.0, 2.0, 1e-320, 2.0**53, 1.7e308, -INFINITY, INFINITY])
ORDERED_NUMBERS: st.SearchStrategy[Any] = st.one_of(
    LONG_INTEGERS,
    FLOATS,
    st.booleans(),
    st.sampled_from([2**31, 2**63, -(2**63) - 1, 10**400, -(10**400)]),
    st.sampled_from(["0.1", "0.3", "-0.3", "0.5", "2.5", "1E+400", "-1E+400", "Infinity", "1E-400"]).map(Decimal),
    st.sampled_from([Fraction(1, 3), Fraction(1, 2), Fraction(4, 2), Fraction(2**54 + 1, 2)]),
)
ASKED_NUMBERS = ORDERED_NUMBERS | st.sampled_from([complex(1, 0), complex(0, 1)])
COLUMNS: dict[str, st.SearchStrategy[Any]] = {
    "name": TEXTS,
    "code": NUMBERS_AS_TEXT,
    "seats": INTEGERS,
    "bytes": LONG_INTEGERS,
    "share": FLOATS,
    "active": st.booleans(),
}
OF_TEXT = ("name", "code", "id")
TYPED = st.sampled_from(["1", "0", "2.5", "true", "no", "null", "a", "", "1e400", "-1", "%", "nan"]).map(TextValue)
ROWS = st.lists(st.fixed_dictionaries({name: st.none() | values for name, values in COLUMNS.items()}), max_size=8)
COMPLETE = {"name": "b", "code": "1", "seats": 1, "bytes": 1, "share": 0.5, "active": True}
"""Values of a row that is always there: in Python, only a value that is there can be of the wrong kind."""


IDS = st.none() | st.lists(st.sampled_from(["0", "1", "01", "2", "5", "x", "", "a\0", "\ud800"]))


@st.composite
def lookups(draw: st.DrawFn) -> dict[str, Any]:
    drawn: dict[str, Any] = {}
    for _ in range(draw(st.integers(1, 3))):
        column = draw(st.sampled_from([*COLUMNS, "name", "share", "id"]))
        text = column in OF_TEXT
        comparison = draw(st.sampled_from(["", "ne", "lt", "gt", "le", "ge"]))
        if draw(st.integers(0, 4)) == 0 or (text and draw(st.booleans())):
            comparison = draw(st.sampled_from(["begins_with", "ends_with", "contains"]))
        # Python asks a list of alternatives one by one, and finds out that it can't order one only if no other held.
        numbers = ASKED_NUMBERS if comparison in ("", "ne") else ORDERED_NUMBERS
        fitting = (ASKED_TEXTS | NUMBERS_AS_TEXT | COLUMNS.get(column, TEXTS)) if text else numbers
        if draw(st.integers(0, 9)) == 0:
            fitting = ASKED_TEXTS | numbers | st.just(float("nan")) | st.just(b"a")
        one = st.one_of(fitting, fitting, TYPED, st.none()) if comparison in ("", "ne") else st.one_of(fitting, TYPED)
        value = draw(st.one_of(one, st.lists(one, max_size=3), st.frozensets(one, max_size=2)))
        drawn[f"{column}__{comparison}" if comparison else column] = value
    return drawn


@asynccontextmanager
async def filled(engine: AsyncEngine) -> AsyncIterator[tuple[EngineReader, EngineReader]]:
    """Make the table; give a reader of the mapped class, and one of the table as the database tells it."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield EngineReader(engine, [entry_of(Customer)]), EngineReader(engine, await reflect_tables(engine))


async def fill(engine: AsyncEngine, items: Sequence[dict[str, Any]]) -> None:
    async with engine.begin() as connection:
        await connection.execute(delete(Customer))
        await connection.execute(insert(Customer), list(items))


def python_sources(items: list[dict[str, Any]]) -> dict[str, TenantSource]:
    async def function() -> list[dict[str, Any]]:
        return items

    async def generator() -> AsyncIterator[dict[str, Any]]:
        for item in items:
            yield item

    return {"list": Tenants(items), "function": Tenants(function), "generator": Tenants(generator)}


async def answer(source: TenantSource, narrow: Callable[[Any], Any], ids: Sequence[str] | None) -> object:
    """Give the ids that a source gives once it is narrowed, or the kind of its error."""
    try:
        narrowed = narrow(source)
        found = [tenant.id async for tenant in narrowed] if ids is None else list(await narrowed.by_ids(ids))
    except PinstripeError as error:
        return next(kind for kind in type(error).__mro__ if kind.__bases__ == (PinstripeError,))
    return sorted(found) if ids is None else found


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/app.db"
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.url(request.getfixturevalue("postgres_database"), OWNER)


@pytest.mark.parametrize("url", ["sqlite", "postgresql"], indirect=True)
def test_every_source_gives_the_same_tenants(url: str) -> None:
    async def sources_of(items: list[dict[str, Any]], readers: Sequence[EngineReader]) -> dict[str, TenantSource]:
        await fill(readers[0].engine, items)
        mapped, reflected = readers
        return {
            **python_sources(items),
            "class": TableTenants(mapped, Customer),
            "table": TableTenants(reflected, "customers"),
        }

    with asyncio.Runner() as runner, _opened(url, runner) as readers:

        @trying(max_examples=examples(300), suppress_health_check=[HealthCheck.too_slow])
        @given(ROWS, lookups(), st.sampled_from([None, "active", "seats", "name", "missing"]), IDS)
        def compare(rows: list[Any], where: dict[str, Any], active: str | None, ids: list[str] | None) -> None:
            items = [{"id": str(number), **row} for number, row in enumerate([COMPLETE, *rows])]

            def narrow(source: Any) -> Any:
                return (source if active is None else source.where_active(active)).where(**where)

            async def answers() -> dict[str, object]:
                sources = await sources_of(items, readers)
                return {name: await answer(source, narrow, ids) for name, source in sources.items()}

            found = runner.run(answers())
            assert all(one == found["list"] for one in found.values()), found

        compare()


@contextmanager
def _opened(url: str, runner: asyncio.Runner) -> Iterator[tuple[EngineReader, EngineReader]]:
    stack = AsyncExitStack()

    async def enter() -> tuple[EngineReader, EngineReader]:
        return await stack.enter_async_context(filled(await stack.enter_async_context(new_engine(url))))

    try:
        yield runner.run(enter())
    finally:
        runner.run(stack.aclose())
