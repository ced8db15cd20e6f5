from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, select

from pinstripe.database.catalog import TENANT_SCHEMA
from pinstripe.database.engines import Engines
from pinstripe.database.reflection import reflect
from pinstripe.errors import ConfigurationError, DatabaseUnavailable
from pinstripe.tenants import Tenant
from tests.database.settings import database_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy import Table

    from pinstripe.config import DatabaseSettings
    from pinstripe.database.catalog import Isolation
    from tests.postgres import Postgres

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def opened(
    folder: Path, isolation: Isolation, **values: object
) -> AsyncIterator[tuple[Engines, DatabaseSettings]]:
    settings = database_settings(folder, **values)
    engines = Engines(settings, folder, isolation)
    try:
        yield engines, settings
    finally:
        await engines.close()


def make(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(sql)


def described(table: Table) -> dict[str, tuple[str, bool, bool]]:
    """Tell of each column its type, whether it may be null, and whether it is part of the key."""
    return {column.name: (str(column.type), bool(column.nullable), column.primary_key) for column in table.columns}


SQLITE = """
create table users (id integer primary key autoincrement, tenant_id text not null, name text default 'nobody',
  upper_name text generated always as (upper(name)), position geometry, unique (tenant_id, name));
create index users_name on users (lower(name));
create table posts (id integer primary key, user_id integer references users (id), tenant_id text not null,
  parent integer references posts, other integer references nowhere (id));
create table a (id integer primary key, b integer references b (id));
create table b (id integer primary key, a integer references a (id));
create view names as select tenant_id, name from users;
create table gone (id integer); create view broken as select id from gone; drop table gone;
create table "order" ("select" text, "Größe" text);
insert into users (tenant_id, name) values ('acme', 'Ann');
"""


async def test_tables_and_views_of_a_file(tmp_path: Path) -> None:
    make(tmp_path / "app.db", SQLITE)
    async with opened(tmp_path, "rows", url="sqlite:///app.db", shared_tables=["order"]) as (engines, settings):
        engine = (await engines.bind(None)).engine
        catalog = await reflect(engine, settings, "rows")
        assert [(entry.name, entry.standing) for entry in catalog] == [
            ("a", "undeclared"),
            ("b", "undeclared"),
            ("names", "tenant"),
            ("order", "shared"),
            ("posts", "tenant"),
            ("users", "tenant"),
        ]
        users = catalog.find("users").table
        assert described(users)["id"] == ("INTEGER", False, True)
        assert described(users)["tenant_id"] == ("TEXT", False, False)
        assert described(catalog.find("order").table).keys() == {"select", "Größe"}
        targets = {key.target_fullname for key in catalog.find("posts").table.foreign_keys}
        assert targets == {"users.id", "posts.id"}
        async with engine.begin() as connection:
            added = await connection.execute(insert(users).values(tenant_id="acme").returning(users.c.id, users.c.name))
            assert added.one() == (2, "nobody")
            rows = await connection.execute(select(users.c.upper_name, users.c.position).order_by(users.c.id))
            assert rows.all() == [("ANN", None), ("NOBODY", None)]


async def test_a_shared_table_that_isnt_there_is_named(tmp_path: Path) -> None:
    make(tmp_path / "app.db", SQLITE)
    async with opened(tmp_path, "rows", url="sqlite:///app.db", shared_tables=["orders"]) as (engines, settings):
        with pytest.raises(ConfigurationError, match="there is no table 'orders'; the nearest is order"):
            await reflect((await engines.bind(None)).engine, settings, "rows")


async def test_a_file_that_isnt_there_is_not_an_empty_catalog(tmp_path: Path) -> None:
    async with opened(tmp_path, "none", url="sqlite:///app.db") as (engines, settings):
        with pytest.raises(DatabaseUnavailable):
            await reflect((await engines.bind(None)).engine, settings, "none")


async def test_databases_have_the_tenants_tables_and_the_shared_ones_of_the_other(tmp_path: Path) -> None:
    make(tmp_path / "acme.db", "create table notes (id integer primary key); create table plans (id text, wrong text)")
    make(tmp_path / "app.db", "create table plans (id text primary key); create table tenants (id text)")
    values: dict[str, Any] = {"url": "sqlite:///app.db", "tenant_url": "sqlite:///{id}.db", "shared_tables": ["plans"]}
    async with opened(tmp_path, "databases", **values) as (engines, settings):
        binding = await engines.bind(Tenant("acme"))
        catalog = await reflect(binding.engine, settings, "databases", shared=binding.shared)
        assert [(entry.name, entry.standing) for entry in catalog] == [("notes", "tenant"), ("plans", "shared")]
        assert described(catalog.find("plans").table).keys() == {"id"}
        nobody = await reflect((await engines.bind(None)).engine, settings, "databases")
        assert nobody.find("plans").standing == "shared"


POSTGRES = """
create type mood as enum ('good', 'bad');
create type pair as (a int, b int);
create domain short as varchar(5) check (value <> '');
create table plans (id text primary key);
create table other (id int primary key);
create schema c_acme;
set search_path to c_acme, public;
create table users (id int generated always as identity primary key, name text default 'nobody', mood mood, pair pair,
  pairs pair[], short short, at timestamptz, weights numeric(5,2)[], path lquery_like, plan text references plans,
  other int references other, twice int generated always as (1 + 1) stored);
create index on users (lower(name));
create table posts (id serial primary key, user_id int references users (id));
create table plans (id int, wrong text);
create view names as select name from users;
create materialized view counts as select count(*) from users;
"""


async def test_a_tenants_schema_stands_for_all(postgres: Postgres, postgres_database: str, tmp_path: Path) -> None:
    unknown = "create type lquery_like; create function lin(cstring) returns lquery_like language internal as 'textin'"
    unknown += " immutable strict; create function lout(lquery_like) returns cstring language internal as 'textout'"
    unknown += " immutable strict; create type lquery_like (input = lin, output = lout, like = text);"
    await postgres.execute(unknown, database=postgres_database)
    await postgres.execute(POSTGRES, database=postgres_database, user="app_owner")
    values: dict[str, Any] = {
        "url": postgres.url(postgres_database, "app_owner"),
        "tenant_schema": "c_{id}",
        "shared_tables": ["plans", "other"],
    }
    async with opened(tmp_path, "schemas", **values) as (engines, settings):
        engine = (await engines.bind(Tenant("acme"))).engine
        catalog = await reflect(engine, settings, "schemas", "c_acme")
        standings = {(entry.table.schema, entry.table.name): entry.standing for entry in catalog.by_table.values()}
        assert standings == {
            (TENANT_SCHEMA, "users"): "tenant",
            (TENANT_SCHEMA, "posts"): "tenant",
            (TENANT_SCHEMA, "names"): "tenant",
            (TENANT_SCHEMA, "counts"): "tenant",
            (None, "plans"): "shared",
            (None, "other"): "shared",
        }
        users = catalog.find("users").table
        assert described(users)["id"] == ("INTEGER", False, True)
        assert described(users)["mood"][0] == "VARCHAR(4)"
        targets = {key.target_fullname for key in users.foreign_keys}
        assert targets == {"plans.id", "other.id"}
        posts = catalog.find("posts").table
        assert {key.target_fullname for key in posts.foreign_keys} == {"tenant.users.id"}
        async with engine.begin() as connection:
            row = (await connection.execute(insert(users).values(mood="bad").returning(users))).one()
            assert (row.id, row.name, row.mood, row.twice) == (1, "nobody", "bad", 2)
            added = await connection.execute(insert(posts).values(user_id=row.id).returning(posts.c.id))
            assert added.scalar() == 1
            assert list(await connection.scalars(select(users.c.name).join(posts))) == ["nobody"]
