"""Rows of one tenant that are kept, and then used in another's workspace; and ids that two tenants both have."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm.exc import DetachedInstanceError

from pinstripe.errors import IsolationError
from tests.database.cases.models import Post, User

if TYPE_CHECKING:
    from pinstripe.database.service import Database
    from tests.database.cases.applications import Application

pytestmark = pytest.mark.anyio

KEPT: list[User] = []


class Keeper:
    row: User | None = None

    def by_default(self, row: User | None = None, kept: list[User] = KEPT) -> User:  # the mistake shown
        if row is not None:
            kept.append(row)
        return kept[-1]


@lru_cache
def remembered(key: str) -> list[User]:
    return []


async def first(database: Database) -> User:
    found = await database[User].order_by("name").first()
    assert found is not None
    return found


async def use(database: Database, row: User, how: str) -> None:
    """Use a kept row as a careless job would."""
    session = database.session
    if how == "add":
        row.name = "forged"
        session.add(row)
        await session.commit()
    elif how == "refresh":
        await session.refresh(row)
    elif how == "delete":
        await session.delete(row)
        await session.commit()
    elif how == "relationship":
        session.add(Post(title="forged", user=row))
        await session.commit()
    elif how == "lazy":
        await session.run_sync(lambda _: row.posts)


@pytest.mark.parametrize(
    ("where", "how"),
    [("global", "add"), ("class", "refresh"), ("cache", "delete"), ("default", "relationship"), ("global", "lazy")],
)
async def test_a_row_that_was_kept_can_not_be_used_in_another_workspace(
    application: Application, where: str, how: str
) -> None:
    KEPT.clear()
    async with application.workspace("acme") as acme:
        row = await first(acme)
        if where == "global":
            KEPT.append(row)
        elif where == "class":
            Keeper.row = row
        elif where == "cache":
            remembered("first").append(row)
        else:
            Keeper().by_default(row)
        del row
    kept = Keeper.row if where == "class" else remembered("first")[-1] if where == "cache" else Keeper().by_default()
    assert kept is not None
    async with application.workspace("globex") as globex:
        with pytest.raises((IsolationError, InvalidRequestError, DetachedInstanceError)):
            await use(globex, kept, how)
        await globex.session.rollback()
        assert {user.tenant_id for user in await globex.users.all()} == {"globex"}
    assert application.place.names("acme") == ["acme-0", "acme-1", "acme-2"]
    assert application.place.execute("select count(*) from posts where title = 'forged'") == [(0,)]


async def test_merging_another_tenants_row_is_refused(application: Application) -> None:
    async with application.workspace("acme") as acme:
        row = await first(acme)
    async with application.workspace("globex") as globex:

        async def merge() -> None:
            await globex.session.merge(row)
            await globex.session.flush()

        with pytest.raises(IsolationError):
            await merge()
        await globex.session.rollback()
        with pytest.raises(IsolationError, match="load=False"):
            await globex.session.merge(row, load=False)
    assert len(application.place.names("acme")) == len(application.place.names("globex")) == 3


async def test_a_row_of_two_workspaces_at_once_is_refused(application: Application) -> None:
    async with application.workspace("acme") as acme, application.workspace("globex") as globex:
        row, post = await first(acme), Post(title="forged")
        globex.session.add(post)

        async def assign() -> None:
            post.user = row
            await globex.session.commit()

        with pytest.raises((IsolationError, InvalidRequestError)):
            await assign()
        await globex.session.rollback()
    assert application.place.execute("select count(*) from posts where title = 'forged'") == [(0,)]


async def test_another_tenants_row_by_its_id_alone_reads_nothing_of_it(application: Application) -> None:
    """A foreign key checks no tenant: the row is the job's own, and what it points to stays hidden from it."""
    async with application.workspace("acme") as acme:
        foreign = (await first(acme)).id
    async with application.workspace("globex") as globex:
        assert await globex.session.get(User, foreign) is None
        await globex.session.rollback()
        post = await globex[Post].insert(title="globex-forged", user_id=foreign)
        assert await globex.session.run_sync(lambda _: post.user) is None
        await globex.session.rollback()
        assert await globex.posts.where(user__name__contains="").count() == 3


async def test_the_tenant_of_a_session_can_not_be_changed(application: Application) -> None:
    async with application.workspace("acme") as acme, application.workspace("globex") as globex:
        await first(acme)
        await first(globex)
        with pytest.raises(AttributeError):
            acme.tenant = globex.tenant  # type: ignore[misc]
        session = acme.session.sync_session
        with pytest.raises(AttributeError):
            session.scope = globex.session.sync_session.scope  # type: ignore[misc]
        with pytest.raises(AttributeError):
            session.scope.tenant = globex.tenant  # type: ignore[misc]
        assert {user.tenant_id for user in await acme.users.all()} == {"acme"}
        await globex.session.rollback()


@pytest.mark.parametrize("place", ["sqlite", "guarded"], indirect=True)
async def test_two_tenants_in_turn_a_thousand_times_on_one_engine(application: Application) -> None:
    """Compiled statements are kept and used again: none may keep a tenant's id."""
    statement = select(User).order_by(User.name)
    for number in range(1_000):
        tenant = ("acme", "globex")[number % 2]
        async with application.workspace(tenant) as database:
            if number % 4 < 2:
                found = await database[User].where(value__ge=0).all()
            else:
                found = [*(await database.session.scalars(statement)).all()]
            assert [user.tenant_id for user in found] == [tenant] * 3
            if number % 10 < 2:
                assert await database.users.where(name__contains="-").update(value=number) == 3
