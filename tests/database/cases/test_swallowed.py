"""Errors that a job catches inside a transaction: what PostgreSQL would undo silently is never taken for done."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError

from pinstripe.background_job import BackgroundJob
from pinstripe.errors import PinstripeError
from tests.database.cases.models import User
from tests.shop import open_shop

if TYPE_CHECKING:
    from pinstripe.database.service import Database
    from tests.conftest import ProjectFolder
    from tests.database.cases.applications import Application, Place

pytestmark = pytest.mark.anyio

OLD = ["acme-0", "acme-1", "acme-2"]


async def swallow(database: Database, errors: type[BaseException]) -> None:
    async with database.transaction():
        await database.users.insert(name="acme-new")
        with suppress(errors):
            await database.users.insert(name="acme-0")


@pytest.mark.parametrize("errors", [IntegrityError, BaseException])
async def test_an_error_that_is_swallowed_in_a_transaction_makes_it_fail(
    application: Application, errors: type[BaseException]
) -> None:
    async with application.workspace("acme") as database:
        with pytest.raises(PinstripeError, match=r"has failed \(IntegrityError\), so nothing of it can be kept"):
            await swallow(database, errors)
        assert [user.name for user in await database.users.order_by("name").all()] == OLD
        await database.users.insert(name="acme-after")
    assert application.place.names("acme") == [*OLD, "acme-after"]


async def test_nothing_more_can_be_done_in_such_a_transaction(application: Application) -> None:
    async with application.workspace("acme") as database:

        async def go_on() -> None:
            async with database.transaction():
                with suppress(IntegrityError):
                    await database.users.insert(name="acme-0")
                with pytest.raises(PinstripeError, match="has failed"):
                    await database.users.count()
                with pytest.raises(PinstripeError, match="has failed"):
                    await swallow(database, IntegrityError)

        with pytest.raises(PinstripeError, match="has failed"):
            await go_on()
        assert await database.users.count() == 3


async def test_what_may_fail_has_a_transaction_of_its_own_inside(application: Application) -> None:
    async with application.workspace("acme") as database:
        async with database.transaction():
            await database.users.insert(name="acme-before")
            with suppress(IntegrityError):
                async with database.transaction():
                    await database.users.insert(name="acme-lost")
                    await database.users.insert(name="acme-0")
            await database.users.insert(name="acme-after")
        assert await database.users.count() == 5
    assert application.place.names("acme") == [*OLD, "acme-after", "acme-before"]


async def test_a_swallowed_error_of_the_session_can_not_be_committed(application: Application) -> None:
    async with application.workspace("acme") as database:
        session = database.session
        session.add(User(name="acme-new"))
        await session.flush()
        session.add(User(name="acme-0"))
        with suppress(IntegrityError):
            await session.flush()
        with pytest.raises(Exception, match=r"rolled back|can't be committed"):
            await session.commit()
        await session.rollback()
        assert await database.users.count() == 3
        session.add(User(name="acme-after"))
        await session.commit()
    assert application.place.names("acme") == [*OLD, "acme-after"]


@pytest.mark.parametrize("nested", [False, True])
async def test_a_timeout_in_the_middle_of_a_statement_that_is_swallowed_makes_the_transaction_fail(
    application: Application, nested: bool
) -> None:
    engine = (await application.engine()).sync_engine

    async def work(database: Database) -> None:
        async with database.transaction():
            await database.users.insert(name="acme-lost")
            with suppress(TimeoutError):
                async with asyncio.timeout(None) as timeout, AsyncExitStack() as stack:
                    if nested:
                        await stack.enter_async_context(database.transaction())
                    event.listen(engine, "before_cursor_execute", lambda *_: timeout.reschedule(0), once=True)
                    await database.users.insert(name="acme-cut-off")
            with pytest.raises(PinstripeError, match="has failed"):
                await database.users.insert(name="acme-after")

    async with application.workspace("acme") as database:
        with pytest.raises(PinstripeError, match="has failed"):
            await work(database)
        assert await database.users.count() == 3
    assert application.place.settled_names("acme") == OLD


class Swallows(BackgroundJob):
    multi_tenant = True
    database: Database

    async def run(self) -> str:
        await swallow(self.database, Exception)
        return "well"


async def test_a_job_that_swallows_an_error_in_a_transaction_has_failed(
    place: Place, project_folder: ProjectFolder
) -> None:
    async with open_shop(project_folder, ["acme", "globex"], settings=place.settings()) as shop:
        run = await shop.run(Swallows)
        assert await shop.statuses(run, "acme", "globex") == ["failed", "succeeded"]
        assert "has failed (IntegrityError)" in str((await shop.execution(run, "acme")).error)
    assert place.names("acme") == OLD
