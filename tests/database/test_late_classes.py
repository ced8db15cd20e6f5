"""Classes that are mapped after the models were read, by a module that a job imports when it needs it, say."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Column, Integer, String, select
from sqlalchemy.orm import DeclarativeBase, backref, configure_mappers, foreign, joinedload, relationship, selectinload

from pinstripe.database.class_faults import find_class_faults
from pinstripe.errors import IsolationError
from pinstripe.tenants import Tenant
from tests.database.test_class_faults import Models, access_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pinstripe.database.access import DatabaseAccess

pytestmark = pytest.mark.anyio


@pytest.fixture
def models() -> Models:
    return Models()


@pytest.fixture
async def access(models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DatabaseAccess]:
    """Give the service over those models, with a table that they know nothing of: two tenants' rows for one user."""
    async with access_to(tmp_path, monkeypatch, models) as access:
        with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
            connection.executescript("create table lates as select * from posts")
        yield access


def map_late(models: Models, base: Any) -> Any:
    """Map a class that gives users a relationship."""

    class Late(base):  # type: ignore[misc]
        __tablename__ = "lates"
        id = Column(Integer, primary_key=True)
        tenant_id = Column(String)
        user_id = Column(Integer)
        title = Column(String)
        user = relationship(
            models.User, primaryjoin=lambda: foreign(Late.user_id) == models.User.id, backref=backref("lates")
        )

    return Late


async def test_a_class_that_is_mapped_in_the_middle_of_a_job_is_kept_to_the_tenant(
    models: Models, access: DatabaseAccess
) -> None:
    work = access.open(Tenant("acme"))
    database, session = work.database, work.database.session
    assert await database.users.count() == 2
    user = await session.get_one(models.User, 1)
    late = map_late(models, models.Base)
    assert [row.title for row in await database[late].order_by("id").all()] == ["acme 1", "acme 2"]
    await session.refresh(user, ["lates"])
    assert sorted(row.title for row in user.lates) == ["acme 1", "acme 2"]
    for loading in (joinedload, selectinload):
        query = select(models.User).options(loading(models.User.lates)).execution_options(populate_existing=True)
        found = {row.title for user in (await session.scalars(query)).unique() for row in user.lates}
        assert found == {"acme 1", "acme 2"}
    assert await database.users.where(lates__title="globex 3").count() == 0
    await work.close()


async def test_a_relationship_to_what_is_none_of_the_models_is_refused(models: Models, access: DatabaseAccess) -> None:
    class Other(DeclarativeBase):
        pass

    work = access.open(Tenant("acme"))
    database, session = work.database, work.database.session
    user = await session.get_one(models.User, 1)
    map_late(models, Other)
    configure_mappers()
    with pytest.raises(IsolationError, match=r"User\.lates leads to .*Late, which is no mapped class of models_with_f"):
        await session.refresh(user, ["lates"])
    await session.rollback()
    attempts: list[Any] = [
        database.users.all(),
        database.users.where(lates__title="globex 3").count(),
        session.scalars(select(models.User).options(selectinload(models.User.lates))),
        session.scalars(select(models.User).options(joinedload(models.User.lates))),
    ]
    for attempt in attempts:
        with pytest.raises(IsolationError, match=r"User\.lates leads to"):
            await attempt
        await session.rollback()
    await work.close()
    async with access.unscoped(None, "to see all", "a test") as everything:
        assert await everything.users.count() == 3


async def test_the_catalog_tells_whether_it_is_outdated(models: Models, access: DatabaseAccess) -> None:
    before = await access.catalog()
    assert not before.is_outdated
    assert await access.catalog() is before
    map_late(models, models.Base)
    assert before.is_outdated
    after = await access.catalog()
    assert not after.is_outdated
    assert "lates" in after.by_name
    assert find_class_faults(after) == {}


async def test_the_tenant_column_is_known_by_its_name_in_the_database(models: Models, access: DatabaseAccess) -> None:
    """Whatever it is called in Python, by a key of the column's own."""

    base: Any = models.Base

    class Keyed(base):  # type: ignore[misc]
        __tablename__ = "lates"
        id = Column(Integer, primary_key=True)
        owner = Column("tenant_id", String, key="owner")
        title = Column(String)

    work = access.open(Tenant("acme"))
    database, session = work.database, work.database.session
    row: Any = await session.get_one(Keyed, 1)
    row.title = "acme changed"
    session.add(Keyed(id=9, title="acme new"))
    await session.commit()
    await session.refresh(row)
    await session.delete(row)
    await session.commit()
    titles = [one.title for one in await database[Keyed].order_by("title").all()]
    assert titles == ["acme 2", "acme new"]
    await work.close()
