"""The session's own transactions, beside the operations of tables, which are transactions of their own."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from pinstripe.database import transactions
from pinstripe.database.session import DatabaseSession
from pinstripe.errors import PinstripeError
from tests.database.shop_models import User

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.database.shops import Shop

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("shop", ["sqlite-declared", "postgresql-declared"], indirect=True),
]


async def names(shop: Shop) -> set[str]:
    return {user.name for user in await shop.open()[User].all()}


async def test_what_the_session_writes_after_an_operation_can_be_rolled_back(shop: Shop) -> None:
    database = shop.open()
    for operation in (database.users.all(), database.users.where(id=1).update(age=31)):
        await operation
        await database.session.execute(update(User).values(name="acme Nobody"))
        await database.session.rollback()
    async with database.transaction():
        await database.users.count()
    await database.session.execute(update(User).values(name="acme Nobody"))
    await database.session.rollback()
    assert "acme Nobody" not in await names(shop)


async def test_operations_are_part_of_the_transaction_that_the_session_has_begun(shop: Shop) -> None:
    database = shop.open()
    await database.session.execute(select(User))
    await database.users.where(id=1).update(name="acme Dee")
    assert "acme Dee" not in await names(shop)
    await database.session.commit()
    assert "acme Dee" in await names(shop)


async def test_the_session_does_not_commit_inside_a_transaction(shop: Shop) -> None:
    database = shop.open()

    async def commit_inside() -> None:
        async with database.transaction():
            await database.users.where(id=1).update(name="acme Dee")
            await database.session.commit()

    with pytest.raises(PinstripeError, match=r"commit inside database\.transaction\(\), which commits at its end"):
        await commit_inside()
    assert "acme Dee" not in await names(shop)


async def _leave(session: DatabaseSession) -> None:
    async with session:
        await session.scalars(select(User))


async def _roll_back(session: DatabaseSession) -> None:
    transaction = session.get_transaction()
    assert transaction is not None
    await transaction.rollback()


ENDS: list[Callable[[DatabaseSession], Awaitable[None]]] = [
    _leave,
    DatabaseSession.close,
    DatabaseSession.reset,
    DatabaseSession.invalidate,
    _roll_back,
]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("then", ["end", "operate", "begin"])
async def test_a_transaction_is_not_lost_without_a_word(
    shop: Shop, end: Callable[[DatabaseSession], Awaitable[None]], then: str
) -> None:
    database = shop.open()

    async def end_inside() -> None:
        async with database.transaction():
            await database.users.where(id=1).update(name="acme Dee")
            await end(database.session)
            if then == "operate":
                await database.users.where(id=2).update(name="acme Eve")
            elif then == "begin":
                async with database.transaction():
                    await database.session.execute(update(User).where(User.id == 2).values(name="acme Eve"))

    with pytest.raises(PinstripeError, match=r"closed, committed or rolled back inside database\.transaction\(\)"):
        await end_inside()
    assert await names(shop) == {"acme Ann", "acme Bob", "acme Cid"}
    await database.users.where(id=1).update(name="acme Dee")
    assert "acme Dee" in await names(shop)


async def test_the_session_does_not_commit_what_a_failed_statement_left(shop: Shop) -> None:
    session = shop.open().session
    await session.execute(update(User).where(User.id == 1).values(name="acme Dee"))
    with pytest.raises(IntegrityError):
        await session.execute(update(User).where(User.id == 2).values(id=1))
    with pytest.raises(PinstripeError, match=r"has failed \(IntegrityError\), so it can't be committed"):
        await session.commit()
    await session.rollback()
    await session.execute(update(User).where(User.id == 2).values(name="acme Eve"))
    await session.commit()
    assert await names(shop) == {"acme Ann", "acme Eve", "acme Cid"}


async def test_a_row_that_was_rolled_back_says_that_it_has_to_be_read_again(shop: Shop) -> None:
    database = shop.open()
    ann = await database[User].where(id=1).first()
    assert ann is not None
    await database.session.delete(ann)
    await database.session.rollback()
    with pytest.raises(PinstripeError, match="a row of a transaction that was rolled back has to be read again"):
        assert ann.name


async def test_rows_that_were_added_belong_to_the_tenant(shop: Shop) -> None:
    session = shop.open().session
    session.add(User(name="acme Dee"))
    await session.commit()
    assert "acme Dee" in await names(shop)
    assert {row[2] for row in await shop.everything("users") if row[1] == "globex"} == {"globex Ann", "globex Bob"}


async def test_what_is_not_committed_is_undone_with_a_word(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    work = shop.access.open(shop.open().tenant)
    await work.database.session.execute(update(User).values(name="acme Nobody"))
    work.database.session.add(User(name="acme Dee"))
    await work.close()
    assert "1 changed rows were never written (tenant acme)" in caplog.text
    assert await names(shop) == {"acme Ann", "acme Bob", "acme Cid"}


async def test_a_changed_row_is_written_and_committed_with_the_next_operation(shop: Shop) -> None:
    database = shop.open()
    user = await database[User].where(id=1).first()
    assert user is not None
    user.name = "acme Dee"
    assert await database.users.where(name="acme Dee").count() == 1
    await database.users.where(id=1).update(age=77)
    assert "acme Dee" in await names(shop)
    assert await shop.open().users.where(age=77).exists()


async def test_a_changed_row_is_committed_by_the_transaction_that_follows(shop: Shop) -> None:
    database = shop.open()
    user = await database[User].where(id=1).first()
    assert user is not None
    user.name = "acme Dee"
    async with database.transaction():
        await database.users.where(id=1).update(age=77)
    assert "acme Dee" in await names(shop)
    assert await shop.open().users.where(age=77).exists()


async def test_operations_are_part_of_a_transaction_that_was_begun_by_itself(shop: Shop) -> None:
    database = shop.open()
    async with database.session.begin():
        await database.users.where(id=1).update(name="acme Dee")
        assert "acme Dee" not in await names(shop)
    assert "acme Dee" in await names(shop)


async def test_a_transaction_ends_after_what_a_task_in_it_has_begun(shop: Shop) -> None:
    database = shop.open()
    await database.users.count()
    async with database.transaction():
        task = asyncio.create_task(database.users.where(id=1).update(name="acme Dee"))
        await asyncio.sleep(0)  # the task has its turn, and waits for the database
    assert await task == 1
    assert "acme Dee" in await names(shop)


async def test_an_operation_that_waits_for_a_transaction_that_waits_for_it_says_so(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "PATIENCE", 0.0)
    told = asyncio.Event()
    handler = logging.Handler()
    handler.emit = lambda record: told.set() if "waited 0 s for its turn" in record.getMessage() else None  # type: ignore[method-assign]
    logger = logging.getLogger("pinstripe.database")
    monkeypatch.setattr(logger, "handlers", [handler])
    database = shop.open()
    counting = asyncio.ensure_future(database.users.count())
    async with database.transaction():
        outside = Context().run(asyncio.ensure_future, database.users.count())
        await told.wait()
        assert not outside.done()
    assert await outside == await counting == 3


async def test_a_row_that_was_read_in_what_is_undone_is_not_taken_for_the_next_one_of_its_number(shop: Shop) -> None:
    database = shop.open()
    async with database.transaction():
        with suppress(ValueError):
            async with database.transaction():
                await database.users.insert(id=77, name="acme Undone")
                undone = await database[User].where(id=77).first()
                raise ValueError
        database.session.add(User(id=77, name="acme Kept"))
        await database.session.flush()
        kept = await database[User].where(id=77).first()
    assert undone is not None
    assert kept is not None
    assert (undone.name, kept.name) == ("acme Undone", "acme Kept")
    with suppress(ValueError):
        async with database.transaction():
            await database.users.insert(id=78, name="acme Undone")
            undone = await database[User].where(id=78).first()
            raise ValueError
    database.session.add(User(id=78, name="acme Kept"))
    await database.session.commit()
    assert await database.users.where(id=[77, 78], name="acme Kept").count() == 2


async def test_a_transaction_that_is_cancelled_while_a_task_in_it_is_waited_for_is_undone(shop: Shop) -> None:
    database = shop.open()
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def inside() -> None:
        async with database.transaction():
            begun.set()
            await go_on.wait()

    async def outside() -> None:
        async with database.transaction():
            await database.users.where(id=1).update(name="acme Lost")
            children.append(asyncio.ensure_future(inside()))
            await begun.wait()

    children: list[asyncio.Task[None]] = []
    task = asyncio.ensure_future(outside())
    await begun.wait()
    for _ in range(5):
        await asyncio.wait([task], timeout=0)
    task.cancel()
    await asyncio.wait([task], timeout=0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    await children[0]
    assert await database.users.where(name="acme Lost").count() == 0
    assert not database.session.in_transaction()
    assert "acme Ann" in await names(shop)
