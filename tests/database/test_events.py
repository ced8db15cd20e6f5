"""What authors' events write and add beside what a job does: all of it is the tenant's, or refused."""

from __future__ import annotations

import gc
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Column, Engine, Integer, Table, delete, insert, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, relationship

from pinstripe.errors import IsolationError
from pinstripe.tenants import Tenant
from tests.database.shop_models import Book, Plan, Post, User
from tests.database.test_class_faults import Models, access_to
from tests.database.test_connections import listening

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Connection
    from sqlalchemy.orm import ORMExecuteState

    from tests.database.shops import Shop

pytestmark = pytest.mark.anyio

users: Any = User.__table__
posts: Any = Post.__table__
plans: Any = Plan.__table__
books: Any = Book.__table__

OF_OTHER = {"id": 4, "name": "taken"}
"""A row under the primary key of another tenant's."""

REFUSED: dict[str, Any] = {
    "an upsert": sqlite.insert(users).values(OF_OTHER).on_conflict_do_update(index_elements=["id"], set_=OF_OTHER),
    "an upsert of PostgreSQL": (
        postgresql.insert(users).values(OF_OTHER).on_conflict_do_update(index_elements=["id"], set_=OF_OTHER)
    ),
    "an upsert of a second table": (
        sqlite.insert(books).values(id=2, pages=0).on_conflict_do_update(index_elements=["id"], set_={"pages": 0})
    ),
    "an insert that replaces": insert(users).prefix_with("or replace").values(OF_OTHER),
    "an update that replaces": update(users).prefix_with("or replace").values(id=4),
    "a hint": update(users).with_hint("from globex").values(name="taken"),
    "rows without names": insert(users).values([(30, "globex", "taken"), (31, "globex", "taken")]),
    "rows that lack the tenant": insert(users).values([{"name": "acme"}, {"name": "acme"}]),
    "a query of values": insert(users).from_select(["tenant_id", "name"], select(literal("globex"), literal("taken"))),
    "a query of what is shared": insert(users).from_select(["name"], select(plans.c.name)),
    "an alias": update(users.alias()).values(name="taken"),
}


@pytest.mark.parametrize("work", REFUSED.values(), ids=REFUSED)
async def test_a_flush_lets_no_event_write_what_may_be_of_others(declared_shop: Shop, work: Any) -> None:
    before = [await declared_shop.everything(name) for name in ("users", "books")]
    with listening(Post, "before_insert", lambda _mapper, connection, _row: connection.execute(work)):
        database = declared_shop.open()
        database.session.add(Post(title="acme new", user_id=1))
        with pytest.raises(IsolationError):
            await database.session.commit()
        await database.session.rollback()
    assert [await declared_shop.everything(name) for name in ("users", "books")] == before


async def test_parameters_of_an_update_set_no_tenant(declared_shop: Shop) -> None:
    before = await declared_shop.everything("users")
    with listening(
        Post,
        "before_insert",
        lambda _mapper, connection, _row: connection.execute(users.update(), {"tenant_id": "globex"}),
    ):
        database = declared_shop.open()
        database.session.add(Post(title="acme new", user_id=1))
        with pytest.raises(IsolationError, match="tenant_id = 'globex'"):
            await database.session.commit()
        await database.session.rollback()
    assert await declared_shop.everything("users") == before


async def test_an_upsert_that_leaves_rows_alone_is_no_matter(declared_shop: Shop) -> None:
    kind: Any = {"sqlite": sqlite, "postgresql": postgresql}[declared_shop.access.dialect]
    work = kind.insert(posts).values(id=1, title="acme again", user_id=1).on_conflict_do_nothing()
    before = await declared_shop.everything("posts")
    with listening(User, "before_insert", lambda _mapper, connection, _row: connection.execute(work)):
        database = declared_shop.open()
        database.session.add(User(name="acme new"))
        await database.session.commit()
    assert await declared_shop.everything("posts") == before


@pytest.mark.parametrize("work", [insert(posts).values(title="x", user_id=1), posts.delete(), users.update()])
async def test_an_event_of_the_engine_writes_nothing_beside_a_change(declared_shop: Shop, work: Any) -> None:
    """It gets a bare connection in the middle of a change of the ORM's, which writes to it too."""
    written: list[bool] = []

    def write(connection: Connection, element: Any, *_rest: object) -> None:
        if element.is_dml and element is not work and not written:
            written.append(True)
            connection.execute(work, {"tenant_id": "globex"} if work.is_update else {})

    changes: list[Callable[[Any], Any]] = [
        lambda database: database.users.update(name="acme changed"),
        lambda database: database.users.insert(name="acme new"),
        lambda database: database.session.execute(delete(Post)),
    ]
    for change in changes:
        written.clear()
        with listening(Engine, "after_execute", write), pytest.raises(IsolationError):
            await change(declared_shop.open())
        assert written == [True]


async def test_an_event_does_not_say_whose_rows_are_read(declared_shop: Shop) -> None:
    def replace(state: ORMExecuteState) -> None:
        given: Any = state.parameters
        state.parameters = dict.fromkeys(given, "globex")

    with listening(Session, "do_orm_execute", replace), pytest.raises(IsolationError, match="was replaced"):
        await declared_shop.open().session.execute(select(User.name))


async def test_what_an_event_adds_in_a_flush_is_the_tenants(declared_shop: Shop) -> None:
    """An audit log is written so."""

    def add(session: Session, _context: object, _rows: object) -> None:
        if any(isinstance(row, User) for row in session.new):
            session.add(Post(title="acme audit", user_id=1))

    database = declared_shop.open()
    with listening(Session, "before_flush", add):
        database.session.add(User(name="acme new"))
        await database.session.commit()
    assert [post.tenant_id for post in await database[Post].where(title="acme audit").all()] == ["acme"]

    def add_to_other(session: Session, _context: object, _rows: object) -> None:
        session.add(Post(tenant_id="globex", title="taken", user_id=1))

    before = await declared_shop.everything("posts")
    database.session.add(User(name="acme new"))
    with listening(Session, "before_flush", add_to_other), pytest.raises(IsolationError, match="'globex'"):
        await database.session.commit()
    assert await declared_shop.everything("posts") == before


async def test_flushes_leave_nothing_behind(declared_shop: Shop) -> None:
    """What is known of a statement is forgotten with it."""
    database = declared_shop.open()
    counts = []
    for count in range(10):
        row = User(name="acme new")
        async with database.transaction():
            database.session.add(row)
            await database.session.flush()
            row.name = f"acme {count}"
            await database.session.flush()
            await database.session.delete(row)
        gc.collect()
        counts.append(len(database.session.sync_session.scope.catalog.kept))
    assert counts[-1] == counts[1]


async def test_a_table_between_classes_is_changed_by_named_rows_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It doesn't tell whose its rows are."""
    models = Models()
    links = Table("links", models.Base.metadata, Column("user_id", Integer), Column("post_id", Integer))
    models.User.posts = relationship(
        models.Post,
        secondary=links,
        primaryjoin=models.User.id == links.c.user_id,
        secondaryjoin=models.Post.id == links.c.post_id,
    )
    named = links.delete().where(links.c.user_id == 1, links.c.post_id > 0)
    several = links.delete().where(links.c.user_id.in_([1]))
    unnamed: list[Any] = [
        links.delete(),
        links.update().values(post_id=1),
        links.delete().where(links.c.user_id > 0),
        links.delete().where((links.c.user_id == 1) | (links.c.post_id > 0)),
        links.delete().where(links.c.user_id == links.c.user_id),
    ]
    async with access_to(tmp_path, monkeypatch, models) as access:
        for work in (*unnamed, named, several):
            opened = access.open(Tenant("acme"))
            with listening(
                models.User, "before_insert", lambda _mapper, connection, _row, work=work: connection.execute(work)
            ):
                opened.database.session.add(models.User(name="acme new"))
                if work is named or work is several:
                    await opened.database.session.commit()
                else:
                    with pytest.raises(IsolationError, match="say of which rows"):
                        await opened.database.session.commit()
            await opened.close()
            with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
                found = connection.execute("select * from links order by 1, 2").fetchall()
            assert found == ([(3, 4)] if work is named or work is several else [(1, 1), (1, 3), (3, 4)])
