from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from pinstripe.database.access import DatabaseAccess
from pinstripe.errors import ConfigurationError, DatabaseUnavailable, UnknownTable
from pinstripe.tenants import Tenant
from tests.database.settings import database_settings
from tests.database.shop_models import Plan, User

if TYPE_CHECKING:
    from pathlib import Path

    from tests.database.shops import Shop

pytestmark = pytest.mark.anyio


async def test_the_tables_are_read_once_for_all_workspaces(shop: Shop) -> None:
    assert await asyncio.gather(*(shop.open(tenant).users.count() for tenant in ("acme", "globex") * 5)) == [3, 2] * 5
    first = await shop.access.catalog()
    assert await shop.access.catalog() is first
    assert {entry.name for entry in first} >= {"users", "posts", "logs", "plans", "visits"}


async def test_a_table_is_given_by_name_or_class_even_if_no_job_may_use_it(shop: Shop) -> None:
    assert (await shop.access.entry("logs")).standing == "undeclared"
    assert (await shop.access.entry("users")).standing == "tenant"
    assert (await shop.access.entry(Plan)).entity is Plan
    with pytest.raises(UnknownTable, match="the nearest is users"):
        await shop.access.entry("user")


async def test_queries_of_the_tenant_source_reach_all_and_give_rows_that_outlive_them(declared_shop: Shop) -> None:
    users = await declared_shop.access.rows(select(User).order_by(User.id))
    assert [(user.id, user.tenant_id) for user in users][-1] == (5, "globex")
    assert [tuple(row) for row in await declared_shop.access.rows(select(User.id).where(User.id > 3))] == [(4,), (5,)]


async def test_what_goes_beyond_the_tenant_is_logged_with_who_and_why(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="pinstripe.database"):
        async with shop.access.unscoped(Tenant("acme"), "monthly totals", "job report") as database:
            assert await database.users.count() == 5
            assert await database.logs.count() == 1
            await database.users.insert(name="globex New", tenant_id="globex")
            assert await database.users.where(tenant_id="globex").update(plan="new") == 3
    assert [record.getMessage() for record in caplog.records] == ["job report works beyond its tenant: monthly totals"]


async def test_a_look_finds_what_no_job_could_use(shop: Shop) -> None:
    faults = await shop.access.look(None)
    names = ["logs"] if shop.declared else ["books", "logs"]
    assert [fault.partition(" can't be used")[0] for fault in faults[: len(names)]] == [
        f"table {one!r}" for one in names
    ]


@pytest.mark.parametrize("url", ["sqlite:///none.db", "postgresql://app:geheim@127.0.0.1:1/app"])
async def test_a_database_that_is_not_there_is_said_to_be_so_by_everything(tmp_path: Path, url: str) -> None:
    access = DatabaseAccess(database_settings(tmp_path, url=url), tmp_path, "rows")
    for ask in (access.catalog, lambda: access.look(None), lambda: access.entry("users")):
        with pytest.raises(DatabaseUnavailable) as raised:
            await ask()
        assert "geheim" not in str(raised.value)
    work = access.open(Tenant("acme"))
    with pytest.raises(DatabaseUnavailable):
        await work.database.users.all()
    await work.close()
    await access.close()
    assert not [*tmp_path.iterdir()]  # noqa: ASYNC240 - a test may wait


async def test_a_look_fails_as_a_job_would(tmp_path: Path) -> None:
    access = DatabaseAccess(database_settings(tmp_path, url="sqlite:///a.db", models="no.models"), tmp_path, "rows")
    with pytest.raises(ConfigurationError, match=r"setting database.models: no.models can't be used"):
        await access.look(None)
    await access.close()
