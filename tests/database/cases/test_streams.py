"""Generators over rows that are broken off, never closed, or collected when another tenant is at work."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.errors import WorkspaceClosed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from pinstripe.database.service import Database
    from tests.database.cases.applications import Application

pytestmark = pytest.mark.anyio


async def checked_out(application: Application) -> int:
    return (await application.engine()).pool.checkedout()  # type: ignore[attr-defined, no-any-return]


async def test_a_loop_that_is_broken_off_holds_nothing(application: Application) -> None:
    async with application.workspace("acme") as database:
        async for user in database.users:
            assert user.tenant_id == "acme"
            assert await checked_out(application) == 0
            break
        assert await database.users.count() == 3


async def test_a_generator_that_was_never_closed_is_collected_in_another_tenants_job(application: Application) -> None:
    async with application.workspace("acme") as database:
        left: AsyncGenerator[Any, None] | None = database.users.pages(1)
        assert left is not None
        assert [user.name for user in await anext(left)] == ["acme-0"]
    async with application.workspace("globex") as database:
        with pytest.raises(WorkspaceClosed):
            await anext(left)
        async with database.transaction():
            left = None
            gc.collect()
            await asyncio.sleep(0)
            assert {user.tenant_id for user in await database.users.all()} == {"globex"}
    assert await checked_out(application) == 0


async def test_a_generator_that_holds_a_transaction_is_ended_by_the_end_of_its_workspace(
    application: Application,
) -> None:
    async def inside(database: Database) -> AsyncGenerator[Any, None]:
        async with database.transaction():
            await database.users.insert(name="acme-lost")
            yield await database.users.first()
            yield await database.users.first()

    async with application.workspace("acme") as database:
        left = inside(database)
        await anext(left)
        assert await checked_out(application) == 1
    assert await checked_out(application) == 0
    async with application.workspace("globex") as database:
        with pytest.raises(WorkspaceClosed):
            assert [user.tenant_id async for user in left] == []
        assert await database.users.count() == 3
    assert application.place.names("acme") == [f"acme-{number}" for number in range(3)]


async def test_closing_a_generator_that_holds_a_transaction_undoes_it(application: Application) -> None:
    async def inside(database: Database) -> AsyncGenerator[Any, None]:
        async with database.transaction():
            yield await database.users.insert(name="acme-lost")

    async with application.workspace("acme") as database:
        left = inside(database)
        await anext(left)
        await left.aclose()
        assert await checked_out(application) == 0
        assert await database.users.count() == 3


async def test_a_plain_generator_over_rows_that_were_read_needs_no_connection(application: Application) -> None:
    async with application.workspace("acme") as database:
        users = await database.users.all()
        names = (user.name for user in users)
        assert next(names) == "acme-0"
    assert await checked_out(application) == 0
    async with application.workspace("globex") as database:
        assert next(names) == "acme-1"  # what was read stays readable where it was kept, and reads nothing anew
        assert {user.tenant_id for user in await database.users.all()} == {"globex"}


async def test_a_transaction_in_a_generator_is_no_one_elses(application: Application) -> None:
    """An open generator's transaction isn't joined by accident where it leaks into who asks it for its next value."""

    async def inside(database: Database) -> AsyncGenerator[Any, None]:
        async with database.transaction():
            yield await database.users.insert(name="acme-lost")

    async with application.workspace("acme") as acme, application.workspace("globex") as globex:
        left = inside(acme)
        await anext(left)
        if application.place.kind != "sqlite":  # there, one who writes waits for the other
            await globex.users.insert(name="globex-kept")
        assert {user.tenant_id for user in await globex.users.all()} == {"globex"}
        await left.aclose()
        await globex.users.insert(name="globex-kept too")
        assert await acme.users.count() == 3
    assert "globex-kept too" in application.place.names("globex")
