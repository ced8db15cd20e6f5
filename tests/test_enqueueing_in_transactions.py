"""A job is enqueued with the rows that it is about: both are committed, or neither is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

import pinstripe
from pinstripe.errors import InvalidArguments
from pinstripe.ledger import RunFilter

if TYPE_CHECKING:
    from pinstripe.project import Project
    from pinstripe.run import Run
    from tests.conftest import ProjectFolder
    from tests.postgres import Postgres

pytestmark = pytest.mark.anyio

TABLES = """
    create table tenants(id text primary key);
    insert into tenants values ('acme'), ('globex');
    create table orders(id serial primary key, tenant_id text not null, item text not null);
"""

SHIP = """
    from pinstripe import BackgroundJob

    class Ship(BackgroundJob):
        multi_tenant = True

        async def run(self, item: str) -> int:
            return await self.database.orders.where(item=item).count()
"""

ORDER = """
    from pinstripe import BackgroundJob

    class Order(BackgroundJob):
        multi_tenant = True

        async def run(self, item: str, how: str) -> str:
            database = self.database
            if how == "transaction":
                async with database.transaction():
                    await database.orders.insert(item=item)
                    run = await self.options(connection=database.session).enqueue_background_job("ship", item)
            else:
                run = await self.options(connection=database.session).enqueue_background_job("ship", item)
                await (database.session.commit() if how == "commit" else database.session.rollback())
            if how == "raise":
                async with database.transaction():
                    await self.options(connection=database.session).enqueue_background_job("ship", item)
                    raise ZeroDivisionError
            return run.id
"""

PLAIN = """
    import os

    import psycopg

    from pinstripe import BackgroundJob

    class Plain(BackgroundJob):
        multi_tenant = True

        def run(self, item: str) -> str:
            with psycopg.connect(os.environ["SHOP"]) as connection:
                connection.execute("insert into orders(tenant_id, item) values (%s, %s)", [self.tenant.id, item])
                chosen = self.options(connection=connection)
                return self.wait(chosen.enqueue_background_job("ship", item)).id
"""


@pytest.fixture
def shop(
    project_folder: ProjectFolder, postgres: Postgres, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Make a project whose ledger is in the shop's database; give that database's URL."""
    url = postgres.url(postgres_database, "app_owner")
    postgres.execute_now(TABLES, database=postgres_database, user="app_owner")
    project_folder.configure(f'ledger = "{url}"\ndatabase.url = "{url}"\n')
    for name, source in (("ship", SHIP), ("order", ORDER), ("plain", PLAIN)):
        project_folder.job(name, source)
    monkeypatch.chdir(project_folder.path)
    monkeypatch.setenv("SHOP", url)
    return url


async def worked(project: Project, *runs: Run | str) -> list[Run]:
    """Let a worker do all there is; give what became of some runs."""
    await project.worker().work(drain=True)
    return [await project.ledger.find_run(run if isinstance(run, str) else run.id) for run in runs]


async def test_a_run_is_committed_with_the_row_that_it_is_about(shop: str) -> None:
    engine = create_async_engine(shop.replace("postgresql:", "postgresql+asyncpg:"))
    insert = text("insert into orders(tenant_id, item) values ('acme', :item)")
    async with pinstripe.open_project() as project, project.workspace(tenant="acme") as workspace:
        async with AsyncSession(engine) as session:
            await session.execute(insert, {"item": "chair"})
            run = await workspace.options(connection=session).enqueue_background_job("ship", "chair")
            assert await worked(project) == []
            await session.commit()
            await session.execute(insert, {"item": "table"})
            await workspace.options(connection=session).enqueue_background_jobs("ship", [("table",)] * 3)
            await session.rollback()
        (done,) = await worked(project, run)
        assert (done.status, done.result) == ("succeeded", 1)
        assert await project.ledger.list_runs(RunFilter()) == [done]
    await engine.dispose()


async def test_many_are_committed_together_and_one_key_is_one_run(shop: str) -> None:
    engine = create_async_engine(shop.replace("postgresql:", "postgresql+psycopg:"))
    sessions = async_scoped_session(async_sessionmaker(engine), scopefunc=lambda: "here")
    async with pinstripe.open_project() as project, project.workspace(tenant="acme") as workspace:
        chosen = workspace.options(connection=sessions)
        await chosen.enqueue_background_jobs("ship", [(f"item {number}",) for number in range(200)])
        keyed = workspace.options(connection=sessions, key="once", delay="1h")
        assert await keyed.enqueue_background_job("ship", "a") == await keyed.enqueue_background_job("ship", "b")
        assert await project.ledger.list_runs(RunFilter()) == []
        await sessions.commit()
        await sessions.remove()
        assert len(await project.ledger.list_runs(RunFilter(limit=1_000))) == 201
    await engine.dispose()


@pytest.mark.parametrize(
    ("how", "orders", "shipped"), [("transaction", 1, 1), ("commit", 0, 1), ("rollback", 0, 0), ("raise", 0, 0)]
)
async def test_a_job_enqueues_with_its_own_database(shop: str, how: str, orders: int, shipped: int) -> None:
    async with pinstripe.open_project() as project, project.workspace(tenant="acme") as workspace:
        await workspace.enqueue_background_job("order", "lamp", how)
        await worked(project)
        runs = await project.ledger.list_runs(RunFilter(job="ship"))
        assert [run.result for run in runs] == [orders] * shipped
        assert [run.executions.succeeded for run in runs] == [1] * shipped


async def test_a_plain_job_enqueues_on_a_plain_connection(shop: str) -> None:
    async with pinstripe.open_project() as project, project.workspace(tenant="globex") as workspace:
        ordered = await workspace.run_background_job("plain", "desk")
        (done,) = await worked(project, str(ordered.result))
        assert (done.status, done.result, done.parent) == ("succeeded", 1, ordered.id)


def test_a_plain_project_enqueues_on_plain_connections(shop: str) -> None:
    engine = create_engine(shop.replace("postgresql:", "postgresql+psycopg:"))
    sessions = scoped_session(sessionmaker(engine))
    with pinstripe.open_project() as project, project.workspace(tenant="acme") as workspace:
        connections: list[Any] = [psycopg.connect(shop), Session(engine), engine.connect(), sessions]
        runs = []
        for connection in connections:
            chosen = workspace.options(connection=connection)
            runs.append(chosen.enqueue_background_job("ship", "kept"))
            connection.commit()
            chosen.enqueue_background_job("ship", "undone")
            connection.rollback()
            connection.close()
        found = project.call(project._project.ledger.list_runs(RunFilter()))  # noqa: SLF001 - nothing plain lists them
        assert {run.id for run in found} == {run.id for run in runs}
    engine.dispose()


async def test_the_database_of_a_job_must_be_that_of_the_ledger(shop: str, project_folder: ProjectFolder) -> None:
    project_folder.configure(f'ledger = "{shop}"\ndatabase.url = "sqlite:///shop.db"\ntenants.source = "shops:shops"\n')
    project_folder.file("shops.py", 'shops = ["acme"]\n')
    project_folder.file("shop.db", "")
    async with pinstripe.open_project() as project, project.workspace(tenant="acme") as workspace:
        with pytest.raises(
            InvalidArguments, match=r"got pinstripe\.database\.session\.DatabaseSession over aiosqlite$"
        ):
            await workspace.run_background_job("order", "lamp", "commit")
