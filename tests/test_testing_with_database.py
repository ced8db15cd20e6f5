from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import pinstripe.testing
from pinstripe.background_job import BackgroundJob
from pinstripe.database.service import Database  # noqa: TC001 - a job's annotations are read
from pinstripe.errors import ConfigurationError, DatabaseUnavailable, IsolationError, TenantRequired, WorkspaceClosed
from tests.database.shop_models import User
from tests.database.shops import MODELS, ROWS, SEQUENCES, ddl, make_sqlite

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres import Postgres

pytestmark = pytest.mark.anyio


class Upgrade(BackgroundJob):
    multi_tenant = True
    database: Database

    async def run(self, plan: str) -> list[str]:
        await self.database[User].where(plan=None).update(plan=plan)
        return [user.name async for user in self.database[User]]


class UpgradePlainly(BackgroundJob):
    multi_tenant = True

    def run(self, plan: str) -> int:
        return self.wait(self.database.users.where(plan=plan).count())


class CountAll(BackgroundJob):
    multi_tenant = False

    async def run(self) -> int:
        return await self.database.users.count()


class Beyond(BackgroundJob):
    async def run(self) -> int:
        async with self.workspace.unscoped(reason="a test") as database:
            return await database.users.count()


class Outer(BackgroundJob):
    async def run(self) -> Any:
        return (await self.run_background_job(Upgrade, "gold")).result


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_sqlite(tmp_path / "test.db")
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def test_a_job_works_on_a_real_database_kept_to_the_tenant(shop: Path) -> None:
    database = {"url": "sqlite:///test.db", "models": MODELS, "shared_tables": ["plans"]}
    async with pinstripe.testing.workspace(tenant="acme", database=database) as workspace:
        dan = await workspace.database[User].insert(name="acme Dan")
        assert await workspace.perform(Upgrade, "gold") == ["acme Ann", "acme Bob", "acme Cid", "acme Dan"]
        assert await workspace.perform(UpgradePlainly, "gold") == 2
        assert await workspace.perform(Beyond) == 6
        assert await workspace.perform(Outer) == ["acme Ann", "acme Bob", "acme Cid", "acme Dan"]
        again = await workspace.database[User].where(id=dan.id).first()
        assert again is dan
        assert dan.plan == "gold"
        with pytest.raises(TenantRequired):
            await workspace.perform(CountAll)
        kept = workspace.database
    with pytest.raises(WorkspaceClosed):
        await kept.users.all()
    async with pinstripe.testing.workspace(tenant="globex", database=database) as workspace:
        assert await workspace.database.users.where(plan="gold").count() == 0


async def test_a_url_alone_will_do(shop: Path) -> None:
    async with pinstripe.testing.workspace(tenant="acme", database="sqlite:///test.db") as workspace:
        assert await workspace.database.users.count() == 3
        with pytest.raises(IsolationError, match="'logs' can't be used"):
            await workspace.database.logs.all()
    async with pinstripe.testing.workspace(database="sqlite:///test.db") as workspace:
        assert await workspace.perform(CountAll) == 5
    async with pinstripe.testing.workspace(database={"url": "sqlite:///test.db", "isolation": "rows"}) as workspace:
        with pytest.raises(TenantRequired):
            await workspace.perform(CountAll)


async def test_a_projects_own_settings_stay_out(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (shop / "pyproject.toml").write_text("[tool.pinstripe.database]\nmodels = 'nothing'\nurl = 'sqlite:///other.db'\n")
    monkeypatch.setenv("PINSTRIPE_DATABASE_URL", "sqlite:///another.db")
    async with pinstripe.testing.workspace(tenant="acme", database="sqlite:///test.db") as workspace:
        assert await workspace.database.users.count() == 3


async def test_postgresql_serves_as_well(postgres: Postgres, postgres_database: str) -> None:
    await postgres.execute(ddl("postgresql") + ROWS + SEQUENCES, database=postgres_database, user="app_owner")
    database = {"url": postgres.url(postgres_database, "app"), "models": MODELS}
    async with pinstripe.testing.workspace(tenant="acme", database=database) as workspace:
        assert await workspace.perform(Upgrade, "gold") == ["acme Ann", "acme Bob", "acme Cid"]


async def test_what_is_wrong_is_told(shop: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"unknown setting database.modles"):
        async with pinstripe.testing.workspace(database={"url": "sqlite:///test.db", "modles": MODELS}):
            ...
    with pytest.raises(ConfigurationError, match=r"workspace\(database=…\): expected a URL, or settings with one"):
        async with pinstripe.testing.workspace(database={"models": MODELS}):
            ...
    with pytest.raises(ConfigurationError, match=r"expected either .* or a service 'database', got both"):
        async with pinstripe.testing.workspace(database="sqlite:///test.db", services={"database": 1}):
            ...
    with pytest.raises(ConfigurationError, match=r"Upgrade declares database: expected workspace\(database="):
        async with pinstripe.testing.workspace(tenant="acme") as workspace:
            await workspace.perform(Upgrade, "gold")
    async with pinstripe.testing.workspace(tenant="acme", database="sqlite:///none.db") as workspace:
        with pytest.raises(DatabaseUnavailable, match=r"none\.db"):
            await workspace.perform(CountAll)
    assert not (shop / "none.db").exists()
