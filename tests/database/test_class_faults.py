"""What classes read by themselves: by mapped classes it is the tenant's, and by bare tables or text it is refused."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import asynccontextmanager, closing
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Column, ForeignKey, Integer, String, Table, and_, func, literal_column, select, text, update
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    aliased,
    column_property,
    foreign,
    joinedload,
    mapped_column,
    relationship,
    selectinload,
)

from pinstripe.database.access import DatabaseAccess
from pinstripe.errors import IsolationError
from pinstripe.tenants import Tenant
from tests.database.settings import database_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio

ROWS = """
    create table users (id integer primary key, tenant_id text not null, kind text not null, name text);
    create table posts (id integer primary key, tenant_id text not null, user_id integer, title text);
    create table links (user_id integer, post_id integer);
    create table plans (id integer primary key, name text);
    create table logs (id integer primary key);
    insert into users values (1, 'acme', 'user', 'acme Ann'), (2, 'acme', 'admin', 'acme Bob'),
        (3, 'globex', 'user', 'globex Ann');
    insert into posts values (1, 'acme', 1, 'acme 1'), (2, 'acme', 1, 'acme 2'), (3, 'globex', 1, 'globex 3'),
        (4, 'globex', 3, 'globex 4');
    insert into links values (1, 1), (1, 3), (3, 4);
    insert into plans values (1, 'pro');
"""


class Models(ModuleType):
    """A module of models, as an author would write one."""

    Base: Any
    User: Any
    Admin: Any
    Post: Any
    Plan: Any
    Log: Any
    Numbered: Any
    Second: Any

    def __init__(self) -> None:
        super().__init__("models_with_faults")

        class Base(DeclarativeBase):
            pass

        class User(Base):
            __tablename__ = "users"
            id: Mapped[int] = mapped_column(primary_key=True)
            tenant_id: Mapped[str]
            kind: Mapped[str] = mapped_column(default="user")
            name: Mapped[str]
            __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "user"}  # noqa: RUF012

        class Admin(User):
            __mapper_args__ = {"polymorphic_identity": "admin"}  # noqa: RUF012

        class Post(Base):
            __tablename__ = "posts"
            id: Mapped[int] = mapped_column(primary_key=True)
            tenant_id: Mapped[str]
            user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
            title: Mapped[str]

        class Plan(Base):
            __tablename__ = "plans"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str]

        class Log(Base):
            __tablename__ = "logs"
            id: Mapped[int] = mapped_column(primary_key=True)

        self.Base, self.User, self.Admin, self.Post, self.Plan, self.Log = Base, User, Admin, Post, Plan, Log
        self.users: Any = User.__table__
        self.posts: Any = Post.__table__


def counted(m: Any) -> None:
    m.User.found = column_property(
        select(func.count(m.posts.c.id)).where(m.posts.c.user_id == m.User.id).scalar_subquery()
    )


def deferred_and_counted(m: Any) -> None:
    m.User.found = column_property(select(func.count(m.posts.c.id)).scalar_subquery(), deferred=True)


def counted_by_an_alias(m: Any) -> None:
    other = m.users.alias()
    m.User.found = column_property(select(func.count(other.c.id)).scalar_subquery())


def written_as_text(m: Any) -> None:
    m.User.found = column_property(literal_column("(select count(*) from posts)", Integer))


def of_an_undeclared_table(m: Any) -> None:
    m.User.found = column_property(select(func.count(m.Log.__table__.c.id)).scalar_subquery())


def of_what_inherits(m: Any) -> None:
    m.Admin.found = column_property(select(func.count(m.posts.c.id)).scalar_subquery())


def joined_by_a_table(m: Any) -> None:
    some = select(m.posts.c.id).where(m.posts.c.title != "")
    m.User.found = relationship(
        m.Post, primaryjoin=and_(m.User.id == foreign(m.Post.user_id), m.User.id.in_(some)), viewonly=True
    )


def joined_by_text(m: Any) -> None:
    m.User.found = relationship(
        m.Post,
        primaryjoin=and_(m.User.id == foreign(m.Post.user_id), text("1 in (select id from posts)")),
        viewonly=True,
    )


def ordered_by_a_table(m: Any) -> None:
    m.User.found = relationship(
        m.Post, order_by=select(func.count(m.posts.alias().c.id)).scalar_subquery(), viewonly=True
    )


def ordered_by_text(m: Any) -> None:
    m.User.found = relationship(m.Post, order_by=literal_column("(select title from posts)"), viewonly=True)


def of_an_alias_that_reads_a_table(m: Any) -> None:
    some = select(m.posts).limit(1).subquery()
    m.User.found = relationship(aliased(m.Post, some), primaryjoin=m.User.id == foreign(some.c.user_id), viewonly=True)


def through_a_query(m: Any) -> None:
    between = select(m.posts.c.user_id, m.posts.c.id).limit(1).subquery()
    m.User.found = relationship(
        m.Post,
        secondary=between,
        primaryjoin=m.User.id == foreign(between.c.user_id),
        secondaryjoin=foreign(between.c.id) == m.Post.id,
        viewonly=True,
    )


FAULTS = [
    counted,
    deferred_and_counted,
    counted_by_an_alias,
    written_as_text,
    of_an_undeclared_table,
    joined_by_a_table,
    joined_by_text,
    ordered_by_a_table,
    ordered_by_text,
    of_an_alias_that_reads_a_table,
    through_a_query,
    of_what_inherits,
]


@asynccontextmanager
async def access_to(folder: Path, monkeypatch: pytest.MonkeyPatch, models: Models) -> AsyncIterator[DatabaseAccess]:
    """Give the service over those models, and the rows of two tenants."""
    monkeypatch.setitem(sys.modules, models.__name__, models)
    with closing(sqlite3.connect(folder / "shop.db")) as connection:
        connection.executescript(ROWS)
    settings = database_settings(
        folder, url="sqlite:///shop.db", models=models.__name__, shared_tables=["plans"], isolation="rows"
    )
    access = DatabaseAccess(settings, folder, "rows")
    try:
        yield access
    finally:
        await access.close()


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_class_that_reads_past_the_criteria_is_refused(
    fault: Callable[[Any], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = Models()
    fault(models)
    named = "Admin.found" if fault is of_what_inherits else "User.found"
    async with access_to(tmp_path, monkeypatch, models) as access:
        work = access.open(Tenant("acme"))
        database, session = work.database, work.database.session
        attempts: list[Callable[[], Any]] = [
            database.users.all,
            lambda: database[models.User].where(name="acme Ann").first(),
            lambda: database.users.insert(name="new"),
            lambda: database.users.insert_many([{"name": "new"}]),
            lambda: database.users.where(id=1).update(name="other"),
            database.users.delete,
            lambda: database.posts.where(models.Post.user_id.in_(select(models.User.id))).all(),
            lambda: session.get(models.User, 1),
            lambda: session.execute(select(models.User)),
            lambda: session.execute(select(models.Admin)),
            lambda: session.execute(select(aliased(models.User))),
            lambda: session.execute(select(models.Post).where(models.Post.user_id.in_(select(models.User.id)))),
            lambda: session.execute(update(models.User).values(name="other")),
            lambda: session.merge(models.User(id=1, name="other")),
        ]
        for attempt in attempts:
            with pytest.raises(IsolationError, match=named):
                await attempt()
            await session.rollback()
        session.add(models.User(name="new"))
        with pytest.raises(IsolationError, match=named):
            await session.commit()
        await session.rollback()
        assert [post.title for post in await database.posts.all()] == ["acme 1", "acme 2"]
        assert await database.posts.where(id=1).update(title="acme one") == 1
        await work.close()
        async with access.unscoped(None, "all may be read", "a test") as everything:
            assert len(await everything.users.all()) == 3
        faults = await access.look(None)
        assert [fault for fault in faults if named in fault] != []


async def test_what_is_computed_for_a_column_is_refused_whatever_it_is_written_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = Models()
    highest = select(func.max(models.Post.id) + 1).scalar_subquery()
    models.Numbered = type(
        "Numbered",
        (models.Base,),
        {
            "__tablename__": "numbered",
            "id": Column(Integer, primary_key=True),
            "tenant_id": Column(String),
            "number": Column(Integer, default=highest),
            "made_at": Column(String, default=func.current_timestamp(), onupdate=func.current_timestamp()),
        },
    )
    async with access_to(tmp_path, monkeypatch, models) as access:
        work = access.open(Tenant("acme"))
        with pytest.raises(IsolationError, match=r"the default of numbered.number reads table 'posts' of all tenants"):
            await work.database.numbered.insert()
        assert await work.database.posts.count() == 2
        await work.close()


async def test_a_shared_class_that_reads_tenants_rows_is_refused_to_nobody_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = Models()
    models.Plan.used = column_property(select(func.count(models.users.c.id)).scalar_subquery())
    async with access_to(tmp_path, monkeypatch, models) as access:
        for tenant in (None, Tenant("acme")):
            work = access.open(tenant)
            with pytest.raises(IsolationError, match=r"Plan\.used reads table 'users'"):
                await work.database.plans.all()
            with pytest.raises(IsolationError, match=r"Plan\.used reads table 'users'"):
                await work.database.session.scalars(select(models.Plan))
            await work.close()


async def test_two_classes_of_one_table_are_told_apart_by_what_they_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ORM's criteria refuse the one that isn't the table's first class."""
    models = Models()
    models.Second = type("Zweite", (models.Base,), {"__table__": models.posts})
    models.Second.found = column_property(select(func.count(models.users.c.id)).scalar_subquery())
    async with access_to(tmp_path, monkeypatch, models) as access:
        work = access.open(Tenant("acme"))
        session = work.database.session
        for statement in (
            select(models.Second),
            select(aliased(models.Second)),
            select(models.User).where(models.User.id.in_(select(models.Second.user_id))),
            update(models.Second).values(title="x"),
        ):
            with pytest.raises(IsolationError, match=r"Zweite\.found reads table 'users'"):
                await session.execute(statement)
            await session.rollback()
        with pytest.raises(IsolationError, match=r"Zweite\.found reads table 'users'"):
            await work.database[models.Second].all()
        assert len((await session.scalars(select(models.Post))).all()) == 2
        await session.execute(update(models.User).values(name="x"))
        await work.close()


async def test_what_is_written_with_classes_is_kept_to_the_tenant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = Models()
    user, post = models.User, models.Post
    other = aliased(post)
    some = aliased(post, select(post).order_by(post.id.desc()).limit(1).subquery())
    count = select(func.count(post.id)).where(post.user_id == user.id).correlate_except(post).scalar_subquery()
    user.count = column_property(count)
    user.count_later = column_property(select(func.count(other.id)).scalar_subquery(), deferred=True)
    user.count_by_column = column_property(
        select(func.count(post.id)).where(post.user_id == models.users.c.id).correlate_except(post).scalar_subquery()
    )
    user.loud = column_property(func.upper(user.name))
    user.posts = relationship(post, order_by=post.id, viewonly=True)
    user.last_posts = relationship(
        post,
        primaryjoin=and_(
            user.id == foreign(post.user_id), post.id.in_(select(func.max(other.id)).group_by(other.user_id))
        ),
        viewonly=True,
    )
    user.only_last = relationship(
        post,
        primaryjoin=and_(user.id == foreign(post.user_id), post.id == select(func.max(other.id)).scalar_subquery()),
        viewonly=True,
    )
    user.counted_posts = relationship(
        post,
        order_by=select(func.count(other.id)).where(other.title < post.title).correlate(post).scalar_subquery().desc(),
        viewonly=True,
    )
    plain = aliased(post)
    user.under_alias = relationship(plain, primaryjoin=user.id == foreign(plain.user_id), viewonly=True)
    user.some = relationship(some, primaryjoin=user.id == foreign(some.user_id), viewonly=True)
    links: Any = Table(
        "links", user.metadata, Column("user_id", ForeignKey("users.id")), Column("post_id", ForeignKey("posts.id"))
    )
    user.linked = relationship(post, secondary=links, viewonly=True)
    names = ("posts", "last_posts", "only_last", "counted_posts", "under_alias", "some", "linked")
    targets = {"under_alias": plain, "some": some}
    expected = {
        "posts": ["acme 1", "acme 2"],
        "last_posts": ["acme 2"],
        "only_last": ["acme 2"],
        "counted_posts": ["acme 2", "acme 1"],
        "under_alias": ["acme 1", "acme 2"],
        "some": ["acme 2"],
        "linked": ["acme 1"],
    }
    async with access_to(tmp_path, monkeypatch, models) as access:
        work = access.open(Tenant("acme"))
        database, session = work.database, work.database.session
        ann: Any = await database.users.where(name="acme Ann").first()
        assert (ann.count, ann.count_by_column, ann.loud) == (2, 2, "ACME ANN")
        await session.refresh(ann, ["count_later"])
        assert ann.count_later == 2
        assert await database.users.where(user.count == 2).count() == 1
        for name in names:
            found = {}
            await session.refresh(ann, [name])
            found["lazy"] = getattr(ann, name)
            for load in (selectinload, joinedload):
                statement = select(user).where(user.id == 1).options(load(getattr(user, name)))
                again = (
                    (await session.execute(statement.execution_options(populate_existing=True))).unique().scalar_one()
                )
                found[load.__name__] = getattr(again, name)
            found["joined"] = (
                await session.scalars(select(targets.get(name, post)).select_from(user).join(getattr(user, name)))
            ).all()
            titles = {how: [one.title for one in rows] for how, rows in found.items()}
            assert sorted(titles.pop("joined")) == sorted(expected[name]), name  # a join doesn't order
            assert titles == dict.fromkeys(titles, expected[name]), name
        await session.rollback()
        assert [fault for fault in await access.look(None) if "User" in fault] == []
        await work.close()
