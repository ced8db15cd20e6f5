"""Every source of tenants tells the same time zones, and the same tenants of each: in Python, and from tables."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Any, cast
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as trying
from hypothesis import strategies as st
from sqlalchemy import Boolean, Dialect, Enum, Integer, String, TypeDecorator, delete, insert
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from pinstripe.background_job import BackgroundJob
from pinstripe.database.tenants import TableTenants
from pinstripe.loading import define
from pinstripe.selection import Selection, ZoneChoice, choose, choose_again
from pinstripe.tenant_sources import Tenants
from pinstripe.zone_groups import ZoneGroups
from tests.database.readers import EngineReader, entry_of, new_engine, reflect_tables
from tests.postgres import OWNER
from tests.thoroughness import examples

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from pinstripe.tenants import TenantSource
    from tests.postgres import Postgres


class Place(StrEnum):
    PARIS = "Europe/Paris"
    MARS = "Mars/Phobos"


class ZoneType(TypeDecorator[ZoneInfo]):
    """A column of an author's own type, which takes and gives nothing but zones."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: ZoneInfo | None, dialect: Dialect) -> str | None:
        return None if value is None else value.key

    def process_result_value(self, value: str | None, dialect: Dialect) -> ZoneInfo | None:
        return None if value is None else ZoneInfo(value)


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"

    id: Mapped[str] = mapped_column(String, primary_key=True)
    time_zone: Mapped[str | None] = mapped_column(String)
    place: Mapped[Place | None] = mapped_column(Enum(Place, values_callable=lambda kind: [one.value for one in kind]))
    zone: Mapped[ZoneInfo | None] = mapped_column(ZoneType)
    seats: Mapped[int | None] = mapped_column(Integer)
    active: Mapped[bool | None] = mapped_column(Boolean)

    @property
    def own_zone(self) -> str | None:
        return self.time_zone and self.time_zone.strip()


class ForAll(BackgroundJob):
    multi_tenant = True

    def run(self) -> None: ...


class ForFew(ForAll):
    @staticmethod
    def tenants_filter(tenants: TenantSource) -> TenantSource:
        return tenants.where(seats__ge=1)


KNOWN = ["Europe/Paris", "Asia/Tokyo", "Australia/Lord_Howe", "UTC"]
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "time_zone": st.sampled_from(
                [*KNOWN, None, "", " ", "europe/paris", "Europe/Paris ", "Mars", "Europe", "'"]
            ),
            "place": st.none() | st.sampled_from(Place),
            "zone": st.none() | st.sampled_from(KNOWN).map(ZoneInfo),
            "seats": st.none() | st.integers(0, 2),
            "active": st.sampled_from([True, True, False, None]),
        }
    ),
    max_size=8,
)
ATTRIBUTES = st.sampled_from(["time_zone", "time_zone", "place", "zone", "seats", "missing", "id"])


@asynccontextmanager
async def filled(url: str) -> AsyncIterator[tuple[EngineReader, EngineReader]]:
    async with new_engine(url) as engine:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield EngineReader(engine, [entry_of(Customer)]), EngineReader(engine, await reflect_tables(engine))


async def sources(
    items: list[dict[str, Any]], readers: tuple[EngineReader, EngineReader], attribute: str
) -> dict[str, TenantSource]:
    async def generator() -> AsyncIterator[dict[str, Any]]:
        for item in items:
            yield item

    mapped, reflected = readers
    async with mapped.engine.begin() as connection:
        await connection.execute(delete(Customer))
        if items:
            await connection.execute(insert(Customer), items)
    found: dict[str, TenantSource] = {
        "list": Tenants(items),
        "generator": Tenants(generator),
        "class": TableTenants(mapped, Customer),
    }
    if attribute != "own_zone":
        found["table"] = TableTenants(reflected, "customers")
    return found


async def answer(source: TenantSource, job_class: type[BackgroundJob], attribute: str, default: str) -> dict[str, Any]:
    """Give the tenants of each zone that there is, and of some others."""
    definition = define("the_job", job_class, multi_tenant=False)
    groups = ZoneGroups(lambda: source, active="active", attribute=attribute, default=default)
    zones = await groups.read(definition)
    found: dict[str, Any] = {}
    for name in sorted({*zones, *KNOWN, default, "Mars/Phobos"}):
        selection = Selection.from_json(Selection(zone=ZoneChoice(name, attribute, default)).to_json())
        choices = [choose_again(definition, selection, source, "active")]
        choices += [await choose(definition, selection, source, "active")]
        for choice in choices:
            found[name] = [tenant.id async for page in choice.pages() for tenant in page]
        assert (name in zones) == bool(found[name]) or name == "Mars/Phobos", (name, zones)
    of_nobody = choose_again(definition, Selection(), source, "active")
    everybody = [tenant.id async for page in of_nobody.pages() for tenant in page]
    assert sorted(everybody) == sorted(id_ for name in zones for id_ in found[name])
    return found


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/app.db"
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.url(request.getfixturevalue("postgres_database"), OWNER)


@pytest.mark.parametrize("url", ["sqlite", "postgresql"], indirect=True)
def test_every_source_tells_the_same_zones_and_the_same_tenants_of_each(url: str) -> None:
    with asyncio.Runner() as runner, _opened(url, runner) as readers:

        @trying(max_examples=examples(60), suppress_health_check=[HealthCheck.too_slow])
        @given(ROWS, ATTRIBUTES, st.sampled_from([ForAll, ForFew]), st.sampled_from(["UTC", "Europe/Paris"]))
        def compare(rows: list[Any], attribute: str, job_class: type[BackgroundJob], default: str) -> None:
            items = [{"id": str(number), "seats": 1, **row} for number, row in enumerate(rows)]
            if job_class is ForFew:
                items = [{**item, "seats": item["seats"] or 0} for item in items]

            async def answers() -> dict[str, Any]:
                made = await sources(items, readers, attribute)
                return {name: await answer(source, job_class, attribute, default) for name, source in made.items()}

            found = runner.run(answers())
            assert all(one == found["list"] for one in found.values()), found

        compare()


@contextmanager
def _opened(url: str, runner: asyncio.Runner) -> Iterator[tuple[EngineReader, EngineReader]]:
    stack = AsyncExitStack()
    try:
        yield runner.run(stack.enter_async_context(filled(url)))
    finally:
        runner.run(stack.aclose())


def test_a_zone_that_only_the_instances_of_a_class_know_is_found(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"id": "a", "time_zone": " Asia/Tokyo "}, {"id": "b", "time_zone": None}]

    async def found() -> dict[str, Any]:
        async with filled(f"sqlite:///{tmp_path}/app.db") as readers:
            made = await sources([{**row, "active": True} for row in rows], readers, "own_zone")
            return await answer(made["class"], ForAll, "own_zone", "UTC")

    assert {name: ids for name, ids in asyncio.run(found()).items() if ids} == {"Asia/Tokyo": ["a"], "UTC": ["b"]}


def test_only_the_tenants_of_a_zone_are_read_from_a_table(tmp_path: Path) -> None:
    """Forty zones of many tenants must not cost forty readings of them all."""

    async def read() -> list[int]:
        items = [{"id": f"{number:05}", "time_zone": KNOWN[number % 4], "active": True} for number in range(4_004)]
        async with filled(f"sqlite:///{tmp_path}/app.db") as readers:
            source = cast("TableTenants", (await sources(items, readers, "time_zone"))["table"])
            reader = readers[1]
            definition = define("the_job", ForAll, multi_tenant=False)
            groups = ZoneGroups(lambda: source, active="active", attribute="time_zone", default="UTC")
            assert await groups.read(definition) == {*KNOWN}
            counts = [len(reader.statements)]
            for name in ("Asia/Tokyo", "Africa/Cairo", "UTC"):
                reader.statements.clear()
                selection = Selection(zone=ZoneChoice(name, "time_zone", "UTC"))
                choice = choose_again(definition, selection, source, "active")
                found = [tenant async for page in choice.pages() for tenant in page]
                assert len(found) == (1_001 if name in KNOWN else 0)
                counts.append(len(reader.statements))
            return counts

    # The values; the values, rows without an id, and two pages; the values; rows without an id, and five pages.
    assert asyncio.run(read()) == [1, 4, 1, 6]
