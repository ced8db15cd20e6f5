from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, select, text
from sqlalchemy.exc import DBAPIError, OperationalError

from pinstripe.database.catalog import TENANT_SCHEMA
from pinstripe.database.engines import Binding, Engines, unavailable
from pinstripe.errors import ConfigurationError, DatabaseUnavailable, IsolationError, WorkspaceClosed
from pinstripe.tenants import Tenant
from tests.database.settings import database_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncEngine

    from pinstripe.database.catalog import Isolation
    from tests.postgres import Postgres

pytestmark = pytest.mark.anyio

ACME = Tenant("acme", {"schema_name": "c_acme"})
GLOBEX = Tenant("globex", {"schema_name": 'c "globex" [1] %s :x $1'})


@asynccontextmanager
async def opened(folder: Path, isolation: Isolation, **values: object) -> AsyncIterator[Engines]:
    engines = Engines(database_settings(folder, **values), folder, isolation)
    try:
        yield engines
    finally:
        await engines.close()


def make(path: Path, *names: str) -> None:
    path.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table names (name text)")
        connection.executemany("insert into names values (?)", [(name,) for name in names])
        connection.commit()


def files_in(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


async def names_in(engine: AsyncEngine, table: str = "names") -> list[object]:
    async with engine.connect() as connection:
        return list(await connection.scalars(text(f"select name from {table}")))


@pytest.mark.parametrize("isolation", ["rows", "none"])
async def test_all_share_one_engine_without_waiting(tmp_path: Path, isolation: Isolation) -> None:
    make(tmp_path / "app.db", "x")
    async with opened(tmp_path, isolation, url="sqlite:///app.db") as engines:
        assert engines.dialect == "sqlite"
        binding = engines.bind_now(ACME)
        assert binding == Binding(binding.engine) if binding else False
        assert binding == engines.bind_now(None) == await engines.bind(GLOBEX)
        assert binding is not None
        assert await names_in(binding.engine) == ["x"]


@pytest.mark.parametrize(
    ("isolation", "values", "message"),
    [
        ("rows", {"pool_size": 1}, "database.url: expected where the database is"),
        ("schemas", {"url": "sqlite:///app.db"}, "SQLite has no schemas; expected PostgreSQL, or isolation = 'databa"),
        ("databases", {"url": "sqlite:///app.db"}, "database.tenant_url: expected where each tenant's database is"),
        ("databases", {"tenant_url": "{database_url}"}, "there is no database.url either"),
        ("databases", {"url": "postgresql://h/d", "tenant_url": "sqlite:///{id}.db"}, "both of one kind"),
        ("databases", {"url": "postgresql://h:x/d", "tenant_url": "{u}"}, "database.url: expected HOST"),
    ],
)
def test_settings_that_dont_go_together(
    tmp_path: Path, isolation: Isolation, values: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Engines(database_settings(tmp_path, **values), tmp_path, isolation)
    assert message in str(raised.value)


async def test_a_closed_one_stays_closed(tmp_path: Path) -> None:
    make(tmp_path / "app.db")
    async with opened(tmp_path, "none", url="sqlite:///app.db") as engines:
        await engines.bind(None)
        await engines.close()
        with pytest.raises(WorkspaceClosed):
            await engines.bind(None)


async def test_closing_ends_every_thread_although_it_is_cancelled(tmp_path: Path) -> None:
    make(tmp_path / "app.db")
    before = set(threading.enumerate())
    async with opened(tmp_path, "none", url="sqlite:///app.db") as engines:
        await names_in((await engines.bind(None)).engine)
        mine = set(threading.enumerate()) - before
        closing_ = asyncio.create_task(engines.close())
        await asyncio.sleep(0)
        closing_.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing_
        for thread in mine:
            thread.join(10)
        assert mine
        assert not any(thread.is_alive() for thread in mine)


# Databases


@pytest.fixture
def two_files(tmp_path: Path) -> Path:
    make(tmp_path / "tenants" / "acme.db", "acme")
    make(tmp_path / "tenants" / "globex.db", "globex")
    make(tmp_path / "app.db", "shared")
    return tmp_path


FILES = {"url": "sqlite:///app.db", "tenant_url": "sqlite:///tenants/{id}.db"}


async def test_each_tenant_has_its_own_file_and_all_the_shared_one(two_files: Path) -> None:
    async with opened(two_files, "databases", **FILES) as engines:
        for tenant in (ACME, GLOBEX):
            binding = await engines.bind(tenant)
            assert await names_in(binding.engine) == [tenant.id]
            assert binding.shared is not None
            assert await names_in(binding.shared) == ["shared"]
            assert binding.release is not None
            binding.release()
        nobody = await engines.bind(None)
        assert (nobody.shared, nobody.release) == (None, None)
        assert await names_in(nobody.engine) == ["shared"]


async def test_without_a_shared_database_a_tenant_is_needed(two_files: Path) -> None:
    async with opened(two_files, "databases", tenant_url=FILES["tenant_url"]) as engines:
        binding = await engines.bind(ACME)
        assert binding.shared is None
        with pytest.raises(ConfigurationError, match="a job without a tenant could use"):
            await engines.bind(None)


async def test_an_unknown_tenant_makes_no_file(two_files: Path) -> None:
    before = files_in(two_files)
    async with opened(two_files, "databases", **FILES) as engines:
        for id_ in ("nobody", "x/../acme", "acme.db", "ACME"):
            with pytest.raises(DatabaseUnavailable, match="made by your application"):
                await engines.bind(Tenant(id_))
        for id_ in (".", "..", "../app", ".acme"):
            with pytest.raises(ConfigurationError):
                await engines.bind(Tenant(id_))
    assert files_in(two_files) == before


async def test_two_tenants_never_meet_in_one_file(two_files: Path) -> None:
    os.link(two_files / "tenants" / "acme.db", two_files / "tenants" / "twin.db")
    (two_files / "tenants" / "app.db").symlink_to(two_files / "app.db")
    async with opened(two_files, "databases", **FILES) as engines:
        await engines.bind(ACME)
        with pytest.raises(IsolationError, match="tenant 'twin' and tenant 'acme'"):
            await engines.bind(Tenant("twin"))
        with pytest.raises(IsolationError, match=r"tenant 'app' and the shared database of database\.url"):
            await engines.bind(Tenant("app"))


async def test_one_who_waits_is_served_when_another_gives_back(two_files: Path) -> None:
    async with opened(two_files, "databases", **FILES, open_databases=1) as engines:
        held = engines.bind_now(ACME)
        assert held is not None
        assert engines.bind_now(GLOBEX) is None
        waiting = asyncio.create_task(engines.bind(GLOBEX))
        await asyncio.sleep(0)
        assert not waiting.done()
        assert held.release is not None
        held.release()
        assert await names_in((await waiting).engine) == ["globex"]


async def test_the_kind_of_database_is_one(two_files: Path) -> None:
    async with opened(two_files, "databases", url="sqlite:///app.db", tenant_url="{database_url}") as engines:
        with pytest.raises(ConfigurationError, match="of tenant '1' is of postgresql, expected sqlite"):
            await engines.bind(Tenant("1", {"database_url": "postgresql://h/d"}))


async def test_databases_of_a_server(postgres: Postgres, tmp_path: Path) -> None:
    with postgres.database() as shared, postgres.database() as one, postgres.database() as two:
        urls = {name: postgres.url(name, "app_owner") for name in (shared, one, two)}
        for name in (one, two):
            await postgres.execute(
                f"create table names (name text); insert into names values ('{name}')", database=name, user="app_owner"
            )
        tenants = [Tenant(name, {"database_url": urls[name]}) for name in (one, two)]
        async with opened(
            tmp_path, "databases", url=urls[shared], tenant_url="{database_url}", open_databases=1
        ) as engines:
            assert engines.dialect == "postgresql"
            for tenant in tenants * 2:
                binding = await engines.bind(tenant)
                assert await names_in(binding.engine) == [tenant.id]
                assert binding.release is not None
                binding.release()
            with pytest.raises(IsolationError, match="have the same database"):
                await engines.bind(Tenant("x", {"database_url": urls[one].replace("app_owner:", "app:")}))
            binding = await engines.bind(Tenant("y", {"database_url": urls[one].replace(one, "nowhere")}))
            with pytest.raises(DatabaseUnavailable, match='"nowhere" does not exist'):
                await names_in(binding.engine)


# Schemas

METADATA = MetaData()
NAMES = Table("names", METADATA, Column("id", Integer, primary_key=True), Column("name", Text), schema=TENANT_SCHEMA)


async def make_schemas(postgres: Postgres, database: str, *tenants: Tenant) -> str:
    """Give a database in which each of the `tenants` has its schema, and in it its name."""
    for tenant in tenants:
        schema = '"' + tenant.schema_name.replace('"', '""') + '"'
        await postgres.execute(
            f"create schema {schema}; create table {schema}.names (id serial primary key, name text);"
            f"insert into {schema}.names (name) values ('{tenant.id}')",
            database=database,
            user="app_owner",
        )
    return postgres.url(database, "app")


async def test_each_tenant_has_its_own_schema_in_one_pool(
    postgres: Postgres, postgres_database: str, tmp_path: Path
) -> None:
    url = await make_schemas(postgres, postgres_database, ACME, GLOBEX)
    async with opened(tmp_path, "schemas", url=url, tenant_schema="{schema_name}", pool_size=1) as engines:
        for tenant in (ACME, GLOBEX) * 2:
            binding = await engines.bind(tenant)
            assert (binding.shared, binding.release) == (None, None)
            async with binding.engine.begin() as connection:
                assert list(await connection.scalars(select(NAMES.c.name))) == [tenant.id]
            assert engines.bind_now(tenant) is not None
            assert engines.schema(tenant) == tenant.schema_name
        nobody = await engines.bind(None)
        async with nobody.engine.connect() as connection:
            with pytest.raises(DBAPIError, match=r'"tenant\.names" does not exist'):
                await connection.execute(select(NAMES.c.name))


async def test_a_schema_that_isnt_there_or_isnt_open_is_named(
    postgres: Postgres, postgres_database: str, tmp_path: Path
) -> None:
    url = await make_schemas(postgres, postgres_database, ACME)
    await postgres.execute("revoke usage on schema c_acme from app", database=postgres_database)
    async with opened(tmp_path, "schemas", url=url, tenant_schema="{schema_name}") as engines:
        assert engines.bind_now(GLOBEX) is None
        with pytest.raises(DatabaseUnavailable, match=r"for tenant 'globex': there is none"):
            await engines.bind(GLOBEX)
        with pytest.raises(DatabaseUnavailable, match=r"for tenant 'acme': this role may not use it"):
            await engines.bind(ACME)
        await postgres.execute("grant usage on schema c_acme to app", database=postgres_database)
        assert await engines.bind(ACME)
        with pytest.raises(IsolationError, match="have the same schema"):
            await engines.bind(Tenant("twin", {"schema_name": "c_acme"}))


async def test_a_server_that_is_gone_is_an_outage_when_the_schema_is_looked_for(tmp_path: Path) -> None:
    async with opened(tmp_path, "schemas", url="postgresql://app:s3cret@127.0.0.1:1/app") as engines:
        with pytest.raises(DatabaseUnavailable, match="can't be reached") as raised:
            await engines.bind(ACME)
    assert "s3cret" not in str(raised.value)


# Outages of files, as they really happen


@pytest.fixture
def ordinary_user(tmp_path: Path) -> Iterator[None]:
    """Be one for whom permissions count, as the superuser isn't."""
    if os.geteuid() != 0:
        tmp_path.chmod(0o555)
        yield
        tmp_path.chmod(0o755)
        return
    for folder in (tmp_path, *tmp_path.parents):
        if not folder.stat().st_mode & 0o001:  # pytest's own folders are for their user alone
            folder.chmod(0o755)
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.mark.parametrize("what", ["file", "folder", "unreadable"])
async def test_a_file_that_may_not_be_written(tmp_path: Path, what: str, request: pytest.FixtureRequest) -> None:
    make(tmp_path / "app.db")
    (tmp_path / "app.db").chmod({"file": 0o444, "folder": 0o666, "unreadable": 0o000}[what])
    request.getfixturevalue("ordinary_user")
    async with opened(tmp_path, "none", url="sqlite:///app.db") as engines:
        engine = (await engines.bind(None)).engine
        with pytest.raises((DBAPIError, DatabaseUnavailable)) as raised:
            async with engine.connect() as connection:
                await connection.execute(text("insert into names values ('x')"))
    outage = unavailable(raised.value, engine.url)
    assert outage is not None
    assert "must be writable for this process's user" in str(outage)
    assert str(tmp_path / "app.db") in str(outage)


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "app.db").write_text("This is not what you are looking for. " * 50)
    async with opened(tmp_path, "none", url="sqlite:///app.db") as engines:
        engine = (await engines.bind(None)).engine
        with pytest.raises(DBAPIError) as raised:
            await names_in(engine)
    assert "is no SQLite database" in str(unavailable(raised.value, engine.url))


async def test_a_file_that_is_locked(tmp_path: Path) -> None:
    make(tmp_path / "app.db")
    async with opened(tmp_path, "none", url="sqlite:///app.db") as engines:
        engine = (await engines.bind(None)).engine
        with closing(sqlite3.connect(tmp_path / "app.db", isolation_level=None)) as other:
            other.execute("begin immediate")
            async with engine.connect() as connection:
                await connection.exec_driver_sql("pragma busy_timeout = 1")
                with pytest.raises(OperationalError) as raised:
                    await connection.exec_driver_sql("begin immediate")
    assert "kept it locked" in str(unavailable(raised.value, engine.url))
