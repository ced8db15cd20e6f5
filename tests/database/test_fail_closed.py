"""What each layer holds when the one before it is taken away, or meets tables that compare loosely."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import AsyncSession

from pinstripe.database.access import DatabaseAccess
from pinstripe.tenants import Tenant
from tests.database.guarded import catalog_of, tables_of_notes
from tests.database.settings import database_settings
from tests.database.shop_models import User
from tests.postgres import APP

if TYPE_CHECKING:
    from pathlib import Path

    from tests.database.guarded import Guarded
    from tests.database.shops import Shop

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("shop", ["sqlite-declared", "postgresql-declared"], indirect=True)
async def test_criteria_that_nobody_gives_the_tenant_fail_and_read_nothing(shop: Shop) -> None:
    means = await shop.access.means(Tenant("acme"), unscoped=False)
    async with AsyncSession(means.binding.engine) as session:
        with pytest.raises(StatementError, match="A value is required for bind parameter 'pinstripe_tenant"):
            await session.execute(select(User).options(*means.scope.criteria))


@pytest.mark.parametrize("models", [None, "tests.database.shop_models"])
async def test_tenants_that_differ_by_case_alone_are_two_where_the_column_does_not_tell(
    tmp_path: Path, models: str | None
) -> None:
    with closing(sqlite3.connect(tmp_path / "app.db")) as connection:
        connection.executescript(
            """
            create table users (
                id integer primary key, tenant_id text collate nocase not null, name text, plan text, age integer,
                level integer default 7, joined_at text default '2026-01-01 00:00:00'
            );
            insert into users (tenant_id, name) values ('acme', 'ours'), ('ACME', 'theirs'), ('Acme', 'theirs');
            """
        )
    settings = database_settings(
        tmp_path, url="sqlite:///app.db", models=models, shared_tables=["plans"] if models else []
    )
    access = DatabaseAccess(settings, tmp_path, "rows")
    work = access.open(Tenant("acme"))
    users = work.database.users
    try:
        assert [user.name for user in await users.all()] == ["ours"]
        assert await users.count() == 1
        assert await users.update(age=1) == 1
        if models:
            assert list(await work.database.session.scalars(select(User.name))) == ["ours"]
            await work.database.session.rollback()
        assert await users.delete() == 1
    finally:
        await work.close()
        await access.close()
    with closing(sqlite3.connect(tmp_path / "app.db")) as connection:
        assert connection.execute("select name, age from users").fetchall() == [("theirs", None)] * 2


async def test_unscoped_work_tells_row_level_security_no_tenant(guarded: Guarded, tmp_path: Path) -> None:
    await guarded.enable(catalog_of(tables_of_notes()))
    settings = database_settings(tmp_path, url=guarded.postgres.url(guarded.name, APP), row_security="required")
    access = DatabaseAccess(settings, tmp_path, "rows")
    try:
        async with access.unscoped(Tenant("acme"), "to see what is told", "a test") as database:
            told = await database.session.execute(text(TOLD))
            assert tuple(told.one()) == ("", "yes")
    finally:
        await access.close()


TOLD = "select current_setting('pinstripe.tenant', true), current_setting('pinstripe.unscoped', true)"
