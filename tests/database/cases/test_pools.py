"""Connections that one tenant's job leaves, and the next one gets: nothing of the first is on them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from pinstripe.database import outages
from pinstripe.errors import DatabaseUnavailable, IsolationError
from tests.database.cases.applications import Application, Place, application_at, lose
from tests.database.cases.models import User

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pinstripe.database.service import Database

pytestmark = pytest.mark.anyio

TENANT = func.current_setting("pinstripe.tenant", True)


@pytest.fixture
async def one(place: Place) -> AsyncIterator[Application]:
    """Give the service with a pool of one connection."""
    async with application_at(place, pool_size=1) as application:
        yield application
        assert await application.is_calm()


async def pid(database: Database) -> int:
    """Give which of the server's processes serves the session; what it began is ended."""
    found = await database.session.scalar(select(func.pg_backend_pid()))
    await database.session.rollback()
    return int(found or 0)


async def tenants_of(database: Database) -> set[str]:
    return {user.tenant_id for user in await database.users.all()}


async def test_the_connection_that_a_failed_job_leaves_is_the_next_tenants_only(one: Application) -> None:
    async with one.workspace("acme") as acme, one.workspace("globex") as globex:
        with pytest.raises(ValueError, match="in the middle"):
            await lose(acme, ValueError("in the middle"))
        assert await tenants_of(globex) == {"globex"}
        assert await globex.users.insert(name="new") is not None
        assert await tenants_of(acme) == {"acme"}


@pytest.mark.parametrize("place", ["postgresql", "guarded"], indirect=True)
@pytest.mark.parametrize(
    "statement",
    [
        "set search_path = pg_catalog",
        "set pinstripe.tenant = 'globex'",
        "select set_config('pinstripe.tenant', 'globex', false)",
        "select set_config('pinstripe.unscoped', 'yes', false)",
        "set session characteristics as transaction read only",
    ],
)
async def test_what_a_job_sets_for_the_session_does_not_reach_the_next(one: Application, statement: str) -> None:
    async with one.access.unscoped(None, "a careless script", "a test") as database:
        await database.session.execute(text(statement))
        await database.session.commit()
    async with one.workspace("acme") as acme:
        assert await tenants_of(acme) == {"acme"}
        await acme.users.insert(name="acme-new")
    assert await one.is_calm()


@pytest.mark.parametrize("place", ["guarded"], indirect=True)
async def test_what_a_job_sets_inside_a_savepoint_ends_with_it(one: Application) -> None:
    async with one.workspace("acme") as acme:
        async with acme.transaction():
            assert await acme.session.scalar(select(TENANT)) == "acme"
            with pytest.raises(ValueError, match="undone"):
                await lose(acme, ValueError("undone"))
            assert await acme.session.scalar(select(TENANT)) == "acme"
            async with acme.transaction():
                await acme.users.insert(name="acme-new")
            assert await acme.session.scalar(select(TENANT)) == "acme"
            assert await tenants_of(acme) == {"acme"}
        assert await acme.users.count() == 4


@pytest.mark.parametrize("place", ["guarded"], indirect=True)
async def test_after_a_commit_in_the_middle_the_next_transaction_has_the_tenant_again(one: Application) -> None:
    async with one.workspace("acme") as acme:
        session = acme.session
        for number in range(3):
            assert await session.scalar(select(TENANT)) == "acme"
            session.add(User(name=f"acme-new-{number}"))
            await session.commit()
        assert [*await session.scalars(select(User.tenant_id).distinct())] == ["acme"]
        await session.rollback()
        assert await session.scalar(select(TENANT)) == "acme"


async def test_no_session_can_be_made_to_commit_each_statement_by_itself(one: Application) -> None:
    """AUTOCOMMIT would leave the second statement of a transaction without its tenant."""
    async with one.workspace("acme") as acme:
        with pytest.raises(IsolationError):
            await acme.session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
        with pytest.raises(ArgumentError, match="isolation_level"):
            select(User).execution_options(isolation_level="AUTOCOMMIT")
        change, options = update(User).values(value=9), {"isolation_level": "AUTOCOMMIT"}
        with pytest.raises(IsolationError, match="isolation_level"):
            await acme.session.execute(change, execution_options=options)
        await acme.session.rollback()
        assert not await acme.users.where(value=9).exists()


@pytest.mark.parametrize("place", ["guarded"], indirect=True)
async def test_a_second_engine_of_the_applications_own_reads_nothing_without_a_tenant(place: Place) -> None:
    engine = create_async_engine(place.url.replace("postgresql://", "postgresql+asyncpg://"))
    async with AsyncSession(engine) as session:
        assert (await session.scalars(select(User))).all() == []
        session.add(User(tenant_id="acme", name="acme-forged"))
        with pytest.raises(DBAPIError, match="row-level security"):
            await session.flush()
    await engine.dispose()


@pytest.mark.parametrize("place", ["postgresql", "guarded"], indirect=True)
async def test_the_same_statement_for_two_tenants_on_one_prepared_connection(one: Application) -> None:
    async with one.workspace("acme") as acme, one.workspace("globex") as globex:
        assert await pid(acme) == await pid(globex)
        for _ in range(20):  # asyncpg prepares a statement once, and uses it again
            assert await tenants_of(acme) == {"acme"}
            assert await tenants_of(globex) == {"globex"}
        assert await pid(acme) == await pid(globex)


async def test_many_workspaces_share_one_connection(one: Application) -> None:
    async def work(tenant: str) -> None:
        async with one.workspace(tenant) as database:
            for _ in range(5):
                assert await tenants_of(database) == {tenant}
                async with database.transaction():
                    assert await tenants_of(database) == {tenant}
                    await asyncio.sleep(0)

    await asyncio.gather(*(work(tenant) for tenant in ("acme", "globex", "initech") * 5))


@pytest.mark.parametrize("place", ["sqlite", "postgresql"], indirect=True)
async def test_a_transaction_and_another_workspace_inside_it_on_one_connection_say_so(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pinstripe.database.postgres.POOL_TIMEOUT", 0.2)
    monkeypatch.setattr("pinstripe.database.sqlite.POOL_TIMEOUT", 0.2)
    assert outages.POOL_TIMEOUT <= 30  # else it would look like a hang
    async with application_at(place, pool_size=1) as one, one.workspace("acme") as acme:
        async with acme.transaction():
            await acme.users.insert(name="acme-new")
            async with one.access.unscoped(None, "to look", "a test") as everyone:
                with pytest.raises(DatabaseUnavailable, match="raise pool_size") as caught:
                    await everyone.users.count()
        assert "inside transaction(), an operation of another workspace needs a connection" in str(caught.value)
        assert await acme.users.count() == 4


@pytest.mark.parametrize("used", ["table", "session"])
async def test_a_task_that_outlives_its_workspace_keeps_no_connection(one: Application, used: str) -> None:
    async def use(database: Database) -> None:
        if used == "table":
            await database.users.insert(name="acme-late", value=1)
        else:
            await database.session.execute(update(User).values(value=7))

    for moments in range(25):
        async with one.workspace("acme") as database:
            task = asyncio.create_task(use(database))
            for _ in range(moments):
                await asyncio.sleep(0)
        await asyncio.wait([task])
        task.exception()
        async with one.workspace("acme") as database:
            assert await database.users.where(value=7).count() == 0
            assert await database.users.where(name="acme-0").update(value=2) == 1
