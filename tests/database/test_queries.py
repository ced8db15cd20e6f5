"""What a tenant gets from a database shared with others is what it would get from one of its own."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings

from tests.database.facade_chains import CHAINS, Step, perform, shown
from tests.database.shops import ROWS, SEQUENCES, Shop, ddl, open_shop, sqlite_shop
from tests.postgres import OWNER
from tests.thoroughness import examples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pinstripe.database.catalog import Isolation
    from tests.postgres import Postgres

TENANTS = ("acme", "globex")

USERS = ROWS[: ROWS.index("insert into posts")]


def rows_of(tenant: str) -> str:
    """Give the statement that inserts the users of one tenant only."""
    head, _, values = USERS.partition("values")
    own = [row for row in re.findall(r"\([^)]*\)", values) if f"'{tenant}'" in row]
    return f"{head}values {', '.join(own)};"


async def compare(shops: dict[str, Shop], chain: list[tuple[str, Step]]) -> None:
    shared = {tenant: shops["shared"].open(tenant) for tenant in TENANTS}
    own = {tenant: shops[tenant].open(None) for tenant in TENANTS}
    try:
        for tenant, step in chain:
            expected = await perform(own[tenant], step, tenant_id=tenant)
            assert await perform(shared[tenant], step) == expected, (tenant, step)
        for tenant in TENANTS:
            left = [shown(row) for row in await shared[tenant].users.order_by("id").all()]
            assert left == [shown(row) for row in await own[tenant].users.order_by("id").all()]
    finally:
        for shop in shops.values():
            await shop.close()


@pytest.mark.parametrize("models", [True, False], ids=["declared", "reflected"])
@settings(max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chain=CHAINS)
def test_a_shared_sqlite_file_answers_as_one_of_the_tenants_own(
    tmp_path: Path, models: bool, chain: list[tuple[str, Step]]
) -> None:
    shops = {}
    for name in ("shared", *TENANTS):
        folder = Path(mkdtemp(dir=tmp_path))
        isolation: Isolation = "rows" if name == "shared" else "none"
        rows = USERS if name == "shared" else rows_of(name)
        shops[name] = sqlite_shop(folder, models=models, rows=rows, isolation=isolation)
    asyncio.run(compare(shops, chain))


@pytest.fixture
def databases(postgres: Postgres) -> Iterator[dict[str, str]]:
    with postgres.database() as shared, postgres.database() as acme, postgres.database() as globex:
        names = {"shared": shared, "acme": acme, "globex": globex}
        for name in names.values():
            postgres.execute_now(ddl("postgresql"), database=name, user=OWNER)
        yield names


@pytest.mark.parametrize("models", [True, False], ids=["declared", "reflected"])
@settings(max_examples=examples(15), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chain=CHAINS)
def test_a_shared_postgresql_database_answers_as_one_of_the_tenants_own(
    postgres: Postgres, databases: dict[str, str], tmp_path: Path, models: bool, chain: list[tuple[str, Step]]
) -> None:
    shops = {}
    for name, database in databases.items():
        rows = USERS if name == "shared" else rows_of(name)
        postgres.execute_now(f"delete from users; {rows} {SEQUENCES}", database=database, user=OWNER)
        url = postgres.url(database, "app")
        shops[name] = open_shop(tmp_path, url, models=models, isolation="rows" if name == "shared" else "none")
    asyncio.run(compare(shops, chain))
