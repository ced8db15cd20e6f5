"""A row that is read, and whose primary key is another tenant's by the time that it is used again.

Keys are used again: SQLite gives the highest one to the next row, and a key of the application's own (a name, a number)
may be anybody's once it is free.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm.exc import ObjectDeletedError, StaleDataError

from tests.database.cases.models import User

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pinstripe.database.service import Database
    from tests.database.cases.applications import Application

pytestmark = [
    pytest.mark.anyio,
    # PostgreSQL's own policies don't tell SQLAlchemy of a row that isn't there, and neither does a deletion of ours.
    pytest.mark.filterwarnings("ignore:DELETE statement on table 'users' expected to delete 1 row"),
]


async def change(database: Database, row: User) -> None:
    row.value = 99
    await database.session.commit()


async def delete(database: Database, row: User) -> None:
    await database.session.delete(row)
    await database.session.commit()


async def merge(database: Database, row: User) -> None:
    await database.session.merge(User(id=row.id, value=99))
    await database.session.commit()


async def refresh(database: Database, row: User) -> None:
    await database.session.refresh(row)


async def read_expired(database: Database, row: User) -> None:
    database.session.expire(row)
    await database.session.run_sync(lambda _: row.name)


async def get_expired(database: Database, row: User) -> None:
    key = row.id
    database.session.expire(row)
    assert await database.session.get(User, key) is None


@pytest.mark.parametrize("use", [change, delete, merge, refresh, read_expired, get_expired])
async def test_a_key_that_another_tenant_has_by_now(
    application: Application, use: Callable[[Database, User], Awaitable[None]]
) -> None:
    place = application.place
    async with application.workspace("acme") as database:
        row = await database[User].where(name="acme-0").first()
        assert row is not None
        key = row.id
        place.execute(f"delete from posts where user_id = {key}")
        place.execute(f"update users set tenant_id = 'globex', name = 'globex-new', value = 7 where id = {key}")
        try:
            await use(database, row)
        except (InvalidRequestError, ObjectDeletedError, StaleDataError):
            await database.session.rollback()
        else:
            assert use in (delete, get_expired)
        assert "globex" not in str(vars(row))
    assert place.execute(f"select tenant_id, name, value from users where id = {key}") == [("globex", "globex-new", 7)]


async def test_what_was_not_taken_over_is_written_as_ever(application: Application) -> None:
    async with application.workspace("acme") as database:
        session = database.session
        rows = await database[User].order_by("name").all()
        rows[0].value, rows[1].value = 10, User.value + 10
        await database.posts.where(user_id=rows[2].id).delete()
        await session.delete(rows[2])
        session.add(User(name="acme-new"))
        await session.commit()
        for row in rows[:2]:
            await session.refresh(row)
        assert [row.value for row in rows[:2]] == [10, 11]
    assert application.place.names("acme") == ["acme-0", "acme-1", "acme-new"]
    assert application.place.names("globex") == ["globex-0", "globex-1", "globex-2"]
