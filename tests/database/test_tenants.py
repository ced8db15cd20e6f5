"""Tenants that a table of the application's database has."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, Text, event, insert, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from pinstripe.database.tenants import VALUES, TableTenants
from pinstripe.errors import (
    ConfigurationError,
    DatabaseUnavailable,
    TenantSourceFailed,
    UnknownColumn,
    UnknownTable,
)
from pinstripe.tenant_sources import default_filter
from pinstripe.tenants import TenantSource
from tests.database.readers import EngineReader, entry_of, new_engine
from tests.postgres import OWNER
from tests.tenant_manners import ids

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncEngine

    from tests.postgres import Postgres

pytestmark = pytest.mark.anyio


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "accounts"

    number: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str | None]
    plan: Mapped[str | None]
    parent: Mapped[UUID | None]

    @property
    def is_paying(self) -> bool:
        return self.plan is not None


ACCOUNTS = entry_of(Account).table
NOTES = Table("notes", MetaData(), Column("id", Text), Column("size", Integer), Column("geo__code", String))


@pytest.fixture(params=["sqlite", "postgresql"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    url = f"sqlite:///{tmp_path}/app.db"
    if request.param == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        url = postgres.url(request.getfixturevalue("postgres_database"), OWNER)
    async with new_engine(url) as made:
        async with made.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
            await connection.run_sync(NOTES.metadata.create_all)
        yield made


async def put(engine: AsyncEngine, table: Any, *rows: dict[str, Any]) -> EngineReader:
    async with engine.begin() as connection:
        for row in rows:
            await connection.execute(insert(table), row)
    return EngineReader(engine, [entry_of(Account), entry_of(NOTES)])


async def accounts(engine: AsyncEngine, *slugs: str | None) -> EngineReader:
    return await put(engine, ACCOUNTS, *({"number": number, "slug": slug} for number, slug in enumerate(slugs, 1)))


async def test_it_is_a_source(engine: AsyncEngine) -> None:
    reader = await accounts(engine, "b", "a")
    source = TableTenants(reader, Account, key="slug")
    assert isinstance(source, TenantSource)
    assert await ids(source) == await ids(source) == ["a", "b"]
    assert source.description == "all"
    narrowed = source.where(plan="pro").where_active("active")
    assert repr(narrowed) == "TableTenants(Account: plan='pro', active=True)"
    assert narrowed.description == "plan='pro', active=True"


async def test_a_class_gives_its_instances(engine: AsyncEngine) -> None:
    reader = await put(engine, ACCOUNTS, {"number": 7, "slug": "acme", "plan": "pro"})
    (tenant,) = [tenant async for tenant in TableTenants(reader, Account, key="number")]
    assert (tenant.id, tenant.plan, tenant.is_paying, tenant.get("none")) == ("7", "pro", True, None)
    assert pickle.loads(pickle.dumps(tenant)).plan == "pro"


async def test_a_table_gives_mappings(engine: AsyncEngine) -> None:
    reader = await put(engine, NOTES, {"id": "acme", "size": 3, "geo__code": "x"})
    (tenant,) = [tenant async for tenant in TableTenants(reader, "notes")]
    assert (tenant.id, tenant.size, tenant.geo__code) == ("acme", 3, "x")
    assert pickle.loads(pickle.dumps(tenant)).size == 3


async def test_an_unknown_comparison_is_told_at_once(engine: AsyncEngine) -> None:
    reader = await accounts(engine)
    with pytest.raises(ConfigurationError, match="__ge"):
        TableTenants(reader, "notes").where(size__gte=5)


async def test_what_the_table_has_not_is_told_when_it_is_read(engine: AsyncEngine) -> None:
    reader = await accounts(engine)
    with pytest.raises(UnknownColumn, match="'notes' has no column 'sise'; the nearest is size"):
        await ids(TableTenants(reader, "notes").where(sise=5))
    with pytest.raises(UnknownColumn, match="the nearest is slug; expected the column that holds the id"):
        await ids(TableTenants(reader, Account, key="slag"))
    with pytest.raises(UnknownTable):
        await ids(TableTenants(reader, "nots"))
    with pytest.raises(ConfigurationError, match="expected size to be text, got a number"):
        await TableTenants(reader, "notes").where(size="5").by_ids(["a"])


async def test_the_default_filter_needs_no_column(engine: AsyncEngine) -> None:
    reader = await put(engine, NOTES, {"id": "a", "size": 0}, {"id": "b", "size": 1}, {"id": "c", "size": None})
    source = TableTenants(reader, "notes")
    assert await ids(default_filter(source, "active")) == ["a", "b", "c"]
    assert await ids(default_filter(source, "size")) == ["b"]


async def test_the_default_filter_may_be_a_property_of_the_class(engine: AsyncEngine) -> None:
    rows = [{"number": 1, "slug": "a", "plan": None}, {"number": 2, "slug": "b", "plan": "pro"}]
    source = TableTenants(await put(engine, ACCOUNTS, *rows), Account, key="slug").where_active("is_paying")
    assert await ids(source) == ["b"]
    assert list(await source.by_ids(["a", "b"])) == ["b"]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
async def test_pages_come_in_the_order_of_the_key(engine: AsyncEngine, size: int) -> None:
    reader = await accounts(engine, "d", "a", "c", "b", "e")
    pages = [[tenant.id for tenant in page] async for page in TableTenants(reader, Account, key="slug").pages(size)]
    assert [one for page in pages for one in page] == ["a", "b", "c", "d", "e"]
    assert all(0 < len(page) <= size for page in pages)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 1000])
async def test_an_id_comes_as_often_as_it_is_there(engine: AsyncEngine, size: int) -> None:
    reader = await accounts(engine, "b", "a", "b", "c", "b", "a")
    source = TableTenants(reader, Account, key="slug")
    found = [tenant async for page in source.pages(size) for tenant in page]
    assert [(tenant.id, tenant.number) for tenant in found] == [*zip("aabbbc", [2, 6, 1, 3, 5, 4], strict=True)]
    assert (await source.by_ids(["b"]))["b"].number == 1


@pytest.mark.parametrize("size", [1, 2, 3, 4, 1000])
async def test_a_table_without_a_primary_key_is_read_whole(engine: AsyncEngine, size: int) -> None:
    rows = [{"id": one, "size": number} for number, one in enumerate("babcba")]
    reader = await put(engine, NOTES, *rows)
    found = [tenant async for page in TableTenants(reader, "notes").pages(size) for tenant in page]
    assert sorted((tenant.id, tenant.size) for tenant in found) == sorted((row["id"], row["size"]) for row in rows)
    assert [tenant.id for tenant in found] == list("aabbbc")


async def test_nothing_is_open_between_pages(engine: AsyncEngine) -> None:
    reader = await accounts(engine, "a", "b", "c")
    open_connections: list[object] = []
    event.listen(engine.sync_engine, "checkout", lambda connection, *_: open_connections.append(connection))
    event.listen(engine.sync_engine, "checkin", lambda *_: open_connections.pop())
    pages = TableTenants(reader, Account, key="slug").pages(1)
    async for page in pages:
        assert not open_connections
        assert len(page) == 1
        await reader.rows(reader.statements[-1])  # others may use the only connection meanwhile
    assert len(reader.statements) == 8


async def test_a_page_is_one_query_that_the_key_bounds(engine: AsyncEngine) -> None:
    reader = await put(engine, ACCOUNTS, *({"number": number} for number in range(1, 8)))
    source = TableTenants(reader, Account, key="number").where(number__le=6)
    assert [len(page) async for page in source.pages(3)] == [3, 3]
    assert [str(one.whereclause).count(">") for one in reader.statements] == [0, 1, 1]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (None, "tenant source notes failed: item 1 has a 'id' of type None; expected an id"),
        ("", "tenant source notes failed: item 1 has the 'id' ''; expected an id that isn't empty"),
    ],
)
async def test_a_bad_id_is_told(engine: AsyncEngine, bad: str | None, message: str) -> None:
    reader = await put(engine, NOTES, {"id": "acme"}, {"id": bad})
    with pytest.raises(TenantSourceFailed, match=message):
        await ids(TableTenants(reader, "notes"))
    assert await ids(TableTenants(reader, "notes").where(id="acme")) == ["acme"]


async def test_a_column_that_can_hold_no_id_is_told(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("create table prices (id double precision)"))
        await connection.execute(text("insert into prices values (1.5)"))
    prices = Table("prices", MetaData())
    async with engine.connect() as connection:
        await connection.run_sync(lambda now: Table("prices", prices.metadata, autoload_with=now, extend_existing=True))
    source = TableTenants(EngineReader(engine, [entry_of(prices)]), "prices")
    for reading in (ids(source), source.by_ids(["1.5"])):
        with pytest.raises(TenantSourceFailed, match="of type float; expected an id: text, an int or a UUID"):
            await reading


async def test_ids_are_found_as_they_are_written(engine: AsyncEngine) -> None:
    uuid = UUID("12345678-1234-5678-1234-567812345678")
    reader = await put(engine, ACCOUNTS, {"number": 1, "slug": "Acme", "parent": uuid}, {"number": 2, "slug": "01"})
    numbers = TableTenants(reader, Account, key="number")
    asked = ["2", "01", " 1", "1", "+1", "1.0", "x", "1_0", "٢", "9" * 30, "", "a\0", "\ud800"]
    assert [*(await numbers.by_ids(asked))] == ["2", "1"]
    slugs = TableTenants(reader, Account, key="slug")
    assert [*(await slugs.by_ids(["01", "acme", "Acme", "1", "a\0", "\ud800", "A%", "' or 1=1 --"]))] == ["01", "Acme"]
    parents = TableTenants(reader, Account, key="parent").where(number=1)
    assert [*(await parents.by_ids([str(uuid), str(uuid).upper(), uuid.hex, "1"]))] == [str(uuid)]
    assert await parents.by_ids([]) == {}


async def test_many_ids_are_asked_for_in_parts(engine: AsyncEngine) -> None:
    reader = await put(engine, ACCOUNTS, *({"number": number} for number in range(1, 21)))
    asked = [str(number) for number in range(1201, 0, -1)]
    found = await TableTenants(reader, Account, key="number").where(number__ne=5).by_ids([*asked, *asked])
    assert [*found] == [str(number) for number in range(20, 0, -1) if number != 5]
    assert len(reader.statements) == 3


async def test_errors_of_the_database_are_told(engine: AsyncEngine) -> None:
    reader = await accounts(engine, "a")
    async with engine.begin() as connection:
        await connection.execute(text("drop table accounts"))
    for reading in (ids(TableTenants(reader, Account, key="slug")), TableTenants(reader, Account).by_ids(["1"])):
        with pytest.raises((TenantSourceFailed, ConfigurationError), match=r"accounts|no column 'id'") as raised:
            await reading
        assert "[SQL" not in str(raised.value)


class Unreachable(EngineReader):
    async def rows(self, statement: object) -> list[Any]:
        raise DatabaseUnavailable("the server is not there")


async def test_a_database_that_is_not_there_is_told_as_that(engine: AsyncEngine) -> None:
    source = TableTenants(Unreachable(engine, [entry_of(NOTES)]), "notes")
    with pytest.raises(DatabaseUnavailable):
        await ids(source)
    with pytest.raises(DatabaseUnavailable):
        await source.by_ids(["a"])


# The values of a column.


async def values(source: TableTenants, attribute: str) -> list[object] | None:
    found = await source.distinct(attribute)
    return None if found is None else sorted(found, key=str)


async def test_the_values_of_a_column_are_told_in_one_query(engine: AsyncEngine) -> None:
    rows = [{"number": number, "plan": plan} for number, plan in enumerate(["pro", None, "free", "pro", "", "Pro"], 1)]
    reader = await put(engine, ACCOUNTS, *rows)
    source = TableTenants(reader, Account, key="number")
    assert await values(source, "plan") == ["", None, "Pro", "free", "pro"]
    assert len(reader.statements) == 1
    assert await values(source.where(number__le=3).where_active("active"), "plan") == [None, "free", "pro"]
    assert await values(source.where(number=0), "plan") == []


async def test_a_table_has_no_values_of_what_is_no_column(engine: AsyncEngine) -> None:
    reader = await put(engine, NOTES, {"id": "a", "size": 3, "geo__code": "x"})
    source = default_filter(TableTenants(reader, "notes"), "active")
    assert isinstance(source, TableTenants)
    assert await values(source, "sise") == []
    assert await values(source, "geo__code") == ["x"]


async def test_what_only_the_instances_have_cannot_be_told_in_a_query(engine: AsyncEngine) -> None:
    source = TableTenants(await accounts(engine, "a"), Account, key="slug")
    assert await values(source, "is_paying") is None
    assert await values(source.where_active("is_paying"), "slug") is None
    assert await values(source, "parent") is None  # no text
    assert await values(source, "nothing") == []


async def test_values_are_told_apart_whatever_the_collation(engine: AsyncEngine) -> None:
    loose = "text collate nocase" if engine.dialect.name == "sqlite" else "loose_text"
    async with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            await connection.execute(
                text("create collation loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
            )
            await connection.execute(text("create domain loose_text as text collate loose"))
        await connection.execute(text(f"create table places (id text, zone {loose})"))
        for number, zone in enumerate(["europe/paris", "Europe/Paris", "EUROPE/PARIS", "Europe/Paris"]):
            await connection.execute(text(f"insert into places values ('{number}', '{zone}')"))
    places = Table("places", MetaData())
    async with engine.connect() as connection:
        await connection.run_sync(lambda now: Table("places", places.metadata, autoload_with=now, extend_existing=True))
    source = TableTenants(EngineReader(engine, [entry_of(places)]), "places")
    assert await values(source, "zone") == ["EUROPE/PARIS", "Europe/Paris", "europe/paris"]


async def test_too_many_values_are_not_told(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(insert(NOTES), [{"id": f"{number}"} for number in range(VALUES + 1)])
    source = TableTenants(EngineReader(engine, [entry_of(NOTES)]), "notes")
    assert await source.distinct("id") is None
    assert len(await source.where(id__ne="0").distinct("id") or ()) == VALUES


async def test_errors_of_the_database_are_told_of_values_too(engine: AsyncEngine) -> None:
    reader = await accounts(engine, "a")
    async with engine.begin() as connection:
        await connection.execute(text("drop table accounts"))
    with pytest.raises(TenantSourceFailed, match="accounts"):
        await TableTenants(reader, Account, key="slug").distinct("slug")
    with pytest.raises(DatabaseUnavailable):
        await TableTenants(Unreachable(engine, [entry_of(NOTES)]), "notes").distinct("id")
