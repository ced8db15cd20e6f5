"""Cancelled wherever it can be: nothing is half written, no connection is kept, and the next operation works."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import IntegrityError

from tests.database.cases.applications import lose
from tests.database.cases.models import User

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from pinstripe.database.service import Database
    from tests.database.cases.applications import Application

pytestmark = pytest.mark.anyio

EVENTS = ("checkout", "begin", "before_cursor_execute", "after_cursor_execute", "commit", "rollback", "reset")

OLD = ["acme-0", "acme-1", "acme-2"]
NEW = ["acme-new-0", "acme-new-1"]


@asynccontextmanager
async def heard(application: Application, hear: Callable[[str], None]) -> AsyncIterator[None]:
    """Have `hear` called for everything that is done with a connection."""
    engine = (await application.engine()).sync_engine
    listeners = [(name, lambda *_, name=name: hear(name)) for name in EVENTS]
    for name, listener in listeners:
        event.listen(engine, name, listener)
    yield
    for name, listener in listeners:
        event.remove(engine, name, listener)


async def read(database: Database) -> None:
    await database.users.all()


async def insert(database: Database) -> None:
    await database.users.insert_many({"name": name} for name in NEW)


async def rename(database: Database) -> None:
    await database.users.insert_many({"name": name} for name in NEW)
    await database.users.where(name__begins_with="acme-new").delete()


async def in_transaction(database: Database) -> None:
    async with database.transaction():
        for name in NEW:
            await database.users.insert(name=name)


async def in_savepoint(database: Database) -> None:
    async with database.transaction():
        await database.users.insert(name=NEW[0])
        async with database.transaction():
            await database.users.insert(name=NEW[1])


async def in_session(database: Database) -> None:
    session = database.session
    try:
        session.add_all(User(name=name) for name in NEW)
        await session.flush()
        await session.scalars(select(User))
        await session.commit()
    except BaseException:
        await session.rollback()
        raise


async def page(database: Database) -> None:
    async for rows in database.users.pages(1):
        assert len(rows) == 1


@pytest.mark.parametrize("place", ["sqlite", "guarded"], indirect=True)
@pytest.mark.parametrize(
    ("work", "twice"),
    [
        *((work, False) for work in (read, insert, rename, in_savepoint, page)),
        *((work, True) for work in (in_transaction, in_session)),
    ],
)
async def test_cancelled_at_every_point(
    application: Application, work: Callable[[Database], Awaitable[None]], twice: bool
) -> None:
    place = application.place
    before = place.names("acme")
    after = sorted([*before, *NEW])
    ended: list[str] = []
    for at in range(200):
        count = 0
        async with application.workspace("acme") as database:
            task: asyncio.Task[Any] = asyncio.ensure_future(work(database))

            def hear(_name: str, task: asyncio.Task[Any] = task, at: int = at) -> None:
                nonlocal count
                if count == at:
                    task.cancel()
                    if twice:
                        asyncio.get_running_loop().call_soon(task.cancel)
                count += 1

            async with heard(application, hear):
                with suppress(asyncio.CancelledError):
                    await task
            ended.append("cancelled" if task.cancelled() else "done")
            engine = await application.engine()
            assert engine.pool.checkedout() == 0, at  # type: ignore[attr-defined]
            names = place.settled_names("acme")
            assert names in (before, after), (at, names)
            assert sorted(user.name for user in await database.users.all()) == names
            await database.users.where(name=NEW).delete()
        async with application.workspace("globex") as database:
            assert {user.tenant_id for user in await database.users.all()} == {"globex"}
        if count <= at:
            break
    assert ended.count("cancelled") > 3
    assert ended[-1] == "done"
    assert await application.is_calm()


async def test_cancelled_again_while_it_is_rolled_back(application: Application) -> None:
    rolled_back: list[int] = []
    for at in range(6):
        async with application.workspace("acme") as database:
            task = asyncio.ensure_future(lose(database, ValueError("lost")))

            def hear(name: str, task: asyncio.Task[None] = task, at: int = at) -> None:
                if name == "rollback":
                    for _ in range(at):
                        task.cancel()
                    asyncio.get_running_loop().call_soon(task.cancel)
                    rolled_back.append(at)

            async with heard(application, hear):
                with pytest.raises((asyncio.CancelledError, ValueError)):
                    await task
            assert application.place.names("acme") == OLD
            assert await database.users.count() == 3
    assert {*rolled_back} == {*range(6)}


async def test_a_rollback_that_fails_leaves_nothing_for_the_next(application: Application) -> None:
    engine = (await application.engine()).sync_engine

    def fail(connection: object) -> None:
        raise RuntimeError("no rollback here")

    async with application.workspace("acme") as database:
        event.listen(engine, "rollback", fail)
        with pytest.raises(ValueError, match="the job's own"):
            await lose(database, ValueError("the job's own"))
        with pytest.raises(IntegrityError):
            await database.users.insert(name="acme-0")
        event.remove(engine, "rollback", fail)
        assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        assert await database.users.count() == 3
    assert application.place.names("acme") == OLD


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
async def test_whatever_ends_a_transaction_undoes_it(application: Application, error: type[BaseException]) -> None:
    async with application.workspace("acme") as database:
        with pytest.raises(error):
            await lose(database, error())
        assert await database.users.count() == 3
        with pytest.raises(BaseExceptionGroup):
            await lose(database, BaseExceptionGroup("several", [error(), ValueError()]))
    assert application.place.names("acme") == OLD


async def test_a_workspace_that_is_closed_in_the_middle_undoes_what_goes_on(application: Application) -> None:
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def work(database: Database) -> None:
        async with database.transaction():
            await database.users.insert(name="acme-lost")
            inside.set()
            await go_on.wait()

    async with application.workspace("acme") as database:
        task = asyncio.ensure_future(work(database))
        await inside.wait()
    engine = await application.engine()
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    go_on.set()
    with pytest.raises(Exception, match="closed with its workspace"):
        await task
    assert application.place.names("acme") == OLD
