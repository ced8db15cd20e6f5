"""What a type checker says of the database service; `test_typing.py` runs one over it, and every lint does too.

What it must refuse has a `type: ignore` of exactly that error: where it refuses nothing, the comment itself is one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from typing import Any, assert_type

from pinstripe import BackgroundJob, Tenant
from pinstripe.database.rows import Rows
from pinstripe.database.service import Database, database_of
from pinstripe.database.session import DatabaseSession
from pinstripe.database.transactions import Transaction
from tests.database.shop_models import Post, User


class Job(BackgroundJob):
    multi_tenant = True

    async def run(self) -> None:
        assert_type(self.database, Database)
        assert_type(self.workspace.database, Database)
        users = self.database[User]
        assert_type(users, Rows[User])
        assert_type(users.where(User.age > 5, name__ne="x").order_by("-name", User.id.desc()).limit(5), Rows[User])
        await reads(users)
        await writes(users)
        assert_type(self.database.users, Rows[Any])
        assert_type(self.database["session"], Rows[Any])
        assert_type(self.database.session, DatabaseSession)
        assert_type(self.database.transaction(), Transaction)
        assert_type(self.database.tenant, Tenant | None)
        unscoped = self.workspace.unscoped(reason="to show its type")
        assert_type(unscoped, AbstractAsyncContextManager[Database])
        async with unscoped as database, database.transaction():
            assert_type(database, Database)
        self.databse  # type: ignore[attr-defined]  # noqa: B018
        self.database[5]  # type: ignore[call-overload]
        self.workspace.unscoped()  # type: ignore[call-arg]


class PlainJob(BackgroundJob):
    def run(self) -> None:
        assert_type(self.wait(self.database[User].all()), list[User])
        assert_type(self.wait(self.database[User].first()), User | None)


async def reads(users: Rows[User]) -> None:
    assert_type(await users.all(), list[User])
    assert_type(await users.first(), User | None)
    assert_type(await users.count(), int)
    assert_type(await users.exists(), bool)
    assert_type(users.pages(), AsyncGenerator[list[User], None])
    async for user in users:
        assert_type(user, User)
        assert_type(user.name, str)
        assert_type(user.posts, list[Post])
        assert_type(database_of(user), Database)
        user.nme  # type: ignore[attr-defined]  # noqa: B018
    (await users.first()).name  # type: ignore[union-attr]  # noqa: B018
    users.wher(name="x")  # type: ignore[attr-defined]
    users.limit("5")  # type: ignore[arg-type]
    users.where("name = 'x'")  # type: ignore[arg-type]
    await users  # type: ignore[misc]
    if users:  # type: ignore[truthy-bool]
        pass
    for _ in users:  # type: ignore[attr-defined]
        pass


async def writes(users: Rows[User]) -> None:
    assert_type(await users.insert(name="x"), User)
    assert_type(await users.insert_many([{"name": "x"}]), int)
    assert_type(await users.update(name="x"), int)
    assert_type(await users.delete(), int)
    await users.insert_many(5)  # type: ignore[arg-type]
