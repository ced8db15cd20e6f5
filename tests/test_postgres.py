"""The PostgreSQL of the tests: it starts wherever they run, does what they rely on, and leaves nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

if TYPE_CHECKING:
    from tests.postgres import Postgres

pytestmark = pytest.mark.anyio


async def test_the_owner_makes_tables_and_the_application_uses_them(postgres: Postgres, postgres_database: str) -> None:
    await postgres.execute(
        "create table users (id int); create schema acme; create table acme.posts (id serial)",
        database=postgres_database,
        user="app_owner",
    )
    await postgres.execute("insert into users values (1)", database=postgres_database, user="app")
    await postgres.execute("insert into acme.posts default values", database=postgres_database, user="app")
    assert await postgres.fetch(
        "select u.id, p.id as post from users u, acme.posts p where u.id = $1", 1, database=postgres_database
    ) == [(1, 1)]
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await postgres.execute("create table mine (id int)", database=postgres_database, user="app")


async def test_neither_role_is_above_row_level_security(postgres: Postgres) -> None:
    rows = await postgres.fetch("select rolname, rolsuper or rolbypassrls from pg_roles where rolname like 'app%'")
    assert sorted(tuple(row) for row in rows) == [("app", False), ("app_owner", False)]
